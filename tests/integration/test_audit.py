"""The audit file is of what is said today: all judged, nothing unsupported said, and all passes the guardrails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.analyze.guardrails import Claim, failures
from workers.analyze.summary import Summarizer
from workers.analyze.support import Reader
from workers.evaluate.audit import Entry, generated, read, sample_reader

FILE = Path(__file__).parents[2] / "docs" / "audit.yaml"
LEAST = 100
JUDGED = 0.95  # of quotations: on another processor int8 rounds otherwise, so a few of near equals may be others
VERDICTS = ("supported", "partly", "unsupported")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with sample_reader() as made:
        yield made


@pytest.fixture(scope="module")
def said(reader: Reader) -> list[Entry]:
    return generated(Summarizer(reader))


@pytest.fixture(scope="module")
def judged() -> dict[tuple[str, str, tuple[str, ...]], Entry]:
    """(product, sentence, sources) -> the entry of the file."""
    return {(entry.product, entry.sentence, entry.sources): entry for entry in read(FILE)}


def verdict_of(judged: dict[tuple[str, str, tuple[str, ...]], Entry], entry: Entry) -> str | None:
    known = judged.get((entry.product, entry.sentence, entry.sources))
    return known and known.verdict


def test_every_entry_has_a_verdict_and_a_reason_where_it_is_not_supported() -> None:
    entries = read(FILE)
    assert len({entry.id for entry in entries}) == len(entries) >= LEAST
    assert [entry.id for entry in entries if entry.verdict not in VERDICTS] == []
    assert [entry.id for entry in entries if entry.verdict != "supported" and not entry.why] == []


def test_what_is_said_today_is_judged_and_none_of_it_unsupported(
    said: list[Entry], judged: dict[tuple[str, str, tuple[str, ...]], Entry]
) -> None:
    verdicts = {entry: verdict_of(judged, entry) for entry in said}
    assert len(verdicts) >= LEAST
    assert [entry.sentence for entry, verdict in verdicts.items() if verdict == "unsupported"] == []
    unknown = [entry for entry, verdict in verdicts.items() if verdict is None]
    assert [entry.sentence for entry in unknown if not entry.quoted] == []
    quoted = sum(entry.quoted for entry in said)
    assert len(unknown) <= (1 - JUDGED) * quoted, [entry.sentence for entry in unknown]


def test_what_was_found_unsupported_before_is_known_and_not_said(said: list[Entry]) -> None:
    refused = {(entry.product, entry.sentence) for entry in read(FILE) if entry.verdict == "unsupported"}
    assert refused
    assert not refused & {(entry.product, entry.sentence) for entry in said}


def test_every_sentence_passes_the_guardrails_against_the_texts_it_cites_alone(
    reader: Reader, said: list[Entry]
) -> None:
    vectors, leanings = reader.seen([entry.sentence for entry in said])
    for entry, vector, leaning in zip(said, vectors, leanings.tolist(), strict=True):
        claim = Claim(entry.sentence, vector, leaning, tuple(range(len(entry.sources))), entry.product)
        assert failures(claim, reader.read(entry.sources)) == (), entry.sentence
