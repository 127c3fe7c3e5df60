"""A figure that a hundred ask for is worked out once, an old one again; a failure reaches all and is kept as long."""

import asyncio

import pytest
from pydantic import BaseModel

from dashboards.cache import AnswerCache


class Figure(BaseModel):
    number: int


class Work:
    """Counts how often it is done; each time takes as long as it is held."""

    def __init__(self, error: Exception | None = None) -> None:
        self.times, self.error, self.go_on = 0, error, asyncio.Event()

    async def __call__(self) -> Figure:
        self.times += 1
        await self.go_on.wait()
        if self.error:
            raise self.error
        return Figure(number=self.times)


def test_a_hundred_who_ask_at_once_cost_one_answer() -> None:
    async def scene() -> None:
        work, cache = Work(), AnswerCache(5)
        asked = [asyncio.ensure_future(cache.get("k", work)) for _ in range(100)]
        await asyncio.sleep(0)
        asked[0].cancel()  # one who leaves does not take the answer along
        await asyncio.sleep(0)
        work.go_on.set()
        answers = await asyncio.gather(*asked[1:])
        assert (work.times, {answer.value.number for answer in answers}) == (1, {1})
        assert len({answer.etag for answer in answers}) == 1

    asyncio.run(scene())


def test_an_answer_is_kept_for_its_time_and_then_worked_out_again() -> None:
    async def scene() -> None:
        now = 0.0
        work, cache = Work(), AnswerCache(5, clock=lambda: now)
        work.go_on.set()
        first = await cache.get("k", work)
        now = 5.0
        assert await cache.get("k", work) is first
        now = 5.1
        second = await cache.get("k", work)
        assert (second.value.number, second.etag != first.etag) == (2, True)

    asyncio.run(scene())


def test_a_failure_is_raised_to_all_and_kept_as_long() -> None:
    async def scene() -> None:
        now = 0.0
        work, cache = Work(KeyError("x")), AnswerCache(5, clock=lambda: now)
        work.go_on.set()
        for _ in range(3):
            with pytest.raises(KeyError):
                await cache.get("k", work)
        assert work.times == 1
        now = 6.0
        with pytest.raises(KeyError):
            await cache.get("k", work)
        assert work.times == 2

    asyncio.run(scene())


def test_only_so_many_answers_are_kept() -> None:
    async def scene() -> None:
        work, cache = Work(), AnswerCache(500, entries=3)
        work.go_on.set()
        for key in "abcd":
            await cache.get(key, work)
        await cache.get("d", work)
        assert work.times == 4
        await cache.get("a", work)
        assert work.times == 5

    asyncio.run(scene())
