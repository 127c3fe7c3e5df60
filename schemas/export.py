"""Writes what other programs read of our contracts: a JSON Schema for each kind of message, and an AsyncAPI document.

`python -m schemas.export` writes `schemas/exported/`; with `--check` it writes nothing and exits 1 when a file there is
out of step with the models.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from schemas.alerts import Alert
from schemas.asyncapi import ALERT_FILE, DEAD_LETTER_HEADERS_FILE, EVENT_FILE, INSIGHT_FILE, asyncapi_document
from schemas.dead_letters import DeadLetterHeaders, DeadLetterRow
from schemas.events import Event
from schemas.insights import Insight
from schemas.taxonomy import Taxonomy

EXPORTED = Path(__file__).parent / "exported"
ASYNCAPI_FILE = "asyncapi.yaml"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, dict[str, Any]]:
    """File name -> JSON Schema. What comes in as it is validated, what goes out as it is written."""
    return {
        EVENT_FILE: _schema(Event, "validation"),
        INSIGHT_FILE: _open(_schema(Insight, "serialization")),
        ALERT_FILE: _open(_schema(Alert, "serialization")),
        DEAD_LETTER_HEADERS_FILE: _schema(DeadLetterHeaders, "serialization"),
        "dead_letter_row.json": _schema(DeadLetterRow, "serialization"),
        "taxonomy.json": _schema(Taxonomy, "validation"),
    }


def exported_files() -> dict[str, str]:
    """File name -> text. The same models give the same text."""
    files = {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in json_schemas().items()}
    files[ASYNCAPI_FILE] = yaml.safe_dump(asyncapi_document(), sort_keys=False, allow_unicode=True, width=120)
    return files


def out_of_step(directory: Path) -> list[str]:
    """The files of `directory` that are missing, differ from what the models give, or are not ours."""
    expected = exported_files()
    present = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    stale = {name for name in expected.keys() & present if (directory / name).read_bytes() != expected[name].encode()}
    return sorted(stale | (expected.keys() ^ present))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.export", description="Writes the exported schemas.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of step")
    parser.add_argument("--directory", type=Path, default=EXPORTED, help="where to (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        stale = out_of_step(chosen.directory)
        if stale:
            print(f"out of step: {', '.join(stale)}; run: python -m schemas.export", file=sys.stderr)
        return 1 if stale else 0
    chosen.directory.mkdir(parents=True, exist_ok=True)
    for name, text in exported_files().items():
        (chosen.directory / name).write_bytes(text.encode())
    return 0


def _schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    return {"$schema": DIALECT, **model.model_json_schema(mode=mode)}


def _open(schema: Any) -> Any:
    """The schema without `additionalProperties: false`: a reader must not break when a later version adds a field."""
    if isinstance(schema, dict):
        return {key: _open(part) for key, part in schema.items() if (key, part) != ("additionalProperties", False)}
    return [_open(part) for part in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    sys.exit(main())
