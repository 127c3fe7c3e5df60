"""What each command promises at the shell: exit codes, one line for an error, numbers that add up."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaConsumer, TopicPartition

from workers.settings import KafkaSettings, Settings
from workers.stack import Stack
from workers.store.connect import connect
from workers.store.query import Reader
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics

Voxpop = Callable[..., subprocess.CompletedProcess[str]]
TOPIC = "test.commands"


@pytest.fixture(scope="module")
def own(stack: Stack, voxpop: Voxpop) -> tuple[Settings, dict[str, str]]:
    """A topic, a group and a database of our own on the session's broker and ClickHouse."""
    kafka = stack.settings.kafka.model_copy(
        update={"topics": (TOPIC,), "group_id": "commands", "session_timeout_ms": 3_000}
    )
    store = stack.settings.clickhouse.model_copy(update={"database": "commands"})
    settings = stack.settings.model_copy(update={"kafka": kafka, "clickhouse": store})
    environment = {
        "VOXPOP_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "VOXPOP_KAFKA__SESSION_TIMEOUT_MS": str(kafka.session_timeout_ms),
        "VOXPOP_KAFKA__TOPICS": json.dumps([TOPIC]),
        "VOXPOP_KAFKA__GROUP_ID": kafka.group_id,
        "VOXPOP_CLICKHOUSE__PORT": str(store.port),
        "VOXPOP_CLICKHOUSE__DATABASE": store.database,
    }
    assert voxpop("migrate", environment=environment).stdout.startswith("applied ")
    ensure_topics(kafka)
    return settings, environment


@pytest.fixture(scope="module")
def reader(own: tuple[Settings, dict[str, str]]) -> Iterator[Reader]:
    settings, _ = own
    with connect(settings.clickhouse) as client:
        yield Reader(client, settings.clickhouse)


def wait_for(condition: Callable[[], bool], limit_s: float = 40) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def event(number: str, **fields: Any) -> bytes:
    base = {"id": number, "kind": "review", "source": "test", "product": "Thing", "text": "It works well."}
    return json.dumps(base | {"created_at": "2026-11-02T10:00:00Z"} | fields).encode()


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@contextmanager
def running_worker(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "workers.cli", "worker"]
    worker = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE)
    try:
        yield worker
    finally:
        worker.kill()
        worker.communicate()


# --- migrate, query ----------------------------------------------------------------------------------------------------


def test_migrate_twice_changes_nothing_and_says_so(own: tuple[Settings, dict[str, str]], voxpop: Voxpop) -> None:
    again = voxpop("migrate", environment=own[1])
    assert (again.returncode, again.stdout) == (0, "the database commands is up to date\n")


