"""`voxpop brief`: a week's digests and figures as a few sentences that a larger model writes and the guardrails check.

    digests, figures -> one question -> sentences with what they cite -> guardrails -> the digest's own instead of what fails

The larger model is believed in nothing: a sentence that is not borne out by the statements that it cites is not shown.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from workers.analyze.brief import brief_failures
from workers.analyze.compose import as_sentence
from workers.analyze.guardrails import Claim, support
from workers.analyze.support import Reader
from workers.errors import UsageError, VoxpopError
from workers.escalation.asking import Asking, Held, asking, need_endpoint
from workers.escalation.brief_question import BriefQuestion, Written, brief_question, read_brief
from workers.escalation.endpoint import CallFailed, Unusable
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.store.briefs import BriefRow, BriefStore, Statement
from workers.store.connect import connect
from workers.store.written_days import WrittenDays
from workers.stream.blocks import now_s

BRIEF_CHARS = 12_000  # of statements that are sent
_WEEK = re.compile(r"(\d{4})-W(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class BriefSentence:
    """`quoted` when it is a digest's own, in the place of one that failed."""

    product: str
    text: str
    statements: tuple[Statement, ...]
    support: float
    quoted: bool


@dataclass(slots=True)
class Brief:
    """`refused` counts the checks that sentences of the endpoint failed."""

    week: str
    start: date
    products: tuple[str, ...]
    model: str
    pack: str
    pack_version: str
    sentences: list[BriefSentence] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    cost: float = 0.0


def monday_of(week: str | None) -> date:
    """The first day of an ISO week like 2026-W47; of the last whole one when none is named. Raises `UsageError`."""
    if week is None:
        today = datetime.now(UTC).date()
        return today - timedelta(days=today.weekday() + 7)
    told = _WEEK.fullmatch(week)
    year, number = (int(told[1]), int(told[2])) if told else (0, 0)
    try:
        return date.fromisocalendar(year, number, 1)
    except ValueError:
        raise UsageError(f"--week {week!r} is no week; write the year and the ISO week, like 2026-W47") from None


def name_of(monday: date) -> str:
    """The ISO week that begins on that Monday, like 2026-W47."""
    year, number, _ = monday.isocalendar()
    return f"{year}-W{number:02}"


def write_brief(settings: Settings, start: date, products: Sequence[str]) -> Brief:
    """Writes a week's brief of some products, or of all, and stores it.

    Raises `UsageError` without an endpoint, and `VoxpopError` when there is nothing to write about, no answer that can be
    used, or something that it rests on is gone: then nothing is stored.
    """
    need_endpoint(settings.escalation)
    with connect(settings.clickhouse) as client:
        store = BriefStore(client, settings.clickhouse)
        events = store.events(start, products)
        known = store.statements(start, products)
        if not any(not statement.is_figure for statements in known.values() for statement in statements):
            raise UsageError(
                f"no digest of {name_of(start)} is there, of these products; take another --week, or run:"
                " voxpop digests --once"
            )
        question = brief_question(settings.escalation.model, known, BRIEF_CHARS)
        pack = ensure_pack(
            settings.model.pack, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source
        )
        with asking(settings) as asker:
            written = _answer(asker, question, settings.escalation.tries_per_day)
        week, asked_of = name_of(start), tuple(known)
        brief = Brief(week, start, asked_of, settings.escalation.model, pack.name, pack.version)
        brief.tokens, brief.cost = asker.tokens, asker.cost
        with closing(pack.encoder(1)) as encoder:
            _check(brief, written, question.statements, Reader(encoder, pack.heads))
        if not brief.sentences:
            why = ", ".join(sorted(brief.refused)) or "it wrote nothing"
            raise VoxpopError(f"no sentence of the endpoint's brief passed the checks ({why}); ask a better model")
        row = _row(brief)
        stored = WrittenDays(client, settings.clickhouse, now_s).store(
            lambda: store.days(row),
            lambda days: store.still_there(row, events, days),
            lambda until: store.insert(row, until),
        )
        if not stored:
            raise VoxpopError(
                "texts of the week or digests that it cites were made anew or erased meanwhile; run voxpop digests --once,"
                " then this again"
            )
    return brief


def _answer(asker: Asking, question: BriefQuestion, tries: int) -> list[Written]:
    why = ""
    for _ in range(tries):
        try:
            return asker.ask(question.asked, read_brief)
        except CallFailed as failed:
            why = str(failed)
        except Unusable as unusable:
            raise VoxpopError(f"the endpoint's answer cannot be used ({unusable}); ask a better model") from None
        except Held as held:
            gave = f"; it gave no answer before ({why})" if why else ""
            raise VoxpopError(f"the {held} of escalation lets no call by{gave}; run it again later") from None
    raise VoxpopError(f"the endpoint gave no answer ({why}); look at it, then run this again")


def _check(brief: Brief, written: Sequence[Written], statements: Sequence[Statement], reader: Reader) -> None:
    """Keeps what passes; for what does not, the first digest's sentence that it cites and that is not said yet."""
    evidence = reader.read([statement.text for statement in statements])
    of = [statement.product for statement in statements]
    refused: Counter[str] = Counter()
    written = [each for each in written if each.text.strip()]
    texts = [as_sentence(" ".join(each.text.split())) for each in written]
    vectors, leanings = reader.seen(texts)
    for text, each, vector, leaning in zip(texts, written, vectors, leanings.tolist(), strict=True):
        cites = tuple(sorted({number - 1 for number in each.cites}))
        there = [number for number in cites if 0 <= number < len(statements)]
        product = of[there[0]] if there else ""
        claim = Claim(text, vector, leaning, cites, product)
        failed = brief_failures(claim, evidence, of)
        said = {sentence.text for sentence in brief.sentences}
        if not failed and text not in said:
            cited = tuple(statements[number] for number in cites)
            brief.sentences.append(BriefSentence(product, text, cited, support(claim, evidence), quoted=False))
            continue
        refused.update(failed)
        own = next((s for n in there if not (s := statements[n]).is_figure and s.text not in said), None)
        if own is not None:
            brief.sentences.append(BriefSentence(own.product, own.text, (own,), 1.0, quoted=True))
    brief.refused = dict(refused)


def _row(brief: Brief) -> BriefRow:
    said = [(s.text, s.product, s.statements, s.support, s.quoted) for s in brief.sentences]
    made_by = (brief.model, brief.pack, brief.pack_version)
    return BriefRow(brief.week, brief.start, brief.products, said, *made_by, brief.cost)
