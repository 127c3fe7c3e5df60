"""compose.yaml: valid by Compose's own schema; each command, port, path, variable, user and version there is."""

import json
import os
import re
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import chdb
import jsonschema
import pytest
import yaml

from tests.deployment import COMPOSE, DEPLOY, ROOT, image_environment, is_secret, refused, unknown_words, variables_in
from workers.embedded.kafka import _write_configuration
from workers.settings import DashboardTokens, KafkaSettings, WorkerSettings, load_settings
from workers.stream.connect import ENVELOPE_BYTES

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if str(service["image"]).startswith("voxpop:")}
DEFAULT_STOP_S = WorkerSettings().stop_timeout_s


def secret_names(service: dict[str, Any]) -> dict[str, str]:
    """Secret -> the name of its file in /run/secrets."""
    given = [s if isinstance(s, dict) else {"source": s, "target": s} for s in service.get("secrets", [])]
    return {secret["source"]: secret["target"] for secret in given}


def variables_of(service: dict[str, Any]) -> dict[str, str]:
    """What the files and the lines of a service set, the lines outranking."""
    files = [variables_in(DEPLOY / name) for name in service.get("env_file", [])]
    given = {key: str(value) for key, value in service["environment"].items()}
    return {key: value for file in files for key, value in file.items()} | given


def mounts(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(from, to, mode) of every volume."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return [(part[0], part[1], part[2] if len(part) > 2 else "rw") for part in parts]


def test_it_is_valid_by_the_schema_of_compose() -> None:
    schema = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")
    document = json.loads(schema.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(document).validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError):  # the schema does refuse what Compose would
        jsonschema.Draft7Validator(document).validate(COMPOSE | {"services": {"worker": {"comand": ["worker"]}}})


def test_every_image_is_of_a_version() -> None:
    assert [s["image"] for s in SERVICES.values() if not re.search(r":v?\d+\.\d+(\.\d+)?$", s["image"])] == []


def test_the_versions_are_those_that_the_tests_run_on() -> None:
    pom = (DEPLOY / "kafka" / "pom.xml").read_text(encoding="utf-8")
    (kafka,) = re.findall(r"<kafka\.version>(.+?)</", pom)
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka}"
    engine = str(chdb.query("SELECT version()", "CSV")).strip().strip('"')
    assert SERVICES["clickhouse"]["image"] == f"clickhouse/clickhouse-server:{'.'.join(engine.split('.')[:2])}"


@pytest.mark.parametrize("name", OURS)
def test_a_part_runs_a_command_that_there_is(name: str) -> None:
    assert unknown_words(OURS[name]["command"]) == []


@pytest.mark.parametrize("name", OURS)
def test_a_part_is_given_settings_that_there_are_and_secrets_as_files_alone(name: str) -> None:
    service = OURS[name]
    variables = variables_of(service)
    assert refused(variables) == {}
    assert [key for key in variables if is_secret(key)] == []
    assert variables["VOXPOP_SECRETS_DIR"] == "/run/secrets"
    assert [target for target in secret_names(service).values() if not is_secret(target)] == []


@pytest.mark.parametrize("name", OURS)
def test_a_part_may_do_as_little_as_it_can(name: str) -> None:
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    written = {to for _, to, mode in mounts(service) if mode == "rw"}
    assert written <= {image_environment()["VOXPOP_STATE_DIR"]}
    stop = re.fullmatch(r"(\d+)s", service["stop_grace_period"])
    assert stop is not None
    assert int(stop[1]) > 2 * DEFAULT_STOP_S


def test_nothing_asks_an_endpoint_unless_its_profile_is_asked_for() -> None:
    assert {name: s["profiles"] for name, s in SERVICES.items() if "profiles" in s} == {"escalate": ["escalation"]}
    asking = {name for name in OURS if "VOXPOP_ESCALATION__BASE_URL" in variables_of(OURS[name])}
    keys = {name for name, s in SERVICES.items() if "escalation_api_key" in secret_names(s)}
    assert asking == keys == {"escalate"}
    needed = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert "escalate" not in needed  # or Compose would start it with whoever needs it


@pytest.mark.parametrize("name", OURS)
def test_addresses_are_those_of_services(name: str) -> None:
    variables = OURS[name]["environment"]
    assert variables["VOXPOP_CLICKHOUSE__HOST"] in SERVICES
    host, port = variables["VOXPOP_KAFKA__BOOTSTRAP_SERVERS"].split(":")
    assert f"BROKER://{host}:{port}" in SERVICES[host]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    for address in json.loads(variables.get("VOXPOP_DASHBOARD__WORKER_METRICS", "[]")):
        assert address == f"http://worker:{image_environment()['VOXPOP_WORKER__HTTP_PORT']}/metrics"


def test_nothing_is_open_to_other_hosts() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert "127.0.0.1:8080:" + image_environment()["VOXPOP_DASHBOARD__PORT"] in SERVICES["dashboard"]["ports"]


def test_every_file_that_is_mounted_is_there_and_every_volume_and_secret_is_declared() -> None:
    for service in SERVICES.values():
        for origin, _, mode in mounts(service):
            if origin.startswith("."):
                assert (DEPLOY / origin).exists(), origin
                assert mode == "ro"
            else:
                assert origin in COMPOSE["volumes"]
        assert set(secret_names(service)) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_kafka_is_set_up_as_the_one_that_the_tests_start(tmp_path: Path) -> None:
    _write_configuration(tmp_path, 9092, 9093, 2_097_152, {})
    tried = dict(line.split("=", 1) for line in (tmp_path / "server.properties").read_text().splitlines())
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
        if name.startswith("KAFKA_")
    }
    assert given.keys() <= tried.keys()
    differing = {name for name in given if given[name] != tried[name]}
    assert differing == {
        "controller.quorum.voters", "listeners", "advertised.listeners", "listener.security.protocol.map", "log.dirs",
    }  # fmt: skip
    assert int(given["message.max.bytes"]) >= KafkaSettings().max_message_bytes + ENVELOPE_BYTES


