"""`voxpop brief`: a week's brief, as Markdown for people, as JSON for machines."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from workers.commands.query import json_line
from workers.errors import UsageError
from workers.escalation.brief import Brief, monday_of, write_brief
from workers.settings import Settings
from workers.store.briefs import Statement, counted


def show_brief(
    settings: Settings, week: str | None, products: Sequence[str], file: Path | None, out: Console, *, as_json: bool
) -> None:
    """Writes, stores and prints a brief; into `file`, too, as Markdown, where one is named. Raises `VoxpopError`."""
    start = monday_of(week)
    if file is not None and not file.parent.is_dir():
        raise UsageError(f"{file} cannot be written (no such directory); name another file")
    brief = write_brief(settings, start, products)
    text = "\n".join(markdown(brief)) + "\n"
    if file is not None:
        file.write_text(text, encoding="utf-8")
    if as_json:
        out.file.write(json_line(_document(brief)))
    else:
        out.print(text, markup=False, highlight=False, soft_wrap=True, end="")


def markdown(brief: Brief) -> Iterator[str]:
    """The lines of a page: sentences by product, and what each rests on."""
    yield f"# Week {brief.week}"
    notes: dict[Statement, int] = {}
    for product in brief.products:
        sentences = [sentence for sentence in brief.sentences if sentence.product == product]
        if sentences:
            yield from ("", f"## {product}", "")
        for sentence in sentences:
            marks = "".join(f"[^{notes.setdefault(s, len(notes) + 1)}]" for s in sentence.statements)
            yield f"- {sentence.text}{marks}"
    yield ""
    for statement, number in notes.items():
        origin = "figures of the week" if statement.is_figure else f"digest of {statement.day}"
        events = f", {counted(len(statement.events))}" if statement.events else ""
        yield f"[^{number}]: {statement.product}, {origin}{events}: {statement.text}"
    quoted = sum(sentence.quoted for sentence in brief.sentences)
    yield from (
        "",
        f"Written by {brief.model}, checked by {brief.pack} {brief.pack_version}; {quoted} sentences are the digests' own.",
    )


def _document(brief: Brief) -> dict[str, object]:
    return asdict(brief) | {
        "sentences": [
            {
                "product": sentence.product,
                "text": sentence.text,
                "support": sentence.support,
                "quoted": sentence.quoted,
                "statements": [
                    {"text": s.text, "day": s.day, "events": [event._asdict() for event in s.events]}
                    for s in sentence.statements
                ],
            }
            for sentence in brief.sentences
        ]
    }
