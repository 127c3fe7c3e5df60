"""The audit file is of what is said today: all judged, sources the same, nothing without support said again."""

from pathlib import Path

import pytest

from workers.evaluate.audit import Entry, read, summarized

FILE = Path(__file__).parents[2] / "docs" / "audit.yaml"
LEAST = 100
STILL_SAID = 0.9
VERDICTS = ("supported", "partly", "unsupported")


@pytest.fixture(scope="module")
def said() -> dict[tuple[str, str], list[Entry]]:
    """(product, sentence) -> the entries made today."""
    made: dict[tuple[str, str], list[Entry]] = {}
    for entry in summarized():
        made.setdefault((entry.product, entry.sentence), []).append(entry)
    return made


def test_every_entry_has_a_verdict_and_a_reason_where_it_is_not_supported() -> None:
    entries = read(FILE)
    assert len({entry.id for entry in entries}) == len(entries) >= LEAST
    assert [entry.id for entry in entries if entry.verdict not in VERDICTS] == []
    assert [entry.id for entry in entries if entry.verdict != "supported" and not entry.why] == []


def test_what_is_said_today_has_the_sources_that_were_judged(said: dict[tuple[str, str], list[Entry]]) -> None:
    again = [entry for entry in read(FILE) if (entry.product, entry.sentence) in said]
    assert again
    for entry in again:
        assert entry.sources in [made.sources for made in said[entry.product, entry.sentence]], entry.sentence


def test_most_of_the_file_is_still_said(said: dict[tuple[str, str], list[Entry]]) -> None:
    entries = read(FILE)
    assert sum((entry.product, entry.sentence) in said for entry in entries) >= STILL_SAID * len(entries)


def test_nothing_judged_unsupported_is_said(said: dict[tuple[str, str], list[Entry]]) -> None:
    ids = {made.id for each in said.values() for made in each}
    refused = [entry for entry in read(FILE) if entry.verdict == "unsupported"]
    assert refused
    assert [entry.sentence for entry in refused if entry.id in ids] == []
