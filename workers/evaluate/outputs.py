"""`python -m workers.evaluate.outputs TEXTS --write FILE`, then `--against FILE` in another version: do the answers differ?

For whoever makes the way of a text faster: the answers must stay what they were, or the difference is to be said.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas.insights import Analysis
from workers.analyze.judge import Judge, Request
from workers.bench.texts import texts_of
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings, load_settings
from workers.worker import build_judge

AT_ONCE = 1_024
MOST = 10_000
NUMBER = 0.01  # scores that differ by less are the rounding of matrices of another shape


def main() -> int:
    """0 when the answers were written, or are those of the file; 1 when they differ."""
    parser = argparse.ArgumentParser(prog="python -m workers.evaluate.outputs", description=__doc__)
    parser.add_argument("texts", type=Path, help="one text a line, plain or JSON with `text`")
    parser.add_argument("--write", type=Path, help="where the answers go")
    parser.add_argument("--against", type=Path, help="answers of another version, to compare with")
    parser.add_argument("--most", type=int, default=MOST)
    arguments = parser.parse_args()
    try:
        texts = texts_of(arguments.texts, arguments.most)
        settings = load_settings()
        unremembered = settings.model.model_copy(update={"cache_entries": 0})
        answers = list(answered(settings.model_copy(update={"model": unremembered}), texts))
        if arguments.write:
            arguments.write.write_text("".join(json.dumps(a) + "\n" for a in answers), encoding="utf-8")
        if arguments.against is None:
            return 0
        before = [json.loads(line) for line in arguments.against.read_text(encoding="utf-8").splitlines()]
        unlike = differences(before, answers)
    except VoxpopError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for field, count in unlike.items():
        sys.stdout.write(f"{field}: {count} of {len(answers):,} differ\n")
    return int(any(unlike.values()))


def answered(settings: Settings, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the worker would say of each text, redacted first. Raises `PackError`."""
    judge: Judge = build_judge(settings)
    try:
        for first in range(0, len(texts), AT_ONCE):
            requests = [Request(judge.redact(text)[0]) for text in texts[first : first + AT_ONCE]]
            yield from (_told(analysis) for analysis in judge.judge(requests))
    finally:
        judge.close()


def differences(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Field -> in how many texts it differs. Raises `UsageError` when these are not the same texts."""
    if len(before) != len(now):
        raise UsageError(f"there are {len(before):,} answers to compare {len(now):,} with; give the same texts")
    fields = list(now[0]) if now else []
    return {field: sum(_unlike(a.get(field), b[field]) for a, b in zip(before, now, strict=True)) for field in fields}


def _unlike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) >= NUMBER
    return bool(a != b)


def _told(analysis: Analysis | None) -> dict[str, Any]:
    if analysis is None:
        return {"text": ""}
    return {
        "text": analysis.text,
        "language": analysis.language,
        "sentiment": analysis.sentiment.label,
        "score": analysis.sentiment.score,
        "aspects": [[a.aspect, a.sentiment, a.evidence.start, a.evidence.end] for a in analysis.aspects],
        "intents": sorted(analysis.intents),
        "emotion": analysis.emotion,
        "urgency": analysis.urgency,
        "toxicity": analysis.toxicity,
        "labels": {name: sorted(given) for name, given in analysis.labels.items()},
        "headline": analysis.headline,
    }


if __name__ == "__main__":
    sys.exit(main())
