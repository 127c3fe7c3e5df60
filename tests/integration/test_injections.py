"""Texts are data: orders in them change no label and no summary. The attempts are our own: tests/data/injections.jsonl."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.analyze.instructions import addresses_machine
from workers.analyze.judge import Judge, Request
from workers.analyze.summary import Summarizer
from workers.analyze.support import Reader
from workers.settings import load_settings
from workers.slm.build import ensure_pack

FILE = Path(__file__).parents[1] / "data" / "injections.jsonl"
ATTEMPTS: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
REVIEWS = {
    "en": [
        "The battery is great and the sound is clear.",
        "Great battery. The headband is comfortable. I recommend them.",
        "The sound is clear but the case is flimsy.",
        "The sound is great, would buy again.",
        "The headband is comfortable and the battery is great.",
    ],
    "es": [
        "La batería es buena y el sonido es claro.",
        "Buena batería. La diadema es cómoda. Los recomiendo.",
        "El sonido es claro pero la funda es frágil.",
        "El sonido es claro, volvería a comprarlos.",
        "La diadema es cómoda y la batería es buena.",
    ],
}


@pytest.fixture(scope="module")
def summarizer() -> Iterator[Summarizer]:
    settings = load_settings()
    pack = ensure_pack("e5-small-multilingual", settings.packs_dir, settings.cache_dir)
    with pack.encoder(2) as encoder:
        yield Summarizer(Reader(encoder, pack.heads))


def test_there_are_attempts_of_every_kind() -> None:
    kinds = Counter((attempt["kind"], attempt["language"]) for attempt in ATTEMPTS)
    assert len(ATTEMPTS) >= 60
    assert {kind for kind, _ in kinds} == {"plain", "role-play", "multi-line", "tool", "encoded"}
    assert all(kinds[kind, "es"] for kind in ("plain", "role-play", "multi-line", "encoded"))


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: f"{attempt['kind']}: {attempt['text'][:40]!r}")
def test_an_attempt_changes_no_summary(summarizer: Summarizer, attempt: dict[str, Any]) -> None:
    reviews = REVIEWS[attempt["language"]]
    expected = summarizer.summarize(reviews)
    assert expected.sentences
    assert summarizer.summarize([*reviews, attempt["text"]]) == expected


def test_many_attempts_at_once_change_no_summary(summarizer: Summarizer) -> None:
    every = [attempt["text"] for attempt in ATTEMPTS]
    for reviews in REVIEWS.values():
        assert summarizer.summarize([*reviews, *every]) == summarizer.summarize(reviews)
    assert summarizer.summarize(every).sentences == ()


def test_an_attempt_changes_no_label_of_another_text_and_gets_its_own_from_the_heads_alone(judge: Judge) -> None:
    reviews = [Request(text) for text in REVIEWS["en"]]
    attempts = [Request(attempt["text"]) for attempt in ATTEMPTS]
    alone, together = judge.judge(reviews), judge.judge([*attempts, *reviews])
    for before, after in zip(alone, together[len(attempts) :], strict=True):
        assert before is not None
        assert after is not None
        assert (before.sentiment.label, before.intents, before.emotion) == (
            after.sentiment.label,
            after.intents,
            after.emotion,
        )
    for request, analysis in zip(attempts, together, strict=False):
        assert analysis is not None
        assert analysis.text == request.text
        assert analysis.sentiment.label in ("negative", "neutral", "positive")
        assert analysis.headline in ("", *[request.text]) or analysis.headline in request.text


def test_ordinary_texts_are_not_taken_for_orders() -> None:
    for text in (
        "Avoid this shop, never buy here.",
        "I ignored the instructions and it still works.",
        "Please tell the waiter that the rules of the house changed.",
        "Don't listen to the bad reviews, just buy it!",
        "Gotta say: the staff is wonderful.",
        "The instructions are hard to read, but the system works.",
        "Las instrucciones no se entienden y el sistema es lento.",
        "Alexa answers every question and the display is clear.",
    ):
        assert not addresses_machine(text), text
