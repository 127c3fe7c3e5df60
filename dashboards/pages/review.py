"""Review: the texts that the model was least sure of, where a person says what their label should be."""

import structlog
from nicegui import ui
from pydantic import ValidationError

from dashboards.feedback import AskedCorrection, AskedReview
from dashboards.models import Text
from dashboards.pages.live import Fragment, LivePage, State, card
from dashboards.pages.visit import Visit
from workers.errors import VoxpopError

AT_ONCE = 10

log = structlog.get_logger(__name__)


class ReviewPage(LivePage):
    """What is shown stays until the next ones are asked for, so that nothing moves under the reader's hands."""

    name = "review"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._texts: list[Text] = []
        self._given: dict[tuple[str, str], str] = {}
        self._waiting: list[AskedCorrection] = []
        self._stale, self._unsaved = True, False

    def build(self) -> None:
        t = self.locale.t
        with card():
            with ui.element("div").classes("card-head"):
                ui.html(t("review.title"), sanitize=False, tag="h2")
                ui.html(t("review.says"), sanitize=False, tag="span").classes("muted small")
            self._list = Fragment()

    def asked(self, what: dict[str, str]) -> None:
        super().asked(what)
        if "label" not in what:
            self._stale = True
            return
        try:
            self._waiting.append(AskedCorrection.model_validate(what))
        except ValidationError:
            self._unsaved = True  # no button of ours sends that

    async def look(self) -> State:
        self.tools.show(self.visit.tools(products=None, product=None))
        if not self.visit.may_read_texts:
            self._list.show(f'<p class="muted">{self.locale.t("texts.forbidden")}</p>')
            return ""
        if not (await self.visit.figures.choices()).value.products:
            return "empty"
        while self._waiting:
            await self._write(self._waiting.pop(0))
        if self._stale or not self._texts:
            asked = AskedReview.model_validate({**self.visit.window.model_dump(exclude_none=True), "limit": AT_ONCE})
            texts = (await self.visit.figures.to_review(asked)).value.texts
            await self.visit.noted("review", asked, len(texts))
            self._texts = texts
            self._stale, self._unsaved = False, False
        self._list.show(self.words.render("review.html", texts=self._texts, given=self._given, failed=self._unsaved))
        return ""

    async def _write(self, asked: AskedCorrection) -> None:
        """What cannot be written is said, and not tried for ever."""
        try:
            written = await self.visit.figures.correct(asked, self.visit.caller.name)
        except VoxpopError as error:
            log.warning("a correction was not saved", error=str(error))
            self._unsaved = True
            return
        self._unsaved = False
        self._given[written.source, written.event_id] = written.new_label
