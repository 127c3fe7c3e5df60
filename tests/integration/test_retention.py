"""What a source may not be kept of any longer goes from every table, its figures stay, nothing comes back, whoever dies."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.insights import Position
from tests.by_hand import (
    RememberingProducer,
    Rows,
    block,
    empty,
    process,
    processor,
    review,
    text_of,
)
from tests.integration.conftest import Voxpop
from tests.integration.test_erase import by_event, everything, nothing
from tests.integration.test_reprocess import NEWER, dying_at
from tests.integration.test_reprocess import run as reprocess_run
from workers import erase as erase_module
from workers import retention as retention_module
from workers.commands.doctor import CHECKS
from workers.embedded.clickhouse import embedded_clickhouse
from workers.erase import Finished
from workers.errors import VoxpopError
from workers.failpoints import RETENTION_FAILPOINTS
from workers.retention import Removed, Retention, ends_at
from workers.settings import ClickHouseSettings, PrivacySettings, RetentionSettings, Settings
from workers.stack import Stack
from workers.store import expiry as expiry_module
from workers.store import pages as pages_module
from workers.store.connect import connect
from workers.store.expiry import Expiry
from workers.store.migrate import migrate
from workers.store.pages import Pages
from workers.store.purge import Purge
from workers.store.query import Reader
from workers.store.recount import differing
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.blocks import now_s

GOES, STAYS = "forum", "survey"
COUNT = 8
AUTHOR, WORD = "somebody-of-forum", "quokkaphone"
AGGREGATES = ("sentiment_hourly", "aspects_daily", "judgements_daily")
FORUM = [f"f-{n}" for n in range(COUNT)]
SURVEY = [f"s-{n}" for n in range(COUNT)]


@pytest.fixture
def settings(migrated: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Over empty tables. No wait for leases and claims: workers here are done or stand still."""
    empty(migrated)
    monkeypatch.setattr(pages_module, "CLAIM_S", 1.0)
    monkeypatch.setattr(pages_module, "GRACE_S", 0.2)
    monkeypatch.setattr(retention_module, "CLAIM_S", 0.0)
    monkeypatch.setattr(retention_module, "GRACE_S", 0.0)
    monkeypatch.setattr(erase_module, "GRACE_S", 0.0)
    return migrated.model_copy(update={"retention": RetentionSettings(sources={GOES: 7})})


def event(number: int, source: str, **changes: Any) -> bytes:
    """A review of a source, which says what no other source's says."""
    told = json.loads(review(number, f"{text_of(number)} {WORD if source == GOES else 'whatever'} {number}"))
    named = {
        "id": f"{source[0]}-{number}",
        "source": source,
        "author": f"somebody-of-{source}",
        "title": f"of {source}",
    }
    return json.dumps(told | named | {"url": f"https://{source}.example/{number}"} | changes).encode()


def both(settings: Settings) -> None:
    """Two sources' reviews in one block, and what else tells of them."""
    values = {n: event(n, GOES) for n in range(COUNT)} | {COUNT + n: event(n, STAYS) for n in range(COUNT)}
    process(settings, block(0, 2 * COUNT, values))


def run(settings: Settings, days_on: float, finished: Finished = everything) -> Removed:
    """As it would be so many days from now."""
    client = connect(settings.clickhouse)
    reader, writer = Reader(client, settings.clickhouse), Writer(client, settings.clickhouse)
    clock = ServerClock(client, settings.clickhouse, now_s)
    expiry = Expiry(reader, writer)
    applied = Retention(expiry, Pages(reader, writer, clock, settings.clickhouse), clock, finished, lease_s=0)
    ends = ends_at(settings, expiry.sources(), datetime.now(UTC) + timedelta(days=days_on))
    due = applied.due(ends)
    removed = applied.apply(ends, lambda _: None)
    if finished is everything:
        assert {s: n["insights"] for s, n in due.items() if s} == {
            s: n["insights"] for s, n in removed.rows.items() if s
        }
    return removed


