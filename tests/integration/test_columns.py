"""What the writer inserts, what the migrations create and what product teams read are in step."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.client import Client

from schemas.alerts import Alert, AlertKind, AlertStatus, Example, Signal
from schemas.events import Reason
from schemas.insights import AspectMention, DeadLetter, Evidence, Insight, Method, Position, Route, Sentiment
from workers.embedded.clickhouse import embedded_clickhouse
from workers.settings import ClickHouseSettings, Settings
from workers.store.connect import LeaseEnded, connect
from workers.store.migrate import migrate
from workers.store.query import Reader
from workers.store.rows import (
    ALERT_COLUMNS,
    DEAD_LETTER_COLUMNS,
    EVENT_KEY_COLUMNS,
    INSIGHT_COLUMNS,
    JUDGED,
    RETRACTION_COLUMNS,
    Column,
)
from workers.store.write import Writer

SECOND = "DateTime('UTC')"
SENTIMENT = "Enum8('negative' = -1, 'neutral' = 0, 'positive' = 1)"
WORD, TEXT, COUNT, SHARE, MOMENT = "LowCardinality(String)", "String", "UInt64", "Float64", "DateTime64(3, 'UTC')"
# The stable face for product teams. A column may be added here; none may ever be renamed, retyped or taken out.
STABLE = {
    "v_product_daily": {"day": "Date", "product": WORD, "volume": COUNT, "negative": COUNT, "neutral": COUNT}
    | {"positive": COUNT, "negative_share": SHARE, "positive_share": SHARE, "mean_score": SHARE}
    | {"mean_rating": "Nullable(Float64)", "urgent": COUNT},
    "v_aspect_trends": {"day": "Date", "product": WORD, "aspect": WORD, "mentions": COUNT, "negative": COUNT}
    | {"neutral": COUNT, "positive": COUNT, "negative_share": SHARE, "negative_mean_7d_before": SHARE}
    | {"mentions_mean_7d_before": SHARE},
    "v_top_issues": {"product": WORD, "aspect": WORD, "mentions": COUNT, "negative": COUNT, "negative_share": SHARE}
    | {"example": TEXT, "example_event_id": TEXT, "last_seen": MOMENT},
    "v_recent": {"event_time": MOMENT, "product": WORD, "source": WORD, "kind": WORD, "language": WORD}
    | {"sentiment": SENTIMENT, "sentiment_score": "Float32", "sentiment_confidence": "Float32", "text": TEXT}
    | {"title": TEXT, "rating": "Nullable(Float32)", "aspects": f"Array({WORD})"}
    | {"aspect_sentiments": f"Array({SENTIMENT})", "intents": f"Array({WORD})", "emotion": WORD}
    | {"urgency": "Float32", "toxicity": "Float32", "headline": TEXT}
    | {"method": "Enum8('none' = 0, 'extractive' = 1, 'abstractive' = 2)", "route": WORD, "pack": WORD}
    | {"pack_version": WORD, "event_id": TEXT, "ingested_at": MOMENT}
    | {"topic": WORD, "partition": "UInt32", "offset": COUNT, "labels": f"Map({WORD}, Array({WORD}))"},
    "v_alerts": {"alert_id": TEXT, "revision": "UInt32", "status": WORD, "product": WORD, "kind": WORD, "aspect": WORD}
    | {
        "source": WORD,
        "severity": WORD,
        "window_start": SECOND,
        "window_end": SECOND,
        "closed_at": f"Nullable({SECOND})",
    }
    | {"closed_because": WORD, "observed": SHARE, "texts": COUNT, "expected": SHARE, "p_value": SHARE, "level": SHARE}
    | {"test": WORD, "signals.kind": f"Array({WORD})", "signals.aspect": f"Array({WORD})"}
    | {"signals.observed": f"Array({COUNT})", "signals.texts": f"Array({COUNT})", "signals.expected": f"Array({SHARE})"}
    | {"signals.p_value": f"Array({SHARE})", "event_ids": f"Array({TEXT})", "sources": f"Array({TEXT})"}
    | {"quotes": f"Array({TEXT})", "raised_at": MOMENT},
    "v_escalations": {"day": "Date", "model": WORD, "calls": COUNT, "changed": COUNT, "confirmed": COUNT}
    | {"refused": COUNT, "failed": COUNT, "prompt_tokens": COUNT, "answer_tokens": COUNT, "cost": SHARE}
    | {"mean_latency_ms": SHARE},
}
TABLES = {"insights", "aspect_mentions", "digests", "alerts", "dead_letters", "sentiment_hourly", "aspects_daily"}
AT = datetime(2026, 11, 2, 10, 30, 15, 123_000, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(hours=1)
INSIGHT = Insight(
    text="El sonido es genial 🎧, pero la batería muere rápido",
    language="es",
    sentiment=Sentiment(label="negative", score=-0.25, confidence=0.75),
    aspects=(
        AspectMention(aspect="sound", sentiment="positive", confidence=0.5, evidence=Evidence(start=3, end=21)),
        AspectMention(aspect="battery", sentiment="negative", confidence=0.875, evidence=Evidence(start=28, end=51)),
    ),
    intents=("complaint", "praise"),
    emotion="anger",
    urgency=0.625,
    toxicity=0.125,
    headline="la batería muere rápido",
    method=Method.EXTRACTIVE,
    pack="a-pack",
    pack_version="1+abc",
    route=Route.CACHE,
    redactions={"email": 2},
    flags=("repeat",),
    labels={"topic": ("billing", "delivery"), "unit": ()},
    topic_vector=(127, 0, -3, -127),
    topic="voxpop.reviews",
    topic_id="an-id",
    partition=3,
    offset=2**40,
    event_id="r-1",
    content_hash="0123456789abcdef",
    kind="review",
    source="shop",
    product="Phone",
    title="Así así",
    rating=2.5,
    author="ab" * 16,
    url="https://example.com/1",
    metadata={"colour": "red"},
    event_time=AT,
    ingested_at=AT,
)


DAY = timedelta(days=1)
SIGNAL = Signal(
    kind=AlertKind.NEGATIVE_SHARE, observed=9, texts=12, expected=2.5, p_value=0.0001, level=0.001, test="beta-binomial"
)
ALERT = Alert(
    alert_id="an-id",
    revision=1,
    status=AlertStatus.OPEN,
    product="Phone",
    kind=AlertKind.NEGATIVE_SHARE,
    severity="medium",
    window_start=AT,
    window_end=AT + DAY,
    signals=(SIGNAL, SIGNAL.model_copy(update={"aspect": "battery"})),
    examples=(Example(source="shop", event_id="r-1", quote="muere rápido"),),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, ClickHouseSettings]]:
    """A migrated database of its own."""
    with embedded_clickhouse(tmp_path_factory.mktemp("columns")) as server:
        settings = Settings(clickhouse=ClickHouseSettings(port=server.port))
        migrate(settings)
        with connect(settings.clickhouse) as client:
            yield client, settings.clickhouse


def types(client: Client, table: str) -> dict[str, str]:
    sql = "SELECT name, type FROM system.columns WHERE database = 'voxpop' AND table = {table:String} ORDER BY position"
    return {str(name): str(type_) for name, type_ in client.query(sql, parameters={"table": table}).result_rows}


@pytest.mark.parametrize(("table", "columns"), [("insights", INSIGHT_COLUMNS), ("dead_letters", DEAD_LETTER_COLUMNS)])
def test_the_writer_names_every_column_of_its_table_in_the_tables_own_type(
    store: tuple[Client, ClickHouseSettings], table: str, columns: tuple[Column, ...]
) -> None:
    lease = ("lease_until", "DateTime64(3, 'UTC')")  # the block's, not the row's
    ours = (
        [lease, JUDGED] if table == "insights" else [lease]
    )  # the second tells a row from the one whose place it took
    assert [(column.name, column.type) for column in columns] + ours == list(types(store[0], table).items())


def test_the_writer_names_every_column_of_an_alert(store: tuple[Client, ClickHouseSettings]) -> None:
    told = {(column.name, column.type) for column in ALERT_COLUMNS} | {("raised_at", MOMENT)}
    assert told == types(store[0], "alerts").items()


def test_an_alert_s_newest_revision_is_its_row(store: tuple[Client, ClickHouseSettings]) -> None:
    client, settings = store
    writer = Writer(client, settings)
    writer.insert_alerts([ALERT, ALERT.model_copy(update={"revision": 2})], LATER)
    writer.insert_alerts([ALERT.model_copy(update={"revision": 3, "status": "closed", "closed_at": AT})], LATER + DAY)
    rows = client.query(
        "SELECT revision, status, observed, p_value, `signals.aspect`, quotes, closed_at IS NULL FROM v_alerts"
    ).result_rows
    assert [tuple(row) for row in rows] == [(3, "closed", 9.0, 0.0001, ["", "battery"], ["muere rápido"], 0)]


def test_what_is_taken_off_the_aggregates_has_the_columns_that_they_are_made_of(
    store: tuple[Client, ClickHouseSettings],
) -> None:
    table, rows = types(store[0], "retractions"), types(store[0], "insights")
    assert dict(RETRACTION_COLUMNS).items() <= table.items()
    assert dict(RETRACTION_COLUMNS).items() <= rows.items()
    assert {(column.name, column.type) for column in EVENT_KEY_COLUMNS} <= types(store[0], "event_keys").items()


def test_every_materialized_view_fills_every_column_of_its_target(store: tuple[Client, ClickHouseSettings]) -> None:
    """ClickHouse matches them by name: a column that a view does not give would silently hold its default."""
    client = store[0]
    sql = (
        "SELECT name, extract(create_table_query, 'TO voxpop\\.(\\\\w+)') FROM system.tables"
        " WHERE database = 'voxpop' AND engine = 'MaterializedView'"
    )
    views = dict(tuple(row) for row in client.query(sql).result_rows)
    assert set(views.values()) == {
        "event_keys",
        "aspect_mentions",
        "sentiment_hourly",
        "aspects_daily",
        "judgements_daily",
        "topics_daily",
        "audit",
    }

    def plain(table: str) -> dict[str, str]:
        """Without what only says how values are kept or summed up."""
        kept = {name: type_.replace(WORD, TEXT) for name, type_ in types(client, table).items()}
        return {
            name: re.sub(r"^SimpleAggregateFunction\((?:max|sum), (.*)\)$", r"\1", type_)
            for name, type_ in kept.items()
        }

    for view, target in views.items():
        assert plain(view) == plain(target), view


def test_every_table_of_the_design_exists(store: tuple[Client, ClickHouseSettings]) -> None:
    rows = store[0].query("SELECT name FROM system.tables WHERE database = 'voxpop'").result_rows
    assert {name for (name,) in rows} >= TABLES


@pytest.mark.parametrize("view", STABLE)
def test_a_stable_view_keeps_its_columns_and_their_types(store: tuple[Client, ClickHouseSettings], view: str) -> None:
    actual = types(store[0], view)
    assert {name: actual.get(name) for name in STABLE[view]} == STABLE[view]
    assert set(actual) <= set(STABLE[view]), "a new column is stable too: add it to this test and to the README"


def test_rows_are_refused_once_the_lease_of_their_block_has_ended(store: tuple[Client, ClickHouseSettings]) -> None:
    client, settings = store
    ended = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(LeaseEnded):
        Writer(client, settings).insert_insights([INSIGHT], "late", ended)
    assert client.query("SELECT count() FROM insights WHERE lease_until < now64(3)").result_rows == [(0,)]


def test_every_field_of_an_insight_is_read_back_as_it_was_written(store: tuple[Client, ClickHouseSettings]) -> None:
    client, settings = store
    assert {name for name, field in Insight.model_fields.items() if getattr(INSIGHT, name) == field.default} == set()
    Writer(client, settings).insert_insights([INSIGHT], "one", LATER)
    result = client.query("SELECT * FROM insights", query_tz="UTC")
    row = dict(zip(result.column_names, next(iter(result.result_rows)), strict=True))
    mentions = [
        AspectMention(aspect=a, sentiment=s, confidence=c, evidence=Evidence(start=i, end=j))
        for a, s, c, i, j in zip(
            *(row.pop(f"aspects.{part}") for part in ("aspect", "sentiment", "confidence", "start", "end")), strict=True
        )
    ]
    assert row.pop("lease_until").replace(tzinfo=UTC) == LATER.replace(microsecond=LATER.microsecond // 1000 * 1000)
    assert row.pop("judged") == 0
    sentiment = Sentiment(
        label=row.pop("sentiment"), score=row.pop("sentiment_score"), confidence=row.pop("sentiment_confidence")
    )
    moments = {name: row.pop(name).replace(tzinfo=UTC) for name in ("event_time", "ingested_at")}
    assert Insight(aspects=tuple(mentions), sentiment=sentiment, **moments, **row) == INSIGHT
    quoted = client.query("SELECT aspect, evidence FROM aspect_mentions ORDER BY start").result_rows
    assert [tuple(mention) for mention in quoted] == [
        ("sound", "sonido es genial 🎧"),
        ("battery", "la batería muere rápido"),
    ]


@pytest.mark.parametrize("value", [bytes(range(256)), b"", None])
def test_a_dead_letter_keeps_its_bytes(store: tuple[Client, ClickHouseSettings], value: bytes | None) -> None:
    client, settings = store
    failed_at = datetime.now(UTC).replace(microsecond=0)  # an older one the table's own time to live would take
    offset = 0 if value is None else 1 + len(value)
    letter = DeadLetter(
        position=Position(topic="voxpop.reviews", topic_id="an-id", partition=1, offset=offset),
        key=value,
        value=value,
        headers=(("trace", bytes(range(256))), ("trace", b"")),
        reason=Reason.BAD_UTF8,
        sentence="byte 128 is not UTF-8",
        failed_at=failed_at,
    )
    Writer(client, settings).insert_dead_letters([letter], f"letter {value!r}", LATER)
    stored = next(s for s in Reader(client, settings).dead_letters() if s.offset == offset)
    assert (stored.key, stored.value, tuple(stored.headers)) == (letter.key, letter.value, letter.headers)
    assert (stored.topic, stored.topic_id, stored.partition) == ("voxpop.reviews", "an-id", 1)
    assert (stored.reason, stored.sentence) == ("bad_utf8", letter.sentence)
    assert stored.failed_at.replace(tzinfo=UTC) == failed_at