def test_query_gives_a_table_to_people_and_json_lines_to_machines(environment: dict[str, str], voxpop: Voxpop) -> None:
    sql = "SELECT number AS n, toString(number) AS s, NULL AS nothing, [1.5] AS list FROM numbers(2)"
    table = voxpop("query", sql, environment=environment)
    assert table.returncode == 0
    assert [word for word in ("n", "s", "nothing", "list", "2 rows") if word not in table.stdout] == []
    machine = voxpop("query", sql, "--json", environment=environment)
    expected = [{"n": n, "s": str(n), "nothing": None, "list": [1.5]} for n in range(2)]
    assert (machine.returncode, lines(machine.stdout), machine.stderr) == (0, expected, "")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DROP TABLE insights", "readonly"),
        ("INSERT INTO dead_letters (topic) VALUES ('x')", "readonly"),
        ("SELECT nonsense FROM insights", "nonsense"),
        ("SELECT FROM WHERE", "Syntax error"),
        ("SELECT 1 FROM no_such_table", "voxpop migrate"),
    ],
)
def test_a_query_that_would_write_or_makes_no_sense_is_refused_in_one_line(
    environment: dict[str, str], voxpop: Voxpop, stack: Stack, sql: str, says: str
) -> None:
    before = stack.reader.count("dead_letters")
    done = voxpop("query", sql, environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert says.lower() in done.stderr.lower()
    assert stack.reader.count("dead_letters") == before
    assert stack.reader.count("insights") >= 0


# --- dead letters, and a worker that is told to stop --------------------------------------------------------------------


class Letter(NamedTuple):
    """A message that a wrongly configured worker sent to the dead letters; that worker's exit code at SIGTERM, and what it
    wrote when it was asked before where its threads are."""

    value: bytes
    exit_code: int
    threads: bytes


@pytest.fixture(scope="module")
def letter(own: tuple[Settings, dict[str, str]], reader: Reader) -> Letter:
    settings, environment = own
    value = event("large", text="The battery dies fast. " * 100)
    producer = AcknowledgedProducer(settings.kafka)
    with running_worker(environment | {"VOXPOP_KAFKA__MAX_MESSAGE_BYTES": "1024"}) as worker:
        large, small = Outgoing(TOPIC, b"Thing", value, [("trace", b"\xff")]), Outgoing(TOPIC, b"Thing", event("small"))
        producer.send_all([large, small])
        producer.close()
        wait_for(lambda: reader.count("dead_letters") == 1 and reader.count("insights") == 1)
        worker.send_signal(signal.SIGUSR1)
        time.sleep(0.2)  # it is written by the signal's handler; two signals at once come in any order
        worker.send_signal(signal.SIGTERM)
        # The embedded broker's session timeout: longer would look like a crash to the group.
        _, told = worker.communicate(timeout=6)
        return Letter(value, worker.returncode, told)


def test_a_worker_ends_with_0_at_sigterm_in_time_and_has_committed_what_it_did(
    letter: Letter, own: tuple[Settings, dict[str, str]]
) -> None:
    settings, _ = own
    assert letter.exit_code == 0
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, group_id=settings.kafka.group_id)
    committed = [consumer.committed(TopicPartition(TOPIC, number)) or 0 for number in range(4)]
    consumer.close(autocommit=False)
    assert sum(committed) == 2


def test_a_worker_tells_where_its_threads_are_at_sigusr1_and_goes_on(letter: Letter) -> None:
    assert letter.threads.count(b"most recent call first") > 3
    assert b"workers/pipeline.py" in letter.threads
    assert letter.threads.index(b"most recent call first") < letter.threads.index(b"worker stopped")


def test_the_list_shows_why_and_the_exact_bytes(
    letter: Letter, own: tuple[Settings, dict[str, str]], voxpop: Voxpop
) -> None:
    machine = voxpop("deadletters", "list", "--reason", "oversize", "--json", environment=own[1])
    (shown,) = lines(machine.stdout)
    assert (shown["topic"], shown["reason"], shown["key"]) == (TOPIC, "oversize", "Thing")
    assert shown["value"].encode() == letter.value
    assert voxpop("deadletters", "list", "--reason", "bad_json", "--json", environment=own[1]).stdout == ""
    assert "the limit is 1,024" in voxpop("deadletters", "list", environment=own[1]).stdout


def test_a_dead_letter_sent_again_after_the_fix_becomes_one_insight(
    letter: Letter, own: tuple[Settings, dict[str, str]], reader: Reader, voxpop: Voxpop
) -> None:
    _, environment = own
    rehearsal = voxpop("deadletters", "replay", "--dry-run", environment=environment)
    assert rehearsal.stdout == "1 dead letters would be sent again\n"
    with running_worker(environment):
        done = voxpop("deadletters", "replay", "--reason", "oversize", environment=environment)
        assert (done.returncode, done.stdout) == (0, "1 dead letters sent again\n")
        wait_for(lambda: reader.count("insights") == 2)
        again = voxpop("deadletters", "replay", environment=environment)
        assert again.stdout == "0 dead letters would be sent again\n"
    assert reader.count("dead_letters") == 1
    rows = reader.select("SELECT sum(volume), count() FROM v_product_daily").result_rows
    assert [tuple(row) for row in rows] == [(2, 1)]
    *_, replayed = read(own[0].kafka, TOPIC, 3)
    assert (replayed.key, replayed.value) == (b"Thing", letter.value)
    assert [name for name, _ in replayed.headers] == ["trace", "voxpop.replayed"]
    assert dict(replayed.headers)["trace"] == b"\xff"


