"""Reviews put together from the clauses of phrases.yaml: several aspects a text, some of opposed sentiment, English and
Spanish. They teach the aspects of the taxonomy that no public set names."""

import random
from collections.abc import Mapping, Sequence
from importlib import resources

import yaml

SENTIMENTS = ("negative", "neutral", "positive")
_SAME = {"en": (". ", ". ", ", ", " and ", "; ", "! ", "\n"), "es": (". ", ". ", ", ", " y ", "; ", "! ", "\n")}
_TURN = {"en": (", but ", ". But ", " although ", ", however ", ". "), "es": (", pero ", ". Pero ", " aunque ", ". ")}
_OPENINGS = {
    "en": (
        "",
        "",
        "",
        "",
        "Honestly, ",
        "Well, ",
        "So ",
        "My review: ",
        "Update: ",
        "Second visit: ",
        "Bought it in May. ",
    ),
    "es": (
        "",
        "",
        "",
        "",
        "La verdad, ",
        "Bueno, ",
        "Pues ",
        "Mi opinión: ",
        "Segunda vez que venimos. ",
        "Lo compré en mayo. ",
    ),
}
_CLOSINGS = ("", "", "", "", ".", ".", "!", "...", " 😡", " 👍")

Phrases = Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]


def phrases() -> Phrases:
    """aspect -> language -> sentiment -> clauses."""
    text = resources.files(__package__).joinpath("phrases.yaml").read_text(encoding="utf-8")
    return {
        aspect: {
            language: {sentiment: line.split(" / ") for sentiment, line in lines.items()}
            for language, lines in languages.items()
        }
        for aspect, languages in yaml.safe_load(text).items()
    }


def composed(count: int, seed: int = 11) -> list[tuple[str, dict[str, str]]]:
    """So many texts, each with the sentiment of every aspect it speaks of. The same ones for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - chooses training texts, guards nothing
    known = phrases()
    return [_one(known, dice.choice(("en", "es")), dice) for _ in range(count)]


def _one(known: Phrases, language: str, dice: random.Random) -> tuple[str, dict[str, str]]:
    names = dice.sample(sorted(known), dice.choices((1, 2, 3, 4), (3, 4, 3, 1))[0])
    said = {name: dice.choices(SENTIMENTS, (4, 1, 3))[0] for name in names}
    text, before = dice.choice(_OPENINGS[language]), ""
    for name, sentiment in said.items():
        clause = dice.choice(known[name][language][sentiment])
        if before:
            text += dice.choice((_SAME if sentiment == before else _TURN)[language])
        starts = not text or text.endswith((". ", "! ", "\n"))
        text += clause[0].upper() + clause[1:] if starts and dice.random() < 0.8 else clause
        before = sentiment
    text += dice.choice(_CLOSINGS)
    return (text.lower() if dice.random() < 0.15 else text), said
