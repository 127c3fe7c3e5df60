"""What the workers say of themselves at /metrics: how far behind they are, and how long a message takes to its row."""

import asyncio
import math
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence

import structlog
from prometheus_client.parser import text_string_to_metric_families

from dashboards.models import WorkerFigures

TIMEOUT_S = 2.0
MAX_BYTES = 4_000_000
LAG = "voxpop_lag_messages"
LATENCY_BUCKETS = "voxpop_latency_seconds_bucket"

log = structlog.get_logger(__name__)


async def read_workers(addresses: Sequence[str]) -> WorkerFigures:
    """Asks every worker at once. One that does not answer is counted, not waited for."""
    asked = [asyncio.to_thread(_read, address) for address in addresses]
    pages = [page for page in await asyncio.gather(*asked) if page is not None]
    return summarised(pages, len(addresses))


def summarised(pages: Sequence[str], asked: int) -> WorkerFigures:
    """Of the pages of metrics (Prometheus's text format): lag added up, latency from the added buckets."""
    lag, lags, buckets = 0.0, 0, Counter[float]()
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == LAG:
                    lag, lags = lag + sample.value, lags + 1
                elif sample.name == LATENCY_BUCKETS:
                    buckets[float(sample.labels["le"])] += int(sample.value)
    return WorkerFigures(
        asked=asked,
        answered=len(pages),
        lag=round(lag) if lags else None,
        latency_p50_s=quantile(buckets, 0.5),
        latency_p95_s=quantile(buckets, 0.95),
    )


def quantile(buckets: Mapping[float, int], share: float) -> float | None:
    """As Prometheus's histogram_quantile: linear within the bucket; the last finite bound for what lies beyond it.

    `buckets`: upper bound (seconds) -> cumulated count. None when nothing was counted.
    """
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank, below, count_below = share * buckets[bounds[-1]], 0.0, 0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return below
            inside = buckets[bound] - count_below
            return round(below + (bound - below) * (rank - count_below) / inside, 3) if inside else bound
        below, count_below = bound, buckets[bound]
    return below


def _read(address: str) -> str | None:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:  # noqa: S310 - an http(s) address from the settings
            return str(answer.read(MAX_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        log.info("a worker's metrics do not answer", address=address, error=str(error))
        return None
