"""A block sorted into what it holds: new events, resends, updates, dead letters. Pure: it asks nobody and writes nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from schemas.insights import Analysis, DeadLetter, Insight, Position
from workers.analyze.disguise import SafeEvent
from workers.store.query import EventKey, StoredVersion
from workers.stream.blocks import Block, Message


@dataclass(slots=True)
class BlockResult:
    """A block sorted into what it holds.

    `events`, `superseded`, `letters`, `resends` and `erased` together are the block's messages; `events` become `insights`
    by their `analyses`, by offset, of which there may be more.
    `replaced` are the stored versions that the block's events are updates of, `inserted` the offsets known to be in,
    `retracted` the rows of its events, wherever they lie, whose figures have been taken off. `erased` counts what was turned
    away; `looked_at` is when that was looked for last, in seconds of the steady clock.
    """

    block: Block
    events: list[tuple[Message, SafeEvent]] = field(default_factory=list)
    superseded: list[tuple[Message, SafeEvent]] = field(default_factory=list)
    replaced: list[StoredVersion] = field(default_factory=list)
    resends: int = 0
    erased: int = 0
    looked_at: float = 0.0
    letters: list[DeadLetter] = field(default_factory=list)
    analyses: dict[int, Analysis | None] = field(default_factory=dict)
    insights: list[Insight] = field(default_factory=list)
    inserted: set[int] = field(default_factory=set)
    retracted: set[Position] = field(default_factory=set)
    token: str = ""


class _Fresh(NamedTuple):
    """A version of an event that has not been seen before, and the stored ones that it is an update of."""

    result: BlockResult
    message: Message
    key: EventKey
    event: SafeEvent
    others: list[StoredVersion]


def sort_out(results: Sequence[BlockResult], stored: Mapping[EventKey, Sequence[StoredVersion]]) -> None:
    """Leaves each event in its newest version, with the versions that it replaces; counts the resends. `stored` is what
    came before, by event."""
    fresh: list[_Fresh] = []
    seen: set[tuple[EventKey, str]] = set()
    for result in results:
        for message, event in result.events:
            key, content = key_of(event), event.content_hash
            others = _versions_before(result, message.offset, stored.get(key, ()))
            if (key, content) in seen or any(v.content_hash in ("", content) for v in others):
                result.resends += 1
                continue
            seen.add((key, content))
            fresh.append(_Fresh(result, message, key, event, others))
        result.events = []
    newest = {each.key: each for each in fresh}
    for each in fresh:
        if newest[each.key] is each:
            each.result.events.append((each.message, each.event))
            each.result.replaced += each.others
        else:
            each.result.superseded.append((each.message, each.event))


def turn_away(result: BlockResult, offsets: Collection[int]) -> None:
    """Takes messages of erased events out of a sorted block; versions that they would have replaced stay as they are."""
    gone = {key_of(event) for message, event in result.events if message.offset in offsets}
    held = len(result.events) + len(result.superseded) + _letters_alone(result)
    result.events = [(message, event) for message, event in result.events if message.offset not in offsets]
    result.superseded = [(message, event) for message, event in result.superseded if message.offset not in offsets]
    result.letters = [letter for letter in result.letters if letter.position.offset not in offsets]
    result.insights = [insight for insight in result.insights if insight.offset not in offsets]
    result.replaced = [v for v in result.replaced if EventKey(v.source, v.event_id) not in gone]
    result.erased += held - (len(result.events) + len(result.superseded) + _letters_alone(result))


def _letters_alone(result: BlockResult) -> int:
    """Letters of messages that are no event."""
    events = {message.offset for message, _ in result.events}
    return sum(letter.position.offset not in events for letter in result.letters)


def key_of(event: SafeEvent) -> EventKey:
    """What makes it the same event when it is sent again."""
    return EventKey(event.source, event.event_id)


def insight_of(block: Block, message: Message, event: SafeEvent, analysis: Analysis, now: datetime) -> Insight:
    """The row of an event: its position, its own fields, what the models say, and when that was (`now`)."""
    return Insight(
        **analysis.__dict__,  # its fields as they are: pydantic's own way to them takes longer than the rest
        topic=block.topic,
        topic_id=block.topic_id,
        partition=block.partition,
        offset=message.offset,
        event_id=event.event_id,
        content_hash=event.content_hash,
        kind=event.kind,
        source=event.source,
        product=event.product,
        title=event.title,
        rating=event.rating,
        author=event.author,
        url=event.url,
        metadata=event.metadata,
        event_time=event.event_time,
        ingested_at=now,
    )


def version_of(block: Block, message: Message, event: SafeEvent) -> StoredVersion:
    """An event's version as `event_keys` holds it."""
    position = _position(block, message.offset)
    return StoredVersion(event.source, event.event_id, position, event.content_hash, event.product, event.event_time)


def updates_of(result: BlockResult) -> list[StoredVersion]:
    """The versions in a sorted block that take the place of stored ones."""
    replaced = {EventKey(version.source, version.event_id) for version in result.replaced}
    return [version_of(result.block, message, event) for message, event in result.events if key_of(event) in replaced]


def _versions_before(result: BlockResult, offset: int, stored: Sequence[StoredVersion]) -> list[StoredVersion]:
    """The stored versions of a message's event that came before it. A repeated block's own earlier rows did not; and when
    a newer version (of another partition) has replaced the message's own row already, none did that still counts."""
    block = result.block
    if result.retracted and _position(block, offset) in result.retracted:
        return []
    return [v for v in stored if not (block.repeated and block.covers(*place_of(v.position)))]


def _position(block: Block, offset: int) -> Position:
    return Position(topic=block.topic, topic_id=block.topic_id, partition=block.partition, offset=offset)


def place_of(position: Position) -> tuple[str, str, int, int]:
    """A position as `Block.covers` and rows of ClickHouse tell it: topic, topic id, partition, offset."""
    return position.topic, position.topic_id, position.partition, position.offset
