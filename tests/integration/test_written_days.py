"""What is written about texts and their erasure, one inside the other at every step: nothing of an erased author stays."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from threading import Event
from types import ModuleType
from typing import Any, cast

import pytest

from tests.by_hand import LIMIT_S, Rows, block, empty, process, review
from tests.integration.test_brief import numbered
from tests.integration.test_erase import AUTHOR, HASH, assert_gone, erase, erasing
from tests.integration.test_reprocess import dying_at
from tests.lying_endpoint import completion, lying_endpoint
from workers import digests as digests_module
from workers import erase as erase_module
from workers.analyze.summary import Sentence, Summarizer, Summary
from workers.digests import Digester
from workers.erase import Erase, Erased, Subject
from workers.errors import VoxpopError
from workers.escalation.brief import Brief, write_brief
from workers.failpoints import ERASE_FAILPOINTS, PAGE_FAILPOINTS, WRITING_FAILPOINTS
from workers.settings import DigestSettings, EscalationSettings, Settings, load_settings
from workers.store import pages as pages_module
from workers.store import written_days as written_days_module
from workers.store.connect import connect
from workers.store.digests import DigestStore
from workers.store.query import EventKey
from workers.store.recount import differing
from workers.store.written_days import WrittenDays
from workers.stream.blocks import now_s

MONDAY = date(2026, 6, 15)
THEIRS = "e-3"
WORDS = "quokkaphone"
COUNT = 10
MODULES: tuple[ModuleType, ...] = (written_days_module, pages_module, erase_module, digests_module)
STEPS_OF_ERASE = (*PAGE_FAILPOINTS, *ERASE_FAILPOINTS)


def event(number: int) -> bytes:
    """A text on Tavio: the fourth is by the person, on the 17th as all but the last two, which are on the 18th."""
    words = f"I love the battery of it, {WORDS if number == 3 else 'number'} {number}"
    told: dict[str, Any] = json.loads(review(number, words, product="Tavio"))
    day = 17 if number < 8 else 18
    author = AUTHOR if number == 3 else f"other-{number}"
    return json.dumps(told | {"author": author, "created_at": f"2026-06-{day}T10:00:00Z"}).encode()


@pytest.fixture
def settings(migrated: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Ten texts of a week, and digests of two days of it; claims soon end."""
    empty(migrated)
    monkeypatch.setattr(pages_module, "CLAIM_S", 2.0)
    monkeypatch.setattr(pages_module, "GRACE_S", 0.2)
    monkeypatch.setattr(erase_module, "GRACE_S", 0.0)
    monkeypatch.setattr(erase_module, "STEP_BACK_S", 0.05)
    monkeypatch.setattr(written_days_module, "STEP_BACK_S", 0.05)
    process(migrated, block(0, COUNT, {n: event(n) for n in range(COUNT)}))
    with connect(migrated.clickhouse) as client:
        for day, said, ids in (
            (17, ["The battery is great.", "The sound is clear."], [[THEIRS, "e-1"], ["e-2"]]),
            (18, ["The headband is stiff."], [["e-8"]]),
        ):
            client.command(
                "INSERT INTO digests (product, window_start, window_end, revision, sentences, citations, cited_sources,"
                " support, quoted, method, created_at) VALUES ('Tavio', {from:String}, {to:String}, 1,"
                " {said:Array(String)}, {ids:Array(Array(String))}, arrayMap(x -> arrayMap(y -> 'test', x),"
                " {ids:Array(Array(String))}), arrayMap(x -> 0.9, {said:Array(String)}),"
                " arrayMap(x -> false, {said:Array(String)}), 'abstractive', now())",
                parameters={"from": f"2026-06-{day}", "to": f"2026-06-{day + 1}", "said": said, "ids": ids},
            )
    return migrated.model_copy(update={"packs": load_settings().packs_dir.resolve()})


@contextmanager
def standing_at(place: str, meanwhile: Callable[[], object]) -> Iterator[list[object]]:
    """What passes this place first stands still there until `meanwhile` is done. What that gave back."""
    gave: list[object] = []

    def passes(name: str) -> None:
        if name == place and not gave:
            gave.append(None)  # what happens meanwhile passes the place, too
            gave[0] = meanwhile()

    with pytest.MonkeyPatch.context() as patched:
        for module in MODULES:
            patched.setattr(module, "failpoint", passes)
        yield gave
    assert gave, f"nothing came by {place}"


