"""Errors as application/problem+json (RFC 9457): what is wrong and what to do, never what was sent or how we are built."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from dashboards.asking import CannotAnswer, WrongQuestion
from dashboards.clickhouse import Busy
from dashboards.feedback import UnknownEvent
from dashboards.figures import UnknownProduct
from dashboards.models import Problem
from dashboards.paging import BadCursor
from workers.store.connect import StoreRefused, StoreUnavailable

RETRY_S = "5"

log = structlog.get_logger(__name__)


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """One problem as a response."""
    body = Problem(title=title, status=status, detail=detail).model_dump_json()
    return Response(body, status, headers, "application/problem+json")


def answer_with_problems(app: FastAPI) -> None:
    """Makes every error of `app` a problem."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for error in (StoreUnavailable, StoreRefused, UnknownProduct, UnknownEvent, BadCursor, WrongQuestion, CannotAnswer):
        app.add_exception_handler(error, _known)
    app.add_exception_handler(Exception, _unknown)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    first = error.errors()[0]
    name = str(first["loc"][1]) if len(first["loc"]) > 1 and first["type"] != "extra_forbidden" else ""
    what = (
        "there is a parameter that this address does not take" if first["type"] == "extra_forbidden" else first["msg"]
    )
    return problem(422, "Wrong parameter", f"{name}: {what}" if name else what)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    headers = dict(error.headers) if error.headers else None
    if error.status_code == 404:
        return problem(
            404, "Not found", "there is nothing at this address; /api/openapi.json lists what there is", headers
        )
    return problem(error.status_code, "Request refused", str(error.detail), headers)


def _known(request: Request, error: Exception) -> Response:
    if isinstance(error, UnknownProduct):
        return problem(404, "Unknown product", str(error))
    if isinstance(error, UnknownEvent):
        return problem(404, "Unknown text", str(error))
    if isinstance(error, BadCursor):
        return problem(422, "Wrong parameter", f"cursor: {error}")
    if isinstance(error, WrongQuestion):
        return problem(422, "Wrong parameter", f"q: {error}")
    if isinstance(error, CannotAnswer):
        log.warning("a question could not be answered", error=str(error))
        return problem(503, "Questions cannot be answered", str(error))
    if isinstance(error, Busy):
        return problem(503, "Busy", str(error), {"Retry-After": RETRY_S})
    log.warning("ClickHouse did not answer", path=request.url.path, error=str(error))
    if isinstance(error, StoreUnavailable):
        return problem(503, "ClickHouse does not answer", "try again in some seconds", {"Retry-After": RETRY_S})
    return problem(502, "ClickHouse refuses the request", "the server's log says why; voxpop doctor says what to do")


def _unknown(request: Request, error: Exception) -> Response:
    log.error("a request failed", path=request.url.path, exc_info=error)
    return problem(500, "Internal error", "the server's log says why")
