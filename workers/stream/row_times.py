"""When a row was written: finds the one time format that a file's column is in, rather than guessing row by row.

A date such as 05-02-2015 is read day first or month first only when other rows of the file settle it (23-02-2015 does).
"""

from collections.abc import Callable, Iterable, Sequence, Set
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
        return _named(time_format, samples)
    candidates: list[Parse] = [_epoch, _iso, _rfc2822, *map(_strptime, _OTHERS)]
    for candidate in candidates:
        if _fits(_failing(candidate, samples), samples):
            return candidate
    failing = {written: _failing(_strptime(written[1]), samples) for written in _numeric_formats()}
    fitting = {written: rows for written, rows in failing.items() if _fits(rows, samples)}
    if not fitting:
        raise UsageError(f"no time format fits {samples[0]!r}; say which with --time-format, e.g. '%d/%m/%Y %H:%M'")
    hopeless = frozenset.intersection(*fitting.values())
    settled = [written for written, rows in fitting.items() if rows == hopeless]
    if len({name for name, _ in settled}) != 1:
        formats = [time_format for _, time_format in settled or fitting]
        raise UsageError(
            f"{samples[0]!r} can be read day first or month first and the rows do not settle it; say which with"
            f" --time-format '{formats[0]}' or '{formats[-1]}'"
        )
    return _strptime(settled[0][1])


def _named(time_format: str, samples: Sequence[str]) -> Parse:
    """A format that fits no row at all is a slip of the command line, found before a whole file goes to the dead letters."""
    parse = _strptime(time_format)
    if all(_failing(parse, [sample]) for sample in samples):
        raise UsageError(f"--time-format {time_format!r} does not fit {samples[0]!r}; correct it or leave it out")
    return parse


def _numeric_formats() -> Iterable[tuple[str, str]]:
    for (name, date), separator, time in product(_DATES.items(), _SEPARATORS, _TIMES):
        yield name, date.format(separator) + time


def _failing(parse: Parse, samples: Sequence[str]) -> frozenset[int]:
    """The samples, by index, that do not parse: all that could matter, for it stops soon after too many have failed."""
    failures: set[int] = set()
    for index, sample in enumerate(samples):
        try:
            parse(sample)
        except (ValueError, OverflowError):
            failures.add(index)
            if not _fits(failures, samples):
                break
    return frozenset(failures)


def _fits(failures: Set[int], samples: Sequence[str]) -> bool:
    """Whether nearly every sample parses: a stray bad value is its own row's fault, not the format's."""
    return len(failures) * 20 <= len(samples)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _iso(value: str) -> datetime:
    return _in_utc(datetime.fromisoformat(value.strip().upper()))  # RFC 3339, 5.6: "t" and "z" may be lower case


def _epoch(value: str) -> datetime:
    """Seconds or milliseconds since 1970, told apart by their size. What is neither from 1973 to 2286 is no epoch: 2015
    is a year, 05022015 a date. (Asked before ISO 8601, whose short form can be read into 1420070400000.)"""
    number = float(value)
    if 1e8 <= number < 1e10:
        return datetime.fromtimestamp(number, UTC)
    if 1e11 <= number < 1e13:
        return datetime.fromtimestamp(number / 1000, UTC)
    raise ValueError("no seconds or milliseconds since 1970")


def _rfc2822(value: str) -> datetime:
    return _in_utc(parsedate_to_datetime(value))


def _strptime(time_format: str) -> Parse:
    return lambda value: _in_utc(datetime.strptime(value.strip(), time_format))
