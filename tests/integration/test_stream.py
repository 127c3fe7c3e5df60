"""What the main job promises, on the real embedded stack."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.events import Reason
from schemas.insights import Insight
from schemas.samples import gold_labels, sample_messages
from tests.integration.conftest import StartStack
from workers.stack import Stack
from workers.stream.produce import AcknowledgedProducer, Outgoing

TOPIC = "voxpop.reviews"


def wait_for(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def event(number: str, **fields: Any) -> bytes:
    base = {
        "id": number,
        "kind": "review",
        "source": "test",
        "product": "Thing",
        "text": f"It works well, number {number}.",
    }
    return json.dumps(base | {"created_at": "2026-11-02T10:00:00Z"} | fields).encode()


def rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in stack.reader.select(sql).result_rows]


def send(stack: Stack, messages: list[Outgoing]) -> None:
    producer = AcknowledgedProducer(stack.settings.kafka)
    try:
        producer.send_all(messages)
    finally:
        producer.close()


def test_every_valid_event_is_one_insight_and_every_malformed_one_a_dead_letter_with_its_reason(sample: Stack) -> None:
    stored = rows(sample, "SELECT source, event_id FROM insights WHERE source != 'test'")
    assert Counter(stored) == Counter(gold_labels().keys())
    expected = Counter(m.expected_reason for m in sample_messages() if m.expected_reason)
    assert Counter(dict(rows(sample, "SELECT reason, count() FROM dead_letters GROUP BY reason"))) >= expected
    values = {value for (value,) in rows(sample, "SELECT hex(value) FROM dead_letters WHERE value IS NOT NULL")}
    assert all(m.value is None or m.value.hex().upper() in values for m in sample_messages() if m.expected_reason)


def test_the_aggregates_equal_a_recount_from_the_rows(sample: Stack) -> None:
    by_view = rows(
        sample, "SELECT day, product, volume, negative, neutral, positive FROM v_product_daily ORDER BY 1, 2"
    )
    recount = rows(
        sample,
        "SELECT toDate(event_time) AS day, product, count(), countIf(sentiment = 'negative'),"
        " countIf(sentiment = 'neutral'), countIf(sentiment = 'positive') FROM insights GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert by_view == recount
    mentions = rows(sample, "SELECT sum(mentions), sum(negative), sum(positive) FROM v_aspect_trends")
    again = rows(
        sample,
        "SELECT count(), countIf(s = 'negative'), countIf(s = 'positive') FROM insights ARRAY JOIN `aspects.sentiment` AS s",
    )
    assert mentions == again
    assert rows(sample, "SELECT count() FROM aspect_mentions")[0][0] == again[0][0] > 0


def test_no_personal_data_of_the_sample_reaches_clickhouse(sample: Stack) -> None:
    marked = {key for key, label in gold_labels().items() if "personal_data" in label.traits}
    redacted = rows(sample, "SELECT source, event_id FROM insights WHERE notEmpty(redactions) AND source != 'test'")
    assert marked <= set(redacted)
    assert rows(sample, r"SELECT text FROM insights WHERE match(text, '[\\w.]+@[\\w-]+\\.[a-z]{2,}')") == []


def test_evidence_lies_inside_the_stored_text(sample: Stack) -> None:
    sql = (
        "SELECT count() FROM insights ARRAY JOIN `aspects.start` AS s, `aspects.end` AS e"
        " WHERE e <= s OR e > lengthUTF8(text)"
    )
    assert rows(sample, sql) == [(0,)]


def test_hostile_messages_become_dead_letters_while_their_neighbours_pass(stack: Stack) -> None:
    limit = stack.settings.kafka.max_message_bytes
    hostile = {
        b"random": (os.urandom(2_000), {Reason.BAD_UTF8}),
        b"empty": (b"", {Reason.EMPTY}),
        b"tombstone": (None, {Reason.TOMBSTONE}),
        b"limit": (b'{"text": "' + b"x" * (limit - 12) + b'"}', {Reason.MISSING_FIELD, Reason.OVERSIZE}),
        b"deep": (b"[" * 100_000 + b"]" * 100_000, {Reason.TOO_DEEP}),
    }
    messages = []
    for name, (value, _) in hostile.items():
        messages += [Outgoing(TOPIC, name, value), Outgoing(TOPIC, name, event(f"beside-{name.decode()}"))]
    send(stack, messages)
    neighbours = "SELECT count() FROM insights WHERE startsWith(event_id, 'beside-')"
    wait_for(lambda: rows(stack, neighbours) == [(len(hostile),)])
    for name, (value, reasons) in hostile.items():
        sql = f"SELECT reason, hex(value), value IS NULL FROM dead_letters WHERE key = '{name.decode()}'"
        wait_for(lambda sql=sql: len(rows(stack, sql)) == 1)  # type: ignore[misc]
        reason, stored, is_null = rows(stack, sql)[0]
        assert reason in reasons
        assert bool(is_null) == (value is None)
        assert value is None or stored == value.hex().upper()


def test_a_resend_counts_once_even_in_a_later_block(stack: Stack) -> None:
    send(stack, [Outgoing(TOPIC, b"Thing", event("again"))] * 2)
    wait_for(lambda: rows(stack, "SELECT count() FROM insights WHERE event_id = 'again'") == [(1,)])
    send(stack, [Outgoing(TOPIC, b"Thing", event("again")), Outgoing(TOPIC, b"Thing", event("after"))])
    wait_for(lambda: rows(stack, "SELECT count() FROM insights WHERE event_id = 'after'") == [(1,)])
    assert rows(stack, "SELECT count() FROM insights WHERE event_id = 'again'") == [(1,)]


def test_a_changed_text_under_the_same_id_takes_the_place_of_the_old_one_in_rows_and_aggregates(stack: Stack) -> None:
    def current() -> list[tuple[Any, ...]]:
        return rows(stack, "SELECT text FROM insights WHERE event_id = 'edited'")

    def version(text: str, **fields: Any) -> Outgoing:
        return Outgoing(TOPIC, b"Edited", event("edited", product="Edited", text=text, **fields))

    send(stack, [version("The battery is terrible, I hate it.")])
    wait_for(lambda: len(current()) == 1)
    send(stack, [version("The battery is great, I love it!", created_at="2026-11-03T10:00:00Z")])
    wait_for(lambda: current() == [("The battery is great, I love it!",)])
    send(stack, [version("The battery is terrible, I hate it.")])  # the first version once more: a resend, no update
    send(stack, [version("In the same block"), version("The very last one"), version("In the same block")])
    wait_for(lambda: current() == [("The very last one",)])
    by_day = rows(
        stack, "SELECT day, volume, negative, neutral, positive FROM v_product_daily WHERE product = 'Edited'"
    )
    recount = (
        "SELECT toDate(event_time) AS day, count(), countIf(sentiment = 'negative'), countIf(sentiment = 'neutral'),"
        " countIf(sentiment = 'positive') FROM insights WHERE product = 'Edited' GROUP BY day"
    )
    wait_for(
        lambda: (
            rows(stack, "SELECT count() FROM aspect_mentions WHERE event_id = 'edited'")
            == rows(stack, "SELECT toUInt64(sum(length(`aspects.aspect`))) FROM insights WHERE event_id = 'edited'")
        )
    )
    assert by_day == rows(stack, recount)
    trends = rows(stack, "SELECT aspect, mentions FROM v_aspect_trends WHERE product = 'Edited' ORDER BY aspect")
    mentions = "SELECT aspect, count() FROM aspect_mentions WHERE product = 'Edited' GROUP BY aspect ORDER BY aspect"
    assert trends == rows(stack, mentions)


@pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed")
def test_a_stranger_produces_with_kcat_and_sees_the_insight(stack: Stack) -> None:
    broker = stack.settings.kafka.bootstrap_servers
    subprocess.run(
        ["kcat", "-P", "-b", broker, "-t", TOPIC, "-k", "Thing"],
        input=event("from-kcat") + b"\n",
        check=True,
        timeout=30,
    )
    wait_for(lambda: rows(stack, "SELECT count() FROM insights WHERE event_id = 'from-kcat'") == [(1,)])
    command = ["kcat", "-C", "-b", broker, "-t", "voxpop.insights", "-e", "-q", "-o", "beginning"]
    found: list[Insight] = []

    def arrived() -> bool:
        lines = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.splitlines()
        found[:] = [i for i in map(Insight.model_validate_json, lines) if i.event_id == "from-kcat"]
        return bool(found)

    wait_for(arrived)
    assert found[0].product == "Thing"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_a_stranger_runs_sql_with_curl(stack: Stack) -> None:
    url = f"http://127.0.0.1:{stack.settings.clickhouse.port}/?database=voxpop"
    done = subprocess.run(
        ["curl", "-sS", url, "--data", "SELECT 1 + count() - count() FROM v_recent"],
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.strip() == b"1"


def test_classify_answers_in_order_and_names_the_line_that_it_cannot_use() -> None:
    lines = [
        b'{"id": 1, "text": "I love it"}',
        b"not json",
        b'{"text": "Terrible. Broken.", "aspects": ["quality", "price"]}',
    ]
    command = [sys.executable, "-m", "workers.cli", "classify", "-", "--json"]
    done = subprocess.run(command, input=b"\n".join(lines), capture_output=True, timeout=120)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [("error" in answer) for answer in answers] == [False, True, False]
    assert answers[0]["id"] == 1
    assert answers[0]["sentiment"]["label"] == "positive"
    assert answers[1]["line"] == 2
    assert [mention["aspect"] for mention in answers[2]["aspects"]] == ["quality", "price"]
    assert answers[2]["sentiment"]["label"] == "negative"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_stopped_in_mid_stream_loses_nothing_and_doubles_nothing(
    tmp_path: Path, start_stack: StartStack, how: signal.Signals
) -> None:
    count = 1_500
    messages = [Outgoing(TOPIC, f"p{i % 9}".encode(), event(f"{i}", product=f"p{i % 9}")) for i in range(count)]
    with start_stack(tmp_path, 2) as stack:
        send(stack, messages)
        wait_for(lambda: stack.reader.count("insights") > 0)
        victim = stack.workers.pop()
        if victim.running:
            os.kill(victim.pid, how)
        wait_for(lambda: not victim.running)
        wait_for(lambda: stack.reader.count("insights") >= count, limit_s=90)
        assert rows(stack, "SELECT count(), uniqExact(event_id) FROM insights") == [(count, count)]
        # An insert shows its rows a moment before what its views make of them.
        wait_for(lambda: rows(stack, "SELECT sum(volume) FROM v_product_daily") == [(count,)])


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0,
    reason="no right to cut the network off here",
)
def test_everything_works_with_the_network_cut_to_loopback() -> None:
    run = f"ip link set lo up 2>/dev/null || ifconfig lo up; exec {sys.executable} -m workers.cli up --once --json"
    done = subprocess.run(["unshare", "-n", "sh", "-c", run], capture_output=True, timeout=200, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    malformed = sum(message.expected_reason is not None for message in sample_messages())
    assert (summary["insights"], summary["dead_letters"]) == (len(gold_labels()), malformed)
    assert summary["produced"] == summary["insights"] + summary["dead_letters"] + summary["resends"]


def test_wrong_use_is_one_line_and_exit_code_2() -> None:
    for words in (["produce", "no-such-file.csv"], ["up", "--nonsense"], ["query"], ["classify", "missing.jsonl"]):
        done = subprocess.run([sys.executable, "-m", "workers.cli", *words], capture_output=True, timeout=60, text=True)
        assert done.returncode == 2, words
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