def test_doctor_says_what_nobody_removed_in_time(settings: Settings) -> None:
    assert "no text of 0 sources" in CHECKS["retention"](settings)
    both(settings)
    assert "no text of 1 sources" in CHECKS["retention"](settings)
    long_ago = (
        "ALTER TABLE insights UPDATE ingested_at = ingested_at - INTERVAL {days:UInt8} DAY WHERE source = 'forum'"
    )
    with connect(settings.clickhouse) as client:
        client.command(long_ago, parameters={"days": 8}, settings={"mutations_sync": 2})
        CHECKS["retention"](settings)
        client.command(long_ago, parameters={"days": 2}, settings={"mutations_sync": 2})
        with pytest.raises(VoxpopError, match=rf"\({GOES} {COUNT}\); run every night: voxpop retention --apply"):
            CHECKS["retention"](settings)
    kept = settings.model_copy(update={"retention": RetentionSettings(sources={GOES: None})})
    assert CHECKS["retention"](kept) == "no days are set, so texts are kept"


def everything_kept(rows: Rows) -> dict[str, str]:
    """Every table's rows as they are read, but those of aggregates and of what is noted about sources alone."""
    tables = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')"
        " AND name NOT IN ('schema_migrations', 'retention', 'topics_daily')"
    )
    named = [table for (table,) in rows.select(tables) if table not in AGGREGATES]
    return {table: str(rows.select(f"SELECT * FROM {table} ORDER BY ALL")) for table in named}


def sums(rows: Rows) -> list[Any]:
    return [rows.select(f"SELECT * FROM {table} FINAL ORDER BY ALL") for table in AGGREGATES]


def tell_of(settings: Settings, source: str) -> None:
    """A correction, a headline's note, a second opinion, a digest, a brief, an alert and a dead letter of a source."""
    one = f"{source[0]}-1"
    with connect(settings.clickhouse) as client:
        for sql in (
            f"INSERT INTO feedback (source, event_id, old_label) VALUES ('{source}', '{one}', 'neutral')",
            f"INSERT INTO headlines (source, event_id) VALUES ('{source}', '{one}')",
            "INSERT INTO escalations (call, revision, asked_at, source, event_id, model, calls, cost, outcome)"
            f" VALUES ('{one} asked', 1, now64(3), '{source}', '{one}', 'big', 1, 0.5, 'changed')",
            "INSERT INTO digests (product, window_start, sentences, citations, cited_sources, created_at)"
            f" VALUES ('of {one}', '2026-06-01', ['it says'], [['{one}']], [['{source}']], now64(3))",
            "INSERT INTO briefs (week, sentences, citations, cited_sources, created_at, window_end)"
            f" VALUES ('of {one}', ['it says'], [['{one}']], [['{source}']], now64(3), now())",
            "INSERT INTO alerts (alert_id, product, event_ids, sources, quotes, raised_at)"
            f" VALUES ('of {one}', 'p', ['{one}', 'another'], ['{source}', 'elsewhere'], ['said {source}', 'kept'],"
            " now64(3))",
            "INSERT INTO dead_letters (topic, value, failed_at)"
            f" VALUES ('t', '{json.dumps({'source': source, 'text': f'{source} broken'})}', now64(3))",
        ):
            client.command(sql)


# --- what goes and what stays ------------------------------------------------------------------------------------------


def test_nothing_of_a_source_is_left_after_its_time_and_another_s_is_untouched(settings: Settings, rows: Rows) -> None:
    both(settings)
    reprocess_run(settings, judge=NEWER)  # retractions name events, too
    tell_of(settings, GOES)
    tell_of(settings, STAYS)
    before, figures = everything_kept(rows), sums(rows)
    assert any(WORD in kept for kept in before.values())
    survey = f"SELECT * FROM {{}} WHERE source = '{STAYS}' ORDER BY ALL"
    of_survey = [rows.select(survey.format(table)) for table in ("insights", "event_keys")]
    removed = run(settings, days_on=40)
    assert removed.left == 0
    assert (removed.rows[GOES]["insights"], removed.rows[""]["dead_letters"]) == (COUNT, 2)  # bytes end after 14 days
    for table, kept in everything_kept(rows).items():
        for told in (GOES, WORD, *map(repr, FORUM)):
            assert told not in kept, (table, told)
    assert of_survey == [rows.select(survey.format(table)) for table in ("insights", "event_keys")]
    for table in ("feedback", "headlines", "digests", "briefs"):
        assert rows.count(table) == 1, table
    assert sums(rows) == figures


def test_what_calls_cost_and_an_alert_s_other_quotations_stay(settings: Settings, rows: Rows) -> None:
    both(settings)
    tell_of(settings, GOES)
    run(settings, days_on=8)
    run(settings, days_on=8)
    assert rows.select("SELECT source, event_id, calls, cost, outcome FROM escalations FINAL") == [
        ("", "", 1, 0.5, "changed")
    ]
    assert rows.select("SELECT event_ids, sources, quotes FROM alerts") == [(["another"], ["elsewhere"], ["kept"])]


