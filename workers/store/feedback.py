"""What people say of the model's labels: one statement that adds a row, and the texts with the labels that people gave."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.connect import explain
from workers.store.query import Reader
from workers.store.rows import TIME, WORD


class Correction(NamedTuple):
    """A row of `feedback`. `content_hash` says which version of the event was read, `corrected_by` never holds a token."""

    source: str
    event_id: str
    content_hash: str
    product: str
    head: str
    old_label: str
    new_label: str
    confidence: float
    pack: str
    pack_version: str
    corrected_by: str
    corrected_at: datetime


_TYPES = dict(
    zip(
        Correction._fields,
        (WORD, "String", "String", WORD, WORD, WORD, WORD, "Float32", WORD, WORD, WORD, TIME),
        strict=True,
    )
)


class CorrectedText(NamedTuple):
    """A text as it is stored, redacted, and the label that a person gave it last."""

    title: str
    text: str
    label: str


class FeedbackWriter:
    """Adds rows to `feedback`, and can do nothing else. It needs the right to INSERT there alone."""

    def __init__(self, client: Client, settings: ClickHouseSettings) -> None:
        self._client = client
        self._settings = settings

    def add(self, correction: Correction) -> None:
        """One row. Raises `StoreUnavailable` or `StoreRefused`."""
        try:
            self._client.insert(
                "feedback",
                [list(correction)],
                column_names=list(_TYPES),
                column_type_names=list(_TYPES.values()),
                settings={"async_insert": 0},
            )
        except ClickHouseError as error:
            raise explain(error, self._settings) from error


def corrected_texts(reader: Reader, head: str) -> Sequence[CorrectedText]:
    """The texts that people gave a label of `head`, confirmed ones too, in a settled order; the latest label counts.

    A text that its producer has changed since, or whose row is gone, is left out. Raises `StoreUnavailable` or
    `StoreRefused`.
    """
    rows = reader.rows(
        "SELECT i.title, i.text, f.label FROM insights AS i INNER JOIN"
        " (SELECT source, event_id, content_hash, argMax(new_label, corrected_at) AS label FROM feedback"
        "  WHERE head = {head:String} GROUP BY source, event_id, content_hash) AS f"
        " ON i.source = f.source AND i.event_id = f.event_id AND i.content_hash = f.content_hash"
        " ORDER BY i.source, i.event_id",
        {"head": head},
    )
    return [CorrectedText(*row) for row in rows]
