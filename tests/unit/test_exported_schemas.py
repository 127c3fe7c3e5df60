"""What other programs read of our contracts says what our code does."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from schemas import export
from schemas.events import InvalidMessage, Reason, decode_event
from schemas.insights import DeadLetter, Insight, Position
from schemas.samples import sample_messages
from schemas.taxonomy import TaxonomyError, load_taxonomy
from workers.settings import KafkaSettings
from workers.stream.deadletters import to_headers
from workers.stream.topics import intents_topic, topic_settings

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
EVENT: dict[str, Any] = {
    "id": "r-1",
    "kind": "review",
    "source": "shop",
    "product": "Zelko P4",
    "text": "Works.",
    "created_at": "2026-01-02T03:04:05Z",
}


def rfc3339_checker() -> FormatChecker:
    checker = FormatChecker(formats=())

    @checker.checks("date-time", raises=ValueError)
    def is_date_time(value: object) -> bool:
        if not isinstance(value, str):
            return True
        datetime.fromisoformat(value.upper())
        return RFC3339.fullmatch(value) is not None

    return checker


def ecma_pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """JSON Schema's `$` ends the string; Python's would let a line break follow."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"does not match {pattern}")


Validator = jsonschema.validators.extend(Draft202012Validator, {"pattern": ecma_pattern})


def validator(file: str) -> Any:
    schema = json.loads((export.EXPORTED / file).read_text(encoding="utf-8"))
    Validator.check_schema(schema)
    return Validator(schema, format_checker=rfc3339_checker())


EVENT_VALIDATOR = validator("event.json")


def refusal(document: Any) -> Reason | None:
    try:
        decode_event(json.dumps(document).encode())
    except InvalidMessage as invalid:
        return invalid.reason
    return None


# --- in step


def test_the_exported_files_are_in_step_with_the_models() -> None:
    assert export.out_of_step(export.EXPORTED) == [], "run: python -m schemas.export"
    assert export.main(["--check"]) == 0


def test_check_finds_a_changed_a_missing_and_a_foreign_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = ["--directory", str(tmp_path)]
    assert export.main(["--check", *directory]) == 1
    assert export.main(directory) == 0
    assert export.main(["--check", *directory]) == 0
    (tmp_path / "event.json").write_text("{}")
    (tmp_path / "taxonomy.json").unlink()
    (tmp_path / "tweet.json").write_text("{}")
    capsys.readouterr()
    assert export.main(["--check", *directory]) == 1
    said = capsys.readouterr().err
    assert said == "out of step: event.json, taxonomy.json, tweet.json; run: python -m schemas.export\n"


# --- events


def test_the_event_schema_accepts_the_sample_streams_events_and_refuses_what_it_can_express() -> None:
    accepted = 0
    for message in sample_messages():
        try:
            document = json.loads(message.value or b"")
        except (ValueError, RecursionError):
            assert message.expected_reason is not None
            continue
        if message.expected_reason is None:
            EVENT_VALIDATOR.validate(document)
            accepted += 1
        elif message.expected_reason not in {Reason.BAD_JSON, Reason.TOO_DEEP, Reason.BAD_TIME}:
            assert not EVENT_VALIDATOR.is_valid(document), message.expected_reason
    assert accepted == 471


@pytest.mark.parametrize(
    ("field", "value", "is_valid"),
    [
        ("text", "x", True),
        ("text", "", False),
        ("text", "🔥" * 20_000, True),
        ("text", "x" * 20_001, False),
        ("id", "x" * 128, True),
        ("id", "x" * 129, False),
        ("source", "x" * 65, False),
        ("product", "x" * 129, False),
        ("title", None, True),
        ("title", "x" * 501, False),
        ("author", "x" * 257, False),
        ("url", "x" * 2049, False),
        ("language", "en_US", True),
        ("language", "en\n", False),
        ("language", "english", False),
        ("rating", 5, True),
        ("rating", 1.5, True),
        ("rating", 5.01, False),
        ("rating", True, False),
        ("rating", "5", False),
        ("kind", "tweet", False),
        ("metadata", {str(n): "" for n in range(32)}, True),
        ("metadata", {str(n): "" for n in range(33)}, False),
        ("metadata", {"": "x"}, False),
        ("metadata", {"k" * 64: "v" * 256}, True),
        ("metadata", {"k" * 65: "v"}, False),
        ("metadata", {"k": "v" * 257}, False),
        ("metadata", {"k": 1}, False),
        ("metadata", None, False),
        ("created_at", "2026-01-02t03:04:05.5z", True),
        ("created_at", "2026-01-02T03:04:05.123456789-03:30", True),
        ("created_at", "2026-01-02T03:04:05", False),
        ("created_at", 1_767_323_045, False),
        ("created_at", None, False),
        ("colour", {"any": ["thing"]}, True),
    ],
)
def test_schema_and_decoder_draw_the_same_lines(field: str, value: object, is_valid: bool) -> None:
    document = {**EVENT, field: value}
    assert EVENT_VALIDATOR.is_valid(document) is is_valid
    assert (refusal(document) is None) is is_valid


