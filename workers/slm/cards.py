"""Cards: the YAML that lies beside weights and says what they are. Read in one place, so that they are refused alike."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from workers.slm.errors import PackError

Card = TypeVar("Card", bound=BaseModel)


def card_of(file: Path, kind: type[Card], mend: str) -> Card:
    """The card in `file`. Raises `PackError`, in one line that ends in `mend`."""
    try:
        return kind.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise PackError(f"{file} cannot be read ({_one_line(error)}); {mend}") from error


def check_base(what: str, trained_on: str, base: str, mend: str) -> None:
    """Raises `PackError` unless what was trained on a base's weights, both by their SHA-256, is used with these."""
    if trained_on != base:
        raise PackError(f"{what} on another base ({trained_on[:12]}…) than the recipe's ({base[:12]}…); {mend}")


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return " ".join(str(error).split())
