"""What a person wrote goes from rows, figures and all that names it, stays away, and counts are right, whoever dies."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.insights import Position
from tests.by_hand import (
    SALT,
    WINDOW,
    RememberingProducer,
    Rows,
    block,
    crash_after,
    empty,
    process,
    processor,
    retract_what_never_was,
    review,
    text_of,
)
from tests.integration.test_reprocess import NEWER, dying_at
from tests.integration.test_reprocess import run as reprocess_run
from workers import erase as erase_module
from workers import metrics
from workers.analyze.redact import author_pseudonym
from workers.commands.erase import EraseRequest
from workers.embedded.clickhouse import embedded_clickhouse
from workers.erase import Erase, Erased, Finished, Subject
from workers.errors import UsageError
from workers.failpoints import ERASE_FAILPOINTS, PAGE_FAILPOINTS
from workers.settings import ClickHouseSettings, Settings
from workers.store import pages as pages_module
from workers.store.audit import ERASED, note, noted
from workers.store.connect import connect
from workers.store.migrate import migrate
from workers.store.pages import Pages
from workers.store.purge import Purge
from workers.store.query import EventKey, Reader
from workers.store.recount import differing
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.blocks import now_s

COUNT = 12
AUTHOR = "a-person-to-be-forgotten"
HASH = author_pseudonym(AUTHOR, SALT)
THEIRS = (1, 4, 6)
EVENTS = {f"e-{n}": text_of(n) for n in range(COUNT)}
OTHERS = {f"e-{n}": text_of(n) for n in range(COUNT) if n not in THEIRS}
PLACES = (*PAGE_FAILPOINTS, *ERASE_FAILPOINTS)


@pytest.fixture
def settings(migrated: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Over empty tables; a claim of what died soon ends."""
    empty(migrated)
    monkeypatch.setattr(pages_module, "CLAIM_S", 1.0)
    monkeypatch.setattr(pages_module, "GRACE_S", 0.2)
    monkeypatch.setattr(erase_module, "GRACE_S", 0.0)
    monkeypatch.setattr(erase_module, "STEP_BACK_S", 0.05)
    return migrated


def theirs(number: int, text: str = "") -> bytes:
    """A review, by the person for some numbers."""
    event = json.loads(review(number, text))
    return json.dumps(event | ({"author": AUTHOR} if number in THEIRS else {"author": f"other-{number}"})).encode()


VALUES = {n: theirs(n) for n in range(COUNT)}


def everything(positions: Collection[Position]) -> set[Position]:
    return set(positions)


def nothing(positions: Collection[Position]) -> set[Position]:
    return set()


def erasing(settings: Settings, finished: Finished = everything, *, settle_s: float = 0, lease_s: float = 0) -> Erase:
    """A run over connections of its own. It waits for no lease unless told to: workers here are done or stand still."""
    client = connect(settings.clickhouse)
    reader, writer = Reader(client, settings.clickhouse), Writer(client, settings.clickhouse)
    clock = ServerClock(client, settings.clickhouse, now_s)
    pages = Pages(reader, writer, clock, settings.clickhouse)
    return Erase(reader, writer, pages, clock, finished, SALT, lease_s=lease_s, settle_s=settle_s)


def erase(
    settings: Settings, finished: Finished = everything, *events: str, authors: Sequence[str] = (HASH,)
) -> Erased:
    subject = Subject(frozenset(authors), frozenset(EventKey("test", event) for event in events))
    return erasing(settings, finished).run(subject, lambda _: None)


def patiently(settings: Settings, *, lease_s: float = 0) -> Erased:
    """Erases the author, and waits for the claim of what died."""
    run = erasing(settings, settle_s=10, lease_s=lease_s)
    return run.run(Subject(frozenset({HASH}), frozenset()), lambda _: None)


def by_event(settings: Settings, *events: str, finished: Finished = everything) -> Erased:
    return erase(settings, finished, *events, authors=())


def assert_gone(rows: Rows, *events: str) -> None:
    """No table names one of them any more."""
    tables = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')"
        " AND name != 'schema_migrations'"
    )
    for (table,) in rows.select(tables):
        sums = " EXCEPT (vectors)" if table == "topics_daily" else ""  # a state, which no client reads
        kept = str(rows.select(f"SELECT *{sums} FROM {table}"))
        assert HASH not in kept, table
        assert AUTHOR not in kept, table
        for event in events:
            assert repr(event) not in kept, (table, event)
            assert f'"{event}"' not in kept, (table, event)
            assert EVENTS.get(event, event) not in kept, (table, event)


