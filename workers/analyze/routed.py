"""Texts of some products or sources judged by other packs: a batch is parted by pack, and its answers put back in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.insights import Analysis
from workers.analyze.judge import Judge, Request
from workers.analyze.redact import Redactor, redact_identifier


class RequestJudge(Protocol):
    """Anything that answers requests in order, and ends when it is closed. Its pack has a name and a version."""

    name: str
    version: str

    @property
    def topical(self) -> bool:
        """Whether its analyses have topic vectors."""

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        """One analysis a request, in order; None where no model could judge the text."""

    def close(self) -> None:
        """Ends it."""


@dataclass(frozen=True)
class Route:
    """What takes a text to a judge: its product, its source, or both; None fits all."""

    product: str | None
    source: str | None
    judge: RequestJudge

    def fits(self, request: Request) -> bool:
        """Whether the text goes this way."""
        return self.product in (None, request.product) and self.source in (None, request.source)


class RoutedJudge(Judge):
    """Has each text judged by the first route that fits, else by the default; loads nothing itself."""

    def __init__(self, default: RequestJudge, routes: Sequence[Route], redactor: Redactor, salt: bytes) -> None:
        """Routes name products and sources as producers do; they are compared as they are stored, without personal data."""
        self._default, self._redactor, self._salt = default, redactor, salt
        self._routes = [Route(self._stored_product(r.product), _stored_source(r.source), r.judge) for r in routes]

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        """One analysis a request, in order. What goes to one judge goes there at once."""
        parts: dict[int, tuple[RequestJudge, list[int]]] = {}
        for at, request in enumerate(requests):
            judge = self._judge_of(request)
            parts.setdefault(id(judge), (judge, []))[1].append(at)
        answers: list[Analysis | None] = [None] * len(requests)
        for judge, places in parts.values():
            for at, answer in zip(places, judge.judge([requests[at] for at in places]), strict=True):
                answers[at] = answer
        return answers

    def close(self) -> None:
        """Ends every judge, once."""
        for judge in self._judges():
            judge.close()

    @property
    def topical(self) -> bool:
        """Whether all its analyses have topic vectors."""
        return all(judge.topical for judge in self._judges())

    @property
    def with_topics(self) -> frozenset[tuple[str, str]]:
        """Names and versions of the packs whose analyses have topic vectors."""
        return frozenset((judge.name, judge.version) for judge in self._judges() if judge.topical)

    @property
    def served(self) -> tuple[str, str]:
        """Name and version of the pack that judges what no route fits."""
        return self._default.name, self._default.version

    @property
    def routes(self) -> tuple[tuple[str | None, str | None, tuple[str, str]], ...]:
        """Product and source as they are stored, and name and version of the pack that judges them; the first that fits."""
        return tuple((r.product, r.source, (r.judge.name, r.judge.version)) for r in self._routes)

    def _judges(self) -> list[RequestJudge]:
        """Each once, however many routes lead to it."""
        return list({id(judge): judge for judge in (self._default, *(r.judge for r in self._routes))}.values())

    def _judge_of(self, request: Request) -> RequestJudge:
        return next((route.judge for route in self._routes if route.fits(request)), self._default)

    def _stored_product(self, product: str | None) -> str | None:
        return None if product is None else self._redactor.redact(product).text


def _stored_source(source: str | None) -> str | None:
    return None if source is None else redact_identifier(source)
