"""deploy/k8s: valid by Kubernetes' own schemas, and what one manifest names another has, or the code, or the image."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deployment import (
    DEPLOY,
    ROOT,
    image_environment,
    instructions,
    is_secret,
    k8s_settings,
    kustomization,
    manifests,
    refused,
    unknown_words,
)
from workers.settings import KafkaSettings, WorkerSettings

VERSION = "1.34"
DOCUMENTS = list(manifests())
KEDA_KINDS = {"ScaledObject", "TriggerAuthentication"}
PARTS = {d["metadata"]["name"]: d for _, d in DOCUMENTS if d["kind"] in ("Deployment", "Job")}
DEPLOYMENTS = {name: d for name, d in PARTS.items() if d["kind"] == "Deployment"}
POLICIES = {d["metadata"]["name"]: d["spec"] for _, d in DOCUMENTS if d["kind"] == "NetworkPolicy"}
# What KEDA 2's documentation lists, as far as it is used here; KEDA's own schemas come with no package.
KAFKA_TRIGGER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["bootstrapServers", "consumerGroup", "topic"],
    "properties": {
        "bootstrapServers": {"type": "string"},
        "consumerGroup": {"type": "string"},
        "topic": {"type": "string"},
        "lagThreshold": {"type": "string", "pattern": r"^\d+$"},
        "offsetResetPolicy": {"enum": ["latest", "earliest"]},
        "sasl": {"enum": ["none", "plaintext", "scram_sha256", "scram_sha512", "oauthbearer", "gssapi"]},
        "tls": {"enum": ["enable", "disable"]},
    },
}


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = PARTS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    found: dict[str, Any] = only
    return found


def variables(name: str) -> dict[str, str]:
    """What a part's process finds in its environment: the image's, then settings.env, then its own."""
    own = {entry["name"]: entry["value"] for entry in container(name).get("env", [])}
    return image_environment() | k8s_settings() | own


def labels(name: str) -> dict[str, str]:
    found: dict[str, str] = PARTS[name]["spec"]["template"]["metadata"]["labels"]
    return found


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (document for _, document in DOCUMENTS if document["kind"] == kind)


@pytest.mark.parametrize("document", [d for _, d in DOCUMENTS], ids=lambda d: f"{d['kind']} {d['metadata']['name']}")
def test_every_manifest_is_valid_by_the_schema_of_kubernetes(document: dict[str, Any]) -> None:
    if document["kind"] in KEDA_KINDS:
        assert document["apiVersion"] == "keda.sh/v1alpha1"
        return
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_schema_refuses_what_the_server_would() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(PARTS["worker"] | {"specs": {}}, VERSION, strict=True)


def test_every_file_is_named_by_the_kustomization_and_every_reference_leads_somewhere() -> None:
    there = {path.name for path in (DEPLOY / "k8s").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization()["resources"]) == there
    (generator,) = kustomization()["configMapGenerator"]
    assert generator == {"name": "voxpop-settings", "envs": ["settings.env"]}
    for name in PARTS:
        assert container(name)["envFrom"] == [{"configMapRef": {"name": generator["name"]}}]
    (image,) = kustomization()["images"]
    assert {container(name)["image"] for name in PARTS} == {image["name"]}
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    assert image["newTag"] == version[1]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl to build it with")
def test_kustomize_builds_of_it_what_kubernetes_takes() -> None:
    done = subprocess.run(["kubectl", "kustomize", DEPLOY / "k8s"], capture_output=True, text=True, check=True)
    built = [document for document in yaml.safe_load_all(done.stdout) if document["kind"] not in KEDA_KINDS]
    for document in built:
        kubernetes_validate.validate(document, VERSION, strict=True)
    (settings,) = (document for document in built if document["kind"] == "ConfigMap")
    assert settings["data"] == k8s_settings()
    (image,) = kustomization()["images"]
    parts = [document for document in built if document["kind"] in ("Deployment", "Job")]
    assert {part["metadata"]["name"] for part in parts} == set(PARTS)
    for part in parts:
        (only,) = part["spec"]["template"]["spec"]["containers"]
        assert only["image"] == f"{image['newName']}:{image['newTag']}"
        assert only["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_runs_a_command_that_there_is(name: str) -> None:
    assert container(name)["args"] == [name]
    assert unknown_words(container(name)["args"]) == []
    assert "command" not in container(name)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_given_settings_that_there_are_and_no_secret_among_them(name: str) -> None:
    assert refused(variables(name)) == {}
    assert [key for key in variables(name) if is_secret(key)] == []


def test_kafka_and_clickhouse_are_reached_over_tls_with_the_same_authority() -> None:
    given = k8s_settings()
    assert given["VOXPOP_KAFKA__SECURITY_PROTOCOL"] == "SASL_SSL"
    assert given["VOXPOP_CLICKHOUSE__SECURE"] == "true"
    assert given["VOXPOP_KAFKA__SSL_CAFILE"] == given["VOXPOP_CLICKHOUSE__CA_FILE"]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_may_do_as_little_as_it_can(name: str) -> None:
    spec, uid = pod(name), next(s.rest.split(":")[0] for s in instructions(DEPLOY / "Dockerfile") if s.word == "USER")
    assert spec["automountServiceAccountToken"] is False
    context = spec["securityContext"]
    assert (context["runAsNonRoot"], str(context["runAsUser"])) == (True, uid)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", PARTS)
def test_what_is_mounted_is_what_the_settings_name(name: str) -> None:
    volumes = {volume["name"]: volume for volume in pod(name)["volumes"]}
    at = {mount["mountPath"]: mount for mount in container(name)["volumeMounts"]}
    assert {mount["name"] for mount in at.values()} == set(volumes)
    state, secrets = variables(name)["VOXPOP_STATE_DIR"], variables(name)["VOXPOP_SECRETS_DIR"]
    assert "emptyDir" in volumes[at[state]["name"]]
    assert "secret" in volumes[at[secrets]["name"]]
    folder, _, file = variables(name)["VOXPOP_KAFKA__SSL_CAFILE"].rpartition("/")
    assert (volumes[at[folder]["name"]]["configMap"]["name"], file) == ("voxpop-ca", "ca.crt")
    assert [path for path, mount in at.items() if not mount.get("readOnly") and path not in (state, "/tmp")] == []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_its_probes_ask_paths_and_ports_that_the_part_serves(name: str) -> None:
    served = {"dashboard": {"/healthz"}, "worker": {"/healthz", "/readyz"}, "alerts": {"/healthz", "/readyz"}}
    probes = {kind: container(name).get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")}
    if name not in served:
        assert set(probes.values()) == {None}
        return
    (port,) = container(name)["ports"]
    asked = [probe["httpGet"] for probe in probes.values() if probe]
    assert len(asked) == 3
    assert {probe["path"] for probe in asked} == served[name]
    assert {probe["port"] for probe in asked} == {port["name"]}
    opened = "VOXPOP_DASHBOARD__PORT" if name == "dashboard" else f"VOXPOP_{name.upper()}__HTTP_PORT"
    assert str(port["containerPort"]) == variables(name)[opened]
    host = "VOXPOP_DASHBOARD__HOST" if name == "dashboard" else f"VOXPOP_{name.upper()}__HTTP_HOST"
    assert variables(name)[host] == "0.0.0.0"


def test_a_part_is_given_more_time_to_end_than_its_block_takes() -> None:
    stop_s = WorkerSettings().stop_timeout_s
    assert pod("worker")["terminationGracePeriodSeconds"] > 2 * stop_s
    assert all(pod(name)["terminationGracePeriodSeconds"] >= 30 for name in DEPLOYMENTS)


def test_as_many_replicas_of_the_model_run_as_cpus_are_asked_for() -> None:
    assert container("worker")["resources"]["requests"]["cpu"] == variables("worker")["VOXPOP_MODEL__REPLICAS"]


def test_budgets_and_scaling_are_for_parts_that_there_are() -> None:
    for budget in of_kind("PodDisruptionBudget"):
        name = budget["metadata"]["name"]
        assert budget["spec"]["selector"] == DEPLOYMENTS[name]["spec"]["selector"]
        assert DEPLOYMENTS[name]["spec"].get("replicas", 2) > 1
    (scaled,) = of_kind("ScaledObject")
    assert scaled["spec"]["scaleTargetRef"] == {"name": "worker"}
    assert "replicas" not in DEPLOYMENTS["worker"]["spec"]  # or every apply would undo the scaling
    assert scaled["spec"]["maxReplicaCount"] == int(k8s_settings()["VOXPOP_KAFKA__PARTITIONS"])


def test_workers_are_scaled_by_the_lag_of_the_topics_they_consume() -> None:
    (scaled,) = of_kind("ScaledObject")
    (login,) = of_kind("TriggerAuthentication")
    kafka = KafkaSettings()
    asked = [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]
    assert tuple(metadata["topic"] for metadata in asked) == kafka.topics
    for metadata, trigger in zip(asked, scaled["spec"]["triggers"], strict=True):
        jsonschema.validate(metadata, KAFKA_TRIGGER)
        assert metadata["consumerGroup"] == kafka.group_id
        assert metadata["bootstrapServers"] == k8s_settings()["VOXPOP_KAFKA__BOOTSTRAP_SERVERS"]
        mechanism = k8s_settings()["VOXPOP_KAFKA__SASL_MECHANISM"]
        assert metadata["sasl"] == mechanism.lower().replace("-", "_").replace("sha_", "sha")
        assert trigger["authenticationRef"] == {"name": login["metadata"]["name"]}
    keys = {(ref["parameter"], ref["key"]) for ref in login["spec"]["secretTargetRef"]}
    assert keys == {("username", "VOXPOP_KAFKA__SASL_USERNAME"), ("password", "VOXPOP_KAFKA__SASL_PASSWORD")}


def test_nothing_is_let_through_but_names_kafka_clickhouse_metrics_and_the_dashboard() -> None:
    assert POLICIES["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    out: dict[str, set[int]] = {}
    for name, spec in POLICIES.items():
        assert all(rule.get("to") and rule.get("ports") for rule in spec.get("egress", []))
        assert all(rule.get("from") and rule.get("ports") for rule in spec.get("ingress", []))
        out[name] = {port["port"] for rule in spec.get("egress", []) for port in rule["ports"]}
    kafka, store = k8s_settings()["VOXPOP_KAFKA__BOOTSTRAP_SERVERS"], k8s_settings()["VOXPOP_CLICKHOUSE__HOST"]
    assert {name: ports for name, ports in out.items() if ports} == {
        "names": {53},
        "kafka": {int(kafka.rpartition(":")[2])},
        "clickhouse": {int(k8s_settings()["VOXPOP_CLICKHOUSE__PORT"])},
    }
    for name, host in (("kafka", kafka.split(":")[0]), ("clickhouse", store)):
        (rule,) = POLICIES[name]["egress"]
        (peer,) = rule["to"]
        assert peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == host.split(".")[1]
    opened = {p["port"] for spec in POLICIES.values() for rule in spec.get("ingress", []) for p in rule["ports"]}
    assert {str(port) for port in opened} == {
        image_environment()["VOXPOP_WORKER__HTTP_PORT"],
        image_environment()["VOXPOP_DASHBOARD__PORT"],
    }


def test_every_part_reaches_what_it_needs() -> None:
    for name in PARTS:
        reached = {
            policy for policy, spec in POLICIES.items()
            if (wanted := spec["podSelector"].get("matchLabels")) and wanted.items() <= labels(name).items()
        } & {"kafka", "clickhouse"}  # fmt: skip
        assert reached == ({"kafka", "clickhouse"} if name in ("worker", "alerts") else {"clickhouse"})


def test_every_secret_is_described_with_the_keys_that_it_must_have() -> None:
    page = (DEPLOY / "README.md").read_text(encoding="utf-8")
    used = {v["secret"]["secretName"] for name in PARTS for v in pod(name)["volumes"] if "secret" in v}
    made = dict(re.findall(r"create secret generic (\S+)((?:.|\n)*?)(?:\n[^\s]|```)", page))
    assert used == set(made)
    for keys in made.values():
        names = re.findall(r"--from-(?:file|literal)=(\w+)=", keys)
        assert names
        assert refused(dict.fromkeys(names, "x" * 16)).keys() <= {"VOXPOP_DASHBOARD__TOKENS"}
