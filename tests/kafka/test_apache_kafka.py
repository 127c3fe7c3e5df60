"""Apache Kafka as a process: it serves, keeps what it was given when it dies, and leaves nothing behind."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.structs import OffsetAndMetadata

from tests.conftest import StartKafka
from workers.embedded import kafka as module
from workers.embedded.kafka import ApacheKafka
from workers.embedded.process import EmbeddedError, free_port, wait_until
from workers.settings import KafkaSettings

PLACE = TopicPartition("kept", 0)


def alive(pid: int) -> bool:
    """Whether `pid` runs (a zombie that nobody has reaped yet does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def create(kafka: ApacheKafka, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    admin.create_topics([NewTopic(name=topic, num_partitions=1, replication_factor=1)])
    admin.close()


def produce(kafka: ApacheKafka, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, max_request_size=2 << 20)
    for future in [producer.send(topic, value=value) for value in values]:
        future.get(timeout=20)
    producer.close()


def consume(consumer: KafkaConsumer, count: int) -> list[bytes]:
    values: list[bytes] = []

    def arrived() -> bool:
        for records in consumer.poll(timeout_ms=100).values():
            values.extend(record.value for record in records)
        return len(values) >= count

    wait_until(arrived, 20, f"{count} messages")
    return values


def test_it_answers_a_producer_and_a_consumer_in_a_group(kafka: ApacheKafka) -> None:
    create(kafka, "answers")
    largest = b"x" * KafkaSettings().max_message_bytes
    produce(kafka, "answers", [b"one", b"two", largest])
    consumer = KafkaConsumer(
        "answers", bootstrap_servers=kafka.bootstrap_servers, group_id="readers", auto_offset_reset="earliest"
    )
    assert consume(consumer, 3) == [b"one", b"two", largest]
    consumer.close()


def test_messages_committed_offsets_and_their_metadata_survive_a_kill(tmp_path: Path, start_kafka: StartKafka) -> None:
    with start_kafka(tmp_path) as kafka:
        create(kafka, PLACE.topic)
        produce(kafka, PLACE.topic, [b"0", b"1", b"2"])
        consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, group_id="g", enable_auto_commit=False)
        consumer.assign([PLACE])
        consumer.commit({PLACE: OffsetAndMetadata(2, "up to 3", -1)})
        consumer.close()
        address, pid = kafka.bootstrap_servers, kafka.pid
        kafka.kill()
        assert not alive(pid)
        kafka.restart()
        assert kafka.bootstrap_servers == address
        consumer = KafkaConsumer(bootstrap_servers=address, group_id="g", auto_offset_reset="earliest")
        consumer.assign([PLACE])
        assert consumer.committed(PLACE, metadata=True) == OffsetAndMetadata(2, "up to 3", -1)
        assert consume(consumer, 1) == [b"2"]
        consumer.close()


def test_a_stop_leaves_no_process_and_a_new_start_finds_the_data(tmp_path: Path, start_kafka: StartKafka) -> None:
    with start_kafka(tmp_path) as kafka:
        create(kafka, "kept")
        pids = kafka.pid, kafka.process._supervisor.pid
    assert not any(map(alive, pids))
    with start_kafka(tmp_path) as kafka:
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        assert "kept" in [topic["name"] for topic in admin.describe_topics()]
        admin.close()


def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path, start_kafka: StartKafka) -> None:
    program = (
        "import pathlib, signal\n"
        "from workers.embedded.kafka import ApacheKafka\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "kafka = ApacheKafka.start(here / 'kafka', here / 'kafka.log')\n"
        "print(kafka.pid, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not alive(pid), 30, "Apache Kafka to die with its parent")


def test_only_loopback_is_bound(kafka: ApacheKafka) -> None:
    inodes = set()
    for descriptor in Path(f"/proc/{kafka.pid}/fd").iterdir():
        inodes.update(re.findall(r"socket:\[(\d+)\]", str(descriptor.readlink())))
    table = "".join(Path(f"/proc/{kafka.pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))
    rows = [line.split() for line in table.splitlines()]
    bound = {row[1].split(":")[0] for row in rows if len(row) > 9 and row[3] == "0A" and row[9] in inodes}
    assert bound == {"0100007F"}


def test_a_taken_port_and_a_directory_in_use_are_refused_in_one_line(tmp_path: Path, kafka: ApacheKafka) -> None:
    with pytest.raises(EmbeddedError, match=f"^port {kafka.port} is taken; choose another or leave it out$"):
        ApacheKafka.start(tmp_path, tmp_path / "log", port=kafka.port)
    configuration = (kafka.data_dir / "server.properties").read_text()
    with pytest.raises(EmbeddedError, match="is in use by another Apache Kafka: stop it or"):
        ApacheKafka.start(kafka.data_dir, tmp_path / "log")
    assert (kafka.data_dir / "server.properties").read_text() == configuration


def test_a_wrong_setting_is_named_from_kafkas_own_words(tmp_path: Path, start_kafka: StartKafka) -> None:
    with start_kafka(tmp_path):
        pass
    for directory in (tmp_path / "kafka", tmp_path / "new"):
        with pytest.raises(EmbeddedError, match=r"Invalid value many for configuration num\.io\.threads") as told:
            ApacheKafka.start(directory, tmp_path / "log", config={"num.io.threads": "many"})
        assert len(str(told.value).splitlines()) == 1


def test_a_cluster_id_that_begins_with_a_dash_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_kafka: StartKafka
) -> None:
    monkeypatch.setattr(module, "_cluster_id", lambda: "-AAAAAAAQAAAAAAAAAAAAQ")
    with start_kafka(tmp_path) as kafka:
        assert "cluster.id=-AAAAAAAQAAAAAAAAAAAAQ" in (kafka.data_dir / "log" / "meta.properties").read_text()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_prints_its_address_and_ends_with_a_signal(
    tmp_path: Path, start_kafka: StartKafka, end: signal.Signals
) -> None:
    command = [sys.executable, "-m", "workers.embedded.kafka", "--data", str(tmp_path), "--port", str(free_port())]
    foreground = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert foreground.stdout is not None
    assert f"Apache Kafka at 127.0.0.1:{command[-1]}" in foreground.stdout.readline()
    foreground.send_signal(end)
    assert foreground.wait(30) == 0
    foreground.stdout.close()


def test_a_signal_while_it_starts_leaves_nothing_behind(tmp_path: Path, start_kafka: StartKafka) -> None:
    command = [sys.executable, "-m", "workers.embedded.kafka", "--data", str(tmp_path), "--port", "0"]
    foreground = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    lock = tmp_path / "log" / ".lock"
    wait_until(lock.exists, 30, "the node to take its directory")
    foreground.send_signal(signal.SIGTERM)
    assert foreground.wait(60) == 0
    module._refuse_a_directory_in_use(tmp_path)


def test_what_is_missing_is_named_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_kafka: StartKafka
) -> None:
    assert module.missing_for_kafka(tmp_path) == f"Apache Kafka's jars are not in {tmp_path}: run: make kafka-jars"
    java = tmp_path / "bin" / "java"
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    told: Callable[[], str | None] = module.missing_for_kafka
    assert f"there is no java in JAVA_HOME={tmp_path}: install Java 17 or newer" in (told() or "")
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    assert "is too old for Apache Kafka (openjdk version" in (told() or "")
