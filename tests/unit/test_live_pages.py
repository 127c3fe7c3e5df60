"""A choice that a visitor makes while a page looks for its figures is neither lost nor shown half."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nicegui.events import GenericEventArguments

from dashboards.language import Locale
from dashboards.models import Choices
from dashboards.pages.explore import ExplorePage
from dashboards.pages.rendering import Words
from dashboards.parameters import AskedTexts, TextFilter
from schemas.taxonomy import load_taxonomy


class SlowFigures:
    """Figures whose texts come when `answer` is set."""

    def __init__(self) -> None:
        self.answer, self.reading = asyncio.Event(), asyncio.Event()
        self.read: list[str | None] = []

    async def choices(self) -> Any:
        named: dict[str, Any] = {name: ["some"] if name == "products" else [] for name in Choices.model_fields}
        return SimpleNamespace(value=Choices.model_construct(**named))

    async def count(self, _: TextFilter) -> Any:
        return SimpleNamespace(value=SimpleNamespace(count=3))

    async def texts(self, asked: AskedTexts) -> Any:
        self.reading.set()
        await self.answer.wait()
        self.read.append(asked.sentiment)
        return SimpleNamespace(value=SimpleNamespace(texts=[], next="more"))


def chosen(**what: str) -> GenericEventArguments:
    return GenericEventArguments(sender=None, client=None, args=what)  # type: ignore[arg-type]


async def explored(*choices: dict[str, str]) -> list[str | None]:
    """Which sentiments' texts are read when `choices` are made while the first texts are on their way."""
    figures = SlowFigures()

    async def noted(*_: Any) -> None: ...

    visit: Any = SimpleNamespace(
        figures=figures,
        words=Words(Locale("en"), load_taxonomy(), 14),
        parameters={},
        may_read_texts=True,
        noted=noted,
    )
    page: Any = ExplorePage(visit)
    quiet = SimpleNamespace(show=lambda html: None)
    page._filters = page._actions = page._list = page._more = page.state = page.status = quiet
    page._content = SimpleNamespace(classes=lambda **_: None)
    first = asyncio.create_task(page.refresh())
    await figures.reading.wait()
    later = [asyncio.create_task(page._asked(chosen(**what))) for what in choices]
    await asyncio.sleep(0)
    figures.answer.set()
    await asyncio.gather(first, *later)
    return figures.read


@pytest.mark.parametrize("choices", [1, 2])
def test_what_is_chosen_during_a_look_is_looked_for_after_it(choices: int) -> None:
    sentiments = [{"sentiment": name} for name in ("positive", "negative")][-choices:]
    read = asyncio.run(explored(*sentiments))
    assert read[0] is None
    assert read[-1] == "negative"
    assert len(read) > 1


def test_more_that_is_asked_for_during_a_look_is_not_forgotten() -> None:
    assert asyncio.run(explored({"more": "1"})) == [None, None]
