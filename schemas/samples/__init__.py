"""The sample stream: invented reviews and posts, a few broken messages among them, and gold labels. See README.md here.

Read from the package's own files, so it works from an installed wheel.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class SampleMessage:
    """One message as a producer sends it. `expected_reason` is the dead letter's reason, None for a valid event."""

    topic: str
    key: bytes | None
    value: bytes | None
    expected_reason: str | None


@dataclass(frozen=True)
class GoldLabel:
    """What a person says about one event. `aspects` maps names of taxonomy.yaml to negative, neutral or positive."""

    id: str
    source: str
    sentiment: str
    aspects: Mapping[str, str]
    language: str
    traits: frozenset[str]


@dataclass(frozen=True)
class PlantedIncident:
    """What alerts have to find in the stream: a product that goes wrong at a known time."""

    product: str
    began: datetime


PLANTED = PlantedIncident("Tavio Hush", datetime(2026, 11, 9, tzinfo=UTC))


def sample_messages() -> Iterator[SampleMessage]:
    """Every message in the order of the stream, each malformed one right after the event line it names in `after`."""
    malformed: dict[int, list[SampleMessage]] = {}
    for row in _rows("malformed.jsonl"):
        message = SampleMessage(row["topic"], _key(row), _malformed_value(row), row["reason"])
        malformed.setdefault(row["after"], []).append(message)
    for index, row in enumerate(_rows("events.jsonl")):
        value = json.dumps(row["value"], ensure_ascii=False, separators=(",", ":")).encode()
        yield SampleMessage(row["topic"], _key(row), value, None)
        yield from malformed.get(index, [])


def gold_labels() -> dict[tuple[str, str], GoldLabel]:
    """The labels by (source, id): one for each distinct event, so their number is the number of insights to expect."""
    labels = (_gold_label(row) for row in _rows("gold.jsonl"))
    return {(label.source, label.id): label for label in labels}


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with (files(__name__) / name).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _key(row: Mapping[str, Any]) -> bytes | None:
    key = row["key"]
    return None if key is None else key.encode()


def _malformed_value(row: Mapping[str, Any]) -> bytes | None:
    """The exact bytes: from base64, or the joined `unit` × `times` of `repeat`, which keeps long messages short on disk."""
    if "repeat" in row:
        return "".join(piece["unit"] * piece["times"] for piece in row["repeat"]).encode()
    encoded = row["value_base64"]
    return None if encoded is None else base64.b64decode(encoded, validate=True)


def _gold_label(row: Mapping[str, Any]) -> GoldLabel:
    aspects = {mention["aspect"]: mention["sentiment"] for mention in row["aspects"]}
    return GoldLabel(row["id"], row["source"], row["sentiment"], aspects, row["language"], frozenset(row["traits"]))
