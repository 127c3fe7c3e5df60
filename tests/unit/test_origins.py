"""What the shipped packs were learnt from is told of the very bytes that are shipped, and outlives a version."""

import hashlib
import importlib.util
from pathlib import Path

import pytest
import yaml

from tests.reference.small_pack import small_pack, write_recipe
from tests.unit.test_pack_versions import made
from workers.slm.build import build_pack
from workers.slm.derive import copied
from workers.slm.origins import ancestry, origin_of, shipped_origins
from workers.slm.packs import HEADS_FILE, BaseCard, PackCard, read_card
from workers.slm.recipes import digest, load_recipe
from workers.slm.versions import find_card, list_versions

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
ORIGINS = shipped_origins()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ORIGINS.packs)
def test_it_is_told_of_the_bytes_that_are_shipped(name: str) -> None:
    """Train again, and this fails until origins.yaml says with what."""
    recipe, origin = load_recipe(name), ORIGINS.packs[name]
    heads = recipe.heads_dir / HEADS_FILE
    assert origin.heads == (sha256(heads) if heads.is_file() else None)
    assert origin.trained == (sha256(recipe.trained_file) if recipe.trained_file.is_file() else None)
    assert origin.data.keys() <= ORIGINS.data_sets.keys()
    assert origin.runs


def test_every_data_set_taught_a_pack_and_every_program_is_there() -> None:
    assert set(ORIGINS.data_sets) == {name for origin in ORIGINS.packs.values() for name in origin.data}
    programs = {run.program for origin in ORIGINS.packs.values() for run in origin.runs}
    for program in programs:
        module = program.replace(".", "/")
        assert (ROOT / f"{module}.py").is_file() or (ROOT / module / "__main__.py").is_file(), program
        assert importlib.util.find_spec(program.rpartition(".")[0]) is not None


def test_a_seed_is_the_programs_own_and_later_ones_it_takes() -> None:
    """A program's first training has the seed that it has by itself; another one's is given to it."""
    runs = [run for origin in ORIGINS.packs.values() for run in origin.runs if run.seed is not None]
    seeds: dict[str, list[int]] = {}
    for run in runs:
        seeds.setdefault(run.program, []).append(run.seed or 0)
    assert seeds
    for program, (first, *later) in seeds.items():
        module = ROOT / program.replace(".", "/")
        file = module.with_suffix(".py") if module.with_suffix(".py").is_file() else module / "__main__.py"
        text = file.read_text(encoding="utf-8")
        given = "torch.manual_seed(arguments.seed)" in text and f'"--seed", type=int, default={first},' in text
        assert given or (f"torch.manual_seed({first})" in text and not set(later) - {first}), program


def test_our_own_files_are_those_of_today() -> None:
    own = {
        file: sha256_
        for told in ORIGINS.data_sets.values()
        for file, sha256_ in told.files.items()
        if file.startswith("workers/")
    }
    assert own
    assert {file: sha256(ROOT / file) for file in own} == own


@pytest.mark.skipif(not DATA.is_dir(), reason="the data that packs are trained on is not at hand (../shared/data)")
def test_the_files_of_others_are_those_at_hand() -> None:
    files = {f: h for told in ORIGINS.data_sets.values() for f, h in told.files.items() if f.endswith(".gz")}
    assert {file: sha256(DATA / file) for file in files} == files


def test_a_generator_is_known_by_its_adapter() -> None:
    card = read_card_of("smollm2-135m-voxpop")
    assert origin_of(card.model_copy(update={"adapter": "0" * 64})) is None
    plain = origin_of(card.model_copy(update={"adapter": None}))
    assert plain is not None
    assert plain["runs"] == []
    told = origin_of(card)
    assert told is not None
    assert told["trained_sha256"] == card.adapter
    assert [run["program"] for run in told["runs"]] == ["workers.slm.train.generator"]
    assert "heads_sha256" not in told


def read_card_of(name: str) -> PackCard:
    """The card of a generator as its recipe would make it, without the base at hand."""
    recipe = load_recipe(name)
    base = BaseCard(name=recipe.base.name, licence=recipe.base.licence, sha256=recipe.base.sha256)
    told = {each: getattr(recipe, each) for each in ("name", "version", "date", "description", "licence", "languages")}
    return PackCard(
        **told,
        recipe=digest(recipe),
        base=base,
        decoder=recipe.decoder,
        quantization=recipe.quantization,
        adapter=sha256(recipe.trained_file),
        files={"model/model.bin": "0" * 64},
    )


def test_of_other_heads_nothing_is_said(tmp_path: Path) -> None:
    assert origin_of(small_pack(tmp_path).card) is None


def test_a_version_leads_to_the_built_one_and_a_copy_to_its_source(tmp_path: Path) -> None:
    built, packs = small_pack(tmp_path), tmp_path / "packs"
    first = made(built, packs)
    second = made(first, packs, "other")
    copy = copied(second, packs, "unit")
    assert [card.version for card in ancestry(packs, copy.card)] == [
        copy.version, second.version, first.version, built.version,
    ]  # fmt: skip
    assert find_card(packs, "small", first.version) == first.card
    assert find_card(packs, "small", "9+00000000") is None
    assert find_card(packs, "small", "../../etc/passwd") is None


def test_the_card_of_a_version_outlives_the_one_that_takes_its_place(tmp_path: Path) -> None:
    built, packs = small_pack(tmp_path), tmp_path / "packs"
    recipe = write_recipe(tmp_path, version="2")
    newer = build_pack(recipe, packs, tmp_path / "cache")
    assert [pack.version for pack in list_versions(packs, "small")] == [newer.version]
    assert find_card(packs, "small", built.version) == built.card
    assert read_card(packs / "small") == newer.card
    kept = packs / "small.cards" / f"{built.version}.yaml"
    assert yaml.safe_load(kept.read_text(encoding="utf-8"))["version"] == built.version