def read(kafka: KafkaSettings, topic: str, count: int) -> list[Any]:
    """The first `count` messages of a topic, in order of time."""
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", group_id=None)
    consumer.assign([TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())])
    found: list[Any] = []

    def all_there() -> bool:
        for batch in consumer.poll(timeout_ms=200).values():
            found.extend(batch)
        return len(found) >= count

    wait_for(all_there)
    consumer.close(autocommit=False)
    return sorted(found, key=lambda message: message.timestamp)


# --- produce ------------------------------------------------------------------------------------------------------------


def test_produce_maps_columns_names_the_ignored_ones_and_keeps_to_the_rate(
    own: tuple[Settings, dict[str, str]], voxpop: Voxpop, tmp_path: Path
) -> None:
    settings, environment = own
    rows = "".join(f"Text {number},Phone {number % 3},{number % 5 + 1},x\n" for number in range(50))
    path = tmp_path / "rows.csv"
    path.write_text("body,model,stars,color\n" + rows)
    mapping = ["--map", "body=text", "--map", "model=product", "--map", "stars=rating", "--set", "source=shop"]
    started = time.monotonic()
    done = voxpop("produce", str(path), "--topic", "test.produce", "--rate", "20", *mapping, environment=environment)
    assert time.monotonic() - started >= 50 / 20
    assert (done.returncode, done.stdout) == (0, "50 messages acknowledged\n")
    assert "ignored columns: color" in done.stderr
    sent = [(message.key, json.loads(message.value)) for message in read(settings.kafka, "test.produce", 50)]
    assert sorted(value["text"] for _, value in sent) == sorted(f"Text {number}" for number in range(50))
    assert all(key == value["product"].encode() and value["source"] == "shop" for key, value in sent)


