"""The next blocks are judged while the last ones are written; what is found about them in between still counts. And while
one block is inserted, the last is produced: whatever goes wrong, no insight is told before its row is there."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any, cast

import orjson
import pytest

import workers.pipeline
from schemas.insights import Analysis, Insight
from tests.by_hand import LIMIT_S, RememberingProducer, Rows, WordJudge, block, processor, review, text_of
from workers.analyze.disguise import SafeEvent
from workers.analyze.judge import Judge
from workers.pipeline import BlockProcessor, Worker
from workers.settings import Settings
from workers.stream.blocks import Block
from workers.stream.produce import Outgoing


class CountingJudge(WordJudge):
    """Notes the ids that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.calls: list[int] = []
        self.more = threading.Condition()

    def judge_events(self, events: Sequence[SafeEvent]) -> list[Analysis | None]:
        with self.more:
            self.asked += [event.event_id for event in events]
            self.calls.append(len(events))
            self.more.notify_all()
        return super().judge_events(events)

    def wait_for(self, event_id: str) -> bool:
        """Whether it was asked for that event in time."""
        with self.more:
            return self.more.wait_for(lambda: event_id in self.asked, LIMIT_S)


def counting(settings: Settings) -> tuple[CountingJudge, BlockProcessor]:
    judge = CountingJudge()
    return judge, processor(settings, RememberingProducer(), cast(Judge, judge))


def ids(*numbers: int) -> list[str]:
    return [f"e-{number}" for number in numbers]


def test_what_was_judged_ahead_is_not_judged_again(settings: Settings, rows: Rows) -> None:
    judge, worker = counting(settings)
    first = block(0, 4)
    ahead = worker.judge_ahead([first])
    assert rows.count() == 0
    assert worker.process([first], ahead) == [first]
    assert judge.asked == ids(0, 1, 2, 3)
    rows.assert_are_reviews(range(4))


def test_a_block_is_judged_before_all_are_decoded_when_it_fills_batches(
    settings: Settings, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.pipeline, "JUDGED_AT_ONCE", 4)
    judge, worker = counting(settings)
    blocks = [block(0, 4), block(4, 6), block(6, 9)]
    ahead = worker.judge_ahead(blocks)
    assert judge.calls == [4, 4, 1]
    assert worker.process(blocks, ahead) == blocks
    assert judge.asked == ids(*range(9))
    rows.assert_are_reviews(range(9))


def test_only_what_was_judged_ahead_of_declared_blocks_is_written(settings: Settings, rows: Rows) -> None:
    judge, worker = counting(settings)
    ours, lost = block(0, 3), block(3, 6)
    ahead = worker.judge_ahead([ours, lost])
    assert worker.process([ours], ahead) == [ours]
    assert judge.asked == ids(*range(6))
    rows.assert_are_reviews(range(3))


def test_a_resend_that_came_in_after_it_was_judged_ahead_counts_once(settings: Settings, rows: Rows) -> None:
    _, worker = counting(settings)
    first, second = block(0, 3), block(3, 6, {3: review(1), 4: review(4), 5: review(5)})
    ahead = worker.judge_ahead([second])
    worker.process([first])
    worker.process([second], ahead)
    rows.assert_are_reviews([0, 1, 2, 4, 5])


def test_an_update_of_what_came_in_after_it_was_judged_ahead_takes_its_place(settings: Settings, rows: Rows) -> None:
    _, worker = counting(settings)
    first, second = block(0, 2), block(2, 3, {2: review(1, "I love the price, after all")})
    ahead = worker.judge_ahead([second])
    worker.process([first])
    worker.process([second], ahead)
    rows.assert_are({"e-0": text_of(0), "e-1": "I love the price, after all"})


def test_a_stream_of_resends_is_not_judged_ahead_until_something_new_comes(settings: Settings, rows: Rows) -> None:
    judge, worker = counting(settings)
    worker.process([block(0, 3)])
    worker.process([block(3, 6, {3: review(0), 4: review(1), 5: review(2)})])
    judge.asked.clear()
    third = block(6, 9, {6: review(0), 7: review(6), 8: review(7)})
    ahead = worker.judge_ahead([third])
    assert judge.asked == []
    worker.process([third], ahead)
    assert judge.asked == ids(6, 7)
    worker.judge_ahead([block(9, 10)])
    assert judge.asked == ids(6, 7, 9)
    rows.assert_are_reviews([0, 1, 2, 6, 7])


class Blocks:
    """Stands in for the consumer: gives a batch of blocks at a time, and says which are finished."""

    assigned = 1

    def __init__(self, *batches: list[Block], lost: Block | None = None) -> None:
        self._coming, self._lost = list(batches), lost
        self.done: list[Block] = []

    def poll(self, timeout_s: float) -> None:
        threading.Event().wait(timeout_s)

    def cut(self) -> list[Block]:
        return self._coming.pop(0) if self._coming else []

    def settle(self, done: Sequence[Block], declared: Sequence[Block]) -> list[Block]:
        self.done += done
        return [each for each in declared if each is not self._lost]

    def renew(self, in_hand: Sequence[Block], *, older_than_s: float) -> None:
        """Leases do not end here."""

    def close(self) -> None:
        """Nothing to end."""


def run(settings: Settings, hand: BlockProcessor, blocks: Blocks, finished: int) -> None:
    """A worker's loop over the blocks, until so many are finished."""

    class Producer:
        def close(self) -> None:
            """Nothing to end."""

    worker = Worker(settings, cast(Any, blocks), hand, cast(Any, Producer()))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        for _ in range(int(LIMIT_S / 0.05)):
            if len(blocks.done) >= finished or not thread.is_alive():
                break
            threading.Event().wait(0.05)
    finally:
        worker.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert len(blocks.done) == finished


def test_the_next_block_is_judged_while_the_last_one_is_written(settings: Settings, rows: Rows) -> None:
    judge, hand = counting(settings)
    insert, in_time = hand._writer.insert_insights, []

    def patient(*arguments: Any) -> None:
        if not in_time:
            in_time.append(judge.wait_for("e-3"))
        insert(*arguments)

    hand._writer.insert_insights = patient  # type: ignore[method-assign]
    blocks = Blocks([block(0, 3)], [block(3, 6)])
    run(settings, hand, blocks, 2)
    assert in_time == [True]
    rows.assert_are_reviews(range(6))


def test_what_was_judged_ahead_of_a_partition_that_is_lost_is_dropped(settings: Settings, rows: Rows) -> None:
    judge, hand = counting(settings)
    lost = block(3, 6)
    blocks = Blocks([block(0, 3)], [lost, block(6, 9)], lost=lost)
    run(settings, hand, blocks, 2)
    assert judge.asked == ids(*range(9))
    rows.assert_are_reviews([0, 1, 2, 6, 7, 8])


# --- one block is produced while the next is inserted --------------------------------------------------------------------


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
