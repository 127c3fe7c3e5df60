"""The digests that Overview and Product show: a sentence opens the texts that it rests on."""

from nicegui import ui

from dashboards.digests import MOST_SOURCES, AskedDigests, AskedSources, Digest
from dashboards.models import Text
from dashboards.pages.live import Fragment, card
from dashboards.pages.visit import Visit


class DigestsCard:
    """At most one sentence is open at a time."""

    def __init__(self, visit: Visit, classes: str, *, limit: int) -> None:
        self._visit, self._limit = visit, limit
        self._opened: tuple[str, int] | None = None
        with card(classes):
            with ui.element("div").classes("card-head"):
                ui.html(visit.words.locale.t("digests.title"), sanitize=False, tag="h2")
            self._list = Fragment()

    def asked(self, what: dict[str, str]) -> None:
        """A sentence was chosen; what is none closes the open one."""
        if "digest" in what:
            number = what.get("sentence", "")
            self._opened = (what["digest"], int(number)) if number.isascii() and number.isdigit() else None

    async def look(self, product: str | None = None) -> None:
        """Shows the latest digests, of one product or of all. Raises `VoxpopError`."""
        figures = self._visit.figures
        found = (await figures.digests(AskedDigests(product=product, limit=self._limit))).value.digests
        html = self._visit.words.render(
            "digests.html",
            digests=found,
            with_product=product is None,
            opened=self._opened,
            cited=await self._cited(found),
            may_read=self._visit.may_read_texts,
        )
        self._list.show(html)

    async def _cited(self, digests: list[Digest]) -> list[Text]:
        """The texts of the open sentence, as far as there is one and they may be read."""
        if self._opened is None or not self._visit.may_read_texts:
            return []
        product, number = self._opened
        sentences = next((digest.sentences for digest in digests if digest.product == product), [])
        ids = sentences[number].sources[:MOST_SOURCES] if number < len(sentences) else []
        if not ids:
            return []
        asked = AskedSources(product=product, event=ids)
        texts = (await self._visit.figures.sources(asked)).value.texts
        await self._visit.noted("digest's sources", asked, len(texts))
        return texts
