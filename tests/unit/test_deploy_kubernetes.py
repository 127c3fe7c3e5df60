"""deploy/k8s: valid by Kubernetes' own schemas, and what one manifest names another has, or the code, or the image."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deployment import (
    DEPLOY,
    ESCALATION,
    K8S,
    ROOT,
    image_environment,
    instructions,
    is_secret,
    k8s_settings,
    kustomization,
    manifests,
    refused,
    unknown_words,
    variables_in,
)
from workers.settings import KafkaSettings, WorkerSettings

VERSION = "1.34"
DOCUMENTS = list(manifests())
SETTINGS_FILES = {
    "voxpop-settings": K8S / "settings.env",
    "voxpop-escalation-settings": ESCALATION / "settings.env",
}
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
    """What a part's process finds in its environment: the image's, then those of settings.env, then its own."""
    own = {entry["name"]: entry["value"] for entry in container(name).get("env", [])}
    maps = {map_name: variables_in(file) for map_name, file in SETTINGS_FILES.items()}
    given = [maps[source["configMapRef"]["name"]] for source in container(name)["envFrom"]]
    return image_environment() | {key: value for some in given for key, value in some.items()} | own


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


def test_every_file_is_named_by_a_kustomization_and_every_reference_leads_somewhere() -> None:
    for folder, settings in ((K8S, "voxpop-settings"), (ESCALATION, "voxpop-escalation-settings")):
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(kustomization(folder)["resources"]) == there
        (generator,) = kustomization(folder)["configMapGenerator"]
        assert generator == {"name": settings, "envs": ["settings.env"]}
    for name in PARTS:
        maps = [source["configMapRef"]["name"] for source in container(name)["envFrom"]]
        assert maps == (list(SETTINGS_FILES) if name == "escalate" else ["voxpop-settings"])
    (image,) = kustomization()["images"]
    assert {container(name)["image"] for name in PARTS} == {image["name"]}
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    assert image["newTag"] == version[1]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl to build it with")
@pytest.mark.parametrize("escalating", [False, True])
def test_kustomize_builds_of_it_what_kubernetes_takes(tmp_path: Path, escalating: bool) -> None:
    folder = shutil.copytree(K8S, tmp_path / "k8s")
    chosen = folder / "kustomization.yaml"
    off = chosen.read_text(encoding="utf-8")
    if escalating:
        chosen.write_text(off.replace("# components: [escalation]", "components: [escalation]"), encoding="utf-8")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True)
    built = [document for document in yaml.safe_load_all(done.stdout) if document["kind"] not in KEDA_KINDS]
    for document in built:
        kubernetes_validate.validate(document, VERSION, strict=True)
    named = {map_name: file for map_name, file in SETTINGS_FILES.items() if escalating or file.parent == K8S}
    maps = {document["metadata"]["name"]: document for document in built if document["kind"] == "ConfigMap"}
    whole = {name: next(full for full in maps if re.fullmatch(rf"{name}-[a-z0-9]{{10}}", full)) for name in named}
    assert {name: maps[full]["data"] for name, full in whole.items()} == {n: variables_in(f) for n, f in named.items()}
    (image,) = kustomization()["images"]
    parts = {d["metadata"]["name"]: d for d in built if d["kind"] in ("Deployment", "Job")}
    assert set(parts) == set(PARTS) - (set() if escalating else {"escalate"})
    for name, part in parts.items():
        assert part["metadata"]["namespace"] == kustomization()["namespace"]
        (only,) = part["spec"]["template"]["spec"]["containers"]
        assert only["image"] == f"{image['newName']}:{image['newTag']}"
        wanted = [whole[source["configMapRef"]["name"]] for source in container(name)["envFrom"]]
        assert [source["configMapRef"]["name"] for source in only["envFrom"]] == wanted


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
    both = {"/healthz", "/readyz"}
    served = {"dashboard": {"/healthz"}, "worker": both, "alerts": both, "escalate": both}
    probes = {kind: container(name).get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")}
    if name not in served:
        assert set(probes.values()) == {None}
        return
    (port,) = container(name)["ports"]
    asked = [probe["httpGet"] for probe in probes.values() if probe]
    assert len(asked) == 3
    assert {probe["path"] for probe in asked} == served[name]
    assert {probe["port"] for probe in asked} == {port["name"]}
    section = {"escalate": "ESCALATION"}.get(name, name.upper())
    prefix = f"VOXPOP_{section}__" if name == "dashboard" else f"VOXPOP_{section}__HTTP_"
    assert str(port["containerPort"]) == variables(name)[f"{prefix}PORT"]
    assert variables(name)[f"{prefix}HOST"] == "0.0.0.0"


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
        "endpoint": {urlsplit(variables("escalate")["VOXPOP_ESCALATION__BASE_URL"]).port or 443},
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
        }  # fmt: skip
        with_kafka = {"kafka"} if name in ("worker", "alerts", "escalate") else set()
        alone = {"dashboard": {"dashboard"}, "escalate": {"endpoint"}}.get(name, set())
        assert reached == {"clickhouse"} | with_kafka | alone
    (served,) = POLICIES["metrics"]["podSelector"]["matchExpressions"]
    assert set(served["values"]) == {
        n for n in DEPLOYMENTS if container(n).get("ports", [{}])[0].get("name") == "metrics"
    }


def test_the_endpoint_is_one_address_that_leads_nowhere_until_it_is_yours() -> None:
    (rule,) = POLICIES["endpoint"]["egress"]
    ((block,),) = (peer.values() for peer in rule["to"])
    assert ip_network(block["cidr"]).num_addresses == 1
    assert ip_network(block["cidr"]).subnet_of(ip_network("203.0.113.0/24"))  # RFC 5737: documentation
    assert {name for name in PARTS if "voxpop/endpoint" in labels(name)} == {"escalate"}
    assert DEPLOYMENTS["escalate"]["spec"]["replicas"] == 1
    assert DEPLOYMENTS["escalate"]["spec"]["strategy"] == {"type": "Recreate"}


def test_every_secret_is_described_with_the_keys_that_it_must_have() -> None:
    page = (DEPLOY / "README.md").read_text(encoding="utf-8")
    used = {v["secret"]["secretName"] for name in PARTS for v in pod(name)["volumes"] if "secret" in v}
    made = dict(re.findall(r"create secret generic (\S+)((?:.|\n)*?)(?:\n[^\s]|```)", page))
    assert used == set(made)
    for keys in made.values():
        names = re.findall(r"--from-(?:file|literal)=(\w+)=", keys)
        assert names
        assert refused(dict.fromkeys(names, "x" * 16)).keys() <= {"VOXPOP_DASHBOARD__TOKENS"}
