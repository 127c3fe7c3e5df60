"""Texts drawn by lot from what is stored, redacted, the same ones for the same seed and rows."""

from typing import NamedTuple

from workers.store.query import Reader


class SampledText(NamedTuple):
    """A stored text and the pack that judged it."""

    title: str
    text: str
    pack: str
    pack_version: str


def sampled_texts(reader: Reader, seed: int, most: int) -> list[SampledText]:
    """Of each text once. Raises `StoreUnavailable` or `StoreRefused`."""
    sql = (
        "SELECT any(title), text, any(pack), any(pack_version) FROM insights GROUP BY text"
        " ORDER BY cityHash64(text, {seed:UInt32}), text LIMIT {most:UInt32}"
    )
    return [SampledText(*row) for row in reader.rows(sql, {"seed": seed, "most": most})]