@pytest.fixture
def claims_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a test: only a release ends them."""
    monkeypatch.setattr(pages_module, "CLAIM_S", 600.0)


def erase_in_time(settings: Settings) -> Erased:
    """Erases the author, and waits for whatever claims there are."""
    return erasing(settings, settle_s=LIMIT_S).run(Subject(frozenset({HASH}), frozenset()), lambda _: None)


Write = Callable[[], Brief]


@pytest.fixture
def write(settings: Settings) -> Iterator[Callable[[str], Write]]:
    """Writes a week's brief of a digest's sentence, and of the week's figures; `asked` happens before the model answers."""
    with lying_endpoint() as (endpoint, base_url):
        wish = EscalationSettings(base_url=base_url, model="larger", timeout_s=20)

        def of(sentence: str, asked: Callable[[], object] = lambda: None) -> Write:
            def answers(handler: Any) -> None:
                asked()
                known = numbered(handler.asked)
                figures = next(said for said in known if "urgent text" in said)
                told = f"Tavio had {', '.join(figures.split(', ')[:3])}."
                said = [{"text": sentence, "cites": [known[sentence]]}] if sentence in known else []
                said.append({"text": told, "cites": [known[figures]]})
                handler.reply(completion(json.dumps({"sentences": said})))

            endpoint.behaviour = answers
            return lambda: write_brief(settings.model_copy(update={"escalation": wish}), MONDAY, ())

        yield of


def assert_nothing_stays(settings: Settings, rows: Rows) -> None:
    assert_gone(rows, THEIRS)
    for table in ("briefs", "digests", "pages", "claims"):
        kept = str(rows.select(f"SELECT * FROM {table}"))
        assert WORDS not in kept, table
        assert f"{COUNT} texts" not in kept, "figures that count them"
    assert rows.count() == COUNT - 1
    assert not any(differing(rows.reader).values())


# --- the erasure inside the writing of a brief ---------------------------------------------------------------------------

RESTS_ON = pytest.mark.parametrize("sentence", ["The battery is great.", "The headband is stiff."])


@RESTS_ON
def test_a_brief_whose_author_is_erased_while_the_model_writes_is_not_stored(
    settings: Settings, rows: Rows, write: Callable[..., Write], sentence: str
) -> None:
    with pytest.raises(VoxpopError, match="erased meanwhile"):
        write(sentence, lambda: erase_in_time(settings))()
    assert rows.count("briefs") == 0
    assert_nothing_stays(settings, rows)


@RESTS_ON
@pytest.mark.parametrize("place", ["writing-claimed", "writing-looked"])
def test_a_brief_that_sleeps_through_the_whole_erasure_is_refused(
    settings: Settings, rows: Rows, write: Callable[..., Write], sentence: str, place: str
) -> None:
    """The erasure waits for the claim, and the table refuses what comes after it: whoever slept looks again."""
    with (
        standing_at(place, lambda: erase_in_time(settings)) as meanwhile,
        pytest.raises(VoxpopError, match="meanwhile"),
    ):
        write(sentence)()
    assert cast(Erased, meanwhile[0]).left == 0
    assert rows.count("briefs") == 0
    assert_nothing_stays(settings, rows)


@RESTS_ON
@pytest.mark.usefixtures("claims_last")
@pytest.mark.parametrize("place", WRITING_FAILPOINTS)
def test_an_erasure_steps_back_while_a_brief_is_being_stored_and_takes_it_then(
    settings: Settings, rows: Rows, write: Callable[..., Write], sentence: str, place: str
) -> None:
    with standing_at(place, lambda: erase(settings)) as meanwhile:
        write(sentence)()
    assert cast(Erased, meanwhile[0]).left == 1
    assert rows.count("briefs") == 1
    assert erase_in_time(settings).left == 0
    assert rows.count("briefs") == 0
    assert_nothing_stays(settings, rows)


def test_a_brief_that_an_erasure_has_waited_for_goes_with_it(
    settings: Settings, rows: Rows, write: Callable[..., Write]
) -> None:
    """It has been stored, and its writer sleeps before it lets go of its claim."""
    with standing_at("writing-stored", lambda: erase_in_time(settings)) as meanwhile:
        write("The battery is great.")()
    assert cast(Erased, meanwhile[0]).left == 0
    assert_nothing_stays(settings, rows)


@pytest.mark.parametrize("place", WRITING_FAILPOINTS)
def test_a_brief_whose_writer_died_anywhere_holds_nothing_back(
    settings: Settings, rows: Rows, write: Callable[..., Write], place: str
) -> None:
    with dying_at(place):
        write("The battery is great.")()
    assert erase_in_time(settings).left == 0
    assert_nothing_stays(settings, rows)


# --- the writing of a brief inside the erasure ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", STEPS_OF_ERASE)
def test_a_brief_that_is_written_between_two_steps_of_an_erasure_says_nothing_of_them(
    settings: Settings, rows: Rows, write: Callable[..., Write], place: str
) -> None:
    def writes() -> None:
        with suppress(VoxpopError):
            write("The headband is stiff.")()

    with standing_at(place, writes):
        assert erase_in_time(settings).left == 0
    assert_nothing_stays(settings, rows)


@pytest.mark.parametrize("place", ["page-claimed", "page-staged", "page-deleted"])
def test_a_brief_that_is_written_after_an_erasure_has_died_says_nothing_of_them_in_the_end(
    settings: Settings, rows: Rows, write: Callable[..., Write], place: str
) -> None:
    with dying_at(place):
        erase(settings)
    with suppress(VoxpopError):
        write("The battery is great.")()
    assert erase_in_time(settings).left == 0
    assert_nothing_stays(settings, rows)