def test_before_its_time_nothing_goes(settings: Settings, rows: Rows) -> None:
    both(settings)
    tell_of(settings, GOES)
    before = everything_kept(rows)
    removed = run(settings, days_on=6.9)
    assert not any(removed.total().values())
    assert everything_kept(rows) == before
    assert rows.count("retention") == 0


def test_a_shorter_time_takes_effect_on_what_is_stored_and_a_source_s_own_counts_before_the_default(
    settings: Settings, rows: Rows
) -> None:
    both(settings)
    longer = settings.model_copy(update={"retention": RetentionSettings(days=100, sources={GOES: 50})})
    run(longer, days_on=40)
    assert rows.count() == 2 * COUNT
    kept_for_ever = settings.model_copy(update={"retention": RetentionSettings(days=3, sources={GOES: None})})
    run(kept_for_ever, days_on=40)
    assert rows.select("SELECT DISTINCT source FROM insights") == [(GOES,)]
    run(settings, days_on=40)
    assert rows.count() == 0


def test_more_than_one_slice_goes_too(settings: Settings, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in range(COUNT):  # each of a moment of its own
        process(settings, block(first, first + 1, {first: event(first, GOES)}))
    passed: list[str] = []
    monkeypatch.setattr(retention_module, "failpoint", passed.append)
    monkeypatch.setattr(expiry_module, "SLICE_ROWS", 3)
    assert run(settings, days_on=8).rows[GOES]["insights"] == COUNT
    assert passed.count("retention-removed") == 3
    assert (rows.count(), rows.count("aspect_mentions")) == (0, 0)


def test_dead_letters_end_with_their_source_and_all_with_the_days_of_dead_letters(
    settings: Settings, rows: Rows
) -> None:
    short = settings.model_copy(update={"privacy": PrivacySettings(dead_letter_days=10)})
    values = (json.dumps({"source": GOES}), json.dumps({"source": STAYS}), "{broken")
    with connect(settings.clickhouse) as client:
        for offset, value in enumerate(values):
            client.command(
                f"INSERT INTO dead_letters (topic, offset, value, failed_at) VALUES ('t', {offset}, '{value}', now64(3))"
            )
    run(short, days_on=8)
    assert rows.select("SELECT offset FROM dead_letters ORDER BY 1") == [(1,), (2,)]
    run(short, days_on=11)
    assert rows.count("dead_letters") == 0


def test_a_day_s_sum_of_few_topic_vectors_is_made_anew_and_of_many_stays(settings: Settings, rows: Rows) -> None:
    many = [{"id": f"m-{n}", "created_at": "2026-05-05T10:00:00Z"} for n in range(expiry_module.FEW_TEXTS)]
    few = [{"id": f"w-{n}", "created_at": "2026-05-06T10:00:00Z"} for n in range(3)]
    values = {n: event(n, GOES, **changes) for n, changes in enumerate(many + few)}
    kept = {len(values): event(50, STAYS, created_at="2026-05-06T11:00:00Z")}
    process(settings, block(0, len(values) + 1, values | kept))
    daily = (
        "SELECT toString(day), sum(t.texts), sumForEachMerge(t.vectors)[1] FROM topics_daily AS t"
        " GROUP BY day ORDER BY day"
    )
    assert [texts for _, texts, _ in rows.select(daily)] == [len(many), 4]
    run(settings, days_on=8)
    assert rows.select(daily) == [("2026-05-05", len(many), len(many)), ("2026-05-06", 1, 1)]


def test_sums_of_days_without_texts_go_after_a_time_of_their_own(settings: Settings, rows: Rows) -> None:
    both(settings)
    ends = settings.model_copy(update={"retention": RetentionSettings(sources={GOES: 7}, aggregates_days=7)})
    run(ends, days_on=300)  # every text's day is long ago by then
    left = rows.select("SELECT DISTINCT toDate(hour) FROM sentiment_hourly ORDER BY 1")
    assert left == rows.select("SELECT DISTINCT toDate(event_time) FROM insights ORDER BY 1") != []
    run(ends.model_copy(update={"retention": RetentionSettings(days=7, aggregates_days=7)}), days_on=300)
    assert [rows.count(table) for table in (*AGGREGATES, "topics_daily")] == [0, 0, 0, 0]


# --- nothing comes back, nothing counts twice --------------------------------------------------------------------------


def test_what_is_sent_again_or_changed_within_the_window_does_not_come_back(settings: Settings, rows: Rows) -> None:
    both(settings)
    figures = sums(rows)
    run(settings, days_on=8)
    again = process(settings, block(50, 50 + COUNT, {50 + n: event(n, GOES) for n in range(COUNT)}))
    changed = process(settings, block(70, 71, {70: event(1, GOES, text="I hate it, having thought again")}))
    assert again.sent == changed.sent == []
    assert rows.select("SELECT DISTINCT source FROM insights") == [(STAYS,)]
    assert sums(rows) == figures
    update = process(settings, block(80, 81, {80: event(1, STAYS, text="I love the price now")}))
    assert len(update.sent) == 1  # another source's texts are changed as ever
    new = process(settings, block(90, 91, {90: event(99, GOES)}))
    assert len(new.sent) == 1


def test_after_time_and_window_what_is_sent_again_is_a_new_text(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, 1, {0: event(1, GOES)}))
    run(settings, days_on=40)
    assert rows.count("event_keys") == 0
    process(settings, block(5, 6, {5: event(1, GOES)}))
    assert rows.select("SELECT event_id, offset FROM insights") == [("f-1", 5)]


