"""Changes get into changelogs in an order that a crash may cut anywhere: content, state, acknowledgement, deletions."""

import asyncio
from collections.abc import Callable
from typing import Any

from workers.changelogs import Changelogs, Send
from workers.faust_app import PartitionTable


class Topic:
    """Notes what is sent; `arrive` lets it arrive."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._under_way: list[asyncio.Future[None]] = []
        self.data: dict[str, Any] = {}

    def change(self, name: str) -> Send:
        def send() -> asyncio.Future[None]:
            self.sent.append(name)
            self._under_way.append(asyncio.get_running_loop().create_future())
            return self._under_way[-1]

        return send

    def arrive(self) -> None:
        for change in self._under_way:
            if not change.done():
                change.set_result(None)

    def send_changelog(self, partition: int, key: str, value: Any, **_: Any) -> asyncio.Future[None]:
        return self.change(f"{key}={value}")()  # type: ignore[no-any-return]


class Event:
    def __init__(self, topic: Topic, name: str) -> None:
        self._topic, self._name = topic, name

    def ack(self) -> None:
        self._topic.sent.append(f"ack {self._name}")


def bring(changelogs: Changelogs, topic: Topic, name: str) -> None:
    changelogs.current.states.append(topic.change(f"state {name}"))
    changelogs.current.deletions.append(topic.change(f"deletion {name}"))
    changelogs.current.content.append(topic.change(f"content {name}"))
    changelogs.send(Event(topic, name))


def run(body: Callable[[Changelogs, Topic], Any], outstanding: int = 100) -> Topic:
    async def within() -> Topic:
        topic = Topic()
        await body(Changelogs(outstanding), topic)
        return topic

    return asyncio.run(within())


def test_each_waits_for_what_it_relies_on() -> None:
    async def body(changelogs: Changelogs, topic: Topic) -> None:
        bring(changelogs, topic, "1")
        expected = ["content 1", "state 1", "ack 1", "deletion 1"]
        for sent in (1, 2, 4):
            await changelogs.acknowledge()
            await changelogs.acknowledge()
            assert topic.sent == expected[:sent]
            topic.arrive()

    run(body)


def test_messages_keep_their_order_and_a_later_one_overtakes_none() -> None:
    async def body(changelogs: Changelogs, topic: Topic) -> None:
        bring(changelogs, topic, "1")
        bring(changelogs, topic, "2")
        topic._under_way[1].set_result(None)
        await changelogs.acknowledge()
        assert topic.sent == ["content 1", "content 2"]
        for _ in range(2):
            topic.arrive()
            await changelogs.acknowledge()

    assert run(body).sent[2:] == ["state 1", "state 2", "ack 1", "deletion 1", "ack 2", "deletion 2"]


def test_too_many_outstanding_are_waited_for() -> None:
    async def body(changelogs: Changelogs, topic: Topic) -> None:
        bring(changelogs, topic, "1")
        bring(changelogs, topic, "2")
        waiting = asyncio.create_task(changelogs.acknowledge())
        await asyncio.sleep(0)
        assert topic.sent == ["content 1", "content 2"]
        assert not waiting.done()
        topic.arrive()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert topic.sent[2:] == ["state 1", "state 2"]
        assert not waiting.done()
        topic.arrive()
        await waiting

    run(body, outstanding=1)


def test_what_was_deleted_and_came_again_is_not_deleted_behind_its_back() -> None:
    async def body(changelogs: Changelogs, topic: Topic) -> None:
        table = PartitionTable(topic, 0, changelogs, states=False)
        table["a"] = table["b"] = 1
        del table["a"], table["b"]
        changelogs.send(None)
        table["a"] = 2
        changelogs.send(None)
        for _ in range(2):
            topic.arrive()
            await changelogs.acknowledge()

    assert run(body).sent == ["a=1", "b=1", "a=2", "b=None"]
