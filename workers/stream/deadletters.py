"""Dead letters as Kafka messages: the original value untouched, and headers that say why and where from.

Headers of ours begin with `voxpop.`; the original ones are kept beside them, so that sending the letter again restores the
message exactly.
"""

from datetime import UTC, datetime

from schemas.events import Reason
from schemas.insights import DeadLetter, Position
from workers.stream.blocks import Block, Message

PREFIX = "voxpop."
OURS = ("reason", "sentence", "topic", "topic_id", "partition", "offset", "failed_at")
Headers = list[tuple[str, bytes]]


def dead_letter(block: Block, message: Message, reason: Reason, sentence: str) -> DeadLetter:
    """The dead letter of a message of a block."""
    position = Position(topic=block.topic, topic_id=block.topic_id, partition=block.partition, offset=message.offset)
    return DeadLetter(
        position=position,
        key=message.key,
        value=message.value,
        headers=message.headers,
        reason=reason,
        sentence=sentence,
    )


def to_headers(letter: DeadLetter) -> Headers:
    """The original headers, then ours."""
    ours = {
        "reason": str(letter.reason),
        "sentence": letter.sentence,
        "topic": letter.position.topic,
        "topic_id": letter.position.topic_id,
        "partition": str(letter.position.partition),
        "offset": str(letter.position.offset),
        "failed_at": letter.failed_at.astimezone(UTC).isoformat(),
    }
    return [*letter.headers, *((PREFIX + name, ours[name].encode()) for name in OURS)]


def from_message(message: Message) -> DeadLetter:
    """The dead letter that a message of the dead-letter topic carries. Raises KeyError when a header of ours is missing.

    Ours are the last ones: what comes before them is the original's, even where a name of it begins with `voxpop.` too
    (a replayed message's does).
    """
    cut = max(0, len(message.headers) - len(OURS))
    last = [(name, value) for name, value in message.headers[cut:] if name.startswith(PREFIX)]
    ours = {name.removeprefix(PREFIX): value.decode() for name, value in last}
    position = Position(
        topic=ours["topic"], topic_id=ours["topic_id"], partition=int(ours["partition"]), offset=int(ours["offset"])
    )
    return DeadLetter(
        position=position,
        key=message.key,
        value=message.value,
        headers=message.headers[:cut],
        reason=Reason(ours["reason"]),
        sentence=ours["sentence"],
        failed_at=datetime.fromisoformat(ours["failed_at"]),
    )