TOPICS_SUMMED = (
    "SELECT day, pack, sum(t.texts), sumForEachMerge(t.vectors) FROM topics_daily AS t"
    " GROUP BY day, pack ORDER BY day, pack"
)
TOPICS_RECOUNTED = (
    "SELECT toDate(event_time) AS day, pack, count(), sumForEach(topic_vector) FROM insights GROUP BY day, pack"
    " ORDER BY day, pack"
)
THEIR_EVENTS = tuple(f"e-{n}" for n in THEIRS)


# --- rows, figures, and what names them --------------------------------------------------------------------------------


def test_an_author_s_texts_go_with_their_figures_and_nothing_names_them(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT, VALUES))
    erased = erase(settings)
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS)
    assert (erased.before["insights"], erased.after["insights"], erased.left) == (3, 0, 0)
    assert erased.before["event_keys"] == 3
    assert not any(erased.after.values())
    assert rows.select(TOPICS_SUMMED) == rows.select(TOPICS_RECOUNTED) != []


def test_an_event_goes_with_its_earlier_versions_and_its_corrections(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT), block(20, 21, {20: review(5, "I hate the price of it now")}))
    reprocess_run(settings, judge=NEWER)
    with connect(settings.clickhouse) as client:
        client.command("INSERT INTO feedback (source, event_id) VALUES ('test', 'e-5'), ('test', 'e-6')")
    erased = by_event(settings, "e-5")
    rows.assert_are({event: text for event, text in EVENTS.items() if event != "e-5"})
    assert_gone(rows, "e-5", "I hate the price of it now")
    assert rows.select("SELECT event_id FROM feedback") == [("e-6",)]
    assert (erased.before["feedback"], erased.after["feedback"]) == (1, 0)


