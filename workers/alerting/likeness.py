"""Near-identical texts: SimHash (Charikar, 2002; Manku, Jain and Das Sarma, 2007) over groups of letters."""

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np

GROUP_CHARS = 5
MIN_WORDS = 6  # "great product, thanks" is said by many who do not know each other
ALIKE_BITS = 10  # of 64: unrelated texts of a subject hardly ever come so near, a repeated one with another link does
MOST = 4096  # texts of a window that are compared with each other


def simhash(text: str) -> int | None:
    """64 bits that near-identical texts nearly share; None for a text too short to tell. Case and spacing do not count."""
    told = " ".join("".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFKC", text).casefold()).split())
    if told.count(" ") + 1 < MIN_WORDS:
        return None
    groups = {told[start : start + GROUP_CHARS] for start in range(len(told) - GROUP_CHARS + 1)}
    hashed = b"".join(hashlib.blake2b(group.encode(), digest_size=8).digest() for group in sorted(groups))
    bits = np.unpackbits(np.frombuffer(hashed, dtype=np.uint8).reshape(-1, 8), axis=1)
    majority = np.packbits(bits.sum(axis=0) * 2 > len(bits))
    return int.from_bytes(majority.tobytes(), "big")


def largest_group(hashes: Sequence[int]) -> list[int]:
    """The places of the texts in the largest group that is alike its own first text. Of more than `MOST` texts, the first
    so many are looked at: give them in an order that has nothing to do with what they say."""
    rest = np.array(hashes[:MOST], dtype=np.uint64)
    places = np.arange(len(rest))
    best = places[:0]
    while len(rest) > len(best):
        alike = np.bitwise_count(rest ^ rest[0]) <= ALIKE_BITS
        if alike.sum() > len(best):
            best = places[alike]
        rest, places = rest[~alike], places[~alike]
    return [int(place) for place in best]
