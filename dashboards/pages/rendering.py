"""Templates filled for one visitor: every value is escaped, every word is in the visitor's language."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboards.evidence import Span, highlighted
from dashboards.language import Locale
from dashboards.models import Text
from schemas.taxonomy import Taxonomy


@cache
def _environment() -> Environment:
    directory = Path(__file__).parent / "templates"
    return Environment(
        loader=FileSystemLoader(directory),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Words:
    """What one visitor reads: a language's words and formats, and the taxonomy's names in it."""

    def __init__(self, locale: Locale, taxonomy: Taxonomy, days: int) -> None:
        self.locale = locale
        self._aspects = {aspect.name: _in(locale.language, aspect.title) for aspect in taxonomy.aspects}
        self._intents = {intent.name: _in(locale.language, intent.title) for intent in taxonomy.intents}
        self.days = days

    def aspect(self, name: str) -> str:
        """An aspect's title; the name itself when the taxonomy no longer has it."""
        return self._aspects.get(name, name)

    def intent(self, name: str) -> str:
        """The same of an intent."""
        return self._intents.get(name, name)

    def render(self, template: str, **values: Any) -> str:
        """The template's HTML. Raises jinja2's `UndefinedError` for a value that it needs and lacks."""
        return (
            _environment()
            .get_template(template)
            .render(
                l=self.locale,
                t=self.locale.t,
                aspect_title=self.aspect,
                intent_title=self.intent,
                product_href=self._product_href,
                p_value=self._p_value,
                **values,
            )
        )

    def marked(self, text: Text, chosen: str | None = None) -> Markup:
        """The text with its evidence marked, only that of `chosen` if given."""
        spans = [Span(m.start, m.end, m.aspect, m.sentiment) for m in text.aspects]
        titles: Mapping[str, str] = self._aspects | {
            sentiment: self.locale.t(f"sentiment.{sentiment}") for sentiment in ("negative", "neutral", "positive")
        }
        return Markup(highlighted(text.text, spans, dict(titles), chosen))  # noqa: S704 - `highlighted` escapes every character

    def _product_href(self, product: str, aspect: str = "") -> str:
        asked = {"name": product, "days": self.days} | ({"aspect": aspect} if aspect else {})
        return f"/product?{urlencode(asked)}"

    def _p_value(self, p: float) -> str:
        return f"< {self.locale.number(0.001, 3)}" if p < 0.001 else self.locale.number(p, 3)


def _in(language: str, titles: Mapping[str, str]) -> str:
    return titles.get(language) or next(iter(titles.values()))
