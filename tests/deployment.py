"""What the files of deploy/ say, and what the code says of the same things."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from workers.cli import app
from workers.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
K8S = DEPLOY / "k8s"
ESCALATION = K8S / "escalation"  # a component that kustomization.yaml does not name
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
NOT_SETTINGS = {"VOXPOP_CONFIG", "VOXPOP_SECRETS_DIR"}  # they say where settings are


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of a Dockerfile, its continued lines joined."""

    word: str
    rest: str


def instructions(path: Path) -> list[Instruction]:
    """Every instruction of a Dockerfile, in order."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stages(path: Path) -> list[list[Instruction]]:
    """A Dockerfile's stages; what comes before the first FROM is left out."""
    found: list[list[Instruction]] = []
    for instruction in instructions(path):
        if instruction.word == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def environment_of(stage: list[Instruction]) -> dict[str, str]:
    """What the ENV instructions of a stage set."""
    words = [word for step in stage if step.word == "ENV" for word in shlex.split(step.rest)]
    return dict(word.split("=", 1) for word in words)


def image_environment() -> dict[str, str]:
    """What the image sets for every part."""
    return environment_of(stages(DEPLOY / "Dockerfile")[-1])


def commands() -> dict[str, Any]:
    """The commands of the command line, and those groups of commands that do something of their own."""
    group: Any = typer.main.get_command(app)
    return {name: found for name, found in group.commands.items() if getattr(found, "invoke_without_command", True)}


def unknown_words(words: list[str]) -> list[str]:
    """What of a command's words the command line does not know: the command, or an option of it."""
    command = commands().get(words[0])
    if command is None:
        return words[:1]
    options = {name for parameter in command.params for name in parameter.opts}
    return [word for word in words[1:] if word.startswith("-") and word.split("=")[0] not in options]


def setting_of(variable: str) -> Any:
    """The type of a VOXPOP_… variable's setting; None when there is none."""
    model: Any = Settings
    for name in variable.removeprefix("VOXPOP_").lower().split("__"):
        fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
        model = fields[name].annotation if name in fields else None
    return model


def is_secret(variable: str) -> bool:
    """Whether a variable's setting holds a secret, itself or further in."""
    return _holds_secret(setting_of(variable))


def _holds_secret(kind: Any) -> bool:
    if kind is SecretStr:
        return True
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return any(_holds_secret(field.annotation) for field in kind.model_fields.values())
    return any(_holds_secret(part) for part in getattr(kind, "__args__", ()))


def refused(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that are no settings, and those whose value the setting does not take -> why. What secrets' files hold beside
    them is filled in."""
    wrong: dict[str, str] = {}
    tree: dict[str, Any] = {}
    for name, value in variables.items():
        if not name.startswith("VOXPOP_") or name in NOT_SETTINGS:
            continue
        if setting_of(name) is None:
            wrong[name] = "no such setting"
            continue
        *sections, field = name.removeprefix("VOXPOP_").lower().split("__")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[field] = _as_given(value)
    kafka = tree.get("kafka", {})
    if "SASL" in kafka.get("security_protocol", ""):
        tree["kafka"] = {"sasl_username": "of a secret", "sasl_password": "of a secret"} | kafka
    try:
        Settings.model_validate(tree)
    except ValidationError as error:
        wrong |= {f"VOXPOP_{'__'.join(map(str, e['loc'])).upper()}": e["msg"] for e in error.errors()}
    return wrong


def _as_given(value: str) -> Any:
    return json.loads(value) if re.match(r"[\[{]", value) else value


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """(file's name, document) of everything that kustomization.yaml and the component `escalation` name."""
    for folder in (K8S, ESCALATION):
        for name in kustomization(folder)["resources"]:
            for document in yaml.safe_load_all((folder / name).read_text(encoding="utf-8")):
                yield name, document


def kustomization(folder: Path = K8S) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    return found


def variables_in(file: Path) -> dict[str, str]:
    """What a file of NAME=value lines sets."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def k8s_settings() -> dict[str, str]:
    """What deploy/k8s/settings.env gives every part."""
    return variables_in(K8S / "settings.env")
