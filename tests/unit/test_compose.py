"""What texts say becomes sentences that say no more: every word is some text's own, praise is praise, and blame blame."""

import pytest

from workers.analyze.compose import compose
from workers.analyze.content import content, stem
from workers.analyze.opinion_words import ADVERBS, POLARITY
from workers.analyze.opinions import ENTITY, one_form, opinions_of
from workers.analyze.phrases import English, Spanish
from workers.analyze.topics import group_of
from workers.analyze.verbatim import pieces_of


def meant(**given: set[int]) -> dict[str, set[int]]:
    """The texts that give a verdict, by its name."""
    return {"endorsing": set(), "fond": set(), "refusing": set(), **given}


def said(text: str, *nouns: str) -> list[tuple[str, str, int]]:
    """Noun, word and polarity of each opinion in a text."""
    return [(o.noun, o.said, o.polarity) for o in opinions_of([text], {noun: noun for noun in nouns})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The staff was very friendly.", [("staff", "friendly", 1)]),
        ("Friendly and attentive staff!", [("staff", "friendly", 1), ("staff", "attentive", 1)]),
        ("It looks great.", [(ENTITY, "looks great", 1)]),
        ("They fit perfectly.", [(ENTITY, "fits perfectly", 1)]),
        ("It works poorly.", [(ENTITY, "works poorly", -1)]),
        ("They are easy to clean.", [(ENTITY, "easy to clean", 1)]),
        ("It is hard to put on.", []),
        ("The staff was not friendly.", []),
        ("Not a bad staff.", []),
        ("The sound is clear.", [("sound", "clear", 1)]),
        ("Great customer service, slow staff.", [("staff", "slow", -1)]),
        ("comida muy rica", [("comida", "rica", 1)]),
        ("La comida estaba fría.", [("comida", "fría", -1)]),
        ("El sonido es bastante claro.", [("sonido", "claro", 1)]),
        ("Comida rica y sonido claro.", [("comida", "rica", 1), ("sonido", "claro", 1)]),
        ("The staff at the sound desk is friendly.", []),
        ("The staff of comida is friendly.", [("staff", "friendly", 1)]),
        ("The wall behind the staff is dirty.", []),
        ("El de la comida es correcto.", []),
        ("A smell like burnt comida.", []),
        ("Great sound?", []),
        ("My staff is friendly.", []),
        ("It is a fine wooden bed.", []),
        ("It is a great wooden bed.", [(ENTITY, "great", 1)]),
        ("Se me estropeó el sonido claro en plena boda.", []),
        ("Tiene un sonido claro.", [("sonido", "claro", 1)]),
        ("Haces tres comidas increíbles.", []),
    ],
)
def test_an_opinion_is_on_what_it_stands_with(text: str, expected: list[tuple[str, str, int]]) -> None:
    assert said(text, "staff", "sound", "comida", "comidas", "sonido") == expected


def test_praise_is_praise_and_blame_blame() -> None:
    assert {POLARITY[word] for word in ("great", "friendly", "rica", "cómodo")} == {1}
    assert {POLARITY[word] for word in ("terrible", "slow", "lento", "sucio")} == {-1}
    assert {ADVERBS[word] for word in ("well", "great", "perfectly", "bien")} == {1}
    assert {ADVERBS[word] for word in ("poorly", "badly", "mal")} == {-1}


def test_singular_and_plural_are_one_thing() -> None:
    assert one_form({"pastry": 2, "bagel": 1, "bagels": 3}) == {
        "pastry": "pastry",
        "bagel": "bagels",
        "bagels": "bagels",
    }


ENGLISH = [
    "This place is clean. The staff is friendly. Highly recommend it.",
    "Great place! Friendly staff and fresh food.",
    "The food was fresh but the wait is long and the coffee is cold.",
    "I love this place, the staff is attentive and the food is great. Cold coffee, though.",
]


def test_a_digest_opens_praises_warns_and_ends_with_a_verdict() -> None:
    drafts = compose(group_of(ENGLISH, [1, 1, 0, 1], verdicts=meant(endorsing={0, 1}, fond={3})), English())
    assert [draft.text for draft in drafts] == [
        "This is a great place that is clean.",
        "The food is fresh and great and the staff is friendly and attentive.",
        "However, the coffee is cold.",
        "Overall, this place is highly recommended.",
    ]
    assert drafts[1].citations == (0, 1, 2, 3)
    assert drafts[3].citations == (0, 1)


