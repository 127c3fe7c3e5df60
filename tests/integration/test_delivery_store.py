"""Exactly once in ClickHouse: whatever is repeated, cut off or restarted, rows and aggregates are those of one insert."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from schemas.insights import Insight
from tests.by_hand import (
    WINDOW,
    RememberingProducer,
    Rows,
    block,
    crash_after,
    process,
    processor,
    retract_what_never_was,
    review,
    text_of,
)
from workers import metrics
from workers.chaos.proxy import Fault, FaultKind, FaultProxy
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.settings import Settings
from workers.store.connect import StoreRefused, connect
from workers.store.migrate import shipped_migrations


@pytest.mark.parametrize("kind", [FaultKind.TOO_MANY_PARTS, FaultKind.TOO_MANY_PARTS_AFTER])
def test_too_many_parts_however_often_is_one_insert(settings: Settings, rows: Rows, kind: FaultKind) -> None:
    with FaultProxy("127.0.0.1", settings.clickhouse.port) as proxy:
        behind = settings.clickhouse.model_copy(update={"port": proxy.port})
        for _ in range(12):
            proxy.once(Fault(kind, inserts_only=True))
        process(settings.model_copy(update={"clickhouse": behind}), block(0, 30))
        assert proxy.counts[kind] == 12
    rows.assert_are_reviews(range(30))


@pytest.mark.parametrize("written", [(6,), (7, 8)])
def test_a_block_of_which_only_some_months_were_written_is_completed(
    settings: Settings, rows: Rows, written: tuple[int, ...]
) -> None:
    """ClickHouse commits a part a month, then feeds the views: killed in between, it keeps some months and no aggregate."""
    views = [view for (view,) in rows.select("SELECT name FROM system.tables WHERE engine = 'MaterializedView'"
                                             " AND database = currentDatabase()")]  # fmt: skip
    some = {offset: review(offset) for offset in range(30) if 6 + offset % 3 in written}
    with connect(settings.clickhouse) as client:
        for view in views:
            client.command(f"DETACH TABLE {view}")
        process(settings, block(0, 30, some))
        for view in views:
            client.command(f"ATTACH TABLE {view}")
    assert (rows.count(), rows.count("sentiment_hourly")) == (len(some), 0)
    process(settings, block(0, 30, repeated=True))
    rows.assert_are_reviews(range(30))


def test_a_block_whose_views_failed_is_completed(settings: Settings, rows: Rows) -> None:
    with connect(settings.clickhouse) as client:
        client.command("DETACH TABLE aspects_daily")
        with pytest.raises(StoreRefused):
            process(settings, block(0, 30))
        client.command("ATTACH TABLE aspects_daily")
    process(settings, block(0, 30, repeated=True))
    rows.assert_are_reviews(range(30))


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_repeated_block_changes_nothing_after_clickhouse_was_restarted(
    server: EmbeddedClickHouse, settings: Settings, rows: Rows, end: str
) -> None:
    process(settings, block(0, 30))
    getattr(server, end)()
    server.start()
    process(settings, block(0, 30, repeated=True))
    rows.assert_are_reviews(range(30))
    update = {30: b"{broken", 31: review(3, "I hate the price now", product="Elsewhere", month=8)}
    process(settings, block(30, 32, update))
    getattr(server, end)()
    server.start()
    process(settings, block(30, 32, update, repeated=True))
    rows.assert_are({f"e-{n}": text_of(n) for n in range(30)} | {"e-3": "I hate the price now"}, {b"{broken": 1})


def test_no_migration_modifies_a_views_query() -> None:
    """Until its next start such a server recognises no block that the view had taken before that start (26.9)."""
    for migration in shipped_migrations():
        for statement in migration.statements(Settings()):
            assert "MODIFY QUERY" not in statement.upper(), migration.name


def test_a_block_repeated_after_its_token_may_be_forgotten_adds_only_what_is_missing(
    settings: Settings, rows: Rows
) -> None:
    """What a worker wrote that was to write the whole block; then others write more blocks than the window holds."""
    bad = {30: b"{broken", 31: review(31)}
    process(settings, block(0, 32, {n: review(n) for n in range(20)} | {30: bad[30]}))
    writing = processor(settings, RememberingProducer())
    for first in range(100, 100 + 2 * WINDOW, 2):
        writing.process([block(first, first + 2, {first: review(first, month=6)})])
    for _ in range(2):
        process(settings, block(0, 32, {n: review(n) for n in range(30)} | bad, repeated=True))
    numbers = [*range(30), 31, *range(100, 100 + 2 * WINDOW, 2)]
    assert rows.count() == len(numbers)
    others = {f"e-{n}": text_of(n) for n in numbers}
    rows.assert_are(others, {bad[30]: 1})


UPDATE_STEPS = ["insert_retractions", "insert_insights", "insert_superseded", "delete_versions"]


@pytest.mark.parametrize("step", UPDATE_STEPS)
def test_an_update_that_crashed_after_any_step_is_completed(settings: Settings, rows: Rows, step: str) -> None:
    """One changes the text, one the product, one the month."""
    new = {1: "I hate the sound now", 2: "I love the price now", 3: "I know the battery now"}
    values = {12: review(1, new[1]), 13: review(13), 14: review(2, new[2], product="Another")}
    values |= {15: review(3, new[3], month=8)}
    process(settings, block(0, 12))
    crash_after(settings, block(12, 16, values), step)
    for _ in range(2):
        process(settings, block(12, 16, values, repeated=True))
    rows.assert_are({f"e-{n}": text_of(n) for n in (*range(12), 13)} | {f"e-{n}": new[n] for n in new})


@pytest.fixture
def madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock on the wall is not UTC's."""
    monkeypatch.setenv("TZ", "Europe/Madrid")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("madrid")
