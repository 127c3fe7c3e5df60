"""Stored texts are judged again: rows and aggregates follow, and each event counts once, whoever dies or meddles."""

import json
import re
import shutil
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest

from dashboards.quality_statements import throughput
from schemas.insights import Position
from tests.by_hand import (
    SOURCE,
    WINDOW,
    HandWorker,
    RememberingProducer,
    Rows,
    WordJudge,
    block,
    crash_after,
    empty,
    process,
    processor,
    retract_what_never_was,
    review,
    text_of,
    wait_until,
)
from tests.integration.conftest import Voxpop
from workers import failpoints, metrics, reprocess
from workers.analyze.judge import Judge
from workers.failpoints import PAGE_FAILPOINTS, Fault
from workers.reprocess import Finished, Reprocess, Tally
from workers.settings import Settings
from workers.slm.packs import read_card, write_card
from workers.stack import Stack
from workers.store import pages as pages_module
from workers.store.connect import connect
from workers.store.pages import Pages
from workers.store.query import Reader
from workers.store.recount import RECOUNTS
from workers.store.selection import PackVersion, RoutedTo, SelectedRows, Selection
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.finished import FinishedBlocks
from workers.stream.produce import Outgoing
from workers.stream.topics import ensure_topics

COUNT, PAGE = 12, 4  # a page a month
NEWER = WordJudge("2", {"know": "negative", "love": "neutral"}, re.compile("battery|colour|number"))
ALL = Selection(PackVersion("words", "2"), datetime(2000, 1, 1, tzinfo=UTC))
EVENTS = {f"e-{n}": text_of(n) for n in range(COUNT)}
UPDATED = {f"e-{n}": f"I love the sound and the colour now, {n}" for n in (0, 1, 2, 7)}
KEPT = (
    "topic, topic_id, partition, offset, event_id, content_hash, kind, source, product, text, title, rating, author, url,"
    " metadata, language, redactions, event_time, ingested_at"
)
WHAT_IS_KEPT = f"SELECT {KEPT} FROM insights ORDER BY topic, partition, offset"
WHAT_IS_SAID = (
    "SELECT event_id, text, pack_version, sentiment, sentiment_score, `aspects.aspect`, `aspects.start`, intents"
    " FROM insights ORDER BY ALL"
)


