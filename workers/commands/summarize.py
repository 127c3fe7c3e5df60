"""`voxpop summarize`: JSON lines of reviews in, one cited summary a line out, in the same order, holding one line at a
time."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO

import orjson
from rich.console import Console

from schemas.events import MAX_TEXT_CHARS, InvalidMessage, decode_json
from workers.analyze.redact import Redactor
from workers.analyze.summary import Length, Summarizer, Summary
from workers.analyze.support import Reader
from workers.commands.classify import open_lines
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.summary_author import author_of
from workers.worker import build_redactor

MAX_LINE_BYTES = 64 * MAX_TEXT_CHARS
REPORT_EVERY = 50


def show_summaries(
    settings: Settings, file: str, generator: str | None, words: int, out: Console, err: Console, *, as_json: bool
) -> None:
    """Summarizes every line of `file` ("-" is standard input). A line that cannot be is answered with its `error`.

    Raises `UsageError` when the file cannot be opened, `VoxpopError` at the end when lines could not be summarized.
    """
    source, redactor = open_lines(file), build_redactor(settings)
    pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source)
    done = failed = 0
    with (
        closing(source),
        closing(pack.encoder(settings.model.replicas)) as encoder,
        author_of(settings, generator) as author,
    ):
        summarizer = Summarizer(Reader(encoder, pack.heads), author)
        for number, line in _lines(source):
            answer = _answer(line, number, redactor, summarizer, Length(words))
            done, failed = done + 1, failed + ("error" in answer)
            out.file.write(orjson.dumps(answer).decode() + "\n" if as_json else _readable(answer) + "\n")
            out.file.flush()
            if err.is_terminal and file != "-" and done % REPORT_EVERY == 0:
                err.print(f"{done:,} lines", highlight=False)
    if failed:
        raise VoxpopError(f"{failed} of {done} lines could not be summarized; each says why in its field 'error'")


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        for number, line in enumerate(source, 1):
            if line.strip():
                yield number, line
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"the input cannot be read ({' '.join(str(error).split())}); is it complete?") from error


def _answer(line: bytes, number: int, redactor: Redactor, summarizer: Summarizer, length: Length) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    try:
        fields = decode_json(line.strip(), max_bytes=MAX_LINE_BYTES)
        reviews = _reviews(fields)
    except InvalidMessage as invalid:
        return _named(fields) | {"error": invalid.sentence, "line": number}
    except UsageError as error:
        return _named(fields) | {"error": str(error), "line": number}
    return _named(fields) | as_fields(summarizer.summarize([redactor.redact(text).text for text in reviews], length))


def as_fields(summary: Summary) -> dict[str, Any]:
    """A summary as the fields of an answer."""
    return {
        "summary": summary.text,
        "sentences": [
            {"text": sentence.text, "citations": list(sentence.citations), "support": sentence.support}
            for sentence in summary.sentences
        ],
        "method": summary.method,
    }


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    return {"id": fields["id"]} if "id" in fields else {}


def _reviews(fields: dict[str, Any]) -> list[str]:
    """The texts to summarize; a blank one keeps its index and says nothing. Raises `UsageError`."""
    reviews = fields.get("reviews")
    if not isinstance(reviews, list) or not all(isinstance(text, str) for text in reviews):
        raise UsageError("reviews must be a list of texts")
    if not any(text.strip() for text in reviews):
        raise UsageError("reviews holds no text")
    if any(len(text) > MAX_TEXT_CHARS for text in reviews):
        raise UsageError(f"a review has more than {MAX_TEXT_CHARS:,} characters")
    return reviews


def _readable(answer: dict[str, Any]) -> str:
    name = f"{answer['id']}  " if "id" in answer else ""
    if "error" in answer:
        return f"!  line {answer['line']}: {answer['error']}"
    cited = (f"{s['text']} [{', '.join(map(str, s['citations']))}]" for s in answer["sentences"])
    return f"{name}{' '.join(cited) or 'nothing that its texts support'}"
