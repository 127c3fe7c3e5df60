import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.analyze.sentences import MAX_CHARS, Span, split_clauses, split_sentences


def sentences(text: str) -> list[str]:
    return [span.of(text) for span in split_sentences(text)]


def clauses(text: str) -> list[str]:
    return [span.of(text) for span in split_clauses(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["I love it.", "the battery is great!", "But it broke."],
        ["¡Qué mal!", "¿Por qué tarda tanto?", "No vuelvo."],
        ["Great!!! 😍😍", "Next one?!", "Yes"],
        ["Love it 😍", "The screen is nice 😡😡", "I hate the battery"],
        ["El Sr. López compró el nº. 5, p. ej. hoy.", "Bien."],
        ["Vive en EE. UU. y no le llega.", "Fatal."],
        ["Dr. Smith paid $3.50 for No. 5 e.g. in the U.S. Airways lounge.", "J. K. Rowling wrote."],
        ["We left the U.S.", "The flight was late."],
        ["I arrived at 5 p.m.", "The flight left at 3.30 p.m. with nobody."],
        ["I said no.", "They said yes."],
        ["It costs 1.299,99 € or $1,299.99.", "Too much."],
        ["Write to [EMAIL].", "Thanks [HANDLE]!", "ok"],
        ["See https://shop.example/a.html?x=1 or shop.example.", "Done"],
        ["He said “never again.”", "So did I."],
        ["well... it broke."],
        ["I ❤️ Madrid so much"],
        ["Fast (really fast!) and cheap."],
    ],
)
def test_sentences_end_where_a_reader_ends_them(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Buena pantalla\nmala batería\n\nno lo compres", ["Buena pantalla", "mala batería", "no lo compres"]),
        ("1. First thing\n2. Second\n- bullet", ["1. First thing", "2. Second", "- bullet"]),
        ("Pros: • light • cheap", ["Pros:", "• light", "• cheap"]),
        ("bad.Very bad!no more", ["bad.", "Very bad!", "no more"]),
        ("Good phone! 👍🏽👍🏽\n😡", ["Good phone! 👍🏽👍🏽\n😡"]),
        (f"{'a long line ' * 6}broken by mail\nand going on", [f"{'a long line ' * 6}broken by mail\nand going on"]),
        ("... wow", ["... wow"]),
    ],
)
def test_line_breaks_bullets_and_haste_end_sentences_too(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@pytest.mark.parametrize(
    "parts",
    [
        ["La comida genial", "pero el servicio pésimo."],
        ["The food was great", "but the waiter was rude."],
        ["Although the food was great,", "the service was slow"],
        ["The screen is great,", "the battery is awful,", "and the price is high"],
        ["la pantalla es buena", "y la batería dura poco"],
        ["Great camera;", "terrible battery"],
        ["Me gusta el móvil,", "aunque la cámara falla"],
        ["Buen hotel,", "sin embargo el desayuno es caro"],
        ["Good screen,", "while the sound is bad"],
        ["I like the food, the service, the price"],
        ["Nothing but problems"],
        ["the red and the blue one"],
    ],
)
def test_a_mixed_opinion_comes_apart_where_it_turns(parts: list[str]) -> None:
    assert clauses(" ".join(parts)) == parts


def test_a_rant_without_punctuation_is_cut_at_spaces() -> None:
    text = "THIS IS THE WORST COMPANY EVER AND NOBODY ANSWERS " * 40
    found = split_sentences(text)
    assert len(found) > 1
    assert all(span.end - span.start <= MAX_CHARS for span in found)
    assert " ".join(span.of(text) for span in found).split() == text.split()


typed = st.lists(
    st.sampled_from(
        [
            *"abcXYZ 15.,;:!?¿¡…\n\t()\"'-•😡",
            ". ",
            "... ",
            "\n\n",
            " but ",
            ", the ",
            " y la ",
            "es ",
            " is ",
            "Sr. ",
            "U.S. ",
            "👍🏽",
            "❤️",
            "[ID]",
        ]
    ),
    max_size=80,
).map("".join)


@settings(max_examples=400)
@given(st.one_of(typed, st.text(max_size=60)))
def test_spans_are_ordered_trimmed_and_hold_every_visible_character(text: str) -> None:
    for spans in (split_sentences(text), split_clauses(text)):
        end = 0
        for span in spans:
            assert end <= span.start < span.end
            assert span.end - span.start <= MAX_CHARS
            assert span.of(text).strip() == span.of(text)
            assert not text[end : span.start].strip()
            end = span.end
        assert not text[end:].strip()


@given(typed)
def test_every_clause_lies_in_one_sentence(text: str) -> None:
    whole = split_sentences(text)
    assert all(any(s.start <= clause.start and clause.end <= s.end for s in whole) for clause in split_clauses(text))


@pytest.mark.parametrize(
    "unit",
    [
        ".",
        "a ",
        "\n",
        " ",
        "😡",
        "😡 ",
        ", the",
        " but",
        "a. ",
        "A.",
        "!x",
        '."',
        "and the is a b ",
        "\t",
        "...\n",
        "•",
        " • ",
    ],
)
@pytest.mark.timeout(20)
def test_a_hundred_thousand_hostile_characters_are_split_in_time(unit: str) -> None:
    text = unit * (100_000 // len(unit)) + "x"
    assert split_clauses(text)[-1].end == len(text)


def test_nothing_gives_nothing() -> None:
    assert split_sentences("") == split_sentences(" \n\t") == split_clauses("") == []
    assert Span(1, 3).of("abcd") == "bc"
