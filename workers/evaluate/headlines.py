"""`python -m workers.evaluate.headlines FILE`: do generated headlines pay? Both kinds beside the titles that authors wrote.

FILE: JSON lines with `text` and `title`, gzipped or not. ROUGE-1 (F1 with stemming) against the title, in percent, of the
author's own sentence, of what a generator writes, and of what would be stored: the generated where it passes every check.
Needs `pip install -e '.[eval]'`. Texts are redacted, and titles are shown to nobody who writes.
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
from workers.stream.row_formats import rows_of
from workers.worker import build_redactor

LEAST_TITLE_WORDS = 3


def long_texts(file: Path, min_chars: int, most: int, settings: Settings) -> tuple[list[str], list[str]]:
    """The first texts of the file that are long enough and have a title that says something, and these titles."""
    redactor = build_redactor(settings)
    texts: list[str] = []
    titles: list[str] = []
    with file.open("rb") as raw:
        for row in rows_of(file, raw):
            if not isinstance(row, dict) or len(str(row.get("title") or "").split()) < LEAST_TITLE_WORDS:
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
    """What is printed: ROUGE-1 in percent, how many pass, why others do not, and what it costs."""

    def near(lines: list[str]) -> float:
        groups = [Group([], [title]) for title in titles]
        return round(rouge(groups, lines)["rouge1"], 2)

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
    parser.add_argument("--generator", required=True, help="a decoder pack, e.g. smollm2-135m-instruct")
    parser.add_argument("--texts", type=int, default=100, help="so many, the file's first that are long enough")
    parser.add_argument("--min-chars", type=int, default=400, help="how long a text has to be")
    parser.add_argument("--show", action="store_true", help="print every headline beside the author's sentence")
    chosen, settings = parser.parse_args(), load_settings()
    texts, titles = long_texts(chosen.file, chosen.min_chars, chosen.texts, settings)
    pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir)
    decoder = ensure_pack(chosen.generator, settings.packs_dir, settings.cache_dir)
    own = extracted(pack, texts, settings)
    with decoder.generator(settings.model.replicas) as generator, closing(pack.encoder()) as encoder:
        began_s = time.perf_counter()
        written = HeadlineAuthor(generator, Reader(encoder, pack.heads)).write(texts)
        seconds = time.perf_counter() - began_s
    if chosen.show:
        for each, sentence, title in zip(written, own, titles, strict=True):
            line = {"title": title, "own": sentence, "generated": each.headline, "failed": each.failed}
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.write(
        json.dumps({"generator": f"{decoder.name} {decoder.version}"} | figures(titles, own, written, seconds)) + "\n"
    )


if __name__ == "__main__":
    main()
