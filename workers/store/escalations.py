"""Escalations in ClickHouse: which rows are to get a second opinion, what was asked and answered, and what has been spent.

All that a run has to know is here, so it may die anywhere: an answer that is noted is never asked for again, and a call that
was begun counts in the budgets whether its end was seen or not.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings, EscalationSettings
from workers.store.connect import explain
from workers.store.query import Reader
from workers.store.rows import INSIGHT_COLUMNS, JUDGED, TIME, WORD
from workers.store.selection import Row

# Name in the settings -> what of a row's figures it means.
_IMPORTANT: Final = {
    "urgent": "urgency >= 0.5",
    "negative": "sentiment = 'negative'",
    "complaint": "has(intents, 'complaint')",
    "stars": "((rating <= 2 AND sentiment = 'positive') OR (rating >= 4 AND sentiment = 'negative'))",
}
_NAMES: Final = (*(column.name for column in INSIGHT_COLUMNS), JUDGED[0])
_CANDIDATES = """
SELECT {names}, arrayStringConcat(arrayFilter((name, holds) -> holds, {rules}, [{conditions}]), '+') AS reason, answer
FROM insights
LEFT JOIN
(
    SELECT source, event_id, content_hash,
        argMaxIf(escalations.answer, asked_at, escalations.answer != '') AS answer,
        countIf(startsWith(outcome, 'refused')) AS refused,
        countIf(startsWith(outcome, 'failed') AND asked_at > now64(3) - INTERVAL 1 DAY) AS failed,
        maxIf(asked_at, startsWith(outcome, 'failed')) AS failed_at
    FROM escalations FINAL
    WHERE model = {{model:String}}
    GROUP BY source, event_id, content_hash
) AS asked USING (source, event_id, content_hash)
WHERE route != 'escalated' AND sentiment_confidence < {{below:Float32}} AND ({important})
    AND event_time >= (SELECT max(event_time) FROM insights) - toIntervalDay({{days:UInt32}})
    AND {wanted}
ORDER BY urgency DESC, event_time DESC, source, event_id
LIMIT {{most:UInt32}}
"""
_ANSWERED = "asked.answer != ''"
_UNANSWERED = (
    "asked.answer = '' AND asked.refused = 0 AND asked.failed < {tries:UInt32}"
    " AND asked.failed_at < now64(3) - toIntervalMillisecond({patience_ms:UInt64})"
)
_SPENT = """
SELECT sumIf(calls, asked_at > now64(3) - INTERVAL 1 HOUR), sum(calls),
    sumIf(prompt_tokens + answer_tokens, asked_at > now64(3) - INTERVAL 1 HOUR), sum(prompt_tokens + answer_tokens)
FROM escalations FINAL
WHERE asked_at > now64(3) - INTERVAL 1 DAY
"""
_REPORT = """
SELECT model, sum(e.calls) AS calls, countIf(outcome = 'changed') AS changed, countIf(outcome = 'confirmed') AS confirmed,
    countIf(startsWith(outcome, 'refused')) AS refused, countIf(startsWith(outcome, 'failed')) AS failed,
    sum(e.prompt_tokens) AS prompt_tokens, sum(e.answer_tokens) AS answer_tokens, sum(e.cost) AS cost,
    countIf(outcome = 'changed' AND f.label != '') AS judged,
    countIf(outcome = 'changed' AND f.label = e.answer) AS endpoint_right,
    countIf(outcome = 'changed' AND f.label = e.old_label) AS pack_right,
    arraySort(groupUniqArrayIf(outcome, match(outcome, '^(refused|failed)'))) AS whys