def test_alerts_lose_their_quotations_and_digests_of_the_window_are_made_anew(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    with connect(settings.clickhouse) as client:
        client.command(
            "INSERT INTO alerts (alert_id, event_ids, sources, quotes, window_start) VALUES ('a', ['e-5', 'e-6', 'e-5'],"
            " ['test', 'test', 'elsewhere'], ['its words', 'others', 'elsewhere'], '2026-08-06')"
        )
        client.command(
            "INSERT INTO digests (product, window_start, window_end, citations) SELECT product, toStartOfDay(event_time),"
            " toStartOfDay(event_time) + 86400, [['another']] FROM insights WHERE event_id IN ('e-5', 'e-6')"
        )
        client.command("INSERT INTO digests (product, citations) VALUES ('of another day', [['x'], ['y', 'e-5']])")
    by_event(settings, "e-5")
    assert rows.select("SELECT event_ids, sources, quotes FROM alerts") == [
        (["e-6", "e-5"], ["test", "elsewhere"], ["others", "elsewhere"])
    ]
    assert rows.select("SELECT product FROM digests") == rows.select(
        "SELECT product FROM insights WHERE event_id='e-6'"
    )


def test_briefs_go_that_cite_an_event_or_look_at_its_product_s_week(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    with connect(settings.clickhouse) as client:
        for week, products, cited in (
            ("its own", "[product, 'Another']", "[]"),
            ("another product", "['Another']", "[]"),
            ("citing", "['Another']", "[['x'], ['y', 'e-5']]"),
        ):
            client.command(
                "INSERT INTO briefs (week, window_start, window_end, products, citations) SELECT"
                f" {week!r}, toStartOfWeek(event_time, 1), toStartOfWeek(event_time, 1) + 7, {products},"
                f" {cited}::Array(Array(String)) FROM insights WHERE event_id = 'e-5'"
            )
        client.command(
            "INSERT INTO briefs (week, window_start, window_end, products) SELECT 'before',"
            " toStartOfWeek(event_time, 1) - 7, toStartOfWeek(event_time, 1), [product] FROM insights WHERE event_id = 'e-5'"
        )
    erased = by_event(settings, "e-5")
    assert {week for (week,) in rows.select("SELECT week FROM briefs")} == {"another product", "before"}
    assert (erased.before["briefs"], erased.after["briefs"]) == (1, 0)


def test_dead_letters_go_where_their_bytes_tell_whose_they_are(settings: Settings, rows: Rows) -> None:
    letters = {
        0: json.dumps({"id": "e-1", "source": "test", "text": 7}).encode(),
        1: json.dumps({"id": "x", "source": "test", "author": AUTHOR}).encode(),
        2: json.dumps({"id": "e-1", "source": "elsewhere"}).encode(),
        3: b"{broken",
        4: b"[]",
    }
    process(settings, block(0, 5, letters), block(10, 10 + COUNT, {10 + n: value for n, value in VALUES.items()}))
    erased = erase(settings)
    assert rows.select("SELECT offset FROM dead_letters ORDER BY 1") == [(2,), (3,), (4,)]
    assert (erased.before["dead_letters"], erased.after["dead_letters"]) == (2, 0)
    again = process(settings, block(30, 32, {30: letters[0], 31: letters[1]}))
    assert rows.count("dead_letters") == 3
    assert again.sent == []


def test_another_s_event_of_the_same_id_stays(settings: Settings, rows: Rows) -> None:
    other = json.dumps(json.loads(review(5)) | {"source": "elsewhere"}).encode()
    process(settings, block(0, 2, {0: review(5), 1: other}))
    by_event(settings, "e-5")
    assert rows.select("SELECT source FROM insights") == [("elsewhere",)]
    assert rows.select("SELECT source FROM event_keys") == [("elsewhere",)]


def test_a_second_run_changes_nothing(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT, VALUES))
    erase(settings)
    before = [
        rows.select(f"SELECT * FROM {table} ORDER BY ALL") for table in ("insights", "sentiment_hourly", "erasures")
    ]
    assert not any(erase(settings).before.values())
    assert before == [
        rows.select(f"SELECT * FROM {table} ORDER BY ALL") for table in ("insights", "sentiment_hourly", "erasures")
    ]


def test_no_byte_is_left_in_the_data_directory_and_aggregates_equal_a_recount(tmp_path: Path) -> None:
    words = {1: "I love the quokkaphone battery", 6: "I hate the Vexujomtkq price"}
    values = VALUES | {number: theirs(number, text) for number, text in words.items()}
    values[4] = json.dumps(json.loads(theirs(4)) | {"id": "xq7vkz-wjh9p"}).encode()
    needles = [HASH, "quokkaphone", "Vexujomtkq", "xq7vkz-wjh9p"]  # LZ4 keeps what is new in a block as it is
    with embedded_clickhouse(tmp_path) as server:
        settings = Settings(clickhouse=ClickHouseSettings(port=server.port))
        migrate(settings)
        with connect(settings.clickhouse) as client:  # ZSTD would hide words from the search
            client.command("ALTER TABLE insights MODIFY COLUMN text String CODEC(NONE)")
        process(settings, block(0, COUNT, values))
        assert found_in(tmp_path, needles) == set(needles)  # else the search below would prove nothing
        assert erase(settings).left == 0
        with connect(settings.clickhouse) as client:
            reader = Reader(client, settings.clickhouse)
            assert Purge(reader, Writer(client, settings.clickhouse)).run() > 0
            assert not any(differing(reader).values())
            assert reader.count("insights") == len(OTHERS)
        assert found_in(tmp_path, needles) == set()
    assert found_in(tmp_path, needles) == set()


def found_in(directory: Path, needles: Sequence[str]) -> set[str]:
    """Those whose bytes are in a file there. A file that a merge removes meanwhile has none."""
    found = set()
    for path in directory.rglob("*"):
        try:
            held = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        found |= {needle for needle in needles if needle.encode() in held}
    return found


def test_second_opinions_go_with_the_event(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    with connect(settings.clickhouse) as client:
        client.command(
            "INSERT INTO escalations (call, source, event_id) VALUES ('a', 'test', 'e-5'), ('b', 'test', 'e-6')"
        )
    erased = by_event(settings, "e-5")
    assert rows.select("SELECT event_id FROM escalations") == [("e-6",)]
    assert (erased.before["escalations"], erased.after["escalations"]) == (1, 0)


def test_notes_of_headlines_go_with_the_event(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT))
    with connect(settings.clickhouse) as client:
        client.command("INSERT INTO headlines (source, event_id) VALUES ('test', 'e-5'), ('test', 'e-6')")
    erased = by_event(settings, "e-5")
    assert rows.select("SELECT event_id FROM headlines") == [("e-6",)]
    assert (erased.before["headlines"], erased.after["headlines"]) == (1, 0)


def test_what_people_did_is_on_the_record(settings: Settings, rows: Rows) -> None:
    with connect(settings.clickhouse) as client:
        client.command("TRUNCATE TABLE audit")
        client.command("INSERT INTO feedback (event_id, head, corrected_by) VALUES ('e-5', 'sentiment', 'reviewer 1')")
        note(client, settings.clickhouse, "someone@here", ERASED, {"events": "1"})
        lines = noted(Reader(client, settings.clickhouse), "", 10)
        assert {(line.who, line.action) for line in lines} == {("reviewer 1", "corrected"), ("someone@here", "erased")}
        assert [line.details for line in noted(Reader(client, settings.clickhouse), "erased", 10)] == [{"events": "1"}]
        assert "e-5" not in str(lines)


def test_an_event_without_a_source_is_of_every_source(settings: Settings) -> None:
    other = json.dumps(json.loads(review(5)) | {"source": "elsewhere"}).encode()
    process(settings, block(0, 2, {0: review(5), 1: other}))
    with connect(settings.clickhouse) as client:
        reader = Reader(client, settings.clickhouse)
        subject = EraseRequest.parse([], [], ["e-5"], "").subject(SALT, reader)
        assert subject.events == {EventKey("test", "e-5"), EventKey("elsewhere", "e-5")}
        assert EraseRequest.parse([], [], ["e-5"], "test").subject(SALT, reader).events == {EventKey("test", "e-5")}
        with pytest.raises(UsageError, match="no source has an event 'e-77'"):
            EraseRequest.parse([], [], ["e-77"], "").subject(SALT, reader)


# --- it stays away -----------------------------------------------------------------------------------------------------


def test_what_is_sent_again_is_turned_away_and_counted(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT, VALUES))
    erase(settings)
    turned_away, resends = metrics.ERASED.labels("reviews"), metrics.RESENDS.labels("reviews")
    before = turned_away._value.get(), resends._value.get()
    changed = json.dumps(json.loads(theirs(1, "I love the battery after all")) | {"author": "nameless"}).encode()
    new = json.dumps(json.loads(theirs(4)) | {"id": "e-99"}).encode()
    sent = process(settings, block(20, 24, {20: theirs(1), 21: changed, 22: new, 23: theirs(2)})).sent
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS, "e-99")
    assert (turned_away._value.get() - before[0], resends._value.get() - before[1]) == (3, 1)
    assert sent == []


