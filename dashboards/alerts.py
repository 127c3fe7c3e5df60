"""Alerts as the API and the pages show them, from `v_alerts`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dashboards.parameters import Word
from dashboards.statements import Statement
from schemas.alerts import AlertKind, AlertStatus


class AskedAlerts(BaseModel):
    """Which alerts: the open ones first, then the latest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: Word | None = None
    status: Literal["open", "closed"] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AlertSignal(_Answer):
    """One of the tests that found the window unusual, at its most unusual."""

    kind: AlertKind
    aspect: str
    observed: int
    texts: int = Field(description="Out of so many; 0 where the count is not a part of anything.")
    expected: float
    p_value: float


class AlertExample(_Answer):
    source: str
    event_id: str
    quote: str = Field(description="Redacted, written by a stranger. Empty for tokens that may not read texts.")


class AlertRow(_Answer):
    alert_id: str
    revision: int
    status: AlertStatus
    product: str
    kind: AlertKind
    aspect: str
    source: str = Field(description="Of a silence: the source that stopped; empty for all of them.")
    severity: str
    window_start: datetime
    window_end: datetime = Field(description="End of its last unusual window, exclusive.")
    closed_at: datetime | None
    closed_because: str
    test: str
    level: float = Field(description="Below this p value such a signal opens an alert.")
    signals: list[AlertSignal] = Field(description="The leading one first.")
    examples: list[AlertExample]

    @property
    def leading(self) -> AlertSignal:
        return self.signals[0]


class Alerts(_Answer):
    alerts: list[AlertRow]


_COLUMNS = (
    "alert_id", "revision", "status", "product", "kind", "aspect", "source", "severity", "window_start", "window_end",
    "closed_at", "closed_because", "test", "level",
)  # fmt: skip
_SIGNAL = ("kind", "aspect", "observed", "texts", "expected", "p_value")


def alerts(asked: AskedAlerts) -> Statement:
    """A row an alert: _COLUMNS, the signals' columns, then event ids, sources and quotes."""
    conditions = ["1"]
    conditions += ["product = {product:String}"] if asked.product else []
    conditions += ["status = {status:String}"] if asked.status else []
    columns = ", ".join((*_COLUMNS, *(f"`signals.{name}`" for name in _SIGNAL), "event_ids", "sources", "quotes"))
    sql = (
        f"SELECT {columns} FROM v_alerts WHERE {' AND '.join(conditions)}"  # noqa: S608 - only our own fragments
        " ORDER BY status = 'open' DESC, window_start DESC, alert_id LIMIT {limit:UInt32}"
    )
    return Statement(sql, asked.model_dump())


def alert_row(row: Sequence[Any], *, with_texts: bool) -> AlertRow:
    """A row of `alerts`. Without texts its examples name their events only."""
    own, rest = row[: len(_COLUMNS)], row[len(_COLUMNS) :]
    signals, (event_ids, sources, quotes) = rest[: len(_SIGNAL)], rest[len(_SIGNAL) :]
    return AlertRow(
        **dict(zip(_COLUMNS, own, strict=True)),
        signals=[AlertSignal(**dict(zip(_SIGNAL, values, strict=True))) for values in zip(*signals, strict=True)],
        examples=[
            AlertExample(source=source, event_id=event_id, quote=quote if with_texts else "")
            for event_id, source, quote in zip(event_ids, sources, quotes, strict=True)
        ],
    )


def quoted(alerts: Sequence[AlertRow]) -> int:
    """How many quotations of texts they show."""
    return sum(example.quote != "" for alert in alerts for example in alert.examples)
