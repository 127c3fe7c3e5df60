"""What pages say and how they write numbers and times, in the languages there are. Numbers follow Unicode CLDR."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources

import yaml

LANGUAGES = {"en": "English", "es": "Español"}
_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"),
}
_FIXED = "\u00a0"
MINUS = "\u2212"


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Key -> language -> words."""
    text = resources.files("dashboards").joinpath("messages.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = yaml.safe_load(text)
    return found


def preferred(accept_language: str, cookie: str | None = None) -> str:
    """The language of the switch, else the first of the browser's (RFC 9110, 12.5.4) that there is, else English."""
    if cookie in LANGUAGES:
        return str(cookie)
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if weight > 0 and tag[:2].lower() in LANGUAGES:
            wanted.append((weight, tag[:2].lower()))
    return max(wanted, key=lambda pair: pair[0])[1] if wanted else "en"


class Locale:
    """One language's words and formats."""

    def __init__(self, language: str) -> None:
        """Raises KeyError for a language that there is not."""
        self.language = language
        self.name = LANGUAGES[language]
        self._months = _MONTHS[language]

    def t(self, key: str, **values: object) -> str:
        """The words of a key. Raises KeyError for one that there is not."""
        return catalogue()[key][self.language].format(**values)

    def number(self, value: float, digits: int = 0) -> str:
        """1,234.5 or 1234,5 and 12.345,6: Spanish groups from five digits on."""
        text = f"{abs(value):,.{digits}f}"
        if self.language == "es":
            whole, _, rest = text.partition(".")
            whole = whole.replace(",", "." if len(whole) > 5 else "")
            text = f"{whole},{rest}" if rest else whole
        return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text

    def signed(self, value: float, digits: int = 0) -> str:
        """With + or −; zero has neither."""
        text = self.number(value, digits)
        return f"+{text}" if value > 0 and text.strip("0.,") else text

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share of 0…1; a dash for none. Spanish sets a space before the sign."""
        if share is None:
            return "–"
        return self.number(100 * share, digits) + (f"{_FIXED}%" if self.language == "es" else "%")

    def points(self, difference: float) -> str:
        """A difference of shares as percentage points."""
        return self.t("total.points", value=self.signed(100 * difference))

    def day(self, value: date, *, year: bool = False) -> str:
        """2 Nov, or 2 Nov 2026."""
        text = f"{value.day}{_FIXED}{self._months[value.month - 1]}"
        return f"{text}{_FIXED}{value.year}" if year else text

    def moment(self, value: datetime) -> str:
        """2 Nov 2026, 10:05, in UTC."""
        moment = value.astimezone(UTC)
        return f"{self.day(moment.date(), year=True)}, {moment:%H:%M}"

    def ago(self, value: datetime, now: datetime) -> str:
        """How long before `now`, in the largest whole unit."""
        minutes = int((now - value).total_seconds() // 60)
        if minutes < 1:
            return self.t("ago.now")
        if minutes < 60:
            return self.t("ago.minutes", count=minutes)
        if minutes < 48 * 60:
            return self.t("ago.hours", count=minutes // 60)
        return self.t("ago.days", count=self.number(minutes // (24 * 60)))

    def seconds(self, value: float) -> str:
        """0.6 s."""
        return self.t("unit.seconds", value=self.number(value, 1 if value < 10 else 0))
