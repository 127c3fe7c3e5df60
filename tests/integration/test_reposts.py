"""What is remembered is what the model says: the same rows but for `route`, whatever the text, title and taxonomy."""

from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import islice

from schemas.events import InvalidMessage, decode_event
from schemas.insights import Analysis, Route
from schemas.samples import sample_messages
from schemas.taxonomy import load_taxonomy
from workers.analyze.judge import Judge, Request
from workers.analyze.known_answers import KnownAnswers
from workers.analyze.redact import Redactor
from workers.bench.reposts import reposted
from workers.settings import load_settings
from workers.slm.build import ensure_pack
from workers.worker import build_judge


def rows(answers: Sequence[Analysis | None]) -> list[dict[str, object] | None]:
    return [answer and answer.model_dump(exclude={"route"}) for answer in answers]


def sample_requests(judge: Judge, count: int) -> list[Request]:
    """The sample's texts with their titles, redacted, no two alike."""
    found = {}
    for message in islice(sample_messages(), count):
        with suppress(InvalidMessage):
            event = judge.disguise(decode_event(message.value))
            request = Request(event.text, event.title, event.language, tuple(sorted(event.redactions.items())))
            found[event.text] = request
    return list(found.values())


def test_remembered_answers_are_those_of_the_model_but_for_the_route(judge: Judge) -> None:
    requests = sample_requests(judge, 160)
    known = KnownAnswers(1_000, 64 << 20)
    fresh = known.judge(judge, requests)
    again = known.judge(judge, requests[::-1])[::-1]
    assert rows(fresh) == rows(judge.judge(requests)) == rows(again)
    assert {answer.route for answer in fresh if answer} == {Route.SLM}
    assert {answer.route for answer in again if answer} == {Route.CACHE}
    assert any(answer and answer.aspects for answer in again)


def test_a_batch_with_reposts_is_answered_as_its_distinct_texts_are(judge: Judge) -> None:
    texts = [request.text for request in sample_requests(judge, 60)]
    stream = reposted(texts, 0.5)
    distinct = list(dict.fromkeys(stream))
    plain = dict(zip(distinct, rows(judge.judge([Request(text) for text in distinct])), strict=True))
    answers = KnownAnswers(1_000, 64 << 20).judge(judge, [Request(text) for text in stream])
    assert rows(answers) == [plain[text] for text in stream]
    assert sum(answer.route is Route.CACHE for answer in answers if answer) == len(stream) - len(distinct) > 0


def test_another_taxonomy_is_asked_anew() -> None:
    settings, shipped = load_settings(), load_taxonomy()
    pack = ensure_pack("e5-small-multilingual", settings.packs_dir, settings.cache_dir)
    narrow = shipped.model_copy(update={"aspects": (shipped.aspect("price"),)})
    known, request = (
        KnownAnswers(10, 1 << 20),
        Request("The battery died after a day and nobody from support answered."),
    )
    found = []
    for taxonomy in (shipped, narrow):
        with closing(Judge(pack, taxonomy, Redactor(), b"salt", replicas=1)) as judge:
            (answer,) = known.judge(judge, [request])
            assert answer is not None
            assert answer.route is Route.SLM
            found.append({mention.aspect for mention in answer.aspects})
    assert "battery" in found[0]
    assert found[1] <= {"price"}


def test_the_workers_judge_remembers_unless_it_is_told_not_to() -> None:
    settings = load_settings()
    requests = [Request("It works.", product=product) for product in ("Phone", "Car")]
    for entries, routes in ((10, [Route.SLM, Route.CACHE]), (0, [Route.SLM, Route.SLM])):
        model = settings.model.model_copy(update={"cache_entries": entries})
        with closing(build_judge(settings.model_copy(update={"model": model}))) as judge:
            assert [answer and answer.route for answer in judge.judge(requests)] == routes
