"""Explore: texts by any filter, with their evidence, as CSV and Parquet, and the SQL that finds them."""

from urllib.parse import urlencode

from nicegui import ui
from pydantic import ValidationError

from dashboards import statements
from dashboards.models import Choices, Text
from dashboards.pages.live import Fragment, LivePage, State, card
from dashboards.pages.visit import Visit
from dashboards.parameters import PAGE_TEXTS, AskedTexts, TextFilter
from dashboards.readable_sql import readable
from schemas.taxonomy import SENTIMENTS

SURE = (0.5, 0.6, 0.7, 0.8, 0.9)
MOST_SHOWN = 1_000  # more is read with the API or the export
_NAMES = {field.alias or name for name, field in TextFilter.model_fields.items()}


class ExplorePage(LivePage):
    name = "explore"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._filter, self._wrong = TextFilter(), ""
        self._texts: list[Text] = []
        self._cursor: str | None = None
        self._count = 0
        self._stale = True
        self._filled = False
        self.asked({name: value for name, value in visit.parameters.items() if name in _NAMES})

    def build(self) -> None:
        with card():
            self._filters = Fragment()
        self._actions = Fragment()
        with card():
            ui.html(self.locale.t("texts.title"), sanitize=False, tag="h2").classes("sr-only")
            self._list = Fragment()
            self._more = Fragment()

    def asked(self, what: dict[str, str]) -> None:
        if what.get("more"):
            self._more_wanted = True
            return
        self._stale, self._more_wanted = True, False
        if what.get("news"):
            return
        try:
            given = {name: value for name, value in what.items() if name in _NAMES and value}
            self._filter, self._wrong = TextFilter.model_validate(given), ""
        except ValidationError as error:
            self._wrong = error.errors()[0]["msg"]

    async def look(self) -> State:
        figures = self.visit.figures
        choices = (await figures.choices()).value
        if not choices.products:
            return "empty"
        if not self._filled:  # once: it is the visitor's to change from then on
            self._filled = True
            self._filters.show(self._form(choices))
        if not self.visit.may_read_texts:
            self._list.show(f'<p class="muted">{self.locale.t("texts.forbidden")}</p>')
            return ""
        count = (await figures.count(self._filter)).value.count
        if self._stale or (self._more_wanted and self._cursor):
            await self._read(count)
        self._show(count)
        return ""

    async def _read(self, count: int) -> None:
        asked = self._filter.model_dump(exclude_none=True)
        cursor = None if self._stale else self._cursor
        page = (await self.visit.figures.texts(AskedTexts(**asked, limit=PAGE_TEXTS, cursor=cursor))).value
        await self.visit.noted("explore", self._filter, len(page.texts))
        self._texts = page.texts if self._stale else [*self._texts, *page.texts]
        self._cursor = page.next if len(self._texts) < MOST_SHOWN else None
        if self._stale:
            self._count = count
        self._stale = self._more_wanted = False

    def _show(self, count: int) -> None:
        render = self.words.render
        given = {
            (TextFilter.model_fields[name].alias or name): str(value)
            for name, value in self._filter.model_dump(exclude_none=True).items()
        }
        query = f"?{urlencode(given)}" if given else ""
        fresh = max(0, count - self._count)
        self._actions.show(render("actions.html", count=count, fresh=fresh, query=query, wrong=self._wrong))
        chosen = self._filter.aspect
        self._list.show(
            render(
                "texts.html", texts=self._texts, with_product=True, marked=lambda text: self.words.marked(text, chosen)
            )
        )
        sql = readable(statements.texts(self._filter, PAGE_TEXTS))
        self._more.show(render("more.html", more=self._cursor is not None, sql=sql))

    def _form(self, choices: Choices) -> str:
        t, percent = self.locale.t, self.locale.percent
        options = [
            ("product", [(name, name) for name in choices.products]),
            ("source", [(name, name) for name in choices.sources]),
            ("language", [(name, name) for name in choices.languages]),
            ("sentiment", [(name, t(f"sentiment.{name}")) for name in SENTIMENTS]),
            ("aspect", sorted(((name, self.words.aspect(name)) for name in choices.aspects), key=lambda pair: pair[1])),
            ("intent", [(name, self.words.intent(name)) for name in choices.intents]),
            ("min_confidence", [(str(share), percent(share)) for share in SURE]),
        ]
        asked = self._filter.model_dump()
        asked["min_confidence"] = str(self._filter.min_confidence)
        return self.words.render("filters.html", choices=options, asked=asked)
