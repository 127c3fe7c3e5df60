"""`python -m workers.slm.train.finetune.pieces --data DIR --base FILE --out FILE`: chooses the pieces of vocabulary to keep.

They are those that the served languages use (in the training texts, and in the commonest words of pyspellchecker's lists),
then the likeliest of their script.
"""

import argparse
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from schemas.taxonomy import load_taxonomy
from workers.slm.bert import Bert
from workers.slm.e5s1 import read_e5s1
from workers.slm.train import corpora
from workers.slm.train.finetune.samples import aspect_texts, training_samples

_WESTERN = re.compile(r"[▁\W\d_A-Za-zÀ-ÖØ-öø-ÿŒœŸß]*")
_CHUNK = 20_000
LANGUAGES = ("en", "es", "pt", "fr", "it", "de")
WORDS, CAPITALISED = 100_000, 20_000  # so many of the commonest words a language; the first of them with a capital too


def chosen_pieces(
    bert: Bert, tokenizer: Tokenizer, texts: Sequence[str], words: Iterable[str], size: int
) -> NDArray[np.int64]:
    """Ids (size,), ascending: special pieces, those in `texts`, single characters outside the ideographs, those in
    `words` (likelier ones first), then the likeliest of Western script."""
    vocabulary = bert.tokenizer["model"]["vocab"]
    pieces, scores = zip(*vocabulary, strict=True)
    kept = {token["id"] for token in bert.tokenizer["added_tokens"]} | _used(tokenizer, texts)
    kept |= {i for i, piece in enumerate(pieces) if len(piece.strip("▁")) <= 1 and not _ideograph(piece)}
    likely = sorted(range(len(pieces)), key=lambda i: -scores[i])
    used = _used(tokenizer, list(words))
    ranks = [[i for i in likely if i in used], [i for i in likely if _WESTERN.fullmatch(pieces[i])]]
    for piece_id in (i for rank in ranks for i in rank):
        if len(kept) >= size:
            break
        kept.add(piece_id)
    return np.array(sorted(kept))


def _used(tokenizer: Tokenizer, texts: Sequence[str]) -> set[int]:
    found: set[int] = set()
    for start in range(0, len(texts), _CHUNK):
        for encoding in tokenizer.encode_batch(list(texts[start : start + _CHUNK])):
            found.update(encoding.ids)
    return found


def _ideograph(piece: str) -> bool:
    """Characters of the scripts whose single signs fill thousands of pieces: CJK and Hangul."""
    code = ord(piece.strip("▁") or " ")
    return 0x2E80 <= code <= 0xD7FF or 0x20000 <= code <= 0x3FFFF


def common_words(language: str) -> Iterator[str]:
    """The commonest words of one language."""
    file = resources.files("spellchecker").joinpath("resources", f"{language}.json.gz")
    counts = json.loads(gzip.decompress(file.read_bytes()))
    words = sorted(counts, key=counts.__getitem__, reverse=True)[:WORDS]
    yield from words
    yield from (word.title() for word in words[:CAPITALISED])


def main() -> None:
    """Writes the kept pieces' ids."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.finetune.pieces", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--base", type=Path, required=True, help="the E5S1 file")
    parser.add_argument("--out", type=Path, required=True, help="a .npy")
    parser.add_argument("--size", type=int, default=67_000)
    arguments = parser.parse_args()
    bert, taxonomy = read_e5s1(arguments.base), load_taxonomy()
    samples = training_samples(arguments.data, taxonomy, LANGUAGES)
    texts = [s.text for s in samples] + [t for some in aspect_texts(taxonomy, samples).values() for t in some]
    for name in ("fewsum_amazon_train", "fewsum_yelp_train"):
        texts += [review for row in corpora.rows(arguments.data, name) for review in row["reviews"]]
    words = [word for language in LANGUAGES for word in common_words(language)]
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer))
    ids = chosen_pieces(bert, tokenizer, texts, words, arguments.size)
    np.save(arguments.out, ids)
    print(f"{len(ids)} of {len(bert.tokens)} pieces kept")


if __name__ == "__main__":
    main()
