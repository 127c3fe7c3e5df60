"""`voxpop deadletters list|replay`: looks at messages that could not be used, and sends them again after a fix."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.events import InvalidMessage, decode_event
from workers.analyze.redact import redact_identifier
from workers.commands.audit import note_or_say
from workers.commands.query import json_line
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.store.audit import READ
from workers.store.connect import connect
from workers.store.query import EventKey, Reader, StoredLetter
from workers.stream.produce import AcknowledgedProducer, Outgoing, produce_stream

REPLAYED = "voxpop.replayed"
"""Header of a message that was sent again: where its dead letter came from."""


def show_letters(settings: Settings, reason: str, limit: int, out: Console, err: Console, *, as_json: bool) -> None:
    """The latest dead letters, newest first. With JSON, `value` is text; `value_base64` holds the exact bytes."""
    with connect(settings.clickhouse) as client:
        letters = Reader(client, settings.clickhouse).dead_letters(reason=reason, limit=limit)
    if letters:
        note_or_say(settings, READ, {"letters": str(len(letters)), "reason": reason}, err)
    if as_json:
        for letter in letters:
            out.file.write(json_line(_as_json(letter)))
        return
    table = Table("When", "Where", "Reason", "What is wrong", "Begins with", caption=f"{len(letters)} dead letters")
    for letter in letters:
        where = f"{letter.topic}:{letter.partition}:{letter.offset}"
        begins = repr(letter.value[:40])[1:] if letter.value is not None else "(null)"
        table.add_row(f"{letter.failed_at:%Y-%m-%d %H:%M:%S}", where, letter.reason, letter.sentence, begins)
    out.print(table, markup=False)


def replay_letters(settings: Settings, reason: str, out: Console, *, dry_run: bool) -> None:
    """Produces each stored dead letter to the topic it came from, with its key, value and headers.

    A letter whose replay fails again becomes a new dead letter. One that was replayed already is not sent twice: either
    its replay is a letter of its own by now, or its event is stored.
    """
    with connect(settings.clickhouse) as client:
        reader = Reader(client, settings.clickhouse)
        letters = reader.dead_letters(reason=reason, limit=None)
        pending = _not_stored(_not_yet_replayed(letters), reader, settings)
    if dry_run or not pending:
        out.print(f"{len(pending)} dead letters would be sent again", highlight=False)
        return
    producer = AcknowledgedProducer(settings.kafka)
    try:
        sent = produce_stream(producer, _outgoing(pending), settings.kafka)
    finally:
        producer.close()
    out.print(f"{sent.acknowledged} dead letters sent again", highlight=False)
    if sent.refused:
        raise VoxpopError(f"{sent.refused} dead letters are larger than their topic takes; raise its max.message.bytes")


def _not_yet_replayed(letters: list[StoredLetter]) -> list[StoredLetter]:
    """Leaves out a letter whose replay has come back as a letter of its own: that one stands for it."""
    superseded = {value for letter in letters for name, value in letter.headers if name == REPLAYED}
    return [letter for letter in letters if letter.where.encode() not in superseded]


def _not_stored(letters: list[StoredLetter], reader: Reader, settings: Settings) -> list[StoredLetter]:
    """Leaves out a letter whose event has been stored since, by its replay or its producer's own second try."""
    keys = {letter.where: key for letter in letters if (key := _event_key(letter)) is not None}
    window_days = max(settings.worker.resend_window_days, settings.privacy.dead_letter_days)
    stored = reader.stored_versions(set(keys.values()), window_days)
    return [letter for letter in letters if keys.get(letter.where) not in stored]


def _event_key(letter: StoredLetter) -> EventKey | None:
    """The key under which the letter's event would be stored; None for a letter that holds no event."""
    try:
        event = decode_event(letter.value, max_bytes=len(letter.value or b""))
    except InvalidMessage:
        return None
    return EventKey(redact_identifier(event.source), redact_identifier(event.id))


def _outgoing(letters: list[StoredLetter]) -> Iterator[Outgoing]:
    for letter in letters:
        headers = [(name, value) for name, value in letter.headers if name != REPLAYED]
        yield Outgoing(letter.topic, letter.key, letter.value, [*headers, (REPLAYED, letter.where.encode())])


def _as_json(letter: StoredLetter) -> dict[str, Any]:
    import base64

    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "sentence": letter.sentence,
        "failed_at": letter.failed_at.isoformat(),
        "key": letter.key,
        "value": letter.value,
        "value_base64": None if letter.value is None else base64.b64encode(letter.value).decode(),
        "headers": [{"name": name, "value": value} for name, value in letter.headers],
    }
