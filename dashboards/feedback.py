"""What a person says of a label: what the dashboard writes, by a connection that does nothing else."""

import asyncio
from datetime import UTC, datetime

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field

from dashboards.clickhouse import LimitedReader
from dashboards.models import ApiModel, Text
from dashboards.parameters import ProductWindow, Word
from dashboards.quality_statements import judged
from schemas.insights import SentimentLabel
from workers.errors import VoxpopError
from workers.settings import ClickHouseSettings, Settings
from workers.store.connect import connect
from workers.store.feedback import Correction, FeedbackWriter

HEAD = "sentiment"
MOST_TO_REVIEW = 100


class UnknownEvent(VoxpopError):
    """There is no text of this source and id."""


class AskedReview(ProductWindow):
    limit: int = Field(default=20, ge=1, le=MOST_TO_REVIEW)


class ToReview(ApiModel):
    texts: list[Text] = Field(description="The least sure first, without those that somebody has looked at.")


class AskedCorrection(BaseModel):
    """The label that a person gives a text; the model's own says that it was right. Of several the latest counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Word
    event_id: Word
    label: SentimentLabel


class Corrected(ApiModel):
    """What was written."""

    source: str
    event_id: str
    head: str
    old_label: str
    new_label: str
    pack: str
    pack_version: str
    corrected_by: str
    corrected_at: datetime


class Feedback:
    """For one event loop. The old label, its confidence and its pack are ClickHouse's, not the browser's."""

    def __init__(self, settings: Settings, reader: LimitedReader) -> None:
        self._store = writing(settings)
        self._reader = reader
        self._connecting = asyncio.Lock()
        self._writer: FeedbackWriter | None = None

    async def add(self, asked: AskedCorrection, by: str) -> Corrected:
        """Writes one row. Raises `UnknownEvent`, `StoreUnavailable` or `StoreRefused`."""
        found = await self._reader.rows(judged(asked.source, asked.event_id))
        if not found:
            raise UnknownEvent("there is no text of this source and id; /api/v1/review lists texts to look at")
        content_hash, product, old, confidence, pack, version = found[0]
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as the column keeps it
        row = Correction(
            asked.source,
            asked.event_id,
            content_hash,
            product,
            HEAD,
            old,
            asked.label,
            confidence,
            pack,
            version,
            by,
            now,
        )
        writer = await self._connected()
        await to_thread.run_sync(writer.add, row)
        return Corrected(**{name: getattr(row, name) for name in Corrected.model_fields})

    async def _connected(self) -> FeedbackWriter:
        async with self._connecting:
            if self._writer is None:
                self._writer = FeedbackWriter(await to_thread.run_sync(connect, self._store), self._store)
            return self._writer


def writing(settings: Settings) -> ClickHouseSettings:
    """ClickHouse as the user who may write feedback and who read texts, where there is one of their own."""
    dashboard = settings.dashboard
    if dashboard.feedback_username is None:
        return settings.clickhouse
    changes: dict[str, object] = {"username": dashboard.feedback_username}
    if dashboard.feedback_password is not None:
        changes["password"] = dashboard.feedback_password
    return settings.clickhouse.model_copy(update=changes)
