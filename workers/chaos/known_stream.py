"""The stream of a chaos run: made from a seed, and what must come of it known beforehand."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from workers.stream.produce import Outgoing

TOPIC = "voxpop.reviews"
SOURCE = "chaos"
PRODUCTS = tuple(f"Model {number} X" for number in range(1, 41))  # keys that give every partition its share
_MONTHS = tuple(f"2026-{month:02}" for month in range(1, 9))  # so blocks fall into several table partitions
_TEXTS = (
    "I love it, great sound",
    "The battery is terrible",
    "It is okay",
    "La batería dura poco y hace ruido",
    "Me encanta la pantalla",
    "Delivery was late, but the price is good",
)
_MALFORMED = (b"\xff\xfe not text", b"{broken", b"[]", b'{"id": "x"}', b"", b'{"id": 7, "kind": "review"}')


@dataclass(slots=True)
class Expected:
    """What the tables must hold once everything has come through: event id -> its newest text, and the malformed bytes."""

    texts: dict[str, str] = field(default_factory=dict)
    malformed: dict[bytes, int] = field(default_factory=dict)
    resends: int = 0
    updates: int = 0


class KnownStream:
    """`events` messages: fresh events, resends of earlier ones, updates of earlier ones, malformed ones.

    An event's key is its product, so its versions lie in one partition in the order in which they were sent. With `plain`
    there are fresh events only.
    """

    def __init__(self, seed: int, events: int, *, plain: bool = False) -> None:
        self.expected = Expected()
        self._draw = random.Random(seed ^ 0x5EED)  # noqa: S311 - repeatable on purpose
        self._events = events
        self._plain = plain

    def __iter__(self) -> Iterator[Outgoing]:
        sent: list[tuple[str, str, bytes]] = []  # id, product, the bytes of the newest version
        for number in range(self._events):
            share = 1.0 if self._plain else self._draw.random()
            if share < 0.03:
                yield self._malformed(number)
            elif share < 0.09 and sent:
                _, product, value = sent[self._draw.randrange(max(0, len(sent) - 400), len(sent))]
                self.expected.resends += 1
                yield Outgoing(TOPIC, product.encode(), value)
            elif share < 0.11 and sent:
                index = self._draw.randrange(max(0, len(sent) - 400), len(sent))
                event_id, product, _ = sent[index]
                self.expected.updates += 1
                sent[index] = (event_id, product, self._event(event_id, product, f", version of message {number}"))
                yield Outgoing(TOPIC, product.encode(), sent[index][2])
            else:
                event_id, product = f"e-{number}", self._draw.choice(PRODUCTS)
                sent.append((event_id, product, self._event(event_id, product, "")))
                yield Outgoing(TOPIC, product.encode(), sent[-1][2])

    def _event(self, event_id: str, product: str, suffix: str) -> bytes:
        text = self._draw.choice(_TEXTS) + suffix
        self.expected.texts[event_id] = text
        day, hour = self._draw.randint(1, 28), self._draw.randint(0, 23)
        event = {
            "id": event_id,
            "kind": "review",
            "source": SOURCE,
            "product": product,
            "text": text,
            "created_at": f"{self._draw.choice(_MONTHS)}-{day:02}T{hour:02}:00:00Z",
            "rating": self._draw.randint(1, 5),
        }
        return json.dumps(event, ensure_ascii=False).encode()

    def _malformed(self, number: int) -> Outgoing:
        value = self._draw.choice(_MALFORMED)
        if value:
            value += b" %d" % number  # so that each can be told from the others
        self.expected.malformed[value] = self.expected.malformed.get(value, 0) + 1
        return Outgoing(TOPIC, self._draw.choice(PRODUCTS).encode(), value)
