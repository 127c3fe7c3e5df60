"""What a generator is taught says no more than its text, and keeps the texts that it is measured on apart."""

import gzip
import json
from pathlib import Path

import pytest

from workers.analyze.opinions import ENTITY
from workers.slm.train.corpora import is_held_out
from workers.slm.train.generator.samples import cased, device_reviews, spoken, things_of

TEXTS = [
    "The battery life is great, but the screen is poor.",
    "Good battery life and a poor screen. The sound is clear!",
    "A clear sound. Poor battery life.",
    "It is easy to set up and it works great. The screen is clear.",
    "The life of this battery is short.",
]


def test_a_title_is_written_as_a_sentence_is() -> None:
    text = "Alexa hears me. My new Echo Dot plays jazz, and the Dot is small."
    assert cased("GREAT SOUND FROM MY ECHO DOT!!", text) == "Great sound from my echo dot"
    assert cased("The Echo Dot Is Small.", text) == "The Echo Dot is small"
    assert cased("Hears Alexa", text) == "Hears alexa"


def test_things_are_what_enough_texts_name_and_names_may_have_two_words() -> None:
    things = things_of(TEXTS, 3)
    assert {"battery", "life", "screen"} <= set(things.forms)
    assert "sound" not in things.forms
    assert ("battery", "life") in things.names
    assert ENTITY not in things.forms


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TEXTS[0], "Great battery life, but poor screen"),
        (TEXTS[1], "Good battery life and clear sound, but poor screen"),
        ("The screen is poor and the sound is bad.", "Poor screen and bad sound"),
        (TEXTS[3], "Easy to set up, works great and clear screen"),
    ],
)
def test_what_a_text_says_of_things_is_one_line(text: str, line: str) -> None:
    assert spoken(text, things_of(TEXTS, 2)) == [line]


@pytest.mark.parametrize(
    "text",
    [
        "The screen is not clear.",
        "Is the screen clear?",
        "Only a more clear screen helps.",
        "I wanted a better screen protector.",
        "Nothing is said here.",
    ],
)
def test_of_what_is_denied_asked_or_compared_nothing_is_said(text: str) -> None:
    assert spoken(text, things_of(TEXTS, 2)) == []


def test_no_review_is_both_trained_on_and_measured_on(tmp_path: Path) -> None:
    texts = [f"Review {chr(97 + n % 20)} of thing {chr(97 + n // 20)}" for n in range(200)]
    reviews = [{"text": text, "title": "A thing", "product": "p"} for text in texts]
    with gzip.open(tmp_path / "amazon_devices_train.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in [*reviews, *reviews[:50]])
    train, dev = ([row["text"] for row in device_reviews(tmp_path, part)] for part in ("train", "dev"))
    assert sorted(train + dev) == sorted(texts)
    assert all(map(is_held_out, dev))
    assert not any(map(is_held_out, train))
    assert 20 <= len(dev) <= 60