FROM (SELECT * FROM escalations FINAL WHERE event_id != '') AS e
LEFT JOIN
(
    SELECT source, event_id, content_hash, argMax(new_label, corrected_at) AS label
    FROM feedback WHERE head = 'sentiment' GROUP BY source, event_id, content_hash
) AS f USING (source, event_id, content_hash)
GROUP BY model ORDER BY model
"""


class Candidate(NamedTuple):
    """A stored row that is to get a second opinion, why, and the answer to it that is there already, if one is."""

    row: Row
    reason: str
    answer: str


class Call(NamedTuple):
    """A row of `escalations`. Tokens and cost of revision 0 are the most that the call may take. Without an event it is
    about a brief or a trace, as `reason` says."""

    call: str
    revision: int
    asked_at: datetime
    source: str
    event_id: str
    content_hash: str
    product: str
    pack: str
    pack_version: str
    model: str
    reason: str
    calls: int
    prompt_tokens: int
    answer_tokens: int
    cost: float
    latency_ms: int
    old_label: str
    answer: str
    confidence: float
    outcome: str


_TYPES: Final = {
    "call": "String",
    "revision": "UInt8",
    "asked_at": TIME,
    "source": WORD,
    "event_id": "String",
    "content_hash": "String",
    "product": WORD,
    "pack": WORD,
    "pack_version": WORD,
    "model": WORD,
    "reason": WORD,
    "calls": "UInt8",
    "prompt_tokens": "UInt32",
    "answer_tokens": "UInt32",
    "cost": "Float64",
    "latency_ms": "UInt32",
    "old_label": WORD,
    "answer": WORD,
    "confidence": "Float32",
    "outcome": WORD,
}


class Spent(NamedTuple):
    """Calls and tokens of the last hour and of the last day, by ClickHouse's clock."""

    calls_hour: int
    calls_day: int
    tokens_hour: int
    tokens_day: int


class Outcome(NamedTuple):
    """What came of the calls to a model. Of the labels that it changed a person has `judged` some: then the endpoint or the
    pack was right, or neither. `whys` are the kinds of refusals and failures."""

    model: str
    calls: int
    changed: int
    confirmed: int
    refused: int
    failed: int
    prompt_tokens: int
    answer_tokens: int
    cost: float
    judged: int
    endpoint_right: int
    pack_right: int
    whys: list[str]


class EscalationStore:
    """Reads and writes through one client. Every method raises `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, client: Client, settings: ClickHouseSettings) -> None:
        self._client, self._settings = client, settings
        self._reader = Reader(client, settings)

    def unanswered(self, wish: EscalationSettings, most: int) -> list[Candidate]:
        """Rows to ask about, the most urgent first, then the newest. None that was refused, that failed so often today,
        or whose call began a moment ago and has no answer."""
        patience_ms = int(2_000 * wish.timeout_s)
        return self._candidates(wish, most, _UNANSWERED, {"tries": wish.tries_per_day, "patience_ms": patience_ms})

    def answered(self, wish: EscalationSettings, most: int) -> list[Candidate]:
        """Rows that do not say yet what was answered."""
        return self._candidates(wish, most, _ANSWERED, {})

    def note(self, calls: Sequence[Call]) -> None:
        """Writes what was asked or what came of it. Doing so again changes nothing."""
        try:
            self._client.insert(
                "escalations",
                [list(call) for call in calls],
                column_names=list(Call._fields),
                column_type_names=[_TYPES[name] for name in Call._fields],
                settings={"async_insert": 0},
            )
        except ClickHouseError as error:
            raise explain(error, self._settings) from error

    def spent(self) -> Spent:
        """What all calls have taken, those whose end was not seen at their most."""
        return Spent(*map(int, self._reader.rows(_SPENT, {})[0]))

    def report(self) -> list[Outcome]:
        """What came of all second opinions, by model."""
        return [Outcome(*row) for row in self._reader.rows(_REPORT, {})]

    def _candidates(
        self, wish: EscalationSettings, most: int, wanted: str, parameters: dict[str, Any]
    ) -> list[Candidate]:
        conditions = [_IMPORTANT[name] for name in wish.important]
        sql = _CANDIDATES.format(
            names=", ".join(f"insights.`{name}` AS `{name}`" for name in _NAMES),
            rules=list(wish.important),
            conditions=", ".join(f"ifNull({condition}, false)" for condition in conditions),
            important=" OR ".join(conditions),
            wanted=wanted,
        )
        shared = {"model": wish.model, "below": wish.confidence_below, "days": wish.lookback_days, "most": most}
        rows = self._reader.rows(sql, shared | parameters)
        return [Candidate(dict(zip(_NAMES, row, strict=False)), row[-2], row[-1]) for row in rows]