def test_receipts_tell_nothing_without_the_salt(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT, VALUES))
    erase(settings, everything, "e-9")
    kept = rows.select("SELECT receipt FROM erasures WHERE parts = 0")
    assert len(kept) == 5  # the author, and four events
    assert not any(name in str(kept) for name in (HASH, AUTHOR, "e-1", "test"))


# --- death at every step -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("place", PLACES)
def test_a_run_that_died_anywhere_is_completed_by_the_next(
    settings: Settings, rows: Rows, place: str, times: int
) -> None:
    process(settings, block(0, COUNT, VALUES))
    if times == 2 and place.startswith("erase-"):
        pytest.skip("a run passes it once")
    with dying_at(place, times):
        erase(settings)
    assert patiently(settings).left == 0
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS)
    assert rows.count("pages") == 0


@pytest.mark.parametrize("place", PAGE_FAILPOINTS)
def test_reprocess_after_a_run_that_died_anywhere_keeps_figures_right(
    settings: Settings, rows: Rows, place: str
) -> None:
    process(settings, block(0, COUNT, VALUES))
    with dying_at(place, 2):
        erase(settings)
    reprocess_run(settings)
    assert patiently(settings).left == 0
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS)


@pytest.mark.parametrize("place", PAGE_FAILPOINTS)
def test_it_takes_up_what_a_reprocess_that_died_anywhere_has_left(settings: Settings, rows: Rows, place: str) -> None:
    process(settings, block(0, COUNT, VALUES))
    with dying_at(place, 1):
        reprocess_run(settings)
    assert patiently(settings).left == 0
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS)


def test_a_page_completed_when_its_tokens_are_forgotten_counts_once(settings: Settings, rows: Rows) -> None:
    process(settings, block(0, COUNT, VALUES))
    with dying_at("page-retracted", 1):
        erase(settings)
    retract_what_never_was(settings, parts=WINDOW + 10)
    erase(settings)
    rows.assert_are(OTHERS)


