"""The words that opinions are made of, in English and Spanish: what they say of a thing, and whether that is good or bad.

Only what is said often and in one sense. The lists are in opinion_words.yaml, with what each is for.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

import yaml


def _lists() -> dict[str, frozenset[str]]:
    text = resources.files("workers.analyze").joinpath("opinion_words.yaml").read_text(encoding="utf-8")
    return {name: frozenset(words.split()) for name, words in yaml.safe_load(text).items()}


_WORDS: Final = _lists()

POLARITY: Final[Mapping[str, int]] = (
    dict.fromkeys(_WORDS["open"], 0) | dict.fromkeys(_WORDS["good"], 1) | dict.fromkeys(_WORDS["bad"], -1)
)
GENERAL: Final = _WORDS["general"]
EFFORT: Final = _WORDS["effort"]
STRENGTHS: Final = _WORDS["strengths"]
NEGATIONS: Final = _WORDS["negations"]
COPULAS: Final = _WORDS["copulas"]
PRONOUNS: Final = _WORDS["pronouns"]
DETERMINERS: Final = _WORDS["determiners"]
OPEN_DEEDS: Final = _WORDS["open_deeds"]
QUESTION_WORDS: Final = _WORDS["question_words"]
FUNCTION_WORDS: Final = _WORDS["function_words"] | STRENGTHS | COPULAS | DETERMINERS
# Verbs that say how a thing does -> the form that a sentence on one thing takes.
ASSESSING_VERBS: Final[Mapping[str, str]] = {
    form: verb
    for verb, forms in {
        "fits": "fit fits",
        "works": "work works worked",
        "looks": "look looks looked",
        "runs": "run runs ran",
        "washes": "wash washes",
        "tastes": "taste tastes tasted",
        "smells": "smell smells",
        "sounds": "sound sounds",
        "feels": "feel feels",
        "funciona": "funciona funcionan",
        "suena": "suena suenan",
    }.items()
    for form in forms.split()
}
ADVERBS: Final[Mapping[str, int]] = (
    dict.fromkeys(_WORDS["fine_adverbs"], 1)
    | dict.fromkeys(_WORDS["poor_adverbs"], -1)
    | dict.fromkeys(_WORDS["open_adverbs"], 0)
)
# Adjectives that follow their noun, in Spanish.
POSTPOSED: Final = frozenset(
    word
    for word in POLARITY
    if word.endswith(("o", "a", "os", "as", "ble", "bles", "nte", "ntes", "til", "tiles"))
    or word in ("genial", "fatal", "ideal")
)
# Verbs that are things, too: "the sound", "a good fit".
_NOUNS_TOO: Final = frozenset(["sound", "fit", "taste", "smell", "look", "feel"])
NO_NOUNS: Final = (
    frozenset().union(POLARITY, NEGATIONS, PRONOUNS, FUNCTION_WORDS, _WORDS["vague"], ADVERBS, ASSESSING_VERBS)
    - _NOUNS_TOO
)
# What people say when they would have it again, and when they would not. Parts of words, too.
ENDORSEMENTS: Final = (
    "recommend", "will be back", "be back", "will return", "come back", "coming back", "go back", "going back", "buy again",
    "buy another", "order again", "order more", "worth", "must try", "give it a try",
    "recomiend", "recomendable", "recomendado", "volver", "repetir", "merece la pena",
)  # fmt: skip
# What they say when they like it and no more. Whole words: who loved it may do so no longer.
FONDNESS: Final = re.compile(r"(?<!\w)(?:loves?|best|favou?rites?|encantan?|favorit[oa]s?)(?!\w)", re.I)
REFUSALS: Final = (
    "not recommend", "n't recommend", "never again", "avoid", "stay away", "not buy", "n't buy", "not be back",
    "n't be back", "not return", "n't return", "return it", "returned", "returning", "refund", "never go", "never be back",
    "never buy", "not worth", "n't worth", "waste", "worst", "save your money", "no recomiend", "no lo recomiend",
    "no la recomiend", "no volver", "devolver", "devuelto", "no compr", "evit", "no merece", "no vale", "peor",
)  # fmt: skip
# The stems of the word with which a verdict sums them up.
RECOMMEND_STEMS: Final = ("recommend", "recomiend")
LIKED_STEMS: Final = ("lik", "gust")