@pytest.fixture
def settings(migrated: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Over empty tables; pages are small, and a claim of one that died soon ends."""
    empty(migrated)
    monkeypatch.setattr(reprocess, "PAGE_ROWS", PAGE)
    monkeypatch.setattr(reprocess, "STEP_BACK_S", 0.2)
    monkeypatch.setattr(pages_module, "CLAIM_S", 1.0)
    monkeypatch.setattr(pages_module, "GRACE_S", 0.2)
    return migrated


def everything(positions: Collection[Position]) -> set[Position]:
    """Every block is finished."""
    return set(positions)


def below(offset: int) -> Finished:
    """Blocks are finished up to an offset."""
    return lambda positions: {position for position in positions if position.offset < offset}


def reprocessing(
    settings: Settings, finished: Finished = everything, judge: WordJudge = NEWER, selection: Selection = ALL
) -> Reprocess:
    """A run over real connections of its own, that does not wait for what is in other hands."""
    client = connect(settings.clickhouse)
    reader, writer = Reader(client, settings.clickhouse), Writer(client, settings.clickhouse)
    pages = Pages(reader, writer, ServerClock(client, settings.clickhouse, now_s), settings.clickhouse)
    return Reprocess(SelectedRows(reader, selection), pages, cast(Judge, judge), finished, settle_s=0)


def run(settings: Settings, **how: Any) -> Tally:
    return reprocessing(settings, **how).run(lambda _: None)


@contextmanager
def dying_at(place: str, times: int = 1) -> Iterator[None]:
    """What passes this place for the so-manieth time dies there."""
    failpoints._armed.update(failpoints.read(f"{place}=raise@{times}"))
    try:
        with pytest.raises(Fault):
            yield
    finally:
        failpoints._armed.clear()


def update(event_id: str) -> bytes:
    """A new version of an event; for some in another month, or of another product."""
    number = int(event_id.removeprefix("e-"))
    product = "Another" if number == 1 else ""
    return review(number, UPDATED[event_id], product=product, month=7 if number == 2 else 0)


UPDATES = {COUNT + i: update(event_id) for i, event_id in enumerate(UPDATED)}
AFTER_UPDATES = EVENTS | UPDATED


def assert_judged_by_the_newer(
    rows: Rows, events: dict[str, str], others: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Every event once with every aggregate; each row but those of `others` says what the newer pack says of its text."""
    rows.assert_are({**events, **others})
    said = {event_id: (version, sentiment, aspects) for event_id, _, version, sentiment, _, aspects, *_ in
            rows.select(WHAT_IS_SAID)}  # fmt: skip
    for event_id, text in events.items():
        analysis = NEWER._analysis(text)
        assert said[event_id] == ("2", analysis.sentiment.label, [a.aspect for a in analysis.aspects]), event_id
    assert rows.count("pages") == 0


# --- rows and aggregates -----------------------------------------------------------------------------------------------


def test_rows_and_every_aggregate_follow_and_the_event_stays_as_it_was(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    kept, daily = rows.select(WHAT_IS_KEPT), rows.select("SELECT * FROM v_product_daily ORDER BY ALL")
    seen: list[tuple[int, int]] = []
    tally = reprocessing(settings).run(lambda t: seen.append((t.done, t.total)))
    assert (tally.total, tally.done, tally.rejudged, tally.left, tally.unjudged) == (COUNT, COUNT, COUNT, 0, 0)
    assert seen == [(done, COUNT) for done in range(PAGE, COUNT + 1, PAGE)]
    assert_judged_by_the_newer(rows, EVENTS)
    assert rows.select(WHAT_IS_KEPT) == kept
    assert rows.select("SELECT DISTINCT topic_vector = [2, length(text)] FROM insights") == [(True,)]
    assert rows.select("SELECT * FROM v_product_daily ORDER BY ALL") != daily
    assert rows.select("SELECT DISTINCT evidence FROM aspect_mentions ORDER BY 1") == [
        ("battery",),
        ("colour",),
        ("number",),
    ]


def test_an_event_that_was_judged_again_has_still_come_in_once(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    run(settings)
    statement = throughput(60)
    minutes = rows.reader.select(statement.sql, parameters=statement.parameters).result_rows
    assert sum(events for _, events in minutes) == COUNT < rows.count("event_keys")


def test_a_second_run_finds_nothing_to_do(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    run(settings)
    before = rows.select("SELECT * FROM insights ORDER BY ALL")
    retracted = rows.count("retractions")
    assert run(settings) == Tally()
    assert (rows.select("SELECT * FROM insights ORDER BY ALL"), rows.count("retractions")) == (before, retracted)


def test_back_and_forth_between_two_packs_counts_once(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    said = rows.select(WHAT_IS_SAID)
    older = replace(ALL, served=PackVersion("words", "1"))
    for _ in range(2):
        assert run(settings).rejudged == COUNT
        assert run(settings, judge=WordJudge(), selection=older).rejudged == COUNT
    rows.assert_are(EVENTS)
    assert rows.select(WHAT_IS_SAID) == said
    assert rows.select("SELECT DISTINCT judged FROM insights") == [(4,)]


def test_rows_are_judged_again_only_by_the_pack_that_their_route_names(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, 30))
    own = PackVersion("words", "1")  # who has judged all of them
    routes = [RoutedTo("Product 1", None, own), RoutedTo("Product 2", "elsewhere", own), RoutedTo(None, SOURCE, own)]

    def chosen(*some: RoutedTo, served: PackVersion = ALL.served) -> int:
        return sum(SelectedRows(rows.reader, replace(ALL, served=served, routes=some)).by_pack().values())

    assert chosen() == 30
    assert chosen(served=own) == 0
    assert chosen(routes[0]) == 24
    assert chosen(routes[1]) == 30
    assert chosen(routes[0]._replace(served=ALL.served), routes[2]) == 6


def test_rows_from_before_there_were_topic_vectors_get_one(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    run(settings)
    with connect(settings.clickhouse) as client:
        client.command("ALTER TABLE insights UPDATE topic_vector = [] WHERE offset < 3 SETTINGS mutations_sync = 1")
    assert run(settings).total == 0
    topical = replace(ALL, with_topics=[ALL.served])
    assert (run(settings, selection=topical).rejudged, run(settings, selection=topical).total) == (3, 0)
    assert_judged_by_the_newer(rows, EVENTS)
    assert rows.select("SELECT count() FROM insights WHERE empty(topic_vector)") == [(0,)]


def test_a_text_that_no_model_can_judge_keeps_its_row(settings: Settings, rows: Rows) -> None:
    class Stumbling(WordJudge):
        def judge_events(self, events: Any) -> Any:
            return [
                None if "number 3" in e.text else a for e, a in zip(events, super().judge_events(events), strict=True)
            ]

    process(settings, block(0, 6))
    tally = run(settings, judge=Stumbling("2"))
    assert (tally.rejudged, tally.unjudged) == (5, 1)
    rows.assert_are_reviews(range(6))
    assert rows.select("SELECT event_id FROM insights WHERE pack_version = '1'") == [("e-3",)]


# --- which rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("narrowed", "condition"),
    [
        ({"since": datetime(2026, 7, 5, 4, tzinfo=UTC)}, "event_time >= toDateTime64('2026-07-05 04:00:00', 3, 'UTC')"),
        ({"until": datetime(2026, 7, 5, 4, tzinfo=UTC)}, "event_time < toDateTime64('2026-07-05 04:00:00', 3, 'UTC')"),
        ({"product": "Product 3"}, "product = 'Product 3'"),
        ({"source": "test"}, "source = 'test'"),
        ({"source": "elsewhere"}, "0"),
        ({"version_not": "1"}, "0"),
        ({"version_not": "3"}, "1"),
    ],
    ids=str,
)
def test_only_the_selected_rows_are_judged_again(
    settings: Settings, rows: Rows, narrowed: dict[str, Any], condition: str
) -> None:
    process(settings, block(0, COUNT))
    wanted = rows.select(f"SELECT event_id FROM insights WHERE {condition} ORDER BY 1")
    selection = replace(ALL, **narrowed)
    selected = SelectedRows(rows.reader, selection).by_pack()
    assert sum(selected.values()) == len(wanted)
    assert run(settings, selection=selection).rejudged == len(wanted)
    rows.assert_are(EVENTS)
    assert rows.select("SELECT event_id FROM insights WHERE pack_version = '2' ORDER BY 1") == wanted


# --- death at every step -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("place", PAGE_FAILPOINTS)
def test_a_run_that_died_anywhere_is_completed_by_the_next(
    settings: Settings, rows: Rows, place: str, times: int
) -> None:
    process(settings, block(0, COUNT))
    with dying_at(place, times):
        run(settings)
    tally = run(settings)
    assert_judged_by_the_newer(rows, EVENTS)
    assert rows.select("SELECT DISTINCT judged FROM insights") == [(1,)]
    assert tally.left == 0


@pytest.mark.parametrize("place", PAGE_FAILPOINTS[1:])
def test_a_page_completed_when_its_tokens_are_forgotten_counts_once(settings: Settings, rows: Rows, place: str) -> None:
    process(settings, block(0, COUNT))
    with dying_at(place, 2):
        run(settings)
    others = write_many_months(settings)
    run(settings, selection=replace(ALL, since=datetime(2026, 1, 1, tzinfo=UTC)))
    assert_judged_by_the_newer(rows, EVENTS, others)


def write_many_months(settings: Settings) -> dict[str, str]:
    """More parts, of rows and of retractions, than the tables remember. The events that they hold."""
    retract_what_never_was(settings, parts=WINDOW + 10)
    texts: dict[str, str] = {}
    values = {}
    for n in range(WINDOW + 10):
        event = json.loads(review(n, f"I love the price {n}", event_id=f"old-{n}"))
        event["created_at"] = f"{1990 + n // 12}-{1 + n % 12:02}-01T00:00:00Z"
        texts[event["id"]] = event["text"]
        values[1000 + n] = json.dumps(event).encode()
    process(settings, block(1000, 1000 + len(values), values))
    return texts


# --- workers beside it -------------------------------------------------------------------------------------------------


def test_a_resend_stays_a_resend_and_an_update_an_update(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    run(settings)
    resends, updates = metrics.RESENDS.labels("reviews"), metrics.UPDATES.labels("reviews")
    before = resends._value.get(), updates._value.get()
    process(settings, block(COUNT, COUNT + 4, UPDATES), block(20, 22, {20: review(5), 21: update("e-0")}))
    rows.assert_are(AFTER_UPDATES)
    assert (resends._value.get() - before[0], updates._value.get() - before[1]) == (2, 4)
    run(settings)
    assert_judged_by_the_newer(rows, AFTER_UPDATES)


@pytest.mark.parametrize("place", PAGE_FAILPOINTS)
def test_an_update_after_a_run_that_died_anywhere_finds_the_last_row(
    settings: Settings, rows: Rows, place: str
) -> None:
    process(settings, block(0, COUNT))
    with dying_at(place, 2):
        run(settings)
    process(settings, block(COUNT, COUNT + 4, UPDATES))
    staged = rows.select("SELECT DISTINCT event_id FROM pages")
    if not staged:  # else the rest of the page waits for the next run
        rows.assert_are(AFTER_UPDATES)
    process(settings, block(COUNT, COUNT + 4, UPDATES, repeated=True))
    run(settings)
    assert_judged_by_the_newer(rows, AFTER_UPDATES)


STEPS = ["insert_claims", "insert_retractions", "insert_insights", "insert_superseded", "delete_versions"]


@pytest.mark.parametrize("coordinator", ["knows", "has forgotten"])
@pytest.mark.parametrize("step", STEPS)
def test_a_run_while_an_update_is_in_doubt_leaves_its_events_alone(
    settings: Settings, rows: Rows, step: str, coordinator: str
) -> None:
    process(settings, block(0, COUNT))
    crash_after(settings, block(COUNT, COUNT + 4, UPDATES), step)
    tally = run(settings, finished=below(COUNT) if coordinator == "knows" else everything)
    assert (tally.left > 0) == (step != "delete_versions" or coordinator == "knows") or step == "insert_claims"
    for _ in range(2):
        process(settings, block(COUNT, COUNT + 4, UPDATES, repeated=True))
        rows.assert_are(AFTER_UPDATES)
    assert run(settings).left == 0
    assert_judged_by_the_newer(rows, AFTER_UPDATES)


@pytest.mark.parametrize("since", ["nothing", "many others", "the empty parts were merged"])
def test_a_block_in_doubt_that_is_repeated_neither_doubles_nor_brings_back_what_was_judged_again(
    settings: Settings, rows: Rows, since: str
) -> None:
    values = {n: review(n) for n in range(COUNT)} | {COUNT: b"{broken"}
    crash_after(settings, block(0, COUNT + 1, values), "insert_insights")
    others: dict[str, str] = {}
    assert run(settings).rejudged == COUNT
    if since == "many others":
        others = write_many_months(settings)
    if since == "the empty parts were merged":
        with connect(settings.clickhouse) as client:
            client.command("OPTIMIZE TABLE insights FINAL")
    for _ in range(2):
        process(settings, block(0, COUNT + 1, values, repeated=True))
    rows.assert_are(EVENTS | others, {b"{broken": 1})
    assert rows.select("SELECT count() FROM insights WHERE judged = 1") == [(COUNT,)]


def test_rows_of_a_block_in_doubt_are_left_until_it_is_finished(settings: Settings, rows: Rows) -> None:
    """Here the views lack what the block's repetition adds: ClickHouse died after it had written the rows."""
    process(settings, block(0, 8))
    views = ("mv_sentiment_hourly", "mv_aspects_daily", "mv_aspect_mentions", "mv_event_keys")
    with connect(settings.clickhouse) as client:
        for view in views:
            client.command(f"DETACH TABLE {view}")
        process(settings, block(8, COUNT))
        for view in views:
            client.command(f"ATTACH TABLE {view}")
    tally = run(settings, finished=below(8))
    assert (tally.rejudged, tally.left) == (8, COUNT - 8)
    process(settings, block(8, COUNT, repeated=True))
    rows.assert_are(EVENTS)
    assert run(settings).rejudged == COUNT - 8
    assert_judged_by_the_newer(rows, EVENTS)


def test_a_worker_that_was_frozen_between_reading_old_rows_and_taking_them_off_takes_off_what_is_there(
    settings: Settings, rows: Rows
) -> None:
    process(settings, block(0, COUNT))
    frozen = process_pausing(settings, "insert_retractions", lambda: run(settings, finished=below(COUNT)))
    rows.assert_are(AFTER_UPDATES)
    assert frozen.left == len(UPDATED)
    run(settings)
    assert_judged_by_the_newer(rows, AFTER_UPDATES)


def process_pausing(settings: Settings, step: str, meanwhile: Callable[[], Tally]) -> Tally:
    """Processes the updates in a worker that stands still before this step of the writer's while something else runs."""
    worker = processor(settings, RememberingProducer())
    does, came_of_it = getattr(worker._writer, step), list[Tally]()

    def waits_and_does(*arguments: object) -> None:
        came_of_it.append(meanwhile())
        does(*arguments)

    setattr(worker._writer, step, waits_and_does)
    worker.process([block(COUNT, COUNT + 4, UPDATES)])
    return came_of_it[0]


@pytest.mark.parametrize("frozen", ["for a moment", "for longer than its claim"])
def test_an_update_waits_while_a_page_is_being_chosen(settings: Settings, rows: Rows, frozen: str) -> None:
    """The program stands still when it has looked at everything and is about to stage."""
    process(settings, block(0, COUNT))
    reprocess_run = reprocessing(settings, finished=below(COUNT))
    stage, worker = (
        reprocess_run._pages.stage,
        threading.Thread(target=process, args=(settings, block(COUNT, COUNT + 4, UPDATES))),
    )

    def stands_still(page: str, staged: Any, until: datetime) -> None:
        if not worker.ident and any(row.insight.event_id in UPDATED for row in staged):
            worker.start()
            wait_until(lambda: bool(rows.select("SELECT 1 FROM claims WHERE page = ''")), "the worker's claim")
            if frozen == "for longer than its claim":
                worker.join(60)
        stage(page, staged, until)

    reprocess_run._pages.stage = stands_still  # type: ignore[method-assign]
    reprocess_run.run(lambda _: None)
    worker.join(60)
    assert worker.ident
    assert not worker.is_alive()
    rows.assert_are(AFTER_UPDATES)
    run(settings)
    assert_judged_by_the_newer(rows, AFTER_UPDATES)


def test_live_workers_and_two_runs_at_once(settings: Settings, rows: Rows) -> None:
    """Resends, updates and repeated blocks go on while two programs judge the same rows again."""
    numbers = range(24)
    texts = {f"e-{n}": text_of(n) for n in numbers}
    process(settings, block(0, 24))
    stream = []
    for turn in range(3):
        first = 24 + 5 * turn
        values = {first: review(turn)}
        for i in range(1, 5):
            number = (7 * turn + 13 * i) % 24
            texts[f"e-{number}"] = f"I love the sound and the colour now, {turn} {number}"
            values[first + i] = review(number, texts[f"e-{number}"])
        stream += [(first, values, repeated) for repeated in (False, True)]

    committed = [24]

    def work() -> None:
        for first, values, repeated in stream:  # a block is made when its turn comes: its lease runs from then
            process(settings, block(first, first + 5, values, repeated=repeated))
            committed[0] = first + 5 if repeated else first

    def finished(positions: Collection[Position]) -> set[Position]:
        return below(committed[0])(positions)

    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(run, settings, finished=finished) for _ in range(2)]
        pool.submit(work).result()
        tallies = [each.result() for each in runs]
    rows.assert_are(texts)
    assert sum(tally.rejudged for tally in tallies) > 0
    assert run(settings).left == 0
    assert_judged_by_the_newer(rows, texts)


def test_two_runs_at_once_judge_no_row_twice(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    both = threading.Barrier(2)

    def together() -> Tally:
        both.wait()
        return run(settings)

    with ThreadPoolExecutor(2) as pool:
        tallies = [each.result() for each in [pool.submit(together) for _ in range(2)]]
    assert sum(tally.rejudged for tally in tallies) == COUNT
    assert_judged_by_the_newer(rows, EVENTS)
    assert rows.select("SELECT DISTINCT judged FROM insights") == [(1,)]


# --- the command, with the real pack -----------------------------------------------------------------------------------


def test_finished_blocks_are_those_that_the_group_has_committed(stack: Stack) -> None:
    topic = "reprocess.finished"
    kafka = stack.settings.kafka.model_copy(update={"topics": (topic,), "group_id": "reprocess", "partitions": 1})
    alone = stack.settings.model_copy(update={"kafka": kafka})
    ensure_topics(kafka)
    worker = HandWorker(alone)
    try:
        wait_until(lambda: worker.owns(1), "the partition")
        worker.producer.send_all([Outgoing(topic, b"key", review(n, event_id=f"finished-{n}")) for n in range(3)])
        (declared,) = worker.declare()
        positions = [
            Position(topic=topic, topic_id=declared.topic_id, partition=0, offset=offset)
            for offset in range(declared.first, declared.end + 1)
        ]
        elsewhere = positions[0].model_copy(update={"topic_id": "of a topic that is gone"})
        with closing(FinishedBlocks(kafka)) as finished:
            assert finished.among([*positions, elsewhere]) == {elsewhere}
            worker.consumer.settle([declared], ())
            assert finished.among([*positions, elsewhere]) == {*positions[:-1], elsewhere}
    finally:
        worker.close()


def test_the_command_judges_the_sample_stream_again_and_back(
    sample: Stack, environment: dict[str, str], voxpop: Voxpop, tmp_path: Path
) -> None:
    """Another version is the same pack in a directory of its own, so all that it says is the same but its name."""
    most = "SELECT product FROM insights GROUP BY 1 ORDER BY count() DESC LIMIT 1"
    (product,) = next(iter(sample.reader.select(most).result_rows))
    of_product = f"FROM insights WHERE product = '{product}' AND source != 'test' ORDER BY topic, partition, offset"
    kept = f"SELECT {KEPT}, method {of_product}"
    scored = f"SELECT sentiment_score {of_product}"
    (version,) = next(iter(sample.reader.select("SELECT any(pack_version) FROM insights").result_rows))
    before = sample.reader.select(kept).result_rows
    scores = [score for (score,) in sample.reader.select(scored).result_rows]
    other = tmp_path / "another"
    shutil.copytree(Path(".voxpop/packs") / Settings().model.pack, other)
    card = read_card(other)
    write_card(other, card.model_copy(update={"version": f"{version}-again"}))
    newer = environment | {"VOXPOP_MODEL__PACK": str(other)}
    words = ("reprocess", "--since", "2000-01-01", "--product", str(product), "--json")

    def versions() -> set[str]:
        sql = f"SELECT DISTINCT pack_version FROM insights WHERE product = '{product}'"
        return {str(row[0]) for row in sample.reader.select(sql).result_rows}

    dry = voxpop(*words, "--dry-run", environment=newer, timeout_s=200)
    assert json.loads(dry.stdout.splitlines()[-1])["total"] >= len(before)
    assert versions() == {version}
    killed = voxpop(*words, environment=newer | {"VOXPOP_FAILPOINTS": "page-inserted=kill"}, timeout_s=200)
    assert killed.returncode == -signal.SIGKILL
    done = voxpop(*words, environment=newer, timeout_s=200)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["completed"] + counts["rejudged"] >= len(before)
    assert counts["completed"] > 0
    assert (versions(), counts["left"], counts["unjudged"]) == ({f"{version}-again"}, 0, 0)
    assert sample.reader.select(kept).result_rows == before
    again = [score for (score,) in sample.reader.select(scored).result_rows]
    assert again == pytest.approx(scores, abs=0.1), "other company in a batch moves an int8 model's score a little"
    back = voxpop(*words, environment=environment, timeout_s=200)
    assert back.returncode == 0, back.stderr
    assert versions() == {version}
    assert sample.reader.select(kept).result_rows == before
    for aggregate, recount in RECOUNTS.values():
        assert sorted(sample.reader.select(aggregate).result_rows) == sorted(sample.reader.select(recount).result_rows)


def test_wrong_dates_are_one_line_and_wrong_use(voxpop: Voxpop, environment: dict[str, str]) -> None:
    for words in (["--since", "soon"], ["--since", "2026-02-01", "--until", "2026-01-01"], []):
        ran = voxpop("reprocess", *words, environment=environment)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1), ran.stderr
