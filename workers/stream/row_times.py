"""When a row was written: finds the one time format that a file's column is in, rather than guessing row by row.

A date such as 05-02-2015 is read day first or month first only when other rows of the file settle it (23-02-2015 does).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import product

from workers.errors import UsageError

_DATES = {"day first": "%d{0}%m{0}%Y", "month first": "%m{0}%d{0}%Y", "year first": "%Y{0}%m{0}%d"}
_SEPARATORS = ("-", "/", ".")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H.%M", " %H.%M.%S", " %I:%M %p", " %H:%M %z", " %H:%M:%S %z")
_OTHERS = ("%a %b %d %H:%M:%S %z %Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y")

Parse = Callable[[str], datetime]


def parser_for(samples: Sequence[str], time_format: str | None = None) -> Parse:
    """How this column's values become times in UTC (a value without a zone is taken as UTC; the parser raises ValueError).

    `time_format` is strptime's; without one it is inferred from `samples`. Raises `UsageError` when none or several fit.
    """
    if time_format:
        return _strptime(time_format)
    candidates: list[Parse] = [_iso, _epoch, _rfc2822, *map(_strptime, _OTHERS)]
    for candidate in candidates:
        if _fits(candidate, samples):
            return candidate
    fitting = [name_format for name_format in _numeric_formats() if _fits(_strptime(name_format[1]), samples)]
    if not fitting:
        raise UsageError(f"no time format fits {samples[0]!r}; say which with --time-format, e.g. '%d/%m/%Y %H:%M'")
    if len({name for name, _ in fitting}) > 1:
        raise UsageError(
            f"{samples[0]!r} can be read day first or month first and no row settles it; say which with"
            f" --time-format '{fitting[0][1]}' or '{fitting[-1][1]}'"
        )
    return _strptime(fitting[0][1])


def _numeric_formats() -> Iterable[tuple[str, str]]:
    for (name, date), separator, time in product(_DATES.items(), _SEPARATORS, _TIMES):
        yield name, date.format(separator) + time


def _fits(parse: Parse, samples: Sequence[str]) -> bool:
    """Whether nearly every sample parses: a stray bad value is its own row's fault, not the format's."""
    failures = 0
    for sample in samples:
        try:
            parse(sample)
        except (ValueError, OverflowError):
            failures += 1
            if failures * 20 > len(samples):
                return False
    return True


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _iso(value: str) -> datetime:
    return _in_utc(datetime.fromisoformat(value.strip()))


def _epoch(value: str) -> datetime:
    """Seconds or milliseconds since 1970."""
    number = float(value)
    return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)


def _rfc2822(value: str) -> datetime:
    return _in_utc(parsedate_to_datetime(value))


def _strptime(time_format: str) -> Parse:
    return lambda value: _in_utc(datetime.strptime(value.strip(), time_format))
