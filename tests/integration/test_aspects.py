"""What the default pack says of aspects: the right clause for each, also for aspects it never heard of."""

import pytest

from schemas.insights import AspectMention
from schemas.taxonomy import Taxonomy, load_taxonomy
from workers.analyze.judge import Judge, Request
from workers.analyze.redact import Redactor
from workers.settings import load_settings
from workers.slm.build import ensure_pack


def mentions(judge: Judge, text: str, *names: str, title: str = "") -> dict[str, tuple[str, str]]:
    """Aspect -> (sentiment, the evidence's words)."""
    (analysis,) = judge.judge([Request(text, title, aspects=names or None)])
    assert analysis is not None

    def words(mention: AspectMention) -> str:
        return analysis.text[mention.evidence.start : mention.evidence.end]

    return {mention.aspect: (mention.sentiment, words(mention)) for mention in analysis.aspects}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The food was delicious but the waiter was rude.",
            {"food": ("positive", "delicious"), "staff": ("negative", "rude")},
        ),
        (
            "La batería no dura nada, pero la pantalla es preciosa.",
            {"battery": ("negative", "batería"), "display": ("positive", "pantalla")},
        ),
        (
            "Delivery was quick. The zip broke on day one.",
            {"delivery": ("positive", "Delivery"), "durability": ("negative", "zip")},
        ),
    ],
)
def test_opposed_aspects_of_one_text_are_judged_each_by_its_own_clause(
    judge: Judge, text: str, expected: dict[str, tuple[str, str]]
) -> None:
    found = mentions(judge, text, *expected)
    assert list(found) == list(expected)
    for name, (sentiment, word) in expected.items():
        assert found[name][0] == sentiment
        assert word in found[name][1]


def test_an_aspect_no_taxonomy_knows_is_judged_by_its_name(judge: Judge) -> None:
    found = mentions(
        judge, "The swimming pool was filthy; the playground, on the other hand, was great.", "swimming_pool"
    )
    assert found["swimming_pool"][0] == "negative"
    assert "pool" in found["swimming_pool"][1]


def test_a_new_aspect_is_found_by_its_description_alone() -> None:
    taxonomy = load_taxonomy()
    described = {
        "name": "pets",
        "title": {"en": "Pets", "es": "Mascotas"},
        "descriptions": {
            "en": ["dogs and cats, whether pets are welcome"],
            "es": ["perros y gatos, si admiten mascotas"],
        },
    }
    wider = Taxonomy.model_validate(taxonomy.model_dump() | {"aspects": [*taxonomy.model_dump()["aspects"], described]})
    settings = load_settings()
    pack = ensure_pack("e5-small-multilingual", settings.packs_dir, settings.cache_dir)
    loaded = Judge(pack, wider, Redactor(), b"salt", replicas=2)
    try:
        assert "pets" in mentions(loaded, "They did not let my dog in, no pets welcome at all. Shame.")
        assert mentions(loaded, "No dejan entrar con perros. Una pena.", "pets")["pets"][0] == "negative"
    finally:
        loaded.close()


def test_a_title_is_read_but_evidence_stays_in_the_text(judge: Judge) -> None:
    found = mentions(judge, "It drains within hours. The price is fair.", "battery", title="Terrible battery")
    assert found["battery"] == ("negative", "It drains within hours.")


@pytest.mark.parametrize("text", ["?", "😀", ".", "\u200b", "x" * 5_000, "The food. " * 1_500])
def test_odd_texts_get_an_answer_whose_evidence_is_inside(judge: Judge, text: str) -> None:
    for names in ((), ("food", "battery")):
        (analysis,) = judge.judge([Request(text, aspects=names or None)])
        assert analysis is not None
        assert all(0 <= m.evidence.start < m.evidence.end <= len(text) for m in analysis.aspects)


def test_no_names_asked_give_no_mentions(judge: Judge) -> None:
    (analysis,) = judge.judge([Request("The food was great.", aspects=())])
    assert analysis is not None
    assert analysis.aspects == ()