def test_a_block_whose_end_nobody_knows_keeps_its_rows_and_its_repetition_counts_once(
    settings: Settings, rows: Rows
) -> None:
    both(settings)
    figures = sums(rows)
    removed = run(settings, days_on=40, finished=nothing)
    assert (removed.left, rows.count()) == (COUNT, 2 * COUNT)
    values = {n: event(n, GOES) for n in range(COUNT)} | {COUNT + n: event(n, STAYS) for n in range(COUNT)}
    process(settings, block(0, 2 * COUNT, values, repeated=True))
    assert sums(rows) == figures
    assert run(settings, days_on=40).left == 0
    assert rows.count() == COUNT


def test_an_update_in_hand_keeps_its_event_until_it_is_done(settings: Settings, rows: Rows) -> None:
    both(settings)
    with connect(settings.clickhouse) as client:
        client.command(
            "INSERT INTO claims (source, event_id, topic, topic_id, partition, offset)"
            f" VALUES ('{GOES}', 'f-1', 'reviews', 'topic-id', 0, 70)"
        )

    def all_but_the_update(positions: Any) -> set[Position]:
        return {position for position in positions if position.offset != 70}

    assert run(settings, days_on=8, finished=all_but_the_update).left == 1
    assert rows.select(f"SELECT event_id FROM insights WHERE source = '{GOES}'") == [("f-1",)]
    assert run(settings, days_on=8).left == 0


def test_an_update_that_came_to_its_claim_before_is_turned_away(settings: Settings, rows: Rows) -> None:
    both(settings)
    figures = sums(rows)
    producer = RememberingProducer()
    late = processor(settings, producer)
    claims = late._pages.claim_updates

    def claim_when_all_is_gone(updates: Any) -> None:
        run(settings, days_on=8)
        claims(updates)

    late._pages.claim_updates = claim_when_all_is_gone  # type: ignore[method-assign]
    late.process([block(70, 71, {70: event(1, GOES, text="I hate it, having thought again")})])
    assert producer.sent == []
    assert rows.select(f"SELECT event_id FROM insights WHERE source = '{GOES}'") == []
    assert sums(rows) == figures


def test_nobody_judges_again_what_is_about_to_go_and_a_staged_page_is_written_first(
    settings: Settings, rows: Rows
) -> None:
    both(settings)
    with dying_at("page-staged"):
        reprocess_run(settings, judge=NEWER)
    assert rows.count("pages") > 0
    assert run(settings, days_on=8).left == 0
    assert rows.count("pages") == 0
    said = "SELECT source, event_id, pack_version, judged FROM insights ORDER BY ALL"
    before = rows.select(said)
    assert {(source, version) for source, _, version, _ in before} >= {(STAYS, "1")}
    with connect(settings.clickhouse) as client:  # noted, not yet removed
        Writer(client, settings.clickhouse).insert_removed_until({STAYS: datetime.now(UTC) + timedelta(days=1)})
    reprocess_run(settings, judge=NEWER)
    assert rows.select(said) == before
    assert len(before) == COUNT
    assert rows.select("SELECT sum(texts) FROM sentiment_hourly") == [(2 * COUNT,)]


