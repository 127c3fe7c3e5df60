"""`voxpop classify`: JSON lines in, one answer a line out, in the same order, holding a few hundred lines at most."""

import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson
from rich.console import Console

from schemas.events import MAX_TEXT_CHARS, InvalidMessage, decode_json
from schemas.insights import Analysis
from workers.analyze.judge import Judge, Request
from workers.analyze.redact import redact_identifier
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings
from workers.worker import build_judge

BATCH_LINES = 256
_SIGNS = {"negative": "−", "neutral": "○", "positive": "+"}


class _Line(NamedTuple):
    """One input line: its fields and what to judge, or why it cannot be judged."""

    fields: dict[str, Any]
    request: Request | None
    problem: str = ""


def show_classify(settings: Settings, file: str, out: Console, err: Console, *, as_json: bool) -> None:
    """Judges every line of `file` ("-" is standard input). A line that cannot be judged is answered with its `error`.

    Raises `UsageError` when the file cannot be opened, `VoxpopError` at the end when lines could not be judged.
    """
    source = open_lines(file)
    judge = build_judge(settings)
    judged = failed = 0
    try:
        for batch in _batches(source):
            lines = [_read(line, judge) for line in batch]
            answers = iter(judge.judge([line.request for line in lines if line.request]))
            for number, line in enumerate(lines, judged + 1):
                answer = _answer(line, next(answers) if line.request else None, number)
                failed += "error" in answer
                out.file.write(orjson.dumps(answer).decode() + "\n" if as_json else _readable(answer) + "\n")
            judged += len(lines)
            out.file.flush()
            if err.is_terminal and source is not sys.stdin.buffer and judged % (BATCH_LINES * 8) == 0:
                err.print(f"{judged:,} lines", highlight=False)
    finally:
        source.close()
        judge.close()
    if failed:
        raise VoxpopError(f"{failed} of {judged} lines could not be judged; each says why in its field 'error'")


def open_lines(file: str) -> BinaryIO:
    """The lines of a file, gzipped or not, or of standard input for "-". Raises `UsageError` when there is no such file."""
    if file == "-":
        return sys.stdin.buffer
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"{path} is not a file; give a JSONL file, or - for standard input")
    if path.suffix == ".gz":
        import gzip

        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _batches(source: BinaryIO) -> Iterator[list[bytes]]:
    """Lines as they come: full batches when there are many, a single one when a person types."""
    waiting: queue.Queue[bytes | Exception | None] = queue.Queue(maxsize=2 * BATCH_LINES)

    def read() -> None:
        try:
            for line in source:
                if line.strip():
                    waiting.put(line)
        except (OSError, EOFError, ValueError) as error:
            waiting.put(error)
        waiting.put(None)

    threading.Thread(target=read, name="lines", daemon=True).start()
    while True:
        batch: list[bytes] = []
        item = waiting.get()
        while isinstance(item, bytes):
            batch.append(item)
            if len(batch) == BATCH_LINES:
                break
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                break
        if batch:
            yield batch
        if isinstance(item, Exception):
            raise UsageError(f"the input cannot be read ({' '.join(str(item).split())}); is it complete?")
        if item is None:
            return


def _read(line: bytes, judge: Judge) -> _Line:
    try:
        fields = decode_json(line.strip(), max_bytes=16 * MAX_TEXT_CHARS)
    except InvalidMessage as invalid:
        return _Line({}, None, invalid.sentence)
    text, asked = fields.get("text"), fields.get("aspects")
    if not isinstance(text, str) or not text.strip():
        return _Line(fields, None, "the field text is missing or empty")
    if len(text) > MAX_TEXT_CHARS:
        return _Line(fields, None, f"text has more than {MAX_TEXT_CHARS:,} characters")
    if asked is not None and not (isinstance(asked, list) and all(isinstance(name, str) and name for name in asked)):
        return _Line(fields, None, "aspects must be a list of names")
    product = str(fields.get("product") or "")
    redacted, counts = judge.redact(text, product=product)
    title, _ = judge.redact(str(fields.get("title") or ""), product=product)
    language = fields.get("language")
    return _Line(
        fields,
        Request(
            redacted,
            title,
            language.lower() if isinstance(language, str) else "",
            counts,
            tuple(asked) if asked is not None else None,
            product=judge.redact(product)[0],
            source=redact_identifier(str(fields.get("source") or "")),
        ),
    )


def _answer(line: _Line, analysis: Analysis | None, number: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": line.fields["id"]} if "id" in line.fields else {}
    if analysis is None:
        return answer | {"error": line.problem or "no model could judge this text", "line": number}
    return answer | analysis.model_dump(mode="json")


def _readable(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"!  line {answer['line']}: {answer['error']}"
    sentiment = answer["sentiment"]
    aspects = " ".join(f"{a['aspect']}{_SIGNS[a['sentiment']]}" for a in answer["aspects"])
    text = " ".join(answer["text"].split())
    shown = text if len(text) <= 80 else text[:79] + "…"
    own = "".join(f"  {head}: {', '.join(given) or '–'}" for head, given in answer["labels"].items())
    judged = f"{_SIGNS[sentiment['label']]} {sentiment['confidence']:.2f}"
    return f"{judged}  {shown}  [{aspects}] {','.join(answer['intents'])}{own}"