def test_the_made_secrets_are_the_mounted_ones_and_settings_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "secrets"
    subprocess.run([DEPLOY / "make-secrets.sh", made], check=True, capture_output=True)
    first = {path.name: path.read_text() for path in made.iterdir()}
    subprocess.run([DEPLOY / "make-secrets.sh", made], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in made.iterdir()} == first
    assert set(COMPOSE["secrets"]) == set(first)
    assert all(value["file"] == f"./secrets/{name}" for name, value in COMPOSE["secrets"].items())
    assert made.stat().st_mode & 0o077 == 0
    assert (ROOT / ".gitignore").read_text().splitlines().count("deploy/secrets/") == 1
    mounted = tmp_path / "run"
    mounted.mkdir()
    for name in ("worker", "escalate", "dashboard"):
        for source, target in secret_names(SERVICES[name]).items():
            (mounted / target).write_text(first[source])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXPOP_SECRETS_DIR", str(mounted))
    settings = load_settings()
    assert settings.clickhouse.password.get_secret_value() == first["clickhouse_dashboard_password"].strip()
    assert settings.privacy.author_salt is not None
    assert settings.escalation.api_key is not None
    assert settings.escalation.api_key.get_secret_value() == first["escalation_api_key"].strip()
    assert [len(getattr(settings.dashboard.tokens, role)) for role in DashboardTokens.model_fields] == [1, 1, 1]


def test_the_users_that_log_in_are_made_and_get_their_passwords_from_secrets_by_standard_input() -> None:
    script = (DEPLOY / "clickhouse" / "users.sh").read_text(encoding="utf-8")
    roles = (DEPLOY / "clickhouse" / "roles.sql").read_text(encoding="utf-8")
    made = set(re.findall(r"CREATE USER IF NOT EXISTS (\w+)", roles + script))
    named = {service["environment"]["VOXPOP_CLICKHOUSE__USERNAME"] for service in OURS.values()}
    named.add(SERVICES["grafana"]["environment"]["CLICKHOUSE_USER"])
    named |= {user for s in OURS.values() if (user := s["environment"].get("VOXPOP_DASHBOARD__FEEDBACK_USERNAME"))}
    assert named <= made
    with_password = set(re.findall(r"(?:CREATE USER IF NOT EXISTS|ALTER USER) (\w+) IDENTIFIED WITH", script))
    assert named == with_password
    assert set(re.findall(r"\$\(secret (\w+)\)", script)) == set(secret_names(SERVICES["clickhouse"]))
    assert re.findall(r"clickhouse client (.+)", script) == ["--multiquery <<SQL"]
    assert os.access(DEPLOY / "clickhouse" / "users.sh", os.X_OK)
    assert subprocess.run(["bash", "-n", DEPLOY / "clickhouse" / "users.sh"], check=False).returncode == 0
    statements = re.sub(r"\$\w+", "a" * 16, script.partition("<<SQL\n")[2].partition("\nSQL")[0]).split(";")[:-1]
    assert len(statements) == 5
    for statement in statements:
        assert "Query" in str(chdb.query(f"EXPLAIN AST {statement}", "CSV"))  # ClickHouse can read it


def test_the_first_user_is_let_in_from_inside_the_container_alone() -> None:
    tree = ElementTree.parse(DEPLOY / "clickhouse" / "users.xml")
    assert [ip.text for ip in tree.findall("users/default/networks/ip")] == ["127.0.0.1", "::1"]
    assert tree.find("users/default/networks").attrib == {"replace": "replace"}


def test_prometheus_asks_every_part_that_serves_metrics_at_its_port() -> None:
    document = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    ((found,),) = (job["dns_sd_configs"] for job in document["scrape_configs"])
    assert found["names"] == ["worker", "alerts", "escalate"]
    assert str(found["port"]) == image_environment()["VOXPOP_WORKER__HTTP_PORT"]
    assert SERVICES["alerts"]["environment"]["VOXPOP_ALERTS__HTTP_PORT"] == str(found["port"])
    assert SERVICES["escalate"]["environment"]["VOXPOP_ESCALATION__HTTP_PORT"] == str(found["port"])


def test_grafana_gets_what_its_provisioning_asks_for() -> None:
    service = SERVICES["grafana"]
    provisioning = ROOT / "dashboards" / "grafana" / "provisioning"
    asked = re.findall(r"\$\{(\w+)\}", (provisioning / "datasources" / "voxpop.yaml").read_text(encoding="utf-8"))
    given = {*service["environment"], *re.findall(r"(CLICKHOUSE_PASSWORD)=", service["entrypoint"][-1])}
    assert set(asked) <= given
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "voxpop.yaml").read_text(encoding="utf-8"))["providers"]
    boards = {
        Path(origin).name for origin, to, _ in mounts(service) if str(Path(to).parent) == provider["options"]["path"]
    }
    assert boards == {path.name for path in (ROOT / "dashboards" / "grafana").glob("*.json")}
    assert service["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
