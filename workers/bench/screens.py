"""The screens at many generated insights: every API call, and each page's first paint with data in Chromium."""

import contextlib
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import quote, urlsplit

import orjson

from schemas.taxonomy import load_taxonomy
from workers.bench.generated import fill
from workers.bench.paint import PAGES, first_paints
from workers.bench.rounds import Measured, markdown
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.errors import VoxpopError
from workers.settings import ClickHouseSettings, DashboardSettings, Settings
from workers.stack_dashboard import stack_dashboard
from workers.store.connect import connect
from workers.store.migrate import migrate

PRODUCT, OTHER = "Product 003", "Product 017"
TIMEOUT_S = 120
# Name -> path. A figure is worked out anew for each: nothing is kept from one call to the next.
CALLS = {
    "overview, 7 days": "overview",
    "overview, 90 days": "overview?days=90",
    "overview, 365 days": "overview?days=365",
    "products": "products?days=30",
    "product": f"products/{quote(PRODUCT)}",
    "product, 365 days": f"products/{quote(PRODUCT)}?days=365",
    "compare with the days before": f"compare?product={quote(PRODUCT)}&days=30",
    "compare with another": f"compare?product={quote(PRODUCT)}&with={quote(OTHER)}&days=30",
    "aspects": "aspects?days=30",
    "trends": "trends?days=365",
    "trends of an aspect": "trends?days=365&aspect=battery",
    "trends of a source": "trends?days=365&source=x&language=es",
    "issues": "issues",
    "issues of a product": f"issues?product={quote(PRODUCT)}",
    "choices": "choices",
    "digests": "digests",
    "health": "health",
    "drift": "drift",
    "texts": "texts",
    "texts of a product": f"texts?product={quote(PRODUCT)}",
    "texts about an aspect": "texts?aspect=battery&polarity=negative",
    "texts with a word": "texts?q=pantalla",
    "texts without a match": "texts?q=nowhere+to+be+found",
    "count of all texts": "texts/count",
    "count with a word": "texts/count?q=pantalla",
    "sources of a sentence": f"texts/sources?product={quote(PRODUCT)}&event=g-1&event=g-2&event=g-3",
    "review": "review?days=30",
    "CSV of 10,000": "texts.csv",
    "Parquet of 10,000": "texts.parquet",
    "dead letters": "dead-letters",
}


def measure_screens(
    settings: Settings, rows: int, rounds: int, directory: Path, said: Callable[[str], None], seed: int = 0
) -> Measured:
    """Milliseconds of every call and page. Raises `VoxpopError` when a call is not answered."""
    with _screens(settings, rows, directory, said, seed) as (address, filled_a_second):
        taken = _calls(address, rounds, said)
        paints, why_not = first_paints(address, PRODUCT, min(rounds, 7), said)
    calls = {name: (median(times), _p95(times)) for name, times in taken.items()}
    pages = {name: (median(times), max(times)) for name, times in paints.items()}
    slowest = max(calls, key=lambda name: calls[name][1])
    tables = [
        markdown(["call", "p50 ms", "p95 ms"], [[name, f"{a:,.0f}", f"{b:,.0f}"] for name, (a, b) in calls.items()])
    ]
    if pages:
        lines = [[name, f"{a:,.0f}", f"{b:,.0f}"] for name, (a, b) in pages.items()]
        tables.append(markdown(["first paint with data", "p50 ms", "slowest ms"], lines))
    figures = {
        "screens_rows": float(rows),
        "screens_rows_a_second": filled_a_second,
        "screens_api_p95_ms_of_slowest": calls[slowest][1],
        "screens_api_p50_ms_of_overview": calls["overview, 7 days"][0],
        **{f"screens_first_paint_ms_of_{name}": paint[0] for name, paint in pages.items()},
    }
    details = {"rows": rows, "rounds": rounds, "calls_ms": taken, "first_paints_ms": paints, "slowest_call": slowest}
    skipped = {f"first paint of {page}": why_not for page in PAGES} if why_not else {}
    return Measured("screens", "\n\n".join(tables), figures, details, skipped)


@contextlib.contextmanager
def _screens(
    settings: Settings, rows: int, directory: Path, said: Callable[[str], None], seed: int
) -> Iterator[tuple[str, float]]:
    """A dashboard over a ClickHouse of its own with so many insights; its address, and how many a second went in."""
    with EmbeddedClickHouse(directory / "clickhouse") as server:
        store = ClickHouseSettings(port=server.port)
        dashboard = DashboardSettings(port=0, cache_s=0.001, refresh_s=300)
        settings = settings.model_copy(update={"clickhouse": store, "dashboard": dashboard})
        migrate(settings)
        began = time.monotonic()
        with connect(store) as client:
            fill(client, load_taxonomy(settings.taxonomy), rows, seed)
            stored = int(str(client.command("SELECT count() FROM insights")))
        if stored != rows:
            raise VoxpopError(f"{stored:,} of {rows:,} generated insights are stored; see {server.log_file}")
        took_s = time.monotonic() - began
        said(f"{rows:,} insights generated and aggregated in {took_s:.0f} s")
        with stack_dashboard(settings, None, directory) as running:
            running.wait()
            yield running.address, rows / took_s


def _calls(address: str, rounds: int, said: Callable[[str], None]) -> dict[str, list[float]]:
    """Call -> milliseconds of each round; the calls take turns, after one that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in CALLS}
    connection = HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT_S)
    try:
        for number in range(rounds + 1):
            for name, path in CALLS.items():
                began = time.perf_counter()
                connection.request("GET", f"/api/v1/{path}")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise VoxpopError(f"/api/v1/{path} answers {answer.status}: {_detail(body)}")
                if number:
                    taken[name].append(round(1_000 * (time.perf_counter() - began), 2))
            said(f"calls: round {number} of {rounds}")
    finally:
        connection.close()
    return taken


def _detail(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def _p95(times: list[float]) -> float:
    return quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
