"""The catalogue is complete in both languages, and is all that the code asks for; numbers follow the language."""

import re
import string
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dashboards.language import LANGUAGES, Locale, catalogue, preferred

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for pattern in ("*.py", "*.html") for path in DASHBOARDS.rglob(pattern)
)
# Keys that are put together: a literal beginning and one of few endings.
JOINED = {
    "page.": ("overview", "product", "explore", "health", "review"),
    "sentiment.": ("negative", "neutral", "positive"),
    "total.": ("texts", "negative", "neutral", "positive"),
    "movers.": ("strong", "likely", "chance", "too_few"),
    "alerts.kind.": ("negative_share", "volume", "urgency", "new_aspect", "silence", "campaign"),
    "alerts.status.": ("open", "closed"),
    "alerts.severity.": ("medium", "high"),
    "drift.": ("sentiment", "language", "confidence", "topics"),
    "drift.reading.": ("steady", "moving", "shifted", "too_few"),
    "filter.": ("product", "source", "language", "sentiment", "aspect", "intent", "min_confidence"),
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", list(catalogue()))
def test_a_key_has_words_in_every_language_with_the_same_placeholders(key: str) -> None:
    words = catalogue()[key]
    assert set(words) == set(LANGUAGES)
    assert all(text.strip() for text in words.values())
    assert placeholders(words["en"]) == placeholders(words["es"])


def test_the_pages_ask_for_every_key_and_for_no_other() -> None:
    literal = set(re.findall(r"""["']([a-z_]+\.[a-z_.]+|loading)["']""", SOURCES))
    joined = {begin + end for begin, ends in JOINED.items() for end in ends}
    assert set(catalogue()) - literal - joined == set()
    asked = set(re.findall(r"""\bt\(["']([a-z_.]+)["'][,)]""", SOURCES))
    assert asked - set(catalogue()) == set()
    assert joined - set(catalogue()) == set()


@pytest.mark.parametrize(
    ("value", "digits", "english", "spanish"),
    [
        (0, 0, "0", "0"),
        (1234, 0, "1,234", "1234"),
        (12345, 0, "12,345", "12.345"),
        (1234567.891, 1, "1,234,567.9", "1.234.567,9"),
        (-0.25, 2, "−0.25", "−0,25"),
        (-0.001, 1, "0.0", "0,0"),
    ],
)
def test_numbers_are_written_as_the_language_does(value: float, digits: int, english: str, spanish: str) -> None:
    assert (Locale("en").number(value, digits), Locale("es").number(value, digits)) == (english, spanish)


def test_signs_shares_and_times_too() -> None:
    english, spanish = Locale("en"), Locale("es")
    assert (english.signed(3), english.signed(-3), english.signed(0)) == ("+3", "−3", "0")
    assert (english.percent(0.456, 1), spanish.percent(0.456, 1), english.percent(None)) == (
        "45.6%",
        "45,6\u00a0%",
        "–",
    )
    assert (english.points(-0.25), spanish.points(0.25)) == ("−25 points", "+25 puntos")
    day = date(2026, 9, 2)
    assert (english.day(day, year=True), spanish.day(day)) == ("2\u00a0Sep\u00a02026", "2\u00a0sept")
    now = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
    assert spanish.moment(now) == "24\u00a0nov\u00a02026, 22:00"
    said = [spanish.ago(now - timedelta(seconds=s), now) for s in (5, 300, 7_200, 864_000)]
    assert said == ["ahora mismo", "hace 5 min", "hace 2 h", "hace 10 d"]


@pytest.mark.parametrize(
    ("header", "cookie", "language"),
    [
        ("es-MX,es;q=0.9,en;q=0.8", None, "es"),
        ("de,en;q=0.5,es;q=0.7", None, "es"),
        ("en-GB", "es", "es"),
        ("de, fr", None, "en"),
        ("es;q=0, en;q=0.1", None, "en"),
        ("", None, "en"),
        ("es;q=nonsense, ;;;,", "tlh", "en"),
    ],
)
def test_the_switch_outranks_the_browser_and_the_browser_english(
    header: str, cookie: str | None, language: str
) -> None:
    assert preferred(header, cookie) == language