def test_every_content_word_is_in_a_cited_text() -> None:
    for draft in compose(group_of(ENGLISH, [1, 1, 0, 1]), English())[:-1]:
        there = {stem for number in draft.citations for stem in content(ENGLISH[number])}
        assert set(content(draft.text)) <= there, draft


def test_what_most_blame_comes_first_and_is_not_recommended() -> None:
    texts = [
        "The battery is terrible. Never buy it.",
        "Terrible battery, I returned it.",
        "The battery is slow but light.",
    ]
    drafts = [draft.text for draft in compose(group_of(texts, [-1, -1, 0], verdicts=meant(refusing={0, 1})), English())]
    assert drafts[0] == "The battery is terrible and slow."
    assert drafts[-1] == "Overall, it is not recommended."


def test_a_verdict_takes_two_authors_and_what_is_loved_is_not_therefore_recommended() -> None:
    texts = ["I love this lamp.", "The best lamp I have had.", "This lamp is worth it, I recommend it."]

    def verdict(leanings: list[int], **given: set[int]) -> tuple[str, tuple[int, ...]]:
        drafts = compose(group_of(texts, leanings, verdicts=meant(**given)), English())
        return next(((d.text, d.citations) for d in drafts if d.text.startswith("Overall")), ("", ()))

    assert verdict([1, 1, 1], fond={0, 1}) == ("Overall, this lamp is well liked.", (0, 1))
    assert verdict([1, 1, 1], fond={0, 1}, endorsing={2}) == ("Overall, this lamp is well liked.", (0, 1, 2))
    assert verdict([1, 1, 1], endorsing={1, 2}) == ("Overall, this lamp is highly recommended.", (1, 2))
    assert verdict([1, 1, 1], fond={0}) == verdict([1, 1, 1], endorsing={2}) == ("", ())
    assert verdict([1, 0, 0], fond={0, 1}) == ("", ())


def test_an_adjective_does_not_outweigh_what_its_text_says_of_the_thing() -> None:
    texts = ["The bed is fine.", "It is a fine bed. The bed was less of a success."]
    assert [d.citations for d in compose(group_of(texts, [0, 0]), English())] == [(0, 1)]
    assert [d.citations for d in compose(group_of(texts, [0, 0], {(1, "bed", -1)}), English())] == [(0,)]


def test_half_of_what_somebody_else_said_is_not_quoted() -> None:
    said = ['They say: "We look into the reports. The next patch comes in a week". So I wait for the next patch.']
    assert {piece.text for piece in pieces_of(said)} == {"I wait for the next patch."}
    assert not pieces_of(["I ordered a kilo of ripe tomatoes and got... ", "Así que igual exagero bastante."])


def test_spanish_agrees_and_has_its_own_words() -> None:
    texts = [
        "Las habitaciones son cómodas y la comida es rica.",
        "La comida está fría pero las habitaciones son cómodas. Lo recomiendo.",
        "Habitaciones cómodas, comida rica. Repetiremos, lo recomiendo.",
    ]
    group = group_of(texts, [1, 1, 1], verdicts=meant(endorsing={1, 2}))
    drafts = [draft.text for draft in compose(group, Spanish({"comida": "la", "habitaciones": "las"}))]
    assert drafts == [
        "La comida es rica y las habitaciones son cómodas.",
        "Sin embargo, la comida puede estar fría.",
        "En general, se recomienda mucho.",
    ]


def test_nothing_in_common_gives_no_sentence() -> None:
    assert compose(group_of(["One thing.", "Another matter."], [0, 0]), English()) == []


def test_what_nobody_spoke_of_before_is_news_and_needs_two() -> None:
    texts = ["The hinge is broken.", "Broken hinge after a week.", "The battery is weak.", "The battery is great."]
    group = group_of(texts, [-1, -1, -1, 1])

    def news(known: set[str] | None) -> list[tuple[str, tuple[int, ...]]]:
        return [(draft.shown, draft.citations) for draft in compose(group, English(), known) if draft.frame]

    assert news({stem("batteries")}) == [("New since the window before: the hinge is broken.", (0, 1))]
    assert news({stem("battery"), stem("hinges")}) == []
    assert news(None) == []
    group = group_of(texts[1:], [-1, -1, 1])
    assert news({stem("battery")}) == []
