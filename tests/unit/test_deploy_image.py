"""The Dockerfile: built from pinned parts, runs as nobody, writes to one place, holds no secret, and names what there is.

The rules are hadolint's where it has one (DL3006, DL3007, DL3002, DL3013, DL3020, DL3025, DL3042, DL3044, DL4000).
"""

import fnmatch
import json
import re
import shlex
from pathlib import PurePosixPath

import pytest

from tests.deployment import (
    COMPOSE,
    DEPLOY,
    ROOT,
    environment_of,
    image_environment,
    instructions,
    is_secret,
    refused,
    stages,
    unknown_words,
)
from workers.settings import Settings

FILE = DEPLOY / "Dockerfile"
STEPS = instructions(FILE)
STAGES = stages(FILE)
FINAL = STAGES[-1]
WORDS = {step.word: step.rest for step in FINAL}
RUNS = [step.rest for step in STEPS if step.word == "RUN"]


def as_list(rest: str) -> list[str]:
    """The exec form: without a shell, so that SIGTERM reaches the process itself."""
    assert rest.startswith("["), f"not the exec form: {rest}"
    words: list[str] = json.loads(rest)
    return words


def test_the_base_is_pinned_to_a_patch_and_the_same_in_every_stage() -> None:
    (argument,) = (step.rest for step in STEPS if step.word == "ARG")
    name, version = argument.split("=")
    assert re.fullmatch(r"3\.\d+\.\d+-slim-[a-z]+", version)
    named = {name for stage in STAGES for name in re.findall(r" AS (\w+)$", f"{stage[0].word} {stage[0].rest}")}
    bases = {stage[0].rest.split()[0] for stage in STAGES} - named
    assert bases == {f"python:${{{name}}}"}


def test_it_copies_nothing_from_the_network_and_installs_under_the_constraints() -> None:
    assert [step.rest for step in STEPS if step.word == "ADD"] == []
    pip = [run for run in RUNS if re.search(r"\bpip (install|wheel)", run)]
    assert len(pip) == 2
    assert all("--no-cache-dir" in run for run in pip)
    assert [run for run in pip if "pip install" in run and "--constraint /constraints.txt" not in run] == []
    assert [run for run in RUNS if re.search(r"\b(sudo|curl|wget|apt|apt-get|latest)\b", run)] == []


def test_what_it_copies_is_there_and_may_be_seen_by_the_build() -> None:
    rules = [
        line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert rules[0] == "*"
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    sources = [w for step in STEPS if step.word == "COPY" and "--from" not in step.rest for w in step.rest.split()[:-1]]
    assert sorted(set(sources)) == sorted(allowed)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert not any(fnmatch.fnmatch("deploy/secrets", pattern) for pattern in allowed)


def test_stages_that_are_copied_from_come_before() -> None:
    for number, stage in enumerate(STAGES):
        before = {name for earlier in STAGES[:number] for name in re.findall(r" AS (\w+)$", earlier[0].rest)}
        assert set(re.findall(r"--from=(\w+)", " ".join(step.rest for step in stage))) <= before


def test_it_runs_as_a_numbered_user_that_is_not_root_and_owns_the_one_place_it_writes_to() -> None:
    uid, gid = WORDS["USER"].split(":")
    assert int(uid) >= 10_000  # a number, or Kubernetes cannot see that it is not root
    (run,) = (step.rest for step in FINAL if step.word == "RUN")
    assert f"--uid {uid} --gid {gid}" in run
    state = image_environment()["VOXPOP_STATE_DIR"]
    assert f"--home-dir {state} --create-home" in run
    assert WORDS["VOLUME"] == WORDS["WORKDIR"] == state
    order = [step.word for step in FINAL]
    assert order.index("USER") > max(at for at, word in enumerate(order) if word in ("RUN", "COPY"))


def test_the_packs_are_built_and_verified_in_a_stage_of_their_own_and_read_where_they_were_built() -> None:
    (stage,) = (stage for stage in STAGES if stage[0].rest.endswith(" AS packs"))
    (run,) = (step.rest for step in stage if step.word == "RUN")
    done = [shlex.split(part)[1:] for part in run.split("&&")]
    assert done == [["packs", "build"], ["packs", "verify"]]
    packs = environment_of(stage)["VOXPOP_PACKS"]
    assert image_environment()["VOXPOP_PACKS"] == packs
    assert f"--from=packs {packs} {packs}" in [step.rest for step in FINAL if step.word == "COPY"]
    assert not PurePosixPath(packs).is_relative_to(image_environment()["VOXPOP_STATE_DIR"])


def test_its_variables_are_settings_without_a_secret_among_them() -> None:
    for stage in STAGES:
        variables = environment_of(stage)
        assert refused(variables) == {}
        assert [name for name in variables if is_secret(name)] == []
    assert [step.rest for step in STEPS if re.search(r"password|token|salt|secret", step.rest, re.I)] == []


def test_it_starts_a_command_that_there_is_without_a_shell_between() -> None:
    assert as_list(WORDS["ENTRYPOINT"]) == ["voxpop"]
    assert unknown_words(as_list(WORDS["CMD"])) == []


def test_its_health_check_asks_the_port_and_path_that_the_worker_serves() -> None:
    checks = [step.rest for step in FINAL if step.word == "HEALTHCHECK"]
    assert len(checks) == 1
    command = as_list(checks[0].partition("CMD ")[2])
    ports = {image_environment()["VOXPOP_WORKER__HTTP_PORT"], image_environment()["VOXPOP_DASHBOARD__PORT"]}
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)'", command[-1])
    assert asked is not None
    assert (asked[1], asked[2]) == (image_environment()["VOXPOP_WORKER__HTTP_PORT"], "/healthz")
    assert '"/healthz"' in (ROOT / "workers" / "health.py").read_text(encoding="utf-8")
    assert set(WORDS["EXPOSE"].split()) == ports
    assert Settings().worker.http_port is None  # so it is the image that opens it


@pytest.mark.parametrize("service", ["migrate", "worker", "digests", "alerts", "dashboard"])
def test_every_part_runs_this_image(service: str) -> None:
    assert COMPOSE["services"][service]["build"]["dockerfile"] == "deploy/Dockerfile"
