"""`voxpop drift`: two windows of the stream side by side, as tables, JSON or a page; and whether the model still fits."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.table import Table

from workers.commands.drift_page import page
from workers.commands.reprocess import moment_of
from workers.drift.compared import Verdict
from workers.drift.report import Drift, Span, as_document, drift
from workers.drift.words import (
    HOW_READ,
    SAYS,
    TITLES,
    TRENDS,
    cause_of,
    change_of,
    listed,
    moved_of,
    notes,
    percent,
    verdict_sentence,
    what_to_do,
)
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.drift import GROUPS, DriftStore, known, last_day
from workers.store.query import Reader

FAILED: Final = 3  # the exit code of --fail-on
DAYS, REFERENCE_DAYS, MOST_GROUPS = 7, 28, 20
HEAD: Final = "sentiment"  # the one that people can correct on the dashboard
_FAIL_ON: Final = {"watch": (Verdict.WATCH, Verdict.MOVED), "moved": (Verdict.MOVED,)}


@dataclass(frozen=True, slots=True)
class DriftRequest:
    """What the command line asked for. Moments have a zone; None is worked out of the others and of what is stored."""

    days: int
    since: datetime | None
    until: datetime | None
    reference_days: int
    reference_since: datetime | None
    reference_until: datetime | None
    filters: Mapping[str, str]
    by: str
    most: int
    fail_on: str

    @classmethod
    def parse(
        cls,
        window: tuple[int | None, str | None, str | None],
        reference: tuple[int | None, str | None, str | None],
        filters: Mapping[str, str | None],
        by: str | None,
        most: int,
        fail_on: str | None,
    ) -> Self:
        """`window` and `reference` are days, since and until. Raises `UsageError` for what is none or contradicts itself."""
        if by is not None and by not in GROUPS:
            raise UsageError(f"--by {by!r} is no group; say one of {', '.join(GROUPS)}")
        if fail_on is not None and fail_on not in _FAIL_ON:
            raise UsageError(f"--fail-on {fail_on!r} is no verdict to fail on; say moved or watch")
        for (days, since, _), prefix in ((window, "--"), (reference, "--reference-")):
            if days is not None and since is not None:
                raise UsageError(f"{prefix}days and {prefix}since say the same twice; give one of them")
        chosen = {name: value for name, value in filters.items() if value is not None}
        return cls(
            window[0] or DAYS,
            _moment("--since", window[1]),
            _moment("--until", window[2]),
            reference[0] or REFERENCE_DAYS,
            _moment("--reference-since", reference[1]),
            _moment("--reference-until", reference[2]),
            chosen,
            by or "",
            most,
            fail_on or "",
        )

    def spans(self, latest: datetime) -> tuple[Span, Span]:
        """The window and the reference, where there are texts until `latest`. Raises `UsageError` when a window ends before
        it begins, or the two overlap."""
        until = self.until or latest
        window = Span(self.since or until - timedelta(days=self.days), until)
        _check_order(window, "--since", "--until")
        end = self.reference_until or window.since
        reference = Span(self.reference_since or end - timedelta(days=self.reference_days), end)
        _check_order(reference, "--reference-since", "--reference-until")
        if reference.since < window.until and window.since < reference.until:
            raise UsageError(
                f"the reference ({told(reference)}) overlaps the window ({told(window)}), so texts would be compared with"
                " themselves; move one, with --reference-since and --reference-until or --since and --until"
            )
        return window, reference


def show_drift(
    settings: Settings, request: DriftRequest, html: Path | None, out: Console, err: Console, *, as_json: bool
) -> int:
    """Prints the report; gives back the exit code.

    Raises `UsageError`, and `VoxpopError` when there is nothing to compare.
    """
    if html and not html.absolute().parent.is_dir():
        raise UsageError(f"{html} cannot be written, {html.parent} is no directory; make it, or name another place")
    found = _found(settings, request)
    if html:
        _write(html, page(found))
        err.print(f"· the page is in {html}", style="dim", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        words = {"says": verdict_sentence(found), "notes": list(notes(found)), "do": list(what_to_do(found))}
        out.file.write(json.dumps(as_document(found) | words, ensure_ascii=False) + "\n")
    else:
        for table in _tables(found):
            out.print(table, markup=False, highlight=False)
        for line in _lines(found):
            out.print(line, markup=False, highlight=False)
    out.file.flush()
    return FAILED if found.verdict in _FAIL_ON.get(request.fail_on, ()) else 0


def told(span: Span) -> str:
    """2026-11-09 … 2026-11-16, the last day not among them; with the time of day where it is not midnight."""
    shapes = ["%Y-%m-%d" if not (m.hour or m.minute or m.second) else "%Y-%m-%dT%H:%M:%S" for m in span]
    return " … ".join(f"{moment:{shape}}" for moment, shape in zip(span, shapes, strict=True))


def _moment(option: str, text: str | None) -> datetime | None:
    return None if text is None else moment_of(option, text)


def _check_order(span: Span, since: str, until: str) -> None:
    if span.until <= span.since:
        raise UsageError(
            f"{until} is not after {since} ({told(span)}), so no event lies between; give a later one, or an earlier {since}"
        )


def _found(settings: Settings, request: DriftRequest) -> Drift:
    with connect(settings.clickhouse) as client:
        reader = Reader(client, settings.clickhouse)
        for column, name in request.filters.items():
            if name not in (names := known(reader, column)):
                raise UsageError(_unknown(column, name, names))
        latest = last_day(reader, request.filters)
        if latest is None:
            filters = " and ".join(f"{column} {name!r}" for column, name in request.filters.items())
            raise VoxpopError(
                f"there is no text of {filters} together; drop one of them"
                if filters
                else "there is no text yet; run voxpop worker on a stream, or try one: voxpop up"
            )
        window, reference = request.spans(latest)
        store = DriftStore(reader, window, reference, request.filters, request.by)
        found = drift(
            window,
            reference,
            request.filters,
            request.by,
            store.judged(),
            store.topics(),
            store.looked_at(HEAD),
            request.most,
        )
    if not found.overall.texts:
        raise VoxpopError(f"no text lies in the window ({told(window)}); take another with --since and --until")
    if not found.overall.reference_texts:
        raise VoxpopError(
            f"no text lies in the reference ({told(reference)}); take another with --reference-since and --reference-until"
        )
    return found


def _unknown(column: str, name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.6)
    hint = f"is {near[0]!r} meant?" if near else f"see which there are with: voxpop drift --by {column}"
    return f"there is no text of the {column} {name!r}; {hint}"


def _write(html: Path, document: str) -> None:
    try:
        html.write_text(document, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{html} cannot be written ({error.strerror}); name another place") from error


def _tables(found: Drift) -> Iterator[Table]:
    yield _measures(found)
    yield _people(found)
    if found.groups:
        yield _groups(found)


def _measures(found: Drift) -> Table:
    group = found.overall
    within = "".join(f", {column} {name}" for column, name in found.filters.items())
    window = f"{told(found.window)} ({group.texts:,} texts)"
    reference = f"{told(found.reference)} ({group.reference_texts:,})"
    table = Table(title=f"{window} against {reference}{within}", title_justify="left")
    for title in ("What", "Verdict"):
        table.add_column(title)
    table.add_column("Index", justify="right")
    table.add_column("Texts", justify="right")
    table.add_column("What moved most", overflow="fold")
    for each in group.measures:
        cause = cause_of(each)
        table.add_row(
            TITLES[each.what],
            SAYS[each.verdict],
            "–" if each.index is None else f"{each.index:.3f}",
            f"{each.texts:,} / {each.reference_texts:,}",
            change_of(group, each) + (f"\n{cause}" if cause else ""),
        )
    return table


def _people(found: Drift) -> Table:
    said = found.overall.agreement
    table = Table(title="Labels that people disagreed with", title_justify="left")
    for title in ("Window", "Reference", "Points more", "Reading"):
        table.add_column(title)
    cells = []
    for looked, share in ((said.now, said.share), (said.reference, said.reference_share)):
        interval = f" = {percent(share.value)} ({100 * share.low:.0f}…{100 * share.high:.0f})" if share else ""
        cells.append(f"{looked.disagreed:,} of {looked.texts:,}{interval}")
    change = said.change
    cells.append(f"{100 * change.value:+.0f} ({100 * change.low:+.0f}…{100 * change.high:+.0f})" if change else "–")
    table.add_row(*cells, TRENDS[said.trend])
    return table


def _groups(found: Drift) -> Table:
    table = Table(title=f"By {found.by}", title_justify="left", caption=_caption(found) or None, caption_justify="left")
    table.add_column(found.by.capitalize(), overflow="fold")
    table.add_column("Texts", justify="right")
    table.add_column("Verdict")
    table.add_column("What moved most", overflow="fold")
    table.add_column("People")
    for group in found.groups:
        table.add_row(
            group.name,
            f"{group.texts:,} / {group.reference_texts:,}",
            SAYS[group.verdict],
            listed(group, moved_of(group)),
            TRENDS[group.agreement.trend],
        )
    return table


def _caption(found: Drift) -> str:
    return f"{found.left_out:,} more with fewer texts are left out; see --most" if found.left_out else ""


def _lines(found: Drift) -> Iterator[str]:
    yield from (HOW_READ, "")
    yield from notes(found)
    yield verdict_sentence(found)
    yield from (f"→ {each}" for each in what_to_do(found))