def test_updates_at_the_edges_of_months_take_their_place_also_where_the_clock_is_not_utc(
    settings: Settings, rows: Rows
) -> None:
    edges = ("2026-06-30T22:30:00Z", "2026-06-30T23:59:59.999Z", "2026-07-01T00:00:00Z", "2026-07-01T01:00:00+02:00")
    old = {n: at(review(n), edge) for n, edge in enumerate(edges)}
    new = {4 + n: at(review(n, f"I hate the price, version {n}"), edge) for n, edge in enumerate(edges)}
    process(settings, block(0, 4, old), block(4, 8, new))
    rows.assert_are({f"e-{n}": f"I hate the price, version {n}" for n in range(4)})


def at(event: bytes, moment: str) -> bytes:
    """The event at another time."""
    return json.dumps(json.loads(event) | {"created_at": moment}).encode()


@pytest.mark.parametrize("step", ["insert_retractions", "insert_insights"])
def test_an_update_that_crashed_takes_nothing_off_twice_after_its_token_may_be_forgotten(
    settings: Settings, rows: Rows, step: str
) -> None:
    values = {5: review(1, "I hate the sound now", month=8), 6: review(6)}
    process(settings, block(0, 5))
    crash_after(settings, block(5, 7, values), step)
    retract_what_never_was(settings, parts=120)
    for _ in range(2):
        process(settings, block(5, 7, values, repeated=True))
    rows.assert_are({f"e-{n}": text_of(n) for n in (0, 2, 3, 4, 6)} | {"e-1": "I hate the sound now"})


def test_an_update_in_another_partition_outlives_the_repetition_of_what_it_replaced(
    settings: Settings, rows: Rows
) -> None:
    """An update that changes the product changes the key, so it may overtake a block that is still in doubt."""
    process(settings, block(0, 5))
    elsewhere = replace(block(0, 1, {0: review(3, "I hate the price now", product="Elsewhere")}), partition=1)
    process(settings, elsewhere)
    process(settings, block(0, 5, repeated=True), replace(elsewhere, repeated=True))
    rows.assert_are({f"e-{n}": text_of(n) for n in range(5)} | {"e-3": "I hate the price now"})


def test_an_insert_that_crashed_before_its_dead_letters_is_completed(settings: Settings, rows: Rows) -> None:
    values = {0: review(0), 1: b"{broken", 2: review(2)}
    crash_after(settings, block(0, 3, values), "insert_insights")
    for _ in range(2):
        process(settings, block(0, 3, values, repeated=True))
    rows.assert_are({"e-0": text_of(0), "e-2": text_of(2)}, {b"{broken": 1})


def test_a_version_that_came_before_is_a_resend_also_when_a_newer_one_has_replaced_it(
    settings: Settings, rows: Rows
) -> None:
    first, second = review(0), review(0, "I hate the sound now")
    resends, updates = metrics.RESENDS.labels("reviews"), metrics.UPDATES.labels("reviews")
    before = resends._value.get(), updates._value.get()
    process(settings, block(0, 1, {0: first}), block(1, 2, {1: second}), block(2, 3, {2: first}))
    process(settings, block(3, 5, {3: second, 4: first}), block(2, 3, {2: first}, repeated=True))
    rows.assert_are({"e-0": "I hate the sound now"})
    assert (resends._value.get() - before[0], updates._value.get() - before[1]) == (4, 1)


def test_resends_and_updates_inside_one_block_leave_the_newest_version(settings: Settings, rows: Rows) -> None:
    versions = [
        review(0),
        review(0),
        review(0, "I hate the price"),
        review(1),
        review(0),
        review(0, "I love the sound"),
    ]
    whole = dict(enumerate(versions))
    resends, updates = metrics.RESENDS.labels("reviews"), metrics.UPDATES.labels("reviews")
    before = resends._value.get(), updates._value.get()
    process(settings, block(0, 6, whole))
    assert (resends._value.get() - before[0], updates._value.get() - before[1]) == (2, 2)
    process(settings, block(0, 6, whole, repeated=True), block(6, 8, {6: review(0), 7: versions[2]}))
    rows.assert_are({"e-0": "I love the sound", "e-1": text_of(1)})


def test_every_insight_is_produced_again_with_its_position_when_its_block_is_repeated(
    settings: Settings, rows: Rows
) -> None:
    crash_after(settings, block(0, 30), "insert_superseded")
    sent = [m for m in process(settings, block(0, 30, repeated=True)).sent if m.topic == settings.kafka.insights_topic]
    insights = [Insight.model_validate_json(message.value or b"") for message in sent]
    positions = [f"{i.topic}:{i.partition}:{i.offset}".encode() for i in insights]
    assert [dict(message.headers)["voxpop-position"] for message in sent] == positions
    assert sorted(rows.select("SELECT offset FROM insights")) == sorted((i.offset,) for i in insights)
