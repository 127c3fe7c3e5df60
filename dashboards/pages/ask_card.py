"""The box where a visitor asks the texts a question; each sentence of the answer opens the texts that it rests on."""

from nicegui import ui
from pydantic import ValidationError

from dashboards.asking import AskedQuestion, CannotAnswer, WrongQuestion, cited
from dashboards.pages.live import Fragment, card
from dashboards.pages.visit import Visit

NAME = "question"


class AskCard:
    """What is shown stays until the next question: news do not change an answer under the reader's eyes."""

    def __init__(self, visit: Visit, classes: str = "") -> None:
        self._visit, self._asked = visit, ""
        t = visit.words.locale.t
        with card(classes):
            with ui.element("div").classes("card-head"):
                ui.html(t("ask.title"), sanitize=False, tag="h2")
                ui.html(t("ask.says"), sanitize=False, tag="span").classes("muted small")
            form = Fragment()
            self._answer = Fragment()
        if visit.may_read_texts:
            form.show(visit.words.render("ask.html"))
        else:
            form.show(f'<p class="muted">{t("texts.forbidden")}</p>')

    def asked(self, what: dict[str, str]) -> None:
        """A question was sent."""
        if NAME in what and self._visit.may_read_texts:
            self._asked = what[NAME].strip()
            self._show(state="looking" if self._asked else "")

    async def look(self, product: str | None = None) -> None:
        """Answers what was asked last, of one product or of all. Raises `StoreUnavailable` or `StoreRefused`."""
        if not self._asked:
            return
        question, self._asked = self._asked, ""
        try:
            asked = AskedQuestion(q=question, product=product)
            found = (await self._visit.figures.ask(asked)).value
            await self._visit.noted("ask", asked, cited(found))
        except (ValidationError, WrongQuestion):
            self._show(state="wrong")
        except CannotAnswer:
            self._show(state="cannot")
        else:
            self._show(state="answer", found=found)

    def _show(self, **values: object) -> None:
        self._answer.show(self._visit.words.render("answer.html", **({"found": None} | values)))
