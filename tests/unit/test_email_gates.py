"""What lets a text past the slow patterns for spelled-out addresses lets none pass that they would find."""

import random

from workers.analyze.redact.emails import _EMAIL_SPOKEN, emails

PIECES = (
    *(
        "at",
        "AT",
        "At",
        " at ",
        "dot",
        "DOT",
        "punto",
        "arroba",
        "ARROBA",
        "_at_",
        "_AT_",
        "(at)",
        "[ at ]",
        "{a}",
        "<@>",
        "( A)",
    ),
    *(
        "gmail.com",
        "Gmail",
        "hotmail.es",
        "yahoo",
        "com",
        "es",
        "john",
        "ana-1",
        "shop",
        "look",
        "home.",
        "x",
        "é",
        "ſ",
        "İ",
        "K",
    ),
    *(" ", " ", "  ", "\n", ".", ",", "-", "_", "(", ")", "that", "battery", "10:30", "mail"),
)


def ungated(text: str) -> list[tuple[int, int]]:
    return [match.span() for pattern in _EMAIL_SPOKEN for match in pattern.finditer(text)]


def test_the_gates_lose_no_address() -> None:
    dice, found = random.Random(5), 0
    for _ in range(20_000):
        text = "".join(dice.choices(PIECES, k=dice.randint(3, 14)))
        expected = ungated(text)
        found += bool(expected)
        spans = list(emails(text))
        assert set(expected) <= set(spans), text
        if "@" not in text:
            assert spans == expected, text
    assert found > 1_000, "hardly a text held an address: this test saw nothing"
