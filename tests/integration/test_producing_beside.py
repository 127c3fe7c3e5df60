"""While one block is inserted, the last is produced; whatever goes wrong, no insight is told before its row is there."""

import threading
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from schemas.insights import Insight
from tests.by_hand import LIMIT_S, RememberingProducer, Rows, block, empty, processor, review, text_of
from workers.settings import Settings
from workers.stream.produce import Outgoing


@pytest.fixture
def settings(migrated: Settings) -> Settings:
    """Over empty tables."""
    empty(migrated)
    return migrated


@pytest.fixture
def rows(settings: Settings) -> Rows:
    return Rows(settings)


class WatchingProducer(RememberingProducer):
    """Notes what ClickHouse holds whenever it is given messages."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.told, self.stored = threading.Event(), []
        self._rows = rows

    def send_all(self, messages: Iterable[Outgoing]) -> None:
        texts = {str(text) for (text,) in self._rows.select("SELECT text FROM insights")}
        self.stored.append(texts)
        super().send_all(messages)
        self.told.set()


def told_texts(messages: Iterable[Outgoing]) -> list[str]:
    return [orjson.loads(message.value or b"")["text"] for message in messages]


def test_a_block_is_produced_while_the_next_is_inserted(settings: Settings, rows: Rows) -> None:
    producer = WatchingProducer(rows)
    hand = processor(settings, producer)
    insert, calls = hand._writer.insert_insights, []

    def patient(*arguments: Any) -> None:
        calls.append(producer.told.wait(LIMIT_S) if calls else True)
        insert(*arguments)

    hand._writer.insert_insights = patient  # type: ignore[method-assign, assignment]
    blocks = [block(0, 3), block(3, 6)]
    assert hand.process(blocks) == blocks
    assert calls == [True, True], "the second block's insert began before the first was produced"
    for stored, first in zip(producer.stored, (0, 3), strict=True):
        assert set(told_texts(producer.sent[first : first + 3])) <= stored
    rows.assert_are_reviews(range(6))


def test_an_update_is_told_when_the_row_that_it_replaces_is_gone(settings: Settings, rows: Rows) -> None:
    processor(settings, RememberingProducer()).process([block(0, 2)])
    producer = WatchingProducer(rows)
    update = block(2, 4, {2: review(1, "I love the price, after all"), 3: review(3)})
    hand = processor(settings, producer)
    delete = hand._writer.delete_versions

    def patient(*arguments: Any) -> None:
        assert producer.told.wait(LIMIT_S), "the block without updates waited for the other"
        delete(*arguments)

    hand._writer.delete_versions = patient  # type: ignore[method-assign, assignment]
    hand.process([update, block(4, 6)])
    assert told_texts(producer.sent) == [text_of(4), text_of(5), "I love the price, after all", text_of(3)]
    before, after = producer.stored
    assert text_of(1) in before, "this test saw nothing: the replaced row was gone all along"
    assert text_of(1) not in after
    assert "I love the price, after all" in after


def test_what_is_not_inserted_is_not_told(settings: Settings, rows: Rows) -> None:
    producer = RememberingProducer()
    hand = processor(settings, producer)
    insert = hand._writer.insert_insights

    def failing(insights: Any, token: str, lease: Any) -> None:
        if insights[0].offset == 3:
            raise RuntimeError("no")
        insert(insights, token, lease)

    hand._writer.insert_insights = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(RuntimeError, match="no"):
        hand.process([block(0, 3), block(3, 6), block(6, 9)])
    assert [orjson.loads(m.value or b"")["offset"] for m in producer.sent] == [0, 1, 2]
    assert rows.count() == 3


def test_a_message_of_the_topic_reads_back_as_the_insight(settings: Settings) -> None:
    producer = RememberingProducer()
    processor(settings, producer).process([block(0, 3)])
    for message in producer.sent:
        told = orjson.loads(message.value or b"")
        insight = Insight.model_validate(told)
        assert insight.model_dump(mode="json") == told
        assert told["event_time"].endswith("Z")
