"""The labels: sentiments, intents, emotions and aspects, read from a YAML file that a user can replace."""

from importlib import resources
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SENTIMENTS = ("negative", "neutral", "positive")


class TaxonomyError(ValueError):
    """The taxonomy file cannot be used; the message names the file, the place and the mend."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Intent(_Frozen):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")
    title: dict[str, str] = Field(min_length=1)
    description: str


class Aspect(_Frozen):
    """Something customers speak of. `descriptions` (language -> sentences) are what its mentions are found by."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")
    title: dict[str, str] = Field(min_length=1)
    descriptions: dict[str, tuple[str, ...]] = Field(min_length=1)

    def sentences(self) -> tuple[str, ...]:
        """All descriptions, in every language, in file order."""
        return tuple(sentence for sentences in self.descriptions.values() for sentence in sentences)


class Taxonomy(_Frozen):
    version: str
    sentiments: tuple[str, ...] = Field(json_schema_extra={"const": list(SENTIMENTS)})
    intents: tuple[Intent, ...]
    emotions: tuple[str, ...]
    aspects: tuple[Aspect, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        for names in ([a.name for a in self.aspects], [i.name for i in self.intents]):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"names must be unique; twice here: {', '.join(sorted(twice))}")
        if self.sentiments != SENTIMENTS:
            raise ValueError(f"sentiments must be [{', '.join(SENTIMENTS)}]: the tables and views rely on them")
        if any(not aspect.sentences() for aspect in self.aspects):
            raise ValueError("every aspect needs at least one description sentence: its mentions are found by them")
        return self

    def aspect(self, name: str) -> Aspect:
        """The aspect of that name. Raises KeyError."""
        for aspect in self.aspects:
            if aspect.name == name:
                return aspect
        raise KeyError(name)


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """The taxonomy at `path`, or the one that ships with Voxpop. Raises `TaxonomyError`."""
    where = str(path) if path else "schemas/taxonomy.yaml"
    try:
        text = path.read_text(encoding="utf-8") if path else _shipped()
        return Taxonomy.model_validate(_all_text(text))
    except FileNotFoundError as error:
        raise TaxonomyError(f"{where} does not exist; point VOXPOP_TAXONOMY at a taxonomy file") from error
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise TaxonomyError(f"{where} cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise TaxonomyError(f"{where}, at {place}: {first['msg']}") from error


def _all_text(text: str) -> object:
    """The YAML with every scalar as text: `no` is a language here, not false, and `version: 2` is not a number."""
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - constructs text, lists and mappings, nothing else


def _shipped() -> str:
    return resources.files("schemas").joinpath("taxonomy.yaml").read_text(encoding="utf-8")
