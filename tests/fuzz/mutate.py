# ruff: noqa: E501 - lists of oddities, read side by side
"""Messages that nobody should send: a seed message, and one to three things done to it.

Every mutant is made from (seed, number) alone, so any one of them can be made again without the others before it.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from schemas.events import MAX_MESSAGE_BYTES, MAX_TEXT_CHARS
from schemas.samples import sample_messages

CORPUS = Path(__file__).parent / "corpus"
Headers = list[tuple[bytes, bytes | None]]


@dataclass(frozen=True)
class Mutant:
    """A record as a producer could write it. Header names are bytes: nothing makes a producer write UTF-8."""

    number: int
    value: bytes | None
    key: bytes | None = b"key"
    headers: Headers = field(default_factory=list)
    timestamp_ms: int = 1_790_000_000_000
    made_by: tuple[str, ...] = ()


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """`count` mutants. The first ones are the corpus as it stands."""
    seeds = [message.value for message in sample_messages()]
    kept = corpus()
    for number, (name, value) in enumerate(kept[:count]):
        yield Mutant(number, value, made_by=(f"corpus/{name}",))
    for number in range(min(len(kept), count), count):
        yield _mutant(random.Random(f"{seed}:{number}"), number, seeds)


def corpus() -> list[tuple[str, bytes]]:
    """(file name, value) of every kept seed."""
    return [(path.name, path.read_bytes()) for path in sorted(CORPUS.iterdir()) if path.suffix == ".bin"]


def _mutant(rng: random.Random, number: int, seeds: list[bytes | None]) -> Mutant:
    mutant = Mutant(number, rng.choice(seeds))
    names = []
    for change in rng.choices(CHANGES, WEIGHTS, k=rng.choice((1, 1, 1, 2, 3))):
        mutant = change(rng, mutant)
        names.append(change.__name__)
    return replace(mutant, made_by=tuple(names))


# --- fields of the event --------------------------------------------------------------------------------------------


def _document(mutant: Mutant) -> dict[str, Any]:
    try:
        document = json.loads(mutant.value or b"")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        document = {
            "id": "x",
            "kind": "post",
            "source": "fuzz",
            "product": "Thing",
            "text": "It works.",
            "created_at": "",
        }
        document["created_at"] = "2026-11-02T10:00:00Z"
    return document if "id" not in document else document | {"id": f"{document['id']}-{mutant.number}"}


def _written(mutant: Mutant, document: object) -> Mutant:
    return replace(mutant, value=json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))


BAIT = (
    "a@", "a.b@c.", "@", "@a", "u/a ", "/u/", "arroba ", "a arroba b punto ", "at ", " dot ", "(at)", "[at]", "<", "([{<", "correo ",
    "e-mail: ", "call me ", "tel ", "+34 ", "6 ", "0", "1-", "4111 ", "ES91 ", "IBAN ", "DNI ", "1.", "1.1.1.1", "::", "http://",
    "x.com/", "t.me/a", "www.", "&amp;", "&#64;", "%40", "..", "…", "?!", "¿", "¡", ". a", ". A", ", it ", "but ", " and the ", "; ",
    " - ", "\n", "\r\n", "\n- ", "1. ", "\t", "\u2028", "[EMAIL]", "[PHONE] ", "'", '"', "\\", "\\'", "`", "{}", "${x}", "%s", "{{", "--",
    "';--", "<b>", "\x00", "\x1b[31m", "\x7f", "\u0085", "\ufeff", "\ufffe", "\uffff", "\ufdd0", "\ufdef", "\ufffd", "\u200b", "\u200d",
    "\u202e", "\u2066", "\u00ad", "\u0301", "\u0e33", "\u20dd", "\ufe0f", "😍", "👨\u200d👩\u200d👧", "🇪🇸", "👍🏽", "❤️", "\U0010ffff", "\U000e0041",
    "مرحبا ", "שלום ", "नमस्ते", "日本語", "한국어", "ไทย", "ﷺ", "ﬁ", "İ", "ß", "ǅ", "Ω", "①", "𝟙", "٣", "０", "½", "é", "ñ", "u\u0308", " ",
    "\u00a0", "\u3000", "\u200a", "ok ", "The battery died. ", "Muy bueno, pero caro. ", "aaaa", "x" * 61, "EE. UU. ", "a.m. ",
)  # fmt: skip


def _odd_text(rng: random.Random, chars: int) -> str:
    """About `chars` characters: one piece flooded, a few taking turns, or a mixture of all."""
    pieces = rng.choices(BAIT, k=rng.choice((1, 1, 2, 3, 40)))
    if rng.random() < 0.3:
        pieces = ["".join(map(chr, rng.choices(_PLANES, k=20))), *pieces]
    if rng.random() < 0.5:
        unit = "".join(pieces)
        return (unit * (chars // len(unit) + 1))[:chars]
    made, length = [], 0
    while length < chars:
        made.append(rng.choice(pieces))
        length += len(made[-1])
    return "".join(made)[:chars]


_PLANES = [*range(0x250), *range(0x300, 0x370), *range(0x5D0, 0x700), *range(0x2000, 0x2100), *range(0x1F300, 0x1F700)]


def _size(rng: random.Random) -> int:
    return rng.choice((1, 3, 40, 120, 279, 280, 281, 400, 401, 900))


def odd_text(rng: random.Random, mutant: Mutant) -> Mutant:
    return _written(mutant, _document(mutant) | {"text": _odd_text(rng, _size(rng))})


def odd_text_within_a_text(rng: random.Random, mutant: Mutant) -> Mutant:
    document = _document(mutant)
    text = str(document.get("text"))
    at = rng.randrange(len(text) + 1)
    return _written(mutant, document | {"text": text[:at] + _odd_text(rng, rng.choice((1, 2, 9, 60))) + text[at:]})


def text_at_the_limit(rng: random.Random, mutant: Mutant) -> Mutant:
    chars = MAX_TEXT_CHARS + rng.choice((-1, 0, 0, 1))
    return _written(mutant, _document(mutant) | {"text": _odd_text(rng, chars)})


def one_long_word(rng: random.Random, mutant: Mutant) -> Mutant:
    letter = rng.choice(("a", "Z", "7", "ñ", "漢", "_", "-", ".", "@", "\u0301", "😂"))
    return _written(mutant, _document(mutant) | {"text": letter * rng.choice((64, 399, 401, 3_000))})


def white_space(rng: random.Random, mutant: Mutant) -> Mutant:
    space = "".join(
        rng.choices((" ", "\t", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u00a0", "\u2003", "\u3000"), k=3)
    )
    middle = rng.choice(("", "", "ok", "It broke."))
    return _written(mutant, _document(mutant) | {"text": space * 200 + middle + space * 200})


def odd_field(rng: random.Random, mutant: Mutant) -> Mutant:
    name, limit = rng.choice(
        (
            ("id", 128),
            ("source", 64),
            ("product", 128),
            ("title", 500),
            ("author", 256),
            ("language", 35),
            ("url", 2048),
        )
    )
    chars = rng.choice((0, 1, 7, limit - 1, limit, limit + 1))
    return _written(mutant, _document(mutant) | {name: _odd_text(rng, chars)})


def odd_metadata(rng: random.Random, mutant: Mutant) -> Mutant:
    count = rng.choice((1, 2, 31, 32, 33))
    odd = {
        _odd_text(rng, rng.choice((1, 5, 64, 65))): _odd_text(rng, rng.choice((0, 9, 256, 257))) for _ in range(count)
    }
    return _written(mutant, _document(mutant) | {"metadata": odd})


TIMES = (
    "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-W45-1",
    "2026-11-02", "2026-11-02T10:00:00", "2026-11-02T24:00:00Z", "2026-11-02T10:00:60Z", "2026-02-30T10:00:00Z", "20261102T100000Z",
    "2026-11-02T10:00:00.123456789123Z", "2026-11-02T10:00:00+23:59:59.999999", "2026-11-02T10:00:00,5z", "٢٠٢٦-11-02T10:00:00Z", "",
    "now", "\x00", "2026-11-02T10:00:00Z" + " " * 99, "2100-01-01T00:00:00Z", 0, -1, 1e300, 1_793_620_800, None, True, [], {},
)  # fmt: skip


def odd_time(rng: random.Random, mutant: Mutant) -> Mutant:
    return _written(mutant, _document(mutant) | {"created_at": rng.choice(TIMES)})


ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 5, 5.0000001, 0.9999999, 1e308, -1e308, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, "", "3",
    "NaN", [], [[]], {}, {"a": 1}, [None], "\ud800", "\udfff\ud800", float("nan"), float("inf"), -float("inf"), 5e-324,
)  # fmt: skip
FIELDS = (
    "id",
    "kind",
    "source",
    "product",
    "text",
    "created_at",
    "title",
    "rating",
    "author",
    "language",
    "url",
    "metadata",
)


def other_type(rng: random.Random, mutant: Mutant) -> Mutant:
    return _written(mutant, _document(mutant) | {rng.choice(FIELDS): rng.choice(ODD_VALUES)})


def number_for_a_rating(rng: random.Random, mutant: Mutant) -> Mutant:
    raw = rng.choice(
        (
            "1e999",
            "-1e999",
            "1E+2",
            "5.",
            ".5",
            "+5",
            "05",
            "0x5",
            "5e0",
            "1" * 5_000,
            "4." + "9" * 5_000,
            "1_0",
            "Infinity",
        )
    )
    marked = _written(mutant, _document(mutant) | {"rating": "\x01mark"})
    return replace(marked, value=(marked.value or b"").replace(b'"\\u0001mark"', raw.encode()))


def without_a_field(rng: random.Random, mutant: Mutant) -> Mutant:
    document = _document(mutant)
    document.pop(rng.choice(FIELDS), None)
    return _written(mutant, document)


def renamed_field(rng: random.Random, mutant: Mutant) -> Mutant:
    name = rng.choice(FIELDS)
    other = rng.choice((name.upper(), f" {name}", f"{name}\x00", f"\ufeff{name}", name.replace("e", "е"), ""))
    return _written(mutant, {other if key == name else key: value for key, value in _document(mutant).items()})


def unknown_fields(rng: random.Random, mutant: Mutant) -> Mutant:
    extra = {f"{_odd_text(rng, 3)}{n}": rng.choice(ODD_VALUES[:20]) for n in range(rng.choice((1, 30, 5_000)))}
    return _written(mutant, extra | _document(mutant))


# --- the shape of the JSON ------------------------------------------------------------------------------------------


def nested_deeply(rng: random.Random, mutant: Mutant) -> Mutant:
    depth = rng.choice((2, 100, 254, 255, 1_023, 1_024, 1_025, 5_000, 100_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"":', b"}]")))
    bomb = opening * depth + (b"0" + closing * depth if rng.random() < 0.7 else b"")
    value = mutant.value or b"{}"
    return replace(
        mutant, value=rng.choice((bomb, b'{"deep":' + bomb + b"," + value[1:], value[:-1] + b',"text":' + bomb + b"}"))
    )


def duplicated_keys(rng: random.Random, mutant: Mutant) -> Mutant:
    body = _written(mutant, _document(mutant)).value or b""
    name = rng.choice(FIELDS)
    again = json.dumps({name: rng.choice((*ODD_VALUES[:17], "another"))}).encode()
    return replace(mutant, value=rng.choice((again[:-1] + b"," + body[1:], body[:-1] + b"," + again[1:])))


def wrapped(rng: random.Random, mutant: Mutant) -> Mutant:
    value = mutant.value or b""
    before, after = rng.choice(
        ((b"[", b"]"), (b'"', b'"'), (b"\xef\xbb\xbf", b""), (b"", b"\x00"), (b" \n\t\r", b"\n\n"), (b"\x00", b""), (b"", b"{}"),
         (b"", b"//x"), (b"callback(", b")"), (b")]}',\n", b""), (b"\x00\x00\x00\x00\x07", b""), (b'{"payload":', b"}"), (b"\x0c", b""))
    )  # fmt: skip
    return replace(mutant, value=before + value + after)


def not_quite_json(rng: random.Random, mutant: Mutant) -> Mutant:
    value = mutant.value or b""
    old, new = rng.choice(
        ((b'"', b"'"), (b"}", b",}"), (b":", b"="), (b",", b";"), (b'": ', b'":NaN,"z":'), (b'"', b"\xe2\x80\x9c"), (b"e", b"\\u0065"),
         (b"e", b"\\ud83d\\ude0d"), (b"e", b"\\ud83d"), (b"e", b"\\udead\\ubeef"), (b"e", b"\\x65"), (b"a", b"\n"), (b"a", b"\\u0000"))
    )  # fmt: skip
    return replace(mutant, value=value.replace(old, new, rng.choice((1, 3, -1))))


# --- bytes ----------------------------------------------------------------------------------------------------------


def flipped_bits(rng: random.Random, mutant: Mutant) -> Mutant:
    value = bytearray(mutant.value or b"?")
    for _ in range(rng.choice((1, 1, 2, 10))):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return replace(mutant, value=bytes(value))


def cut(rng: random.Random, mutant: Mutant) -> Mutant:
    value = mutant.value or b""
    first, last = sorted(rng.choices(range(len(value) + 1), k=2))
    return replace(
        mutant,
        value=rng.choice((value[:last], value[first:], value[:first] + value[last:], value[:last] + value[first:])),
    )


def odd_bytes_put_in(rng: random.Random, mutant: Mutant) -> Mutant:
    value = mutant.value or b""
    odd = rng.choice(
        (b"\xff", b"\xfe\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98", b"\xc3", b"\x80", b"\x00",
         b"\x1f", rng.randbytes(9))
    )  # fmt: skip
    at = rng.randrange(len(value) + 1)
    return replace(mutant, value=value[:at] + odd + value[at:])


def other_encoding(rng: random.Random, mutant: Mutant) -> Mutant:
    text = (mutant.value or b"").decode("utf-8", "replace")
    name = rng.choice(("latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "shift_jis", "gzip"))
    return replace(
        mutant, value=gzip.compress(text.encode(), mtime=0) if name == "gzip" else text.encode(name, "replace")
    )


def nothing_like_an_event(rng: random.Random, mutant: Mutant) -> Mutant:
    values = (
        None,
        b"",
        b" ",
        b"\n" * 400,
        b"null",
        b"0",
        b'"text"',
        b"[]",
        b"{}",
        b"[{}]",
        b"true",
        b"\xef\xbb\xbf",
        b"\x00" * 64,
    )
    return replace(mutant, value=rng.choice((*values, rng.randbytes(rng.choice((1, 16, 4_000))))))


def size_at_the_limit(rng: random.Random, mutant: Mutant) -> Mutant:
    value = _written(mutant, _document(mutant)).value or b""
    room = MAX_MESSAGE_BYTES + rng.choice((-1, 0, 1, 4_096)) - len(value)
    return replace(mutant, value=rng.choice((value + b" " * room, b'{"z":"' + b"z" * (room - 8) + b'",' + value[1:])))


# --- what travels beside the value ----------------------------------------------------------------------------------


def odd_headers(rng: random.Random, mutant: Mutant) -> Mutant:
    names = (b"", b"trace", b"voxpop.reason", b"voxpop.offset", b"voxpop.", b"name\x00", "né".encode(), "😍".encode(), b"n" * 5_000,
             b"\xff\xfe", b"\xed\xa0\x80", b"caf\xe9")  # fmt: skip
    values = (None, b"", b"1", b"bad_json", b"\x00\xff", b"v" * 20_000, rng.randbytes(40))
    count = rng.choice((1, 2, 7, 8, 300))
    return replace(
        mutant, headers=[(rng.choice(names), rng.choice(values[: 5 if count > 8 else None])) for _ in range(count)]
    )


def odd_timestamp(rng: random.Random, mutant: Mutant) -> Mutant:
    return replace(
        mutant, timestamp_ms=rng.choice((-1, 0, 1, -(2**40), 2**31, 2**41, 10**15, 2**53, 2**62, 253_402_300_800_000))
    )


def odd_key(rng: random.Random, mutant: Mutant) -> Mutant:
    return replace(
        mutant, key=rng.choice((None, b"", b"\x00", b"\xff" * 3, rng.randbytes(16), "ключ".encode(), b"k" * 50_000))
    )


Change = Callable[[random.Random, Mutant], Mutant]
_WEIGHED: tuple[tuple[Change, float], ...] = (
    (odd_text, 8), (odd_text_within_a_text, 6), (text_at_the_limit, 0.25), (one_long_word, 1), (white_space, 1), (odd_field, 6),
    (odd_metadata, 2), (odd_time, 2), (other_type, 3), (number_for_a_rating, 1), (without_a_field, 1), (renamed_field, 1),
    (unknown_fields, 1), (nested_deeply, 2), (duplicated_keys, 2), (wrapped, 2), (not_quite_json, 3), (flipped_bits, 4), (cut, 2),
    (odd_bytes_put_in, 3), (other_encoding, 1), (nothing_like_an_event, 1), (size_at_the_limit, 0.3), (odd_headers, 5),
    (odd_timestamp, 3), (odd_key, 3),
)  # fmt: skip
CHANGES = [change for change, _ in _WEIGHED]
WEIGHTS = [weight for _, weight in _WEIGHED]
