"""Digests: a paragraph about a product and a window of time, every sentence with the texts that it rests on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from dashboards.models import ApiModel
from dashboards.parameters import Asked, Word
from dashboards.rows import moment
from dashboards.statements import TEXT_COLUMNS, Statement

MOST_SOURCES = 50


class AskedDigests(Asked):
    product: Word | None = Field(default=None, description="Only this product.")
    limit: int = Field(default=10, ge=1, le=100)


class AskedSources(Asked):
    """Texts of a product by their events' ids: what a sentence of a digest cites."""

    product: Word
    event: Annotated[list[Word], Field(min_length=1, max_length=MOST_SOURCES, description="Repeatable.")]


class Sentence(ApiModel):
    text: str
    sources: list[str] = Field(
        description="Ids of the events that it rests on; /api/v1/texts/sources gives their texts."
    )
    support: float = Field(description="How well they support it, 0…1.")


class Digest(ApiModel):
    product: str
    start: datetime
    end: datetime = Field(description="Exclusive.")
    texts: int
    sentences: list[Sentence]
    method: str = Field(description="extractive or abstractive.")
    pack: str
    pack_version: str
    created_at: datetime


class Digests(ApiModel):
    digests: list[Digest] = Field(description="The latest of each product, latest window first.")


def latest(asked: AskedDigests) -> Statement:
    """A row per product, its latest digest: of a window's revisions the highest, of several packs' the newest."""
    sql = (
        "SELECT product, toInt64(toUnixTimestamp(window_start)), toInt64(toUnixTimestamp(window_end)), texts, sentences,"  # noqa: S608
        " citations, support, method, pack, pack_version, toUnixTimestamp64Milli(created_at) FROM"
        f" (SELECT * FROM digests{' WHERE product = {product:String}' if asked.product else ''}"
        "  ORDER BY window_end DESC, window_start DESC, revision DESC, created_at DESC LIMIT 1 BY product)"
        " ORDER BY window_end DESC, texts DESC, product LIMIT {limit:UInt32}"
    )
    return Statement(sql, {"product": asked.product, "limit": asked.limit})


def sources(asked: AskedSources) -> Statement:
    """Rows of TEXT_COLUMNS, newest first. Several sources may have used the same id."""
    sql = (
        f"SELECT {', '.join(TEXT_COLUMNS)} FROM insights WHERE product = {{product:String}}"  # noqa: S608
        " AND event_id IN {events:Array(String)}"
        " ORDER BY event_time DESC, topic, topic_id, partition, offset LIMIT {limit:UInt32}"
    )
    return Statement(sql, {"product": asked.product, "events": list(asked.event), "limit": 2 * MOST_SOURCES})


def digest(row: Sequence[Any]) -> Digest:
    """A row of `latest`. A sentence without citations has none."""
    product, start, end, texts, said, citations, support, method, pack, version, created_ms = row
    cited = [*citations, *([[]] * (len(said) - len(citations)))]
    sure = [*support, *([0.0] * (len(said) - len(support)))]
    return Digest(
        product=product,
        start=moment(1000 * start),
        end=moment(1000 * end),
        texts=texts,
        sentences=[
            Sentence(text=text, sources=list(dict.fromkeys(ids)), support=round(share, 4))
            for text, ids, share in zip(said, cited, sure, strict=False)
        ],
        method=method,
        pack=pack,
        pack_version=version,
        created_at=moment(created_ms),
    )