def test_a_page_that_is_staged_is_written_before_the_brief_looks(
    settings: Settings, rows: Rows, write: Callable[..., Write], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes a staged page looks at no claim any more: the brief must not look at what is about to go."""
    with dying_at("page-staged"):
        erase(settings)
    monkeypatch.setattr(pages_module, "CLAIM_S", 600.0)  # the brief's: it is not refused for being late
    with standing_at("writing-looked", lambda: erase_in_time(settings)), suppress(VoxpopError):
        write("The headband is stiff.")()
    assert rows.count("briefs") == 0
    assert_nothing_stays(settings, rows)


def test_a_brief_waits_for_a_page_that_is_being_chosen(
    settings: Settings, rows: Rows, write: Callable[..., Write], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure has looked for writers and seen none; it goes on once the brief has looked, or would have."""
    monkeypatch.setattr(pages_module, "CLAIM_S", 3.0)
    free, chosen, go = Erase._free, Event(), Event()

    def stands(run: Erase, *what: Any) -> Any:
        chosen.set()
        assert go.wait(LIMIT_S)
        return free(run, *what)

    monkeypatch.setattr(Erase, "_free", stands)
    with ThreadPoolExecutor(1) as thread:
        erasing_now = thread.submit(erase_in_time, settings)
        assert chosen.wait(LIMIT_S)

        def goes_on() -> None:
            go.set()
            erasing_now.result()

        with standing_at("writing-looked", goes_on), suppress(VoxpopError):
            write("The headband is stiff.")()
        assert erasing_now.result().left == 0
    assert rows.count("briefs") == 0
    assert_nothing_stays(settings, rows)


@pytest.mark.usefixtures("claims_last")
def test_an_erasure_of_another_day_or_product_holds_no_brief_back(
    settings: Settings, rows: Rows, write: Callable[..., Write]
) -> None:
    elsewhere = json.dumps(json.loads(review(50, product="Garza")) | {"created_at": "2026-06-02T10:00:00Z"}).encode()
    process(settings, block(50, 51, {50: elsewhere}))
    subject = Subject(frozenset(), frozenset({EventKey("test", "e-50")}))
    with standing_at("writing-looked", lambda: erasing(settings).run(subject, lambda _: None)) as meanwhile:
        write("The battery is great.")()
    assert cast(Erased, meanwhile[0]).left == 0
    assert rows.count("briefs") == 1


# --- digests ------------------------------------------------------------------------------------------------------------


class Quoting:
    """Stands in for the model where only the way of the rows is tested: a digest is its texts, word for word."""

    def summarize(self, texts: Sequence[str], *_: object) -> Summary:
        return Summary(tuple(Sentence(text, (at,), 1.0, quoted=True) for at, text in enumerate(texts)), {})


def digest(settings: Settings) -> None:
    """Writes the digest of the 17th."""
    with connect(settings.clickhouse) as client:
        store, written = DigestStore(client, settings.clickhouse), WrittenDays(client, settings.clickhouse, now_s)
        chosen = DigestSettings(min_texts=2)
        digester = Digester(store, written, cast(Summarizer, Quoting()), ("words", "1"), chosen)
        (window,) = (each for each in digester.pending() if each.start == datetime(2026, 6, 17, tzinfo=UTC))
        digester.write(window)


@pytest.mark.parametrize("place", ["digest-made", "writing-claimed", "writing-looked"])
def test_a_digest_whose_author_is_erased_while_it_is_made_is_made_anew(
    settings: Settings, rows: Rows, place: str
) -> None:
    with standing_at(place, lambda: erase_in_time(settings)) as meanwhile:
        digest(settings)
    assert cast(Erased, meanwhile[0]).left == 0
    ((cited,),) = rows.select("SELECT arrayFlatten(citations) FROM digests WHERE pack = 'words'")
    assert sorted(cited) == [f"e-{n}" for n in range(8) if n != 3]
    assert_nothing_stays(settings, rows)


@pytest.mark.usefixtures("claims_last")
@pytest.mark.parametrize("place", WRITING_FAILPOINTS)
def test_an_erasure_takes_the_digest_that_it_has_waited_for(settings: Settings, rows: Rows, place: str) -> None:
    with standing_at(place, lambda: erase(settings)) as meanwhile:
        digest(settings)
    assert cast(Erased, meanwhile[0]).left == 1
    assert WORDS in str(rows.select("SELECT sentences FROM digests"))
    assert erase_in_time(settings).left == 0
    assert_nothing_stays(settings, rows)


@pytest.mark.parametrize("place", STEPS_OF_ERASE)
def test_a_digest_that_is_made_between_two_steps_of_an_erasure_says_nothing_of_them(
    settings: Settings, rows: Rows, place: str
) -> None:
    with standing_at(place, lambda: digest(settings)):
        assert erase_in_time(settings).left == 0
    assert_nothing_stays(settings, rows)
