"""`python -m workers.evaluate.headlines FILE`: do generated headlines pay? Both kinds beside the titles that authors wrote.

FILE: JSON lines with `text` and `title`, gzipped or not. ROUGE-1 and -L (F1 with stemming) against the title, in percent, of
the author's own sentence, of what a generator writes, and of what would be stored: the generated where it passes every
check. Several generators are set side by side on the same texts. Needs `pip install -e '.[eval]'`. Texts are redacted, and
titles are shown to nobody who writes.
"""

import argparse
import json
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any

from schemas.taxonomy import load_taxonomy
from workers.analyze.headline_author import HeadlineAuthor, Written
from workers.analyze.judge import Judge, Request
from workers.analyze.support import Reader
from workers.errors import UsageError
from workers.evaluate.summaries import Group, rouge
from workers.settings import Settings, load_settings
from workers.slm.build import ensure_pack
from workers.slm.packs import Pack
from workers.slm.train.corpora import is_held_out
from workers.stream.row_formats import rows_of
from workers.worker import build_redactor

LEAST_TITLE_WORDS = 3


def long_texts(
    file: Path, min_chars: int, most: int, settings: Settings, *, held_out: bool = False
) -> tuple[list[str], list[str]]:
    """The first texts of the file that are long enough and have a title that says something, and these titles. `held_out`
    takes only those that no adapter of ours was trained on."""
    redactor = build_redactor(settings)
    texts: list[str] = []
    titles: list[str] = []
    with file.open("rb") as raw:
        for row in rows_of(file, raw):
            if not isinstance(row, dict) or len(str(row.get("title") or "").split()) < LEAST_TITLE_WORDS:
                continue
            if held_out and not is_held_out(str(row.get("text") or "")):
                continue
            text = redactor.redact(str(row.get("text") or "")).text
            if len(text) >= min_chars and len(texts) < most:
                texts.append(text)
                titles.append(str(row["title"]))
    if not texts:
        raise UsageError(f"{file} has no text of {min_chars} characters with a title; give another file")
    return texts, titles


def extracted(pack: Pack, texts: list[str], settings: Settings) -> list[str]:
    """The headlines that a worker gives the texts when they come without a title."""
    judge = Judge(
        pack, load_taxonomy(settings.taxonomy), build_redactor(settings), b"", replicas=settings.model.replicas
    )
    with closing(judge):
        return [analysis.headline if analysis else "" for analysis in judge.judge([Request(text) for text in texts])]


def figures(titles: list[str], own: list[str], written: list[Written], seconds: float) -> dict[str, Any]:
    """What is printed: ROUGE-1 and -L in percent, how many pass, why others do not, and what it costs."""

    def near(lines: list[str]) -> list[float]:
        scores = rouge([Group([], [title]) for title in titles], lines)
        return [round(scores[name], 2) for name in ("rouge1", "rougeL")]

    passed = [not each.failed for each in written]
    stored = [each.headline if fit else sentence for each, fit, sentence in zip(written, passed, own, strict=True)]
    among = [i for i, fit in enumerate(passed) if fit]
    found: dict[str, Any] = {
        "texts": len(titles),
        "extractive": near(own),
        "generated": near([each.headline for each in written]),
        "stored": near(stored),
        "passed": len(among),
        "refused": dict(Counter(name for each in written for name in each.failed).most_common()),
        "seconds_a_text": round(seconds / len(titles), 3),
        "tokens_a_text": round(mean(each.tokens for each in written), 1),
    }
    if among:
        titles = [titles[i] for i in among]
        found["passed_generated"] = near([written[i].headline for i in among])
        found["passed_extractive"] = near([own[i] for i in among])
    return found


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--generator", required=True, nargs="+", help="decoder packs, e.g. smollm2-135m-voxpop")
    parser.add_argument("--held-out", action="store_true", help="only texts that no adapter of ours was trained on")
    parser.add_argument("--texts", type=int, default=100, help="so many, the file's first that are long enough")
    parser.add_argument("--min-chars", type=int, default=400, help="how long a text has to be")
    parser.add_argument("--show", action="store_true", help="print every headline beside the author's sentence")
    chosen, settings = parser.parse_args(), load_settings()
    texts, titles = long_texts(chosen.file, chosen.min_chars, chosen.texts, settings, held_out=chosen.held_out)
    pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir)
    own = extracted(pack, texts, settings)
    with closing(pack.encoder()) as encoder:
        for name in chosen.generator:
            decoder = ensure_pack(name, settings.packs_dir, settings.cache_dir)
            with decoder.generator(settings.model.replicas) as generator:
                began_s = time.perf_counter()
                written = HeadlineAuthor(generator, Reader(encoder, pack.heads)).write(texts)
                seconds = time.perf_counter() - began_s
            if chosen.show:
                for each, sentence, title in zip(written, own, titles, strict=True):
                    _print({"title": title, "own": sentence, "generated": each.headline, "failed": each.failed})
            _print({"generator": f"{decoder.name} {decoder.version}"} | figures(titles, own, written, seconds))


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
