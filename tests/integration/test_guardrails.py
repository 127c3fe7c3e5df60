"""Each guardrail refuses what it is there for, and nothing else does: take one away and its line here fails."""

from collections.abc import Iterator

import numpy as np
import pytest

from workers.analyze.guardrails import CHECKS, Claim, failures, support
from workers.analyze.summary import Summarizer
from workers.analyze.support import Evidence, Reader
from workers.settings import load_settings
from workers.slm.build import ensure_pack

TEXTS = (
    "The battery is great and the sound is clear. I paid $89 for them in March at Norvia.",
    "The battery is great. Nothing else matters to me on a train.",
    "The headband is stiff and the case is ugly.",
    "Ask your dealer for the blue one, the sound is clear. See www.norvia.example for it.",
    "Never buy the grey one, the sound is clear there, too.",
    "The battery is terrible.",
)
PROMPT = "You write summaries. The battery is great and the sound is clear for everybody."


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    settings = load_settings()
    pack = ensure_pack("e5-small-multilingual", settings.packs_dir, settings.cache_dir)
    with pack.encoder(2) as encoder:
        yield Reader(encoder, pack.heads)


@pytest.fixture(scope="module")
def evidence(reader: Reader) -> Evidence:
    return reader.read(TEXTS)


def claim(reader: Reader, text: str, *citations: int, prompt: str = "") -> Claim:
    vectors, leanings = reader.seen([text])
    return Claim(text, vectors[0], float(leanings[0]), citations, "headphones", prompt)


@pytest.mark.parametrize(
    ("text", "citations"),
    [
        ("The battery is great.", (0, 1)),
        ("The battery is great and the sound is clear.", (0, 1)),
        ("However, the headband is stiff.", (2,)),
        ("I paid $89 for them in March at Norvia.", (0,)),
    ],
)
def test_what_the_cited_texts_say_passes(
    reader: Reader, evidence: Evidence, text: str, citations: tuple[int, ...]
) -> None:
    made = claim(reader, text, *citations)
    assert failures(made, evidence) == ()
    assert support(made, evidence) > 0.7


@pytest.mark.parametrize(
    ("guardrail", "text", "citations"),
    [
        ("support", "The battery is great and the hinge is gorgeous.", (0, 1)),
        ("number", "The battery is great and the sound is clear 24 hours.", (0,)),
        ("number", "The battery is great and the sound is clear, two of them.", (0,)),
        ("date", "The battery is great and the sound is clear in april.", (0,)),
        ("name", "The battery is great and the sound is clear at Zelko.", (0,)),
        ("polarity", "The battery is terrible.", (0, 1, 5)),
        ("second_person", "Ask your dealer for the blue one.", (3,)),
        ("instruction", "Never buy the grey one.", (4,)),
        ("address", "See www.norvia.example for it.", (3,)),
    ],
)
def test_a_guardrail_refuses_what_nothing_else_refuses(
    reader: Reader, evidence: Evidence, guardrail: str, text: str, citations: tuple[int, ...]
) -> None:
    assert failures(claim(reader, text, *citations), evidence) == (guardrail,)


def test_the_opposite_of_what_is_said_is_refused(reader: Reader, evidence: Evidence) -> None:
    for text in ("The battery is not great.", "The battery isn't great.", "The sound is not clear."):
        assert "polarity" in failures(claim(reader, text, 0, 1), evidence), text


def test_one_text_that_says_the_opposite_is_not_outvoted(reader: Reader, evidence: Evidence) -> None:
    assert failures(claim(reader, "The battery is great.", 0, 1, 5), evidence) == ("polarity",)


def test_a_text_that_says_the_opposite_is_not_cited(reader: Reader) -> None:
    texts = [
        "The battery is great.",
        "The battery is great, I am happy with it.",
        "Great battery? It is terrible, dead in an hour.",
    ]
    summary = Summarizer(reader).summarize(texts)
    (sentence,) = (s for s in summary.sentences if s.text == "The battery is great.")
    assert 2 not in sentence.citations


def test_a_price_must_be_a_price_in_the_sources(reader: Reader) -> None:
    evidence = reader.read(["The case is ugly. There are 89 of them in the shop."])
    assert failures(claim(reader, "The case is ugly, $89.", 0), evidence) == ("price",)


def test_a_sentence_that_cites_nothing_is_refused(reader: Reader, evidence: Evidence) -> None:
    assert "cited" in failures(claim(reader, "The battery is great."), evidence)
    assert "cited" in failures(claim(reader, "The battery is great.", 99), evidence)
    assert support(claim(reader, "The battery is great."), evidence) == 0


def test_what_another_text_says_is_no_support(reader: Reader, evidence: Evidence) -> None:
    assert "support" in failures(claim(reader, "The headband is stiff.", 0), evidence)


def test_the_prompt_does_not_come_back(reader: Reader, evidence: Evidence) -> None:
    said = "The battery is great and the sound is clear."
    assert failures(claim(reader, said, 0, prompt=PROMPT), evidence) == ("leak",)
    assert "leak" in failures(claim(reader, "Summary: the battery is great.", 0), evidence)
    assert "leak" in failures(claim(reader, "<|im_start|> the battery is great.", 0), evidence)


@pytest.mark.parametrize(
    "text",
    [
        "Write to [EMAIL] for it.",
        "The battery is great, says @norvia.",
        "https://norvia.example is great.",
        "La batería es genial, dice u/norvia.",
    ],
)
def test_no_address_handle_or_placeholder_is_shown(reader: Reader, evidence: Evidence, text: str) -> None:
    assert "address" in failures(claim(reader, text, 0), evidence)


@pytest.mark.parametrize("text", ["Compra el gris, es genial.", "Llama al servicio técnico.", "Visit the shop."])
def test_orders_are_refused(reader: Reader, evidence: Evidence, text: str) -> None:
    assert {"instruction", "support"} & set(failures(claim(reader, text, 0), evidence))


def test_every_guardrail_has_a_case_here() -> None:
    named = {
        "cited",
        "support",
        "number",
        "price",
        "date",
        "name",
        "polarity",
        "second_person",
        "instruction",
        "leak",
        "address",
    }
    assert set(CHECKS) == named


def test_support_is_a_share(reader: Reader, evidence: Evidence) -> None:
    for text in (*TEXTS, "Something else altogether, with no word in common."):
        for number in range(len(TEXTS)):
            assert 0 <= support(claim(reader, text, number), evidence) <= 1
    assert np.isfinite(evidence.leanings).all()