# --- workers beside it -------------------------------------------------------------------------------------------------


STEPS = ["insert_claims", "insert_retractions", "insert_insights", "insert_superseded", "delete_versions"]
UPDATES = {20: theirs(1, "I love the price now"), 21: theirs(2, "I hate the sound now")}
UPDATED = OTHERS | {"e-2": "I hate the sound now"}


@pytest.mark.parametrize("step", STEPS)
def test_an_update_in_hand_is_waited_for_then_erased(settings: Settings, rows: Rows, step: str) -> None:
    process(settings, block(0, COUNT, VALUES))
    crash_after(settings, block(20, 22, UPDATES), step)

    def below(positions: Collection[Position]) -> set[Position]:
        return {position for position in positions if position.offset < 20}

    assert erase(settings, below).left > 0
    process(settings, block(20, 22, UPDATES, repeated=True))
    assert erase(settings).left == 0
    rows.assert_are(UPDATED)
    assert_gone(rows, *THEIR_EVENTS, "I love the price now")


@pytest.mark.parametrize("step", ["insert_insights", "insert_dead_letters", "insert_superseded"])
def test_a_block_in_doubt_is_repeated_to_its_end_and_its_rows_erased(settings: Settings, rows: Rows, step: str) -> None:
    crash_after(settings, block(0, COUNT, VALUES), step)
    with connect(settings.clickhouse) as client:
        client.command("TRUNCATE TABLE aspects_daily")  # as if it had been cut off before this view's part
    assert erase(settings, nothing).left == 3
    with connect(settings.clickhouse) as client:  # its token is noted with the part: take that back, too
        client.command("INSERT INTO aspects_daily SELECT * FROM aspects_daily WHERE 0")
    process(settings, block(0, COUNT, VALUES, repeated=True))
    assert erase(settings).left == 0
    assert rows.select("SELECT event_id FROM insights ORDER BY event_id") == sorted((event,) for event in OTHERS)


class Standing:
    """A worker that stands still before one of its writer's steps until it is let go."""

    def __init__(self, settings: Settings, values: dict[int, bytes], step: str, meanwhile: Any) -> None:
        self.producer = RememberingProducer()
        self.worker = processor(settings, self.producer)
        self.block = block(min(values), max(values) + 1, values)
        does = getattr(self.worker._writer, step)

        def waits(*arguments: object) -> None:
            setattr(self.worker._writer, step, does)
            meanwhile()
            does(*arguments)

        setattr(self.worker._writer, step, waits)

    def run(self) -> None:
        assert list(self.worker.process([self.block])) == [self.block]


def test_a_block_that_is_judged_while_its_author_is_erased_is_turned_away(settings: Settings, rows: Rows) -> None:
    worker = processor(settings, producer := RememberingProducer())
    make = worker._make_insights

    def slow(results: Any) -> None:
        make(results)
        erase(settings)

    worker._make_insights = slow  # type: ignore[method-assign]
    worker.process([block(0, COUNT, VALUES)])
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS)
    assert len(producer.sent) == len(OTHERS)


def test_a_block_that_was_judged_ahead_of_the_erasure_is_turned_away(settings: Settings, rows: Rows) -> None:
    worker = processor(settings, producer := RememberingProducer())
    ours = block(0, COUNT, VALUES)
    ahead = worker.judge_ahead([ours])
    erase(settings)
    worker.process([ours], ahead)
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS)
    assert len(producer.sent) == len(OTHERS)


def test_an_insert_that_slept_through_the_erasure_is_refused_and_looks_again(settings: Settings, rows: Rows) -> None:
    """The lease was renewed while it slept, but what was erased had been looked for before."""
    lease_s = 2.0
    quick = settings.model_copy(update={"worker": settings.worker.model_copy(update={"lease_s": lease_s})})
    slept = []

    def meanwhile() -> None:
        slept.append(patiently(settings, lease_s=lease_s))
        standing.block.lease.declared_at = now_s()

    standing = Standing(quick, VALUES, "insert_insights", meanwhile)
    standing.run()
    assert [erased.left for erased in slept] == [0]
    rows.assert_are(OTHERS)
    assert_gone(rows, *THEIR_EVENTS)
