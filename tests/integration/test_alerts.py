"""`voxpop alerts` on the embedded broker and ClickHouse: told once, through kill -9, resends and failing webhooks."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata
from pydantic import SecretStr

from schemas.alerts import Alert
from schemas.insights import Insight
from tests.alert_texts import INCIDENT, PRODUCT, days
from tests.by_hand import Rows, empty, wait_until
from workers.alerting.replay import replay
from workers.alerting.text import from_insight
from workers.alerts import AlertsApp
from workers.embedded.broker import SESSION_TIMEOUT_MS, EmbeddedBroker
from workers.embedded.process import ChildProcess
from workers.settings import AlertSettings, KafkaSettings, Settings, as_environment
from workers.stream.lag import LagProbe
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics


@pytest.fixture
def settings(migrated: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A broker of the test's own, and empty tables."""
    empty(migrated)
    with EmbeddedBroker.start(tmp_path / "broker.log") as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, session_timeout_ms=SESSION_TIMEOUT_MS)
        made = migrated.model_copy(update={"kafka": kafka, "state_dir": tmp_path})
        ensure_topics(made.kafka)
        yield made


def live(insights: Sequence[Insight]) -> list[Insight]:
    """As they are when each comes in as soon as it is written."""
    return [each.model_copy(update={"ingested_at": each.event_time}) for each in insights]


def send(settings: Settings, insights: Sequence[Insight]) -> None:
    producer = AcknowledgedProducer(settings.kafka)
    try:
        producer.send_all(
            Outgoing(settings.kafka.insights_topic, each.product.encode(), orjson.dumps(each.model_dump(mode="json")))
            for each in insights
        )
    finally:
        producer.close()


def start(settings: Settings, log_dir: Path) -> ChildProcess:
    command = [sys.executable, "-m", "workers.cli", "alerts"]
    return ChildProcess("alerts", command, log_file=log_dir / "alerts.log", environment=as_environment(settings))


def told(settings: Settings) -> list[Alert]:
    """Every message of the alerts' topic, a product's in their order."""
    topic = settings.kafka.alerts_topic
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers)
    try:
        partitions = [TopicPartition(topic, number) for number in range(settings.kafka.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        found: list[Alert] = []
        while read := consumer.poll(timeout_ms=1_000):
            found += [Alert.model_validate_json(m.value) for messages in read.values() for m in messages]
        return found
    finally:
        consumer.close()


def status(settings: Settings) -> list[str]:
    return [row[0] for row in Rows(settings).select("SELECT status FROM v_alerts")]


def caught_up(settings: Settings) -> bool:
    probe = LagProbe(settings.kafka, settings.alerts.group_id)
    try:
        return not probe.behind(probe.ends(settings.kafka.insights_topic))
    finally:
        probe.close()


def test_an_incident_is_told_once_through_kills_and_resends(settings: Settings, tmp_path: Path) -> None:
    """Killed before it opens, while it is open, and just after more was sent; what was in doubt is sent again."""
    insights = live(days(INCIDENT))
    (expected,) = replay([from_insight(each) for each in insights], settings.alerts).alerts
    alerts = start(settings, tmp_path)
    try:
        send(settings, insights[:30])
        wait_until(lambda: caught_up(settings), "the first texts")
        alerts.kill()
        alerts = start(settings, tmp_path)
        send(settings, insights[20 : 60 + 20])
        wait_until(lambda: status(settings) == ["open"], "the alert")
        alerts.kill()
        alerts = start(settings, tmp_path)
        send(settings, insights[70:90])
        alerts.kill()
        alerts = start(settings, tmp_path)
        send(settings, insights[60:])
        wait_until(lambda: status(settings) == ["closed"], "its end")
    finally:
        alerts.stop()
    assert alerts.exit_code == 0
    ((alert_id, revision, observed, p_value),) = Rows(settings).select(
        "SELECT alert_id, revision, observed, p_value FROM v_alerts"
    )
    assert (alert_id, revision) == (expected.alert_id, expected.revision)
    assert (observed, p_value) == (expected.leading.observed, pytest.approx(expected.leading.p_value))
    messages = told(settings)
    assert {alert.revision for alert in messages} == {1, 2, 3}
    assert len({alert.model_dump_json() for alert in messages}) == 3, "a revision that is told again says the same"
    assert messages[-1] == expected


def test_time_does_not_pass_for_products_while_their_texts_wait(settings: Settings) -> None:
    """Read is not counted: a text in a queue must not be taken for silence."""
    send(settings, live(days(INCIDENT)))
    partitions = [TopicPartition(settings.kafka.insights_topic, number) for number in range(settings.kafka.partitions)]
    app = SimpleNamespace(_settings=settings, _partitions=lambda: partitions)
    assert not AlertsApp._nothing_waits(app)
    probe = LagProbe(settings.kafka)
    ends = probe.ends_of(partitions)
    probe.close()
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers, group_id=settings.alerts.group_id, enable_auto_commit=False
    )
    try:
        consumer.assign(partitions)
        last = max(ends, key=ends.__getitem__)
        consumer.commit({tp: OffsetAndMetadata(end - (tp == last), "", -1) for tp, end in ends.items() if end})
        assert not AlertsApp._nothing_waits(app), "one text waits"
        consumer.commit({last: OffsetAndMetadata(ends[last], "", -1)})
        assert AlertsApp._nothing_waits(app)
    finally:
        consumer.close()


def test_the_time_until_partitions_are_there_is_not_silence(settings: Settings) -> None:
    async def ticked(ready: bool) -> int:
        looked: list[object] = []

        async def nothing() -> None:
            """Every changelog has everything."""

        async def do(steps: object) -> None:
            looked.append(steps)

        app = SimpleNamespace(
            _settings=settings,
            _one_at_a_time=asyncio.Lock(),
            _changelogs=SimpleNamespace(acknowledge=nothing),
            _latest_event=time.monotonic() - 2 * settings.alerts.settle_s,
            _nothing_waits=lambda: True,
            _watch_all=lambda: None,
            _do=do,
            ready=ready,
        )
        await AlertsApp._tick(app)
        app.ready = True
        await AlertsApp._tick(app)
        return len(looked)

    assert asyncio.run(ticked(ready=True)) == 1
    assert asyncio.run(ticked(ready=False)) == 0


def test_old_texts_are_looked_at_when_no_more_come_and_again_after_a_restart_nothing_is_told_twice(
    settings: Settings, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"alerts": AlertSettings(settle_s=1)})
    insights = days(INCIDENT)
    posts = [each.model_copy(update={"topic": "voxpop.social"}) for each in insights[1::2]]
    send(settings, [*insights[::2], *posts])
    with start(settings, tmp_path):
        wait_until(lambda: status(settings) == ["closed"], "the alert")
    (expected,) = replay([from_insight(each) for each in insights], settings.alerts).alerts
    assert Rows(settings).select("SELECT alert_id, revision FROM v_alerts") == [(expected.alert_id, expected.revision)]
    before = len(told(settings))
    with start(settings, tmp_path) as again:
        send(settings, insights)
        wait_until(lambda: caught_up(settings), "the texts that were sent again")
        send(settings, live([insights[0].model_copy(update={"event_id": "x", "product": "Other"})]))
        wait_until(lambda: caught_up(settings), "one more")
    assert again.exit_code == 0
    assert len(told(settings)) == before
    assert len(status(settings)) == 1


