"""What a dead letter looks like to whoever reads one: as a message of `voxpop.deadletters`, and as a row of `dead_letters`.

`schemas.insights.DeadLetter` is the same thing inside a worker. These two only describe, for the exported schemas.
"""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.events import Reason

_DIGITS = r"^[0-9]+$"


class DeadLetterHeaders(BaseModel):
    """The headers that Voxpop adds, UTF-8 each, after the message's own. The message's key and value are the original's."""

    model_config = ConfigDict(alias_generator=lambda name: f"voxpop.{name}", extra="allow")

    reason: Reason = Field(description="Why, for programs.")
    sentence: str = Field(description="Why, for people. Holds nothing that the producer wrote.")
    topic: str = Field(description="Where the message lay.")
    topic_id: str = Field(description="The broker's id of that topic's incarnation; empty where it tells none.")
    partition: str = Field(pattern=_DIGITS)
    offset: str = Field(pattern=_DIGITS)
    failed_at: AwareDatetime


class StoredHeader(BaseModel):
    """One of the message's own headers."""

    name: str
    value: str


class DeadLetterRow(BaseModel):
    """A row of the table `dead_letters` as ClickHouse writes it in JSONEachRow.

    Key, value and header values are bytes: select them with `base64Encode` where they may be other than UTF-8.
    """

    topic: str = Field(description="Where the message lay.")
    topic_id: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    key: str | None
    value: str | None = Field(description="The original bytes; null for a tombstone.")
    headers: tuple[StoredHeader, ...]
    reason: Reason = Field(description="Why, for programs.")
    sentence: str = Field(description="Why, for people. Holds nothing that the producer wrote.")
    failed_at: str = Field(
        pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$", description="In UTC, to the millisecond."
    )
