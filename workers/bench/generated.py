"""A million insights without a model: made inside ClickHouse out of row numbers, the same for the same seed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.taxonomy import Taxonomy

PRODUCTS, DAYS, CHUNK = 200, 365, 100_000
LAST_DAY = datetime(2026, 11, 16, tzinfo=UTC)  # exclusive
LETTERS = 2_000
TOPIC_WIDTH = 384  # of the default pack
SOURCES = ("web-shop", "app-store", "x", "forum", "survey", "mail")
LANGUAGES = ("en", "es", "de", "fr", "it", "pt")
EMOTIONS = ("", "", "anger", "joy", "sadness", "optimism")
CLAUSES = (
    "it arrived two days late and nobody answered",
    "the battery lasts longer than I had hoped for",
    "for this price I would have expected a bit more",
    "the staff were friendly and quick to help us",
    "it stopped working after the last update came",
    "la pantalla se ve muy bien incluso con mucho sol",
    "el servicio fue lento y la comida llegó ya fría",
    "I would buy it again and have told my friends so",
)
SETTINGS: dict[str, Any] = {"max_partitions_per_insert_block": 0, "insert_deduplicate": 0}


def fill(client: Client, taxonomy: Taxonomy, rows: int, seed: int) -> None:
    """`rows` insights over a year and PRODUCTS products, some loved and some much talked about, through the same
    materialized views as a worker's; dead letters and a digest a product beside them. Raises `ClickHouseError`."""
    parameters = {
        "seed": seed,
        "rows": rows,
        "until": LAST_DAY.timestamp(),
        "aspects": [aspect.name for aspect in taxonomy.aspects],
        "intents": [intent.name for intent in taxonomy.intents],
        "clauses": list(CLAUSES),
        "sources": list(SOURCES),
        "languages": list(LANGUAGES),
        "emotions": list(EMOTIONS),
    }
    for first in range(0, rows, CHUNK):
        count = min(CHUNK, rows - first)
        client.command(_INSIGHTS, parameters=parameters | {"first": first, "count": count}, settings=SETTINGS)
    client.command(_DEAD_LETTERS, parameters={"letters": min(LETTERS, rows)}, settings=SETTINGS)
    window = {"start": LAST_DAY - timedelta(days=1), "end": LAST_DAY}
    client.command(_DIGESTS, parameters=window, settings=SETTINGS)


def _drawn(place: int) -> str:
    """A number of 0…1, another for each row and place."""
    return f"(sipHash64(number, {{seed:UInt32}}, {place}) % 1000000 / 1000000)"


def _one_of(names: str, share: str) -> str:
    """One of an array; its first are taken more often."""
    return f"{names}[1 + toUInt32(floor(length({names}) * {share} * {share}))]"


# Nothing in it is anybody's: names and places are ours, values are bound.
_INSIGHTS = f"""
INSERT INTO insights (topic, topic_id, partition, offset, event_id, content_hash, kind, source, product, text, rating,
    language, sentiment, sentiment_score, sentiment_confidence, `aspects.aspect`, `aspects.sentiment`,
    `aspects.confidence`, `aspects.start`, `aspects.end`, intents, emotion, urgency, pack, pack_version, route, flags,
    topic_vector, event_time, ingested_at)
WITH
    {{aspects:Array(String)}} AS aspect_names,
    {{intents:Array(String)}} AS intent_names,
    {{clauses:Array(String)}} AS clauses,
    {{sources:Array(String)}} AS sources,
    {{languages:Array(String)}} AS languages,
    {{emotions:Array(String)}} AS emotions,
    toUInt32(floor({PRODUCTS} * {_drawn(1)} * {_drawn(1)})) AS place,
    0.15 + 0.3 * (sipHash64(place, {{seed:UInt32}}) % 100) / 100 AS bad,
    {_drawn(2)} AS mood,
    multiIf(mood < bad, 'negative', mood < bad + 0.25, 'neutral', 'positive') AS label,
    0.34 + 0.66 * sqrt({_drawn(3)}) AS sure,
    range(toUInt32(floor(4 * {_drawn(4)}))) AS said,
    toDateTime64({{until:Float64}} - {DAYS * 86_400} * {_drawn(5)}, 3, 'UTC') AS written
SELECT
    'voxpop.reviews', 'generated', number % 8, intDiv(number, 8), concat('g-', toString(number)),
    hex(sipHash64(number, {{seed:UInt32}})), if({_drawn(6)} < 0.6, 'post', 'review'),
    {_one_of("sources", _drawn(7))},
    concat('Product ', leftPad(toString(place), 3, '0')),
    arrayStringConcat(arrayMap(i -> clauses[1 + sipHash64(number, {{seed:UInt32}}, 50 + i) % length(clauses)],
        range(3 + sipHash64(number, {{seed:UInt32}}, 8) % 5)), ', '),
    if({_drawn(9)} < 0.4, NULL, toFloat32(multiIf(label = 'negative', 1, label = 'neutral', 3, 5))),
    {_one_of("languages", _drawn(10))},
    label, toFloat32(multiIf(label = 'negative', -sure, label = 'neutral', 0, sure)), toFloat32(sure),
    arrayMap(i -> aspect_names[1 + sipHash64(number, {{seed:UInt32}}, 60 + i) % length(aspect_names)], said),
    arrayMap(i -> label, said),
    arrayMap(i -> toFloat32(0.5 + 0.5 * sure), said),
    arrayMap(i -> toUInt32(30 * i), said),
    arrayMap(i -> toUInt32(30 * i + 25), said),
    [{_one_of("intent_names", _drawn(11))}],
    {_one_of("emotions", _drawn(12))},
    toFloat32({_drawn(13)} * {_drawn(13)}),
    'generated', if(written > toDateTime64({{until:Float64}} - 30 * 86400, 3, 'UTC'), '2', '1'), 'slm',
    if(sure < 0.5, ['unsure'], []),
    arrayMap(i -> toInt8(toInt16(cityHash64(number, i) % 23) - 11), range({TOPIC_WIDTH})),
    written, now64(3) - toIntervalMillisecond(5 * ({{rows:UInt64}} - number))
FROM numbers({{first:UInt64}}, {{count:UInt64}})
"""  # noqa: S608
_DEAD_LETTERS = """
INSERT INTO dead_letters (topic, topic_id, partition, offset, value, reason, sentence, failed_at)
SELECT 'voxpop.reviews', 'generated', number % 8, number, repeat('x', 500),
    ['bad_json', 'missing_field', 'bad_utf8'][1 + number % 3], 'generated', now64(3) - toIntervalMinute(number)
FROM numbers({letters:UInt64})
"""
_DIGESTS = """
INSERT INTO digests (product, window_start, window_end, revision, texts, sentences, citations, support, method, pack,
    pack_version, created_at)
SELECT product, {start:DateTime('UTC')}, {end:DateTime('UTC')}, 0, count(),
    ['What was written most.', 'What was written beside it.'],
    [groupArray(3)(event_id), groupArray(3)(event_id)], [0.9, 0.8], 'extractive', 'generated', '1',
    now64(3)
FROM insights WHERE event_time >= {start:DateTime('UTC')} GROUP BY product
"""
