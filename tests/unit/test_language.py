import gzip
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.analyze.language import HOME, UNKNOWN, _model, detect_language

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
# The floor of each language is its measured accuracy less two points. The German set holds many English tweets.
FLOORS = {
    "english": ("en", 0.98),
    "spanish": ("es", 0.98),
    "portuguese": ("pt", 0.96),
    "french": ("fr", 0.965),
    "italian": ("it", 0.96),
    "german": ("de", 0.925),
}


@pytest.mark.parametrize("name", FLOORS)
def test_real_tweets_get_their_language(name: str) -> None:
    path = DATA / f"xlmt_{name}_dev.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    code, floor = FLOORS[name]
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        found = [detect_language(json.loads(line)["text"])[0] for line in lines]
    assert found.count(code) / len(found) >= floor


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("great", "en"),
        ("bad", "en"),
        ("love it", "en"),
        ("muy bueno", "es"),
        ("me encanta", "es"),
        ("La bateria dura poco", "es"),
        ("todo ok", "es"),
        ("muito bom", "pt"),
        ("perfeito", "pt"),
        ("très bien", "fr"),
        ("molto bene", "it"),
        ("sehr gut", "de"),
    ],
)
def test_a_few_words_are_enough(text: str, code: str) -> None:
    assert detect_language(text)[0] == code
    assert detect_language(text.upper() + "!!! 😡")[0] == code


@pytest.mark.parametrize(
    "text", ["", "   ", "10/10", "😡😡😡", "@user https://t.co/abc", "[EMAIL] [PHONE]", "12,50 €", "__ --"]
)
def test_a_text_without_words_is_undetermined(text: str) -> None:
    assert detect_language(text) == (UNKNOWN, 0.0)


def test_letters_that_are_no_language_are_undetermined() -> None:
    assert detect_language("kjhgfd qwrtz")[0] == UNKNOWN


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Хороший телефон, но батарея садится", "ru"),
        ("とても良い製品です", "ja"),
        ("这个产品很好", "zh"),
        ("Dit is een erg goed product en de batterij gaat lang mee", "nl"),
        ("Aquest producte és molt bo i la bateria dura molt", "ca"),
        ("To jest bardzo dobry produkt i jestem z niego zadowolony", "pl"),
    ],
)
def test_other_languages_are_not_forced_into_ours(text: str, code: str) -> None:
    assert detect_language(text)[0] == code


def test_addresses_handles_and_placeholders_do_not_sway_it() -> None:
    text = "No vuelvo a comprar aquí, la entrega llegó tarde"
    noisy = f"@thebestshop {text} https://example.com/the-best-shop-in-the-world [HANDLE] [EMAIL] #fail 🙄"
    assert detect_language(text)[0] == detect_language(noisy)[0] == "es"


@given(st.text(max_size=200))
def test_any_text_gets_a_code_and_a_probability(text: str) -> None:
    code, probability = detect_language(text)
    assert 0.0 <= probability <= 1.0
    assert code == UNKNOWN or (len(code) == 2 and code.isalpha())


def test_importing_it_does_not_load_the_model() -> None:
    check = "import sys, workers.analyze.language; sys.exit('py3langid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@lru_cache
def ranker() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    load: Any = LanguageIdentifier.from_model_file
    return load(MODEL_FILE, norm_probs=True)


@settings(deadline=None)  # the first text loads both
@given(
    st.text(max_size=60) | st.sampled_from(["grazie mille", "hvala ti puno", "Всё хорошо", "DANKE SCHÖN", "ok", "…"])
)
def test_the_models_probabilities_are_those_that_it_ranks_by(text: str) -> None:
    """`rank` is the library's own way to them, and slower: an update of the library may not part the two."""
    ranked = dict(ranker().rank(text))
    best, probability, at_home = _model()(text)
    assert probability == max(p for code, p in ranked.items() if len(code) == 2) == ranked[best]
    assert at_home == [ranked[code] for code in HOME]
