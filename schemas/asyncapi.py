"""The topics as an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0).

Payloads and headers refer to the JSON Schemas that `schemas.export` writes beside it. A test holds topics, partitions and
message sizes equal to the settings' defaults.
"""

import json
from datetime import UTC, datetime
from typing import Any

from schemas.alerts import Alert, AlertKind, AlertStatus, Example, Signal
from schemas.events import MAX_MESSAGE_BYTES, Event, Reason
from schemas.insights import AspectMention, Evidence, Insight, Method, Sentiment

VERSION = "0.1.0"  # the package's own
REVIEWS, SOCIAL, INSIGHTS, DEAD_LETTERS = "voxpop.reviews", "voxpop.social", "voxpop.insights", "voxpop.deadletters"
ALERTS = "voxpop.alerts"
PARTITIONS = 4
ENVELOPE_BYTES = 262_144  # what an insight or a dead letter may hold beyond the message it was made from
ALERT_FILE = "alert.json"
EVENT_FILE, INSIGHT_FILE, DEAD_LETTER_HEADERS_FILE = "event.json", "insight.json", "dead_letter_headers.json"

_BINDING = "0.5.0"
_TEXT = "The screen is superb. The battery dies by noon."
_PRODUCT = "Zelko P4"


def asyncapi_document() -> dict[str, Any]:
    """The document, ready to be written as YAML."""
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Voxpop",
            "version": VERSION,
            "description": "Reviews and posts in, insights out. Any Kafka client can write the former and read the latter.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "A placeholder: VOXPOP_KAFKA__BOOTSTRAP_SERVERS names yours.",
            }
        },
        "channels": {
            "reviews": _channel(REVIEWS, "event", "Reviews, as producers write them.", MAX_MESSAGE_BYTES),
            "social": _channel(SOCIAL, "event", "Social posts, as producers write them.", MAX_MESSAGE_BYTES),
            "insights": _channel(INSIGHTS, "insight", "One insight for each valid event.", _ENVELOPED),
            "alerts": _channel(
                ALERTS, "alert", "Unusual moments of a product, revision by revision.", MAX_MESSAGE_BYTES
            ),
            "deadLetters": _channel(
                DEAD_LETTERS, "deadLetter", "Messages that could not be used, and why.", _ENVELOPED
            ),
        },
        "operations": {
            "receiveReviews": _operation("receive", "reviews", "event"),
            "receivePosts": _operation("receive", "social", "event"),
            "sendInsights": _operation("send", "insights", "insight"),
            "sendAlerts": _operation("send", "alerts", "alert"),
            "sendDeadLetters": _operation("send", "deadLetters", "deadLetter"),
        },
        "components": {
            "messages": {
                "event": _event_message(),
                "insight": _insight_message(),
                "alert": _alert_message(),
                "deadLetter": _dead_letter_message(),
            }
        },
    }
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]  # plain values, no part shared with another


_ENVELOPED = MAX_MESSAGE_BYTES + ENVELOPE_BYTES


def _channel(topic: str, message: str, description: str, max_message_bytes: int) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "partitions": PARTITIONS,
                "topicConfiguration": {"max.message.bytes": max_message_bytes},
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(action: str, channel: str, message: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _keyed(key: dict[str, Any]) -> dict[str, Any]:
    return {"kafka": {"key": key, "bindingVersion": _BINDING}}


def _event_message() -> dict[str, Any]:
    return {
        "name": "event",
        "title": "A review or a post",
        "summary": "Unknown fields are ignored and counted; what does not validate becomes a dead letter.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                "voxpop.replayed": {
                    "type": "string",
                    "description": "On a message that was sent again: where its dead letter came from.",
                }
            },
        },
        "payload": {"$ref": f"./{EVENT_FILE}"},
        "bindings": _keyed(
            {"type": ["string", "null"], "description": "The product, so that its texts keep their order."}
        ),
        "examples": [
            {"name": "post", "payload": _least_event()},
            {"name": "review", "payload": _full_event().model_dump(mode="json")},
        ],
    }


def _insight_message() -> dict[str, Any]:
    return {
        "name": "insight",
        "title": "What the models say of one event",
        "summary": "Holds no raw personal data. A later version may add fields: ignore those you do not know.",
        "contentType": "application/json",
        "payload": {"$ref": f"./{INSIGHT_FILE}"},
        "bindings": _keyed({"type": "string", "description": "The product."}),
        "examples": [{"name": "insight", "payload": _example_insight().model_dump(mode="json")}],
    }


