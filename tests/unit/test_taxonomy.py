"""A taxonomy that a user wrote is used as it stands, or refused in one line that names the file and the place."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.taxonomy import Aspect, Intent, Taxonomy, TaxonomyError, load_taxonomy


def document(**fields: Any) -> dict[str, Any]:
    taxonomy: dict[str, Any] = {
        "version": "7",
        "sentiments": ["negative", "neutral", "positive"],
        "intents": [{"name": "praise", "title": {"en": "Praise"}, "description": "Says that it is good."}],
        "emotions": ["joy"],
        "aspects": [{"name": "price", "title": {"en": "Price"}, "descriptions": {"en": ["what it costs"]}}],
    }
    return taxonomy | fields


def aspect(**fields: Any) -> dict[str, Any]:
    taken: dict[str, Any] = document()["aspects"][0]
    return taken | fields


def refusal(path: Path) -> str:
    with pytest.raises(TaxonomyError) as raised:
        load_taxonomy(path)
    said = str(raised.value)
    assert "\n" not in said
    assert str(path) in said
    return said


def refusal_of(tmp_path: Path, taxonomy: Any) -> str:
    file = tmp_path / "taxonomy.yaml"
    file.write_text(yaml.safe_dump(taxonomy, allow_unicode=True), encoding="utf-8")
    return refusal(file).removeprefix(str(file))


def test_the_shipped_taxonomy_can_be_used() -> None:
    taxonomy = load_taxonomy()
    assert taxonomy.sentiments == ("negative", "neutral", "positive")
    assert {intent.name for intent in taxonomy.intents} == {"complaint", "praise", "question", "suggestion", "other"}
    assert len(taxonomy.aspects) >= 15
    for shipped in taxonomy.aspects:
        assert shipped.descriptions.keys() == shipped.title.keys() == {"en", "es"}, shipped.name
        assert taxonomy.aspect(shipped.name) is shipped


def test_a_users_own_taxonomy_is_read_in_the_order_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "taxonomy.yaml"
    names = ["wait", "añejo", "crust"]
    aspects = [
        aspect(name=name.replace("ñ", "n"), descriptions={"es": [f"{name} 1"], "en": ["2", "3"]}) for name in names
    ]
    file.write_text(yaml.safe_dump(document(aspects=aspects), sort_keys=False, allow_unicode=True), encoding="utf-8")
    taxonomy = load_taxonomy(file)
    assert [found.name for found in taxonomy.aspects] == ["wait", "anejo", "crust"]
    assert taxonomy.aspects[1].sentences() == ("añejo 1", "2", "3")
    assert taxonomy.version == "7"


def test_what_yaml_takes_for_another_type_is_text_here(tmp_path: Path) -> None:
    file = tmp_path / "taxonomy.yaml"
    taxonomy = document(
        version=2, aspects=[aspect(name="on", title={"no": "På"}, descriptions={"no": ["dyrt", "1.5"]})]
    )
    file.write_text(yaml.safe_dump(taxonomy, allow_unicode=True).replace("'", ""), encoding="utf-8")
    assert "no: På" in file.read_text(encoding="utf-8")
    assert load_taxonomy(file).version == "2"
    assert load_taxonomy(file).aspect("on").sentences() == ("dyrt", "1.5")


def test_an_aspect_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        load_taxonomy().aspect("colour")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": [7]}, "at version:"),
        ({"sentiments": ["bad", "good"]}, "sentiments must be [negative, neutral, positive]"),
        ({"sentiments": ["positive", "neutral", "negative"]}, "sentiments must be [negative, neutral, positive]"),
        ({"aspects": []}, "at aspects:"),
        ({"aspects": [aspect(), aspect(name="Two Words")]}, "at aspects.1.name:"),
        ({"aspects": [aspect(name="x" * 49)]}, "at aspects.0.name:"),
        ({"aspects": [aspect(name="price\n")]}, "at aspects.0.name:"),
        ({"aspects": [aspect(title={})]}, "at aspects.0.title:"),
        ({"aspects": [aspect(descriptions={})]}, "at aspects.0.descriptions:"),
        ({"aspects": [aspect(descriptions={"en": "no list"})]}, "at aspects.0.descriptions.en:"),
        ({"aspects": [aspect(descriptions={"en": []})]}, "at least one description"),
        ({"aspects": [aspect(colour="red")]}, "at aspects.0.colour:"),
        ({"aspects": [aspect(), aspect()]}, "twice here: price"),
        ({"intents": [document()["intents"][0]] * 2}, "twice here: praise"),
        ({"intents": [{"name": "praise"}]}, "at intents.0.title:"),
        ({"moods": []}, "at moods:"),
    ],
)
def test_a_wrong_place_is_named_in_one_line(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    assert said in refusal_of(tmp_path, document(**fields))


@pytest.mark.parametrize("missing", ["version", "sentiments", "intents", "emotions", "aspects"])
def test_a_missing_part_is_named(tmp_path: Path, missing: str) -> None:
    taxonomy = document()
    del taxonomy[missing]
    assert f"at {missing}: Field required" in refusal_of(tmp_path, taxonomy)


@pytest.mark.parametrize("taxonomy", [None, [], "text", 5])
def test_a_file_that_is_no_mapping_is_refused_at_the_top_level(tmp_path: Path, taxonomy: object) -> None:
    assert "at the top level:" in refusal_of(tmp_path, taxonomy)


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "does not exist; point VOXPOP_TAXONOMY at" in refusal(tmp_path / "nosuch.yaml")
    assert "cannot be read" in refusal(tmp_path)
    broken = tmp_path / "broken.yaml"
    for content in (b"aspects: [", b"a:\n\tb: c", b"\xff\xfe\xff", b"\x00", b"a: {b", b"[" * 9_000):
        broken.write_bytes(content)
        assert "cannot be read as YAML" in refusal(broken), content


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
@example(b"*unknown")
@example(b"? {a: b}\n: c")
@example(b"{[]: 1}")
@example(b"2026-02-30")
@example(b"- !!timestamp 2026-99-99")
@example(b"&a [*a]")
@example(b"!!python/object/apply:os.system [exit]")
def test_a_file_of_any_bytes_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    refusal(file)


NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,47}\Z")
TITLES = st.dictionaries(st.sampled_from(["en", "es"]), st.text(max_size=9), min_size=1)
DESCRIPTIONS = st.dictionaries(
    st.sampled_from(["en", "es"]), st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=2), min_size=1
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, TITLES, DESCRIPTIONS), min_size=1, max_size=4, unique_by=lambda drawn: drawn[0]))
def test_a_taxonomy_written_out_and_read_again_is_the_same(tmp_path: Path, drawn: list[tuple[str, Any, Any]]) -> None:
    taxonomy = Taxonomy(
        version="1",
        sentiments=("negative", "neutral", "positive"),
        intents=(Intent(name="other", title={"en": "Other"}, description=""),),
        emotions=(),
        aspects=tuple(
            Aspect(
                name=name, title=title, descriptions={language: tuple(said) for language, said in descriptions.items()}
            )
            for name, title, descriptions in drawn
        ),
    )
    file = tmp_path / "taxonomy.yaml"
    file.write_text(yaml.safe_dump(taxonomy.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    assert load_taxonomy(file) == taxonomy
