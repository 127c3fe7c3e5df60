"""What building a pack promises: the same bytes every time, and never a damaged, half-built or wrong one in use."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.reference.small_e5s1 import WIDTH, e5s1
from tests.reference.small_pack import write_recipe
from workers.slm import build, sources
from workers.slm.build import build_pack, ensure_pack
from workers.slm.errors import BaseError, PackError
from workers.slm.packs import list_packs, load_pack, verify_pack
from workers.slm.recipes import load_recipe, shipped_recipes

Write = Callable[..., str]


@pytest.fixture
def recipe(tmp_path: Path) -> Write:
    """Writes a recipe of a base of a few kilobytes, with a head, and gives its path."""

    return lambda **changes: write_recipe(tmp_path, **changes)


def contents(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_the_same_recipe_gives_the_same_bytes(recipe: Write, tmp_path: Path) -> None:
    packs = [build_pack(recipe(), tmp_path / place, tmp_path / "cache") for place in ("one", "two")]
    assert contents(packs[0].path) == contents(packs[1].path)


def test_a_whole_pack_is_taken_as_it_is(recipe: Write, tmp_path: Path) -> None:
    lines: list[str] = []
    first = ensure_pack(recipe(), tmp_path / "packs", tmp_path / "cache", progress=lines.append)
    built = len(lines)
    second = ensure_pack(recipe(), tmp_path / "packs", tmp_path / "cache", progress=lines.append)
    assert built
    assert len(lines) == built
    assert first.version == second.version


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "add", "card", "no card"])
def test_a_damaged_pack_is_refused_and_built_again(recipe: Write, tmp_path: Path, damage: str) -> None:
    pack = ensure_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    whole = contents(pack.path)
    model = pack.path / "model" / "model.bin"
    data = model.read_bytes()
    spoil: dict[str, Callable[[], object]] = {
        "flip": lambda: model.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:]),
        "cut": lambda: model.write_bytes(data[:-1]),
        "remove": model.unlink,
        "add": lambda: (pack.path / "model" / "spare.bin").write_bytes(b"x"),
        "card": lambda: (pack.path / "pack.yaml").write_text("name: ["),
        "no card": (pack.path / "pack.yaml").unlink,
    }
    spoil[damage]()
    with pytest.raises(PackError) as caught:
        load_pack(pack.path)
    assert "\n" not in str(caught.value)
    assert contents(ensure_pack(recipe(), tmp_path / "packs", tmp_path / "cache").path) == whole


def test_a_pack_of_another_recipe_or_other_heads_is_built_again(recipe: Write, tmp_path: Path) -> None:
    first = ensure_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    second = ensure_pack(recipe(version="2"), tmp_path / "packs", tmp_path / "cache")
    card = tmp_path / "heads" / "card.yaml"
    name = recipe(version="2")
    card.write_text(card.read_text() + "limits: [other]\n")
    third = ensure_pack(name, tmp_path / "packs", tmp_path / "cache")
    assert len({first.version, second.version, third.version}) == 3


def test_a_build_that_fails_leaves_what_was_there(
    recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    whole = contents(pack.path)

    def full_disk(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "sync", full_disk)
    with pytest.raises(PackError, match="no room left"):
        build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    assert contents(load_pack(pack.path).path) == whole
    assert not list((tmp_path / "packs").glob(".building*"))


def test_leavings_of_a_killed_build_are_swept_and_never_listed(recipe: Write, tmp_path: Path) -> None:
    pack = build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    left = [tmp_path / "packs" / name for name in (".building.small.abc", ".replaced.small.1")]
    foreign = tmp_path / "packs" / ".building.small-two.abc"
    for directory in (*left, foreign):
        shutil.copytree(pack.path, directory)
    assert [found.name for found in list_packs(tmp_path / "packs")] == ["small"]
    build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    assert not any(directory.exists() for directory in left)
    assert foreign.exists(), "another pack's builder is still at work there"


def test_a_base_of_other_bytes_is_refused_with_both_hashes(recipe: Write, tmp_path: Path) -> None:
    name = recipe()
    (tmp_path / "base.bin").write_bytes(b"not it")
    with pytest.raises(BaseError) as caught:
        build_pack(name, tmp_path / "packs", tmp_path / "cache")
    assert hashlib.sha256(b"not it").hexdigest() in str(caught.value)
    assert hashlib.sha256(e5s1()).hexdigest() in str(caught.value)
    assert not list((tmp_path / "packs").glob("small*"))


def test_a_damaged_cache_is_fetched_again(recipe: Write, tmp_path: Path) -> None:
    build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    (kept,) = (tmp_path / "cache" / "bases").iterdir()
    kept.write_bytes(b"spoilt")
    build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    assert kept.read_bytes() == e5s1()


def test_an_intact_cache_needs_no_source(recipe: Write, tmp_path: Path) -> None:
    build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    (tmp_path / "base.bin").write_bytes(b"gone")
    shutil.rmtree(tmp_path / "packs")
    assert ensure_pack(recipe(), tmp_path / "packs", tmp_path / "cache").name == "small"


def test_heads_of_another_base_are_refused(recipe: Write, tmp_path: Path) -> None:
    name = recipe()
    card = tmp_path / "heads" / "card.yaml"
    card.write_text(card.read_text().replace(hashlib.sha256(e5s1()).hexdigest(), "a" * 64))
    with pytest.raises(PackError, match="another base"):
        build_pack(name, tmp_path / "packs", tmp_path / "cache")


def test_a_packs_directory_is_verified_and_never_rebuilt(recipe: Write, tmp_path: Path) -> None:
    pack = build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    moved = shutil.copytree(pack.path, tmp_path / "mine")
    assert ensure_pack(str(moved), tmp_path / "unused", tmp_path / "unused").version == pack.version
    (moved / "tokenizer.json").write_text("{}")
    with pytest.raises(PackError, match=r"tokenizer\.json"):
        ensure_pack(str(moved), tmp_path / "unused", tmp_path / "unused")
    assert not (tmp_path / "unused").exists()


def test_a_name_that_is_no_pack_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="e5-small-multilingual") as caught:
        ensure_pack("nothing", tmp_path, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if load_recipe(name).encoder])
def test_shipped_recipes_have_heads_trained_on_their_base(name: str) -> None:
    recipe = load_recipe(name)
    card = build.read_heads_card(recipe.heads_dir)
    assert card.base_sha256 == recipe.base.sha256["weights"]
    assert {"sentiment", "intents", "emotion", "toxicity", "urgency"} <= set(card.heads)
    assert card.aspects is not None or card.attention is not None
    trained = [recipe.trained_file] if recipe.trained_file.is_file() else []
    assert sum(file.stat().st_size for file in (*recipe.heads_dir.iterdir(), *trained)) < 30_000_000


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("WARNING: Retrying … NewConnectionError('…: Name or service not known')\nERROR: No matching", "connect to"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "free some disk"),
        ("/usr/bin/python3: No module named pip", "ensurepip"),
        ("ERROR: No matching distribution found for x==1", "No matching distribution"),
        ("", "no reason"),
    ],
)
def test_what_pip_says_becomes_one_line_with_a_mend(output: str, said: str) -> None:
    line = sources._pip_failure("x==1", output)
    assert said in line
    assert "\n" not in line


def test_the_card_lists_every_file_by_hash(recipe: Write, tmp_path: Path) -> None:
    pack = build_pack(recipe(), tmp_path / "packs", tmp_path / "cache")
    card = verify_pack(pack.path)
    assert set(card.files) == set(contents(pack.path)) - {"pack.yaml"}
    assert card.heads["sentiment"].labels == ("negative", "neutral", "positive")
    assert pack.heads.predict(np.ones((2, WIDTH), np.float32))["sentiment"].shape == (2, 3)