@pytest.mark.parametrize("place", RETENTION_FAILPOINTS)
def test_a_run_that_dies_is_ended_by_the_next(settings: Settings, rows: Rows, place: str) -> None:
    both(settings)
    tell_of(settings, GOES)
    figures = sums(rows)
    with dying_at(place):
        run(settings, days_on=40)
    assert run(settings, days_on=40).left == 0
    for table, kept in everything_kept(rows).items():
        assert WORD not in kept, table
        assert not any(repr(each) in kept for each in FORUM), table
    assert rows.select("SELECT sum(cost) FROM v_escalations") == [(0.5,)]
    assert sums(rows) == figures


def test_erasing_after_it_and_recounting_beside_it_go_on(settings: Settings, rows: Rows) -> None:
    both(settings)
    ahead = [(datetime.now(UTC) - timedelta(days=days)).isoformat() for days in (0, 0, 9)]
    process(settings, block(30, 33, {30 + n: event(30 + n, STAYS, created_at=when) for n, when in enumerate(ahead)}))
    with connect(settings.clickhouse) as client:
        writer, reader = Writer(client, settings.clickhouse), Reader(client, settings.clickhouse)
        run(settings, days_on=4)
        assert not any(differing(reader).values())
        writer.insert_removed_until({GOES: datetime.now(UTC) - timedelta(days=3)})
        writer.delete(f"DELETE FROM insights WHERE source = '{GOES}'", {})
        writer.delete(f"DELETE FROM aspect_mentions WHERE source = '{GOES}'", {})
        assert not any(differing(reader).values())  # those days are left out
        writer.delete("DELETE FROM insights WHERE event_id = 's-30'", {})
        assert differing(reader)["sentiment_hourly"]  # of today every text is counted
        assert by_event(settings, "s-31").left == 0


def test_the_bytes_leave_the_disk_with_a_merge(settings: Settings, tmp_path: Path) -> None:
    """On a server of its own: one whose tables were truncated keeps the patch parts of before."""
    on_the_disk = (
        "SELECT sum(rows) FROM system.parts WHERE database = currentDatabase() AND table = 'insights' AND active"
        " AND NOT startsWith(partition_id, 'patch-')"
    )
    with embedded_clickhouse(tmp_path) as server:
        fresh = settings.model_copy(update={"clickhouse": ClickHouseSettings(port=server.port)})
        migrate(fresh)
        both(fresh)
        run(fresh, days_on=40)
        rows = Rows(fresh)
        assert (rows.count(), rows.select(on_the_disk)) == (COUNT, [(2 * COUNT,)])
        with connect(fresh.clickhouse) as client:
            assert Purge(Reader(client, fresh.clickhouse), Writer(client, fresh.clickhouse)).run() > 0
        assert (rows.count(), rows.select(on_the_disk)) == (COUNT, [(COUNT,)])


# --- the command -------------------------------------------------------------------------------------------------------


def test_the_command_tells_what_is_due_and_is_on_the_record_when_it_removed_it(
    sample: Stack, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    asked = environment | {"VOXPOP_RETENTION__SOURCES": '{"nobody": 1}', "VOXPOP_RETENTION__DAYS": "1"}
    told = voxpop("retention", "--json", environment=asked)
    assert told.returncode == 0, told.stderr
    first = json.loads(told.stdout)
    assert (first["applied"], first["left"]) == (False, 0)
    assert not any(rows["insights"] for source, rows in first["sources"].items() if source)
    done = voxpop("retention", "--apply", environment=asked)
    assert done.returncode == 0, done.stderr
    assert "removed" in done.stdout
    noted = voxpop("audit", "--action", "retention", "--json", environment=asked)
    details = json.loads(noted.stdout.splitlines()[0])["details"]
    assert (details["days"], details["sources"], details["left"]) == ("1", '{"nobody": 1}', "0")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DAYS", "0", "setting retention.days: Input should be greater than or equal to 1"),
        ("SOURCES", '{"x": -3}', "setting retention.sources.x: Input should be greater than or equal to 1"),
        ("SOURCES", '{"": 3}', "setting retention.sources: Value error, a source has a name"),
        ("SOURCES", "x=3", "a VOXPOP_ variable cannot be read"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(voxpop: Voxpop, variable: str, value: str, said: str) -> None:
    failed = voxpop("retention", environment={f"VOXPOP_RETENTION__{variable}": value})
    assert failed.returncode == 2
    assert failed.stderr.startswith(f"voxpop: {said}")
    assert len(failed.stderr.strip().splitlines()) == 1
