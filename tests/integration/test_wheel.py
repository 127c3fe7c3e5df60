"""A wheel of this working tree, alone in its environment and run with the image's own variables, does the image's work."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from schemas.samples import gold_labels, sample_messages
from tests.by_hand import wait_until
from tests.deployment import DEPLOY
from tests.wheel import Installed, install, peak_memory_mb
from workers.settings import Settings, load_settings
from workers.stack import Stack
from workers.store.connect import connect
from workers.store.query import Reader
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics

TOPIC = "test.image"
ADMIN = "of-the-administrator"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel installed, and the pack built from it where the image has it: the base comes from this machine's cache."""
    directory = tmp_path_factory.mktemp("image")
    installed = install(directory)
    building = directory / "building"
    building.mkdir()
    (building / "cache").symlink_to(load_settings().cache_dir.resolve())
    for words in (["packs", "build"], ["packs", "verify"]):
        done = installed.run(*words, environment={"VOXPOP_STATE_DIR": str(building)})
        assert done.returncode == 0, done.stderr
    return installed


@pytest.fixture(scope="module")
def own(stack: Stack) -> Settings:
    """A topic, a group and a database of the image's own on the session's broker and ClickHouse."""
    kafka = stack.settings.kafka.model_copy(update={"topics": (TOPIC,), "group_id": "image"})
    store = stack.settings.clickhouse.model_copy(update={"database": "image"})
    return stack.settings.model_copy(update={"kafka": kafka, "clickhouse": store})


@pytest.fixture(scope="module")
def given(own: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What compose or Kubernetes gives beside what the image sets: addresses, and secrets as files."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "VOXPOP_PRIVACY__AUTHOR_SALT").write_text("shared by all workers\n")
    (secrets / "VOXPOP_DASHBOARD__TOKENS").write_text(json.dumps({"admin": [ADMIN]}))
    return {
        "VOXPOP_SECRETS_DIR": str(secrets),
        "VOXPOP_KAFKA__BOOTSTRAP_SERVERS": own.kafka.bootstrap_servers,
        "VOXPOP_KAFKA__SESSION_TIMEOUT_MS": str(own.kafka.session_timeout_ms),
        "VOXPOP_KAFKA__TOPICS": json.dumps(own.kafka.topics),
        "VOXPOP_KAFKA__GROUP_ID": own.kafka.group_id,
        "VOXPOP_CLICKHOUSE__PORT": str(own.clickhouse.port),
        "VOXPOP_CLICKHOUSE__DATABASE": own.clickhouse.database,
    }


def ask(port: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and body; 0 while nobody listens."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def written(image: Installed) -> dict[Path, int]:
    """Every file of the installation, packs included, and when it was last changed."""
    root = image.voxpop.parents[1]
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak memory is read from Linux's /proc")
def test_the_installed_worker_takes_the_sample_stream_and_ends_when_it_is_told_to(
    image: Installed, own: Settings, given: dict[str, str], tmp_path: Path
) -> None:
    before = written(image)
    assert image.run("migrate", environment=given).stdout.startswith("applied ")
    doctor = image.run("doctor", "--json", environment=given)
    assert [line for line in map(json.loads, doctor.stdout.splitlines()) if not line["good"]] == []
    ensure_topics(own.kafka)
    producer = AcknowledgedProducer(own.kafka)
    producer.send_all(Outgoing(TOPIC, message.key, message.value) for message in sample_messages())
    producer.close()
    port = image.environment["VOXPOP_WORKER__HTTP_PORT"]
    with (
        connect(own.clickhouse) as client,
        image.running("worker", environment=given, log=tmp_path / "worker.log") as worker,
    ):
        reader = Reader(client, own.clickhouse)
        wait_until(lambda: worker.poll() is not None or ask(port, "/readyz")[0] == 200, "the worker to be ready")
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()
        wait_until(lambda: reader.count("insights") == len(gold_labels()), "every insight", 90)
        assert ask(port, "/healthz")[0] == 200
        assert "voxpop_insights_total" in ask(port, "/metrics")[1]
        used_mb = peak_memory_mb(worker.pid)
        print(f"the worker held {used_mb:.0f} MB at most")
    resources = yaml.safe_load((DEPLOY / "k8s" / "worker.yaml").read_text())["spec"]["template"]["spec"]["containers"][
        0
    ]
    asked = int(resources["resources"]["requests"]["memory"].removesuffix("Mi"))
    assert asked / 2 < used_mb < asked
    assert written(image) == before
    assert [path.name for path in image.state.iterdir()] == []


def test_the_installed_dashboard_answers_the_probe_and_those_who_have_a_token(
    image: Installed, given: dict[str, str], tmp_path: Path
) -> None:
    assert image.run("migrate", environment=given).returncode == 0
    before = written(image)
    port = image.environment["VOXPOP_DASHBOARD__PORT"]
    with image.running("dashboard", environment=given, log=tmp_path / "dashboard.log") as dashboard:
        probe = {"Host": "localhost"}  # as deploy/k8s/dashboard.yaml asks
        wait_until(lambda: dashboard.poll() is not None or ask(port, "/healthz", probe)[0] == 200, "the dashboard")
        assert dashboard.poll() is None, (tmp_path / "dashboard.log").read_text()
        assert ask(port, "/healthz", {"Host": "10.1.2.3:8080"})[0] == 421
        assert ask(port, "/api/v1/products")[0] == 401
        assert ask(port, "/api/v1/products", {"Authorization": f"Bearer {ADMIN}"})[0] == 200
        print(f"the dashboard held {peak_memory_mb(dashboard.pid):.0f} MB at most")
    assert written(image) == before


def test_the_installed_dashboard_refuses_to_be_open_without_tokens(image: Installed, given: dict[str, str]) -> None:
    without = {name: value for name, value in given.items() if name != "VOXPOP_SECRETS_DIR"}
    done = image.run("dashboard", environment=without)
    assert done.returncode == 2
    assert "VOXPOP_DASHBOARD__TOKENS" in done.stderr