def test_a_column_that_is_not_there_is_refused_with_those_that_are(
    environment: dict[str, str], voxpop: Voxpop, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("body,model\nGreat,Phone\n")
    done = voxpop("produce", str(path), "--map", "boddy=text", environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"voxpop: {path} has no column 'boddy'; it has: body, model\n"


def test_rows_larger_than_a_topic_takes_are_counted_and_the_exit_code_tells(
    environment: dict[str, str], voxpop: Voxpop, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"text,product\nGreat,Phone\n{'x' * 2_000_000},Phone\n")
    done = voxpop("produce", str(path), "--topic", "test.large", environment=environment)
    assert (done.returncode, done.stdout) == (1, "1 messages acknowledged\n")
    assert "1 rows are larger than the topic takes" in done.stderr


# --- doctor -------------------------------------------------------------------------------------------------------------


def test_the_doctor_finds_a_healthy_stack_healthy(environment: dict[str, str], voxpop: Voxpop) -> None:
    done = voxpop("doctor", "--json", environment=environment)
    findings = lines(done.stdout)
    assert [finding for finding in findings if not finding["good"]] == []
    assert (done.returncode, done.stderr) == (0, "")
    assert [finding["check"] for finding in findings] == [
        "broker", "ClickHouse", "clock", "deduplication", "retention", "pack", "taxonomy", "disk"
    ]  # fmt: skip


def test_the_doctor_says_what_to_do_about_each_part_that_is_missing(
    environment: dict[str, str], voxpop: Voxpop, tmp_path: Path
) -> None:
    broken = {
        "VOXPOP_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "VOXPOP_CLICKHOUSE__PORT": "1",
        "VOXPOP_MODEL__PACK": "absent",
        "VOXPOP_TAXONOMY": str(tmp_path / "absent.yaml"),
    }
    done = voxpop("doctor", "--json", environment=environment | broken)
    details = {finding["check"]: finding["detail"] for finding in lines(done.stdout) if not finding["good"]}
    assert done.returncode == 1
    assert done.stderr == ""
    assert all(len(detail.splitlines()) == 1 for detail in details.values())
    mends = {
        "broker": "set VOXPOP_KAFKA__BOOTSTRAP_SERVERS",
        "ClickHouse": "set VOXPOP_CLICKHOUSE__HOST and PORT",
        "pack": "voxpop packs build",
        "taxonomy": "absent.yaml",
    }
    assert {name: mend for name, mend in mends.items() if mend not in details.get(name, "")} == {}


def test_the_doctor_sends_a_database_without_tables_to_migrate(environment: dict[str, str], voxpop: Voxpop) -> None:
    done = voxpop("doctor", environment=environment | {"VOXPOP_CLICKHOUSE__DATABASE": "nowhere"})
    assert done.returncode == 1
    assert "run: voxpop migrate" in " ".join(done.stdout.replace("│", " ").split())


@pytest.mark.parametrize("words", [["query", "SELECT 1"], ["migrate"], ["deadletters", "list"]])
def test_a_command_without_its_clickhouse_fails_with_one_line(voxpop: Voxpop, words: list[str]) -> None:
    done = voxpop(*words, environment={"VOXPOP_CLICKHOUSE__PORT": "1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "is it running? set VOXPOP_CLICKHOUSE__HOST and PORT" in done.stderr


# --- classify -----------------------------------------------------------------------------------------------------------


def peak_bytes_of_classify(count: int) -> int:
    """The most memory `classify -` held for so many lines of 80 kB each. Checks that every line was answered in order."""
    command = [sys.executable, "-m", "workers.cli", "classify", "-", "--json"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    stdin, padding = process.stdin, "x" * 80_000

    def feed() -> None:
        for number in range(count):
            stdin.write(json.dumps({"id": number, "text": f"Good {number}", "note": padding}).encode() + b"\n")
        stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    answered = [json.loads(line)["id"] for line in process.stdout]
    feeder.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert (process.returncode, answered) == (0, list(range(count)))
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_classify_needs_no_more_memory_for_more_lines() -> None:
    few, many = peak_bytes_of_classify(600), peak_bytes_of_classify(1_800)
    assert many - few < 48_000_000  # holding the other 1,200 lines would take 96 MB


# --- up -----------------------------------------------------------------------------------------------------------------


def test_up_once_counts_every_row_of_a_file_and_leaves_no_process_behind(voxpop: Voxpop, tmp_path: Path) -> None:
    when = "2026-11-02T10:00:00Z"
    good = [f"r-{number},The battery number {number} is great,Phone,{number % 5 + 1},{when}" for number in range(40)]
    broken = [f"b-1,Caf\xe9,Phone,4,{when}", f"b-2,,Phone,4,{when}", "b-3,Good,Phone,9,soon"]
    large = f"b-4,{'x' * 2_000_000},Phone,4,{when}"
    rows = ["key,review,model,rating,created_at", *good, *broken, *good[:2], large]
    path, mark = tmp_path / "reviews.csv.gz", uuid.uuid4().hex
    path.write_bytes(gzip.compress("\n".join(rows).encode("latin-1")))
    mapping = ["--map", "key=id", "--map", "review=text", "--map", "model=product", "--data", str(tmp_path / "data")]
    done = voxpop("up", "--once", "--input", str(path), *mapping, "--json", environment={"MARK": mark}, timeout_s=120)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert list(summary) == ["produced", "insights", "dead_letters", "resends", "refused", "seconds", "alerts"]
    assert summary.pop("seconds") > 0
    assert summary == {"produced": 45, "insights": 40, "dead_letters": 3, "resends": 2, "refused": 1, "alerts": 0}
    assert processes_with(f"MARK={mark}".encode()) == []


def processes_with(variable: bytes) -> list[str]:
    """Those whose environment holds it, by name. Where /proc is not there (macOS) none is found."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (directory / "environ").read_bytes().split(b"\0"):
                found.append((directory / "comm").read_text().strip())
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue
    return found
