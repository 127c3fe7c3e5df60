"""The JSON API, /api/v1: what the pages show, for programs. /api/openapi.json describes it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from dashboards import models
from dashboards.alerts import Alerts, AskedAlerts, quoted
from dashboards.asking import AskedQuestion, QuestionAnswer, cited
from dashboards.cache import Answer
from dashboards.digests import AskedDigests, AskedSources, Digests
from dashboards.drift import Drift
from dashboards.export import PARQUET, pieces
from dashboards.feedback import AskedCorrection, AskedReview, Corrected, ToReview
from dashboards.figures import Figures
from dashboards.parameters import (
    AskedComparison,
    AskedIssues,
    AskedTexts,
    AskedTrend,
    AskedWindow,
    ProductWindow,
    TextFilter,
    Word,
)
from dashboards.reads import Reads
from dashboards.tokens import Role

PREFIX = "/api/v1"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": said,
        "content": {"application/problem+json": {"schema": models.Problem.model_json_schema()}},
    }
    for status, said in {
        401: "A token is needed",
        403: "The token's role may not",
        422: "A parameter is wrong",
        503: "ClickHouse does not answer",
    }.items()
}


def _needs(role: Role, reads: Reads) -> Any:
    async def check(request: Request) -> None:
        if request.scope["caller"].role < role:
            reads.refused(request.scope["caller"], _view(request))
            raise HTTPException(403, f"this needs a token of the role {role.name.lower()} or higher")

    return Depends(check)


def _view(request: Request) -> str:
    path: str = request.scope["route"].path
    return path.removeprefix(PREFIX + "/")


def router(figures: Figures, *, cache_s: float, export_rows: int) -> APIRouter:
    """All routes. Answers carry an ETag: whoever sends it back gets 304 until something has changed."""
    api = APIRouter(prefix=PREFIX, responses=PROBLEMS)
    texts_only = [_needs(Role.ANALYST, figures.reads)]

    async def noted(request: Request, asked: BaseModel | None, texts: int) -> None:
        await figures.reads.note(request.scope["caller"], _view(request), asked or {}, texts)

    def answer(request: Request, found: Answer[Any]) -> Response:
        headers = {
            "ETag": found.etag,
            "Cache-Control": f"private, max-age={int(cache_s)}",
            "Vary": "Authorization, Cookie",
        }
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if found.etag in known:
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type="application/json")

    @api.get("/overview", response_model=models.Overview, summary="Everything of a window, beside the window before")
    async def overview(request: Request, asked: Annotated[AskedWindow, Query()]) -> Response:
        return answer(request, await figures.overview(asked))

    @api.get("/products", response_model=models.Products, summary="Every product's totals")
    async def products(request: Request, asked: Annotated[AskedWindow, Query()]) -> Response:
        return answer(request, await figures.products(asked))

    @api.get("/products/{product:path}", response_model=models.ProductDetail, summary="One product")
    async def product(
        request: Request, product: Annotated[Word, Path()], asked: Annotated[AskedWindow, Query()]
    ) -> Response:
        return answer(request, await figures.product(product, asked))

    @api.get("/compare", response_model=models.Comparison, summary="A product beside another, or its days before")
    async def compare(request: Request, asked: Annotated[AskedComparison, Query()]) -> Response:
        return answer(request, await figures.comparison(asked))

    @api.get("/aspects", response_model=models.Aspects, summary="Mentions by aspect, beside the window before")
    async def aspects(request: Request, asked: Annotated[ProductWindow, Query()]) -> Response:
        return answer(request, await figures.aspects(asked))

    @api.get("/trends", response_model=models.Trend, summary="Day by day: texts, or mentions of an aspect")
    async def trends(request: Request, asked: Annotated[AskedTrend, Query()]) -> Response:
        return answer(request, await figures.trend(asked))

    @api.get("/issues", response_model=models.Issues, summary="What customers complain of most")
    async def issues(request: Request, asked: Annotated[AskedIssues, Query()]) -> Response:
        return answer(request, await figures.issues(asked))

    @api.get("/alerts", response_model=Alerts, summary="What is unusual: open alerts first, then the latest")
    async def alerts(request: Request, asked: Annotated[AskedAlerts, Query()]) -> Response:
        with_texts = request.scope["caller"].role >= Role.ANALYST
        found = await figures.alerts(asked, with_texts=with_texts)
        if with_texts and (quotes := quoted(found.value.alerts)):
            await noted(request, asked, quotes)
        return answer(request, found)

    @api.get("/digests", response_model=Digests, summary="The latest digest of each product, with its sources' ids")
    async def digests(request: Request, asked: Annotated[AskedDigests, Query()]) -> Response:
        return answer(request, await figures.digests(asked))

    @api.get("/ask", response_model=QuestionAnswer, dependencies=texts_only, summary="Ask the texts (analyst)")
    async def ask(request: Request, asked: Annotated[AskedQuestion, Query()]) -> Response:
        found = await figures.ask(asked)
        await noted(request, asked, cited(found.value))
        return answer(request, found)

    @api.get("/choices", response_model=models.Choices, summary="What filters can be set to")
    async def choices(request: Request) -> Response:
        return answer(request, await figures.choices())

    @api.get("/health", response_model=models.HealthFigures, summary="Throughput, lag, dead letters, packs, certainty")
    async def health(request: Request) -> Response:
        return answer(request, await figures.health())

    @api.get("/drift", response_model=Drift, summary="Whether what the model says has shifted: stability indices")
    async def drift(request: Request) -> Response:
        return answer(request, await figures.drift())

    @api.get("/review", response_model=ToReview, dependencies=texts_only, summary="Texts to look at (analyst)")
    async def review(request: Request, asked: Annotated[AskedReview, Query()]) -> Response:
        found = await figures.to_review(asked)
        await noted(request, asked, len(found.value.texts))
        return answer(request, found)

    @api.post(
        "/feedback",
        response_model=Corrected,
        status_code=201,
        dependencies=texts_only,
        summary="Correct or confirm a label (analyst)",
    )
    async def feedback(request: Request, asked: AskedCorrection) -> Corrected:
        return await figures.correct(asked, request.scope["caller"].name)

    @api.get("/texts", response_model=models.Texts, dependencies=texts_only, summary="Texts, newest first (analyst)")
    async def texts(request: Request, asked: Annotated[AskedTexts, Query()]) -> Response:
        found = await figures.texts(asked)
        await noted(request, asked, len(found.value.texts))
        return answer(request, found)

    @api.get(
        "/texts/sources",
        response_model=models.Texts,
        dependencies=texts_only,
        summary="The texts that a sentence cites (analyst)",
    )
    async def sources(request: Request, asked: Annotated[AskedSources, Query()]) -> Response:
        found = await figures.sources(asked)
        await noted(request, asked, len(found.value.texts))
        return answer(request, found)

    @api.get("/texts/count", response_model=models.TextCount, dependencies=texts_only, summary="How many (analyst)")
    async def count(request: Request, asked: Annotated[TextFilter, Query()]) -> Response:
        return answer(request, await figures.count(asked))

    @api.get(
        "/texts.csv", dependencies=texts_only, summary="The newest texts as CSV (analyst)", response_class=Response
    )
    async def texts_csv(request: Request, asked: Annotated[TextFilter, Query()]) -> Response:
        headers = {"Content-Disposition": 'attachment; filename="voxpop-texts.csv"'}
        count = min((await figures.count(asked)).value.count, export_rows)
        file = await figures.csv(asked, export_rows)
        await noted(request, asked, count)
        return Response(file, headers=headers, media_type="text/csv")

    @api.get(
        "/texts.parquet",
        dependencies=texts_only,
        summary="The newest texts as Parquet (analyst)",
        response_class=StreamingResponse,
    )
    async def texts_parquet(request: Request, asked: Annotated[TextFilter, Query()]) -> StreamingResponse:
        count = min((await figures.count(asked)).value.count, export_rows)
        file = await figures.parquet(asked, export_rows)
        try:
            await noted(request, asked, count)
        except BaseException:
            file.close()
            raise
        headers = {"Content-Disposition": 'attachment; filename="voxpop-texts.parquet"'}
        return StreamingResponse(pieces(file), headers=headers, media_type=PARQUET)

    @api.get(
        "/dead-letters",
        response_model=models.Letters,
        dependencies=[_needs(Role.ADMIN, figures.reads)],
        summary="The latest (admin)",
    )
    async def letters(request: Request) -> Response:
        return answer(request, await figures.letters())

    return api
