"""Digests: the latest of each product, every sentence with the texts it rests on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dashboards.application import application
from workers.settings import DashboardSettings
from workers.stack import Stack
from workers.store.connect import connect

COLUMNS = (
    "product", "window_start", "window_end", "revision", "texts", "sentences", "citations", "support", "method", "pack",
    "pack_version", "created_at",
)  # fmt: skip
DAY = datetime(2026, 11, 15, tzinfo=UTC)
BEFORE = datetime(2026, 11, 14, tzinfo=UTC)
AFTER = datetime(2026, 11, 16, tzinfo=UTC)
PRODUCT = "Tavio Hush"


def row(sentences: list[str], citations: list[list[str]], **changes: Any) -> list[Any]:
    told: dict[str, Any] = {
        "product": PRODUCT, "window_start": DAY, "window_end": AFTER, "revision": 0, "texts": 12, "sentences": sentences,
        "citations": citations, "support": [0.75] * len(sentences), "method": "extractive", "pack": "a-pack",
        "pack_version": "1", "created_at": AFTER,
    }  # fmt: skip
    return [(told | changes)[name] for name in COLUMNS]


@pytest.fixture(scope="module")
def cited(sample: Stack) -> list[str]:
    """Three events of the product."""
    sql = f"SELECT event_id FROM insights WHERE product = '{PRODUCT}' ORDER BY event_id LIMIT 3"
    return [event for (event,) in sample.reader.select(sql).result_rows]


@pytest.fixture(scope="module")
def api(sample: Stack, cited: list[str]) -> Iterator[TestClient]:
    settings = sample.settings.model_copy(update={"dashboard": DashboardSettings(cache_s=0.01)})
    with connect(sample.settings.clickhouse) as writing:
        writing.command("CREATE TABLE digests_written AS digests ENGINE = MergeTree ORDER BY product")
        # Not until when each might be written, which is over: the table would refuse it.
        writing.command("INSERT INTO digests_written (* EXCEPT lease_until) SELECT * EXCEPT lease_until FROM digests")
        writing.command("TRUNCATE TABLE digests")
    with TestClient(application(settings, pages=False), base_url="http://127.0.0.1") as client:
        assert client.get("/api/v1/digests").json() == {"digests": []}
        rows = [
            row(["Yesterday's."], [cited], window_start=BEFORE, window_end=DAY),
            row(["An older revision."], [cited]),
            row(["The batteries fail.", "Nobody says why.", "A pity."], [cited[:2], [], ["gone"]], revision=1),
            row(["A café is praised."], [["x"]], product="Tizón y Maíz", texts=40),
        ]
        with connect(sample.settings.clickhouse) as writing:
            writing.insert("digests", rows, column_names=COLUMNS)
        yield client
        with connect(sample.settings.clickhouse) as writing:
            writing.command("TRUNCATE TABLE digests")
            writing.command("INSERT INTO digests SELECT * FROM digests_written")
            writing.command("DROP TABLE digests_written")


def test_the_latest_revision_of_the_latest_window_is_shown(api: TestClient, cited: list[str]) -> None:
    (found,) = api.get("/api/v1/digests", params={"product": PRODUCT}).json()["digests"]
    assert (found["start"], found["end"], found["texts"]) == ("2026-11-15T00:00:00Z", "2026-11-16T00:00:00Z", 12)
    assert [(s["text"], s["sources"], s["support"]) for s in found["sentences"]] == [
        ("The batteries fail.", cited[:2], 0.75), ("Nobody says why.", [], 0.75), ("A pity.", ["gone"], 0.75)
    ]  # fmt: skip


def test_each_product_has_one_and_what_rests_on_most_texts_comes_first(api: TestClient) -> None:
    found = api.get("/api/v1/digests").json()["digests"]
    assert [digest["product"] for digest in found] == ["Tizón y Maíz", PRODUCT]
    assert len(api.get("/api/v1/digests", params={"limit": 1}).json()["digests"]) == 1
    assert api.get("/api/v1/digests", params={"product": "' OR 1=1 --"}).json() == {"digests": []}


def test_a_sentence_s_sources_are_the_texts_of_these_events(api: TestClient, sample: Stack, cited: list[str]) -> None:
    answer = api.get("/api/v1/texts/sources", params={"product": PRODUCT, "event": [*cited[:2], "gone"]})
    sql = f"SELECT event_id, text FROM insights WHERE product = '{PRODUCT}' AND event_id IN {tuple(cited[:2])}"
    expected = dict(tuple(found) for found in sample.reader.select(sql).result_rows)
    assert {text["event_id"]: text["text"] for text in answer.json()["texts"]} == expected
    assert len(expected) == 2


@pytest.mark.parametrize("events", [[], ["x" * 129], ["a\0b"], [f"e{n}" for n in range(51)]])
def test_no_more_than_a_sentence_can_cite_is_asked_for(api: TestClient, events: list[str]) -> None:
    assert api.get("/api/v1/texts/sources", params={"product": PRODUCT, "event": events}).status_code == 422