@pytest.mark.parametrize("field", sorted(EVENT))
def test_schema_and_decoder_miss_the_same_fields(field: str) -> None:
    document = {name: value for name, value in EVENT.items() if name != field}
    assert not EVENT_VALIDATOR.is_valid(document)
    assert refusal(document) is Reason.MISSING_FIELD


def times() -> st.SearchStrategy[Any]:
    zones = st.builds(timezone, st.integers(-1439, 1439).map(lambda minutes: timedelta(minutes=minutes)))
    moments = st.datetimes(datetime(1960, 1, 1), datetime(2040, 1, 1), timezones=zones)
    return moments.map(datetime.isoformat) | st.just(EVENT["created_at"])


ANYTHING = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5) | st.lists(st.integers())
SHORT = st.text(max_size=4) | st.text(min_size=60, max_size=70) | ANYTHING
DOCUMENTS = st.fixed_dictionaries(
    {
        "id": SHORT,
        "kind": st.sampled_from(["review", "post", "tweet"]) | ANYTHING,
        "source": SHORT,
        "product": SHORT,
        "text": st.text(max_size=20) | st.text(alphabet=" \t\n\x1c\u3000", max_size=3) | ANYTHING,
        "created_at": times() | ANYTHING,
    },
    optional={
        "title": SHORT,
        "rating": st.floats(allow_nan=False, allow_infinity=False) | st.floats(0.9, 5.1) | ANYTHING,
        "author": SHORT,
        "language": st.from_regex(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$") | ANYTHING,
        "url": SHORT,
        "metadata": st.dictionaries(SHORT.filter(lambda key: isinstance(key, str)), SHORT, max_size=3) | ANYTHING,
        "x": ANYTHING,
    },
)
FIELDS = [*EVENT, "title", "rating", "author", "language", "url", "metadata", "x"]


@st.composite
def mostly_valid(draw: st.DrawFn) -> dict[str, Any]:
    """A valid event in which at most two fields are replaced."""
    drawn, replaced = draw(DOCUMENTS), draw(st.sets(st.sampled_from(FIELDS), max_size=2))
    return {**EVENT, **{name: value for name, value in drawn.items() if name in replaced}}


@settings(max_examples=300, deadline=None)
@given(mostly_valid() | DOCUMENTS)
def test_what_the_event_schema_accepts_is_decoded_and_the_other_way_round(document: dict[str, Any]) -> None:
    reason = refusal(document)
    if not EVENT_VALIDATOR.is_valid(document):
        assert reason is not None
    elif reason is Reason.BAD_TIME:
        moment = datetime.fromisoformat(document["created_at"])
        assert moment < datetime(1970, 1, 1, tzinfo=UTC) or moment > datetime.now(UTC) + timedelta(hours=23)
    elif reason is not None:
        assert (reason, document["text"].strip()) == (Reason.OUT_OF_RANGE, ""), document


# --- insights, dead letters, taxonomy


def test_an_insight_message_validates_with_every_field_and_a_future_one_too() -> None:
    schema = validator("insight.json")
    example = message_examples("insight")[0]["payload"]
    written = Insight.model_validate(example).model_dump(mode="json")
    assert set(schema.schema["required"]) == written.keys(), "every field is always written"
    schema.validate(written)
    schema.validate({**written, "added_later": 1})
    for broken in ({"urgency": 1.5}, {"sentiment": {"label": "mixed", "score": 0, "confidence": 1}}, {"offset": -1}):
        assert not schema.is_valid({**written, **broken})
    del written["pack_version"]
    assert not schema.is_valid(written)


def test_the_headers_of_a_dead_letter_are_those_of_the_schema() -> None:
    schema = validator("dead_letter_headers.json")
    letter = DeadLetter(
        position=Position(topic="voxpop.reviews", topic_id="", partition=0, offset=7),
        value=None,
        headers=(("trace", b"\xff"),),
        reason=Reason.TOMBSTONE,
        sentence="the message has no value (a tombstone)",
        failed_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    headers = {name: value.decode() for name, value in to_headers(letter) if name != "trace"}
    assert headers.keys() == schema.schema["properties"].keys() == set(schema.schema["required"])
    schema.validate({"trace": "", **headers})
    assert not schema.is_valid({**headers, "voxpop.reason": "tired"})
    assert not schema.is_valid({**headers, "voxpop.offset": "x"})


def test_the_taxonomy_schema_accepts_the_shipped_file_and_refuses_what_the_loader_refuses(tmp_path: Path) -> None:
    schema = validator("taxonomy.json")
    shipped = yaml.safe_load((Path(export.__file__).parent / "taxonomy.yaml").read_text(encoding="utf-8"))
    schema.validate(shipped)
    for broken in (
        {"sentiments": ["bad", "good"]},
        {"aspects": []},
        {"version": ["1"]},
        {"colours": []},
        {"intents": [{"name": "No Spaces", "title": {"en": "x"}, "description": ""}]},
    ):
        document = {**shipped, **broken}
        assert not schema.is_valid(document), broken
        file = tmp_path / "taxonomy.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        with pytest.raises(TaxonomyError):
            load_taxonomy(file)


# --- AsyncAPI


def asyncapi() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((export.EXPORTED / "asyncapi.yaml").read_text(encoding="utf-8"))
    return loaded


def message_examples(name: str) -> list[dict[str, Any]]:
    examples: list[dict[str, Any]] = asyncapi()["components"]["messages"][name]["examples"]
    return examples


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def resolved(reference: str, document: Any) -> Any:
    file, _, pointer = reference.partition("#")
    if file:
        document = json.loads((export.EXPORTED / file).read_text(encoding="utf-8"))
    for step in filter(None, pointer.split("/")):
        document = document[step]
    return document


def test_the_asyncapi_document_has_what_version_3_requires() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert document["info"].keys() >= {"title", "version"}
    assert all(server.keys() >= {"host", "protocol"} for server in document["servers"].values())
    assert all(server["host"].startswith("localhost") for server in document["servers"].values())
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = resolved(operation["channel"]["$ref"], document)
        for message in operation["messages"]:
            assert resolved(message["$ref"], document) in channel["messages"].values()
    assert all({"address", "messages"} <= channel.keys() for channel in document["channels"].values())
    used = {
        resolved(operation["channel"]["$ref"], document)["address"] for operation in document["operations"].values()
    }
    assert used == {channel["address"] for channel in document["channels"].values()}


def test_the_asyncapi_document_bears_the_packages_version() -> None:
    project = tomllib.loads((Path(export.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert asyncapi()["info"]["version"] == project["project"]["version"]


def test_every_reference_in_the_exported_files_resolves() -> None:
    document = asyncapi()
    found = list(references(document))
    assert {"./event.json", "./insight.json", "./dead_letter_headers.json"} <= set(found)
    assert all(resolved(reference, document) is not None for reference in found)
    for file in export.EXPORTED.glob("*.json"):
        schema = json.loads(file.read_text(encoding="utf-8"))
        assert all(resolved(reference, schema) is not None for reference in references(schema))


def test_the_channels_are_the_topics_a_worker_uses_with_their_sizes_and_partitions() -> None:
    kafka = KafkaSettings()
    intents = {intents_topic(topic) for topic in kafka.topics}
    expected = {topic: config for topic, config in topic_settings(kafka).items() if topic not in intents}
    channels = {channel["address"]: channel["bindings"]["kafka"] for channel in asyncapi()["channels"].values()}
    assert (
        channels.keys()
        == expected.keys()
        == {*kafka.topics, kafka.insights_topic, kafka.alerts_topic, kafka.dead_letters_topic}
    )
    for topic, binding in channels.items():
        sizes = {name: str(value) for name, value in binding["topicConfiguration"].items()}
        assert sizes == expected[topic]
        assert binding["partitions"] == kafka.partitions


@pytest.mark.parametrize("name", ["event", "insight", "deadLetter"])
def test_every_example_is_valid(name: str) -> None:
    message = asyncapi()["components"]["messages"][name]
    assert message["examples"]
    for example in message["examples"]:
        for part in ("payload", "headers"):
            reference = message.get(part, {}).get("$ref")
            if reference:
                validator(reference).validate(example[part])
        if name == "event":
            assert refusal(example["payload"]) is None
        if name == "deadLetter":
            assert refusal(json.loads(example["payload"])) == example["headers"]["voxpop.reason"]
