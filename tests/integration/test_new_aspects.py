"""Ten aspects that nothing was trained or fitted on, found and judged by what their descriptions say. `pytest -s` prints the
figures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.insights import AspectMention
from schemas.taxonomy import Taxonomy, load_taxonomy
from workers.analyze.judge import Judge, Request
from workers.analyze.redact import Redactor
from workers.settings import load_settings
from workers.slm.build import ensure_pack

DATA = Path(__file__).parents[1] / "data"
ROWS: list[dict[str, Any]] = yaml.safe_load((DATA / "new_aspects.yaml").read_text(encoding="utf-8"))
NAMES = [row["name"] for row in ROWS]
SAYS = [(row["name"], said) for row in ROWS for said in row["says"]]


@pytest.fixture(scope="module")
def wider() -> Iterator[Judge]:
    """A judge whose taxonomy has the ten besides its own."""
    taxonomy = load_taxonomy()
    described = [{name: value for name, value in row.items() if name != "says"} for row in ROWS]
    known = taxonomy.model_dump()
    both = Taxonomy.model_validate(known | {"aspects": [*known["aspects"], *described]})
    settings = load_settings()
    pack = ensure_pack("e5-small-multilingual", settings.packs_dir, settings.cache_dir)
    loaded = Judge(pack, both, Redactor(), b"salt", replicas=2)
    yield loaded
    loaded.close()


def mentions(judge: Judge, texts: list[str]) -> list[tuple[AspectMention, ...]]:
    analyses = judge.judge([Request(text) for text in texts])
    return [tuple(m for m in a.aspects if m.aspect in NAMES) for a in analyses if a is not None]


def test_the_taxonomy_and_what_was_fitted_know_none_of_them() -> None:
    fitted = Path(__file__).parents[2] / "workers" / "slm" / "train" / "new_aspects.yaml"
    known = {row["name"] for row in yaml.safe_load(fitted.read_text(encoding="utf-8"))}
    assert not (known | {aspect.name for aspect in load_taxonomy().aspects}) & set(NAMES)
    assert len(SAYS) == 60


@pytest.mark.parametrize(("language", "recall_floor"), [("en", 0.55), ("es", 0.55)])
def test_a_description_finds_its_aspect_and_seldom_another(wider: Judge, language: str, recall_floor: float) -> None:
    own = [(name, said["text"]) for name, said in SAYS if said["language"] == language]
    found = mentions(wider, [text for _, text in own])
    hits = sum(name in {m.aspect for m in some} for (name, _), some in zip(own, found, strict=True))
    all_found = sum(len(some) for some in found)
    print(f"new aspects, {language}: recall {hits / len(own):.2f}, precision {hits / max(1, all_found):.2f}")
    assert hits / len(own) >= recall_floor
    assert hits / max(1, all_found) >= 0.85


def test_texts_that_do_not_speak_of_them_seldom_get_one(wider: Judge) -> None:
    lines = (DATA / "aspects.tsv").read_text(encoding="utf-8").splitlines()
    found = mentions(wider, [line.split("\t")[1] for line in lines])
    share = sum(map(len, found)) / len(found)
    print(f"new aspects found in a text that speaks of others: {share:.2f} of ten")
    assert share <= 0.3


def test_what_is_said_of_a_named_one_is_judged(wider: Judge) -> None:
    analyses = wider.judge([Request(said["text"], aspects=(name,)) for name, said in SAYS])
    right = [
        a.aspects[0].sentiment == said["sentiment"]
        for a, (_, said) in zip(analyses, SAYS, strict=True)
        if a is not None
    ]
    print(f"polarity of new aspects that are named: {sum(right) / len(right):.2f}")
    assert sum(right) / len(right) >= 0.7
