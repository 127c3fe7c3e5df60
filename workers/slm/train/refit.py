"""`python -m workers.slm.train.refit --data DIR`: fits the heads of small data sets anew on the fine-tuned encoder.

Training shows a small set a few times only; a regression on the finished encoder's embeddings finds the head that fits it
best. The regression is chosen on every other dev text, and replaces the head if it is better on the others too.
`workers.slm.train.calibrate` comes after it.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.settings import load_settings
from workers.slm.build import ensure_built
from workers.slm.encoder import Encoder
from workers.slm.recipes import load_recipe
from workers.slm.safetensors import read_safetensors, write_safetensors
from workers.slm.train import corpora, fit
from workers.slm.train.embed import embedded
from workers.slm.train.finetune.samples import EMOTIONS

Array = NDArray[np.float32]
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)  # inverse, of the L2 penalty
SETS: dict[str, tuple[str, Callable[[str], int]]] = {
    "emotion": ("tweet_emotion", EMOTIONS.index),
}


def refitted(
    train: tuple[Array, NDArray[np.int64]], tune: tuple[Array, NDArray[np.int64]], current: fit.LinearHead
) -> tuple[fit.LinearHead | None, float, float]:
    """The best regression's head if it beats `current` on `tune` by macro F1, else None; the current figure, the best."""
    now = fit.macro_f1(tune[1], _said(current, tune[0]))
    best, found = now, None
    for strength in STRENGTHS:
        for power in (0.0, 0.5, 1.0):
            head = fit.fit_plain(*train, fit.rare_weights(train[1], power), strength)
            figure = fit.macro_f1(tune[1], _said(head, tune[0]))
            if figure > best:
                best, found = figure, head
    return found, now, best


def _said(head: fit.LinearHead, x: Array) -> NDArray[np.int64]:
    logits = head.logits(x)
    return (logits[:, 0] > 0).astype(np.int64) if logits.shape[1] == 1 else logits.argmax(axis=1)


def _texts(encoder: Encoder, key: str, examples: list[corpora.Example], cache: Path, what: str) -> Array:
    return embedded(encoder, key, [example.text for example in examples], cache, what)


def main() -> None:
    """Rewrites workers/slm/heads/<pack>/heads.safetensors where it helps."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.refit", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--pack", default="e5-small-multilingual", help="a recipe's name or file")
    arguments = parser.parse_args()
    settings, recipe = load_settings(), load_recipe(arguments.pack)
    pack = ensure_built(arguments.pack, settings.packs_dir, settings.cache_dir)
    file = recipe.heads_dir / "heads.safetensors"
    tensors = dict(read_safetensors(file))
    with pack.encoder() as encoder:
        for name, (data_set, index) in SETS.items():
            train, dev = (corpora.labelled(arguments.data, data_set, part, 12_000) for part in ("train", "dev"))
            train = corpora.apart(train, dev)
            xs = [_texts(encoder, pack.version, some, settings.cache_dir, data_set) for some in (train, dev)]
            ys = [np.array([index(str(e.label)) for e in some]) for some in (train, dev)]
            current = fit.LinearHead(tensors[f"{name}.0.weight"], tensors[f"{name}.0.bias"], 1.0)
            head, now, best = refitted((xs[0], ys[0]), (xs[1][::2], ys[1][::2]), current)
            print(f"{name}: {now} as trained, {best} at best anew, on every other dev text")
            if head is not None:
                rest = [fit.macro_f1(ys[1][1::2], _said(h, xs[1][1::2])) for h in (current, head)]
                print(f"{name}: {rest[0]} as trained, {rest[1]} anew, on the others")
                if rest[1] <= rest[0]:
                    continue
                tensors |= {f"{name}.0.weight": head.weight, f"{name}.0.bias": head.bias}
    write_safetensors(file, tensors)


if __name__ == "__main__":
    main()
