"""`python -m workers.slm.speed TEXTS.jsonl.gz PACK PACK …`: documents a second of packs, in turn on the same texts.

Each round runs every pack once on all texts, so that what else the machine does falls on all alike; the ratio to the
first pack is the median over the rounds. Encoding and heads are timed, loading is not.
"""

import argparse
import gzip
import json
import statistics
import time
from pathlib import Path

from workers.settings import load_settings
from workers.slm.build import ensure_pack


def main() -> None:
    """Prints a line a round, then a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.speed", description=main.__doc__)
    parser.add_argument("texts", type=Path, help="JSON lines with a `text`, gzipped")
    parser.add_argument("packs", nargs="+", help="names of packs; ratios are to the first")
    parser.add_argument("--most", type=int, default=1_000, help="of the texts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--replicas", type=int, default=None)
    arguments = parser.parse_args()
    with gzip.open(arguments.texts, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines][: arguments.most]
    settings = load_settings()
    packs = {name: ensure_pack(name, settings.packs_dir, settings.cache_dir) for name in arguments.packs}
    encoders = {name: pack.encoder(arguments.replicas) for name, pack in packs.items()}
    rates: dict[str, list[float]] = {name: [] for name in packs}
    for encoder in encoders.values():
        encoder.encode(texts[:64])
    for number in range(arguments.rounds):
        for name, encoder in encoders.items():
            began = time.perf_counter()
            packs[name].heads.predict(encoder.encode(texts).pooled)
            rates[name].append(len(texts) / (time.perf_counter() - began))
        print(
            f"round {number + 1}: " + "  ".join(f"{name} {of[-1]:.0f} docs/s" for name, of in rates.items()), flush=True
        )
    for encoder in encoders.values():
        encoder.close()
    first = rates[arguments.packs[0]]
    ratios = {
        name: round(statistics.median(own / base for own, base in zip(of, first, strict=True)), 3)
        for name, of in rates.items()
    }
    medians = {name: round(statistics.median(of), 1) for name, of in rates.items()}
    print(json.dumps({"texts": len(texts), "docs_per_s": medians, "ratio_to_first": ratios}))


if __name__ == "__main__":
    main()
