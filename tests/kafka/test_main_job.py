"""The main job on Apache Kafka: the sample stream end to end, and a client that is not ours."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from schemas.insights import Insight
from schemas.samples import gold_labels, sample_messages
from workers.embedded.broker import SESSION_TIMEOUT_MS
from workers.embedded.kafka import ApacheKafka
from workers.embedded.process import wait_until
from workers.settings import KafkaSettings, Settings
from workers.stack import Stack, running_stack
from workers.stream.produce import Outgoing


@pytest.fixture(scope="module")
def stack(kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One worker and ClickHouse on that Kafka. The session is short only so that the end of the test is."""
    settings = Settings(kafka=KafkaSettings(session_timeout_ms=SESSION_TIMEOUT_MS))
    with running_stack(settings, tmp_path_factory.mktemp("stack"), broker=kafka) as running:
        yield running


def test_the_sample_stream_comes_out_whole(stack: Stack) -> None:
    messages = [Outgoing(message.topic, message.key, message.value) for message in sample_messages()]
    malformed = sum(message.expected_reason is not None for message in sample_messages())
    summary = stack.run_stream(messages)
    assert (len(gold_labels()), malformed) == (464, 24)
    assert (summary.produced, summary.insights, summary.dead_letters) == (len(messages), 464, 24)
    assert stack.reader.select("SELECT sum(volume) FROM v_product_daily").result_rows == [(464,)]


@pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed")
def test_kcat_produces_an_event_and_reads_its_insight(stack: Stack) -> None:
    text = {"id": "k", "kind": "review", "source": "kcat", "product": "Lamp", "text": "A lovely lamp, warm and bright."}
    event = json.dumps(text | {"created_at": "2026-11-02T10:00:00Z"}).encode()
    kcat = ["kcat", "-b", stack.settings.kafka.bootstrap_servers]
    subprocess.run([*kcat, "-P", "-t", "voxpop.reviews", "-k", "Lamp"], input=event, check=True, timeout=30)
    read = [*kcat, "-C", "-t", "voxpop.insights", "-e", "-q", "-o", "beginning"]
    found: list[Insight] = []

    def arrived() -> bool:
        lines = subprocess.run(read, capture_output=True, check=True, timeout=30).stdout.splitlines()
        found[:] = [insight for insight in map(Insight.model_validate_json, lines) if insight.source == "kcat"]
        return bool(found)

    wait_until(arrived, 60, "the insight")
    assert [(insight.product, insight.sentiment.label) for insight in found] == [("Lamp", "positive")]