def _alert_message() -> dict[str, Any]:
    return {
        "name": "alert",
        "title": "What is unusual about a product",
        "summary": "The highest revision of an alert_id counts; one may come twice. Ignore fields that you do not know.",
        "contentType": "application/json",
        "payload": {"$ref": f"./{ALERT_FILE}"},
        "bindings": _keyed({"type": "string", "description": "The product."}),
        "examples": [{"name": "alert", "payload": _example_alert().model_dump(mode="json")}],
    }


def _dead_letter_message() -> dict[str, Any]:
    return {
        "name": "deadLetter",
        "title": "A message that could not be used",
        "summary": "Key, value and headers are the original's, byte for byte; headers after them say why and where from.",
        "contentType": "application/octet-stream",
        "headers": {"$ref": f"./{DEAD_LETTER_HEADERS_FILE}"},
        "payload": {"description": "The original value: any bytes, or null for a tombstone."},
        "bindings": _keyed({"description": "The original key: any bytes, or null."}),
        "examples": [
            {
                "name": "missingField",
                "headers": {
                    "voxpop.reason": str(Reason.MISSING_FIELD),
                    "voxpop.sentence": "the field text is missing",
                    "voxpop.topic": REVIEWS,
                    "voxpop.topic_id": "0f4a2c6e-8b1d-4e3f-9a5b-7c6d5e4f3a2b",
                    "voxpop.partition": "2",
                    "voxpop.offset": "1841",
                    "voxpop.failed_at": "2026-11-23T10:00:03.120000+00:00",
                },
                "payload": '{"id": "R-1841", "kind": "review", "source": "web-shop", "product": "Zelko P4"}',
            }
        ],
    }


def _least_event() -> dict[str, Any]:
    return {
        "id": "1987555000000000101",
        "kind": "post",
        "source": "x",
        "product": _PRODUCT,
        "text": "la pantalla del P4 es una pasada 🔥",
        "created_at": "2026-11-23T11:02:41+01:00",
    }


def _full_event() -> Event:
    return Event(
        id="R-1840",
        kind="review",
        source="web-shop",
        product=_PRODUCT,
        text=_TEXT,
        created_at="2026-11-23T10:00:00Z",  # type: ignore[arg-type]  # parsed as a producer's string is
        title="Nearly there",
        rating=3,
        author="Priya N.",
        language="en",
        url="https://shop.example/reviews/R-1840",
        metadata={"firmware": "2.1"},
    )


def _example_alert() -> Alert:
    signal = Signal(
        kind=AlertKind.NEGATIVE_SHARE,
        observed=10,
        texts=12,
        expected=1.25,
        p_value=0.0000091,
        level=0.0015,
        test="beta-binomial",
    )
    return Alert(
        alert_id="a6f0c1d2e3b4958677869504",
        revision=2,
        status=AlertStatus.OPEN,
        product=_PRODUCT,
        kind=signal.kind,
        severity="high",
        window_start=datetime(2026, 11, 9, tzinfo=UTC),
        window_end=datetime(2026, 11, 11, tzinfo=UTC),
        signals=(signal,),
        examples=(Example(source="web-shop", event_id="R-1840", quote=_TEXT),),
    )


def _example_insight() -> Insight:
    event = _full_event()
    first_sentence = Evidence(start=0, end=21)
    second_sentence = Evidence(start=22, end=len(_TEXT))
    return Insight(
        topic=REVIEWS,
        topic_id="0f4a2c6e-8b1d-4e3f-9a5b-7c6d5e4f3a2b",
        partition=2,
        offset=1840,
        event_id=event.id,
        kind=event.kind,
        source=event.source,
        product=event.product,
        text=event.text,
        title=event.title or "",
        rating=event.rating,
        author="5d41402abc4b2a76b9719d911017c592",
        url=event.url or "",
        metadata=event.metadata,
        language="en",
        sentiment=Sentiment(label="neutral", score=-0.08, confidence=0.52),
        aspects=(
            AspectMention(aspect="display", sentiment="positive", confidence=0.91, evidence=first_sentence),
            AspectMention(aspect="battery", sentiment="negative", confidence=0.94, evidence=second_sentence),
        ),
        intents=("complaint", "praise"),
        urgency=0.12,
        toxicity=0.01,
        headline=event.title or "",
        method=Method.EXTRACTIVE,
        pack="e5-small-multilingual",
        pack_version="1",
        event_time=event.created_at,
        ingested_at=datetime(2026, 11, 23, 10, 0, 2, 480_000, tzinfo=UTC),
    )