class Hook:
    """An address that refuses its first requests."""

    def __init__(self, failures: int) -> None:
        self.bodies: list[dict[str, object]] = []
        self.signatures: list[str | None] = []
        self.failures = failures


@contextmanager
def listening(hook: Hook) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.failures -= 1
            if hook.failures < 0:
                hook.bodies.append(json.loads(body))
                hook.signatures.append(self.headers["X-Voxpop-Signature"])
            self.send_response(500 if hook.failures >= 0 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_webhooks_get_opening_and_end_and_one_that_fails_stops_nothing(settings: Settings, tmp_path: Path) -> None:
    hook = Hook(failures=2)
    with listening(hook) as address:
        told_to = AlertSettings(
            webhooks=(SecretStr("http://127.0.0.1:9/nobody"), SecretStr(address)),
            webhook_secret=SecretStr("between us"),
            notify_within_hours=24 * 3650,
        )
        made = settings.model_copy(update={"alerts": told_to})
        send(made, live(days(INCIDENT)))
        with start(made, tmp_path) as alerts:
            wait_until(lambda: len(hook.bodies) == 2, "both notices")
            assert alerts.running
    assert [body["alert"]["status"] for body in hook.bodies] == ["open", "closed"]  # type: ignore[index]
    assert str(hook.bodies[0]["text"]).startswith(f"{PRODUCT}: 12 of 14 texts negative")
    assert all(signature and signature.startswith("sha256=") for signature in hook.signatures)
    assert "127.0.0.1:9" not in (tmp_path / "alerts.log").read_text()


def test_what_happened_long_ago_is_in_the_table_and_told_to_nobody(settings: Settings, tmp_path: Path) -> None:
    hook = Hook(failures=0)
    with listening(hook) as address:
        made = settings.model_copy(
            update={"alerts": AlertSettings(webhooks=(SecretStr(address),), notify_within_hours=1)}
        )
        send(made, live(days(INCIDENT)))
        with start(made, tmp_path) as alerts:
            wait_until(lambda: status(made) == ["closed"], "the alert")
            alerts.stop()
    assert hook.bodies == []


def test_a_message_that_is_no_insight_is_left_out(settings: Settings, tmp_path: Path) -> None:
    producer = AcknowledgedProducer(settings.kafka)
    producer.send_all([Outgoing(settings.kafka.insights_topic, PRODUCT.encode(), b"{}")])
    producer.close()
    send(settings, live(days(INCIDENT)))
    with start(settings, tmp_path):
        wait_until(lambda: status(settings) == ["closed"], "the alert")
