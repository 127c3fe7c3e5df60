"""Versions of a pack lie side by side, cost what is new in them, and are exchanged at once, by name, never for the worse."""

import datetime
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.reference.small_e5s1 import WIDTH
from tests.reference.small_pack import small_pack, write_recipe
from workers.slm import derive
from workers.slm.build import build_pack, ensure_pack
from workers.slm.derive import NewHead, copied, with_head
from workers.slm.errors import PackError
from workers.slm.gate import GateRefused, Holdout, check, compare
from workers.slm.heads import HeadCard
from workers.slm.packs import Pack, Training, verify_pack
from workers.slm.versions import (
    current_version,
    list_versions,
    promote,
    read_pointer,
    rollback,
    versions_dir,
)

LABELS = ("billing", "shipping")


@pytest.fixture
def built(tmp_path: Path) -> Pack:
    return small_pack(tmp_path)


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    return tmp_path / "packs"


def made(parent: Pack, packs: Path, name: str = "topic", right: int = 8, labels: tuple[str, ...] = LABELS) -> Pack:
    """A version with a head that answers `right` of its 8 holdout texts rightly: text i has only feature i."""
    vectors = np.eye(8, WIDTH, dtype=np.float32)
    gold = np.zeros((8, len(labels)), bool)
    gold[np.arange(8), np.arange(8) % len(labels)] = True
    weight = np.zeros((len(labels), WIDTH), np.float32)
    for text in range(8):
        weight[(text if text < right else text + 1) % len(labels), text] = 1
    card = HeadCard(kind="softmax", labels=labels)
    head = NewHead(name, card, weight, np.zeros(len(labels), np.float32), Holdout(vectors, gold))
    return with_head(parent, packs, head, training(name, right / 8))


def training(name: str, figure: float) -> Training:
    return Training(
        head=name,
        file="mine.csv",
        sha256="a" * 64,
        rows=40,
        holdout="0.2",
        holdout_rows=8,
        seed=0,
        date=datetime.date(2026, 1, 2),
        metrics={"macro_f1": figure},
    )


# --- versions -----------------------------------------------------------------------------------------------------------


def test_a_version_is_a_whole_pack_that_shares_the_models_bytes_and_says_where_it_comes_from(
    built: Pack, packs: Path
) -> None:
    version = made(built, packs)
    card = verify_pack(version.path)
    assert (version.path / "model" / "model.bin").stat().st_ino == (built.path / "model" / "model.bin").stat().st_ino
    assert (version.path / "heads.safetensors").stat().st_ino != (built.path / "heads.safetensors").stat().st_ino
    assert version.version != built.version
    assert card.lineage is not None
    assert card.lineage.version == built.version
    assert card.lineage.training == training("topic", 1.0)
    assert set(card.heads) == {"sentiment", "topic"}
    assert version.encoder_hash == built.encoder_hash
    assert verify_pack(built.path) == built.card


def test_where_files_cannot_be_linked_they_are_copied(
    built: Pack, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(derive.os, "link", refuse)
    version = made(built, packs)
    assert (version.path / "model" / "model.bin").stat().st_ino != (built.path / "model" / "model.bin").stat().st_ino
    verify_pack(version.path)


def test_the_same_training_gives_the_same_version_once(built: Pack, packs: Path) -> None:
    assert made(built, packs).version == made(built, packs).version
    assert len(list_versions(packs, "small")) == 2
    assert made(built, packs, right=7).version != made(built, packs).version


def test_a_new_version_is_not_current_until_it_is_promoted(built: Pack, packs: Path, tmp_path: Path) -> None:
    version = made(built, packs)
    recipe = write_recipe(tmp_path)
    assert ensure_pack(recipe, packs, tmp_path).version == built.version
    promote(packs, "small", version.version)
    assert ensure_pack(recipe, packs, tmp_path).version == version.version
    rollback(packs, "small")
    assert ensure_pack(recipe, packs, tmp_path).version == built.version


def test_building_the_pack_anew_leaves_its_versions_and_the_current_one_alone(
    built: Pack, packs: Path, tmp_path: Path
) -> None:
    version = made(built, packs)
    promote(packs, "small", version.version)
    build_pack(write_recipe(tmp_path, version="2"), packs, tmp_path / "cache")
    assert current_version(packs, "small") == version.path
    verify_pack(version.path)


@pytest.mark.parametrize("damage", ["flip", "gone", "card"])
def test_a_damaged_current_version_is_refused_with_the_way_back(
    built: Pack, packs: Path, tmp_path: Path, damage: str
) -> None:
    version = made(built, packs)
    promote(packs, "small", version.version)
    if damage == "flip":
        (version.path / "heads.safetensors").write_bytes(b"x")
    elif damage == "card":
        (version.path / "pack.yaml").write_text("name: [")
    else:
        version.path.rename(tmp_path / "elsewhere")
    with pytest.raises(PackError, match="voxpop packs rollback small") as caught:
        ensure_pack(write_recipe(tmp_path), packs, tmp_path)
    assert "\n" not in str(caught.value)
    rollback(packs, "small")
    assert ensure_pack(write_recipe(tmp_path), packs, tmp_path).version == built.version


def test_rollback_goes_back_step_by_step_and_then_says_that_there_is_nothing_left(built: Pack, packs: Path) -> None:
    first = made(built, packs)
    second = made(first, packs, "mood")
    for version in (first, second):
        promote(packs, "small", version.version)
    assert rollback(packs, "small").previous == first.version
    assert current_version(packs, "small") == first.path
    assert rollback(packs, "small").previous is None
    assert current_version(packs, "small") is None
    with pytest.raises(PackError, match="none to go back to"):
        rollback(packs, "small")
    promote(packs, "small", second.version)
    assert [p.rolled_back_at is None for p in read_pointer(packs, "small").promotions] == [False, False, True]


def test_a_version_that_is_not_there_is_answered_with_those_that_are(built: Pack, packs: Path) -> None:
    version = made(built, packs)
    for wrong in ("9+00000000", "../small", "current.json"):
        with pytest.raises(PackError, match="has no version") as caught:
            promote(packs, "small", wrong)
        assert built.version in str(caught.value)
        assert version.version in str(caught.value)
    assert read_pointer(packs, "small").version is None


def test_a_reader_sees_the_old_pointer_or_the_new_one_whatever_happens_meanwhile(built: Pack, packs: Path) -> None:
    versions = [built.version, made(built, packs).version, made(built, packs, right=7).version]
    seen: set[str | None] = set()
    broken: list[PackError] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(read_pointer(packs, "small").version)
            except PackError as error:
                broken.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        promote(packs, "small", versions[turn % 3])
    stop.set()
    reader.join()
    assert not broken
    assert seen == {None, *versions[1:]}
    assert not [file for file in versions_dir(packs, "small").iterdir() if file.name.startswith(".current")]


def test_a_write_that_fails_leaves_the_pointer_as_it_was(
    built: Pack, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = made(built, packs)
    promote(packs, "small", version.version)
    before = (versions_dir(packs, "small") / "current.json").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workers.slm.durable.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        rollback(packs, "small")
    assert (versions_dir(packs, "small") / "current.json").read_bytes() == before
    assert not list(versions_dir(packs, "small").glob(".current*"))


def test_of_two_promotions_at_once_the_second_is_told(built: Pack, packs: Path) -> None:
    first, second = made(built, packs), made(built, packs, right=7)

    def overtaken() -> dict[str, str]:
        promote(packs, "small", second.version)
        return {}

    with pytest.raises(PackError, match="promoted meanwhile"):
        promote(packs, "small", first.version, overtaken)
    assert current_version(packs, "small") == second.path


def test_a_pointer_that_cannot_be_read_is_named(built: Pack, packs: Path) -> None:
    promote(packs, "small", made(built, packs).version)
    (versions_dir(packs, "small") / "current.json").write_text("{")
    with pytest.raises(PackError, match=r"current\.json cannot be read") as caught:
        read_pointer(packs, "small")
    assert "\n" not in str(caught.value)


def test_a_copy_has_its_own_current_version(built: Pack, packs: Path, tmp_path: Path) -> None:
    mine = copied(built, packs, "mine")
    version = made(mine, packs)
    promote(packs, "mine", version.version)
    assert ensure_pack("mine", packs, tmp_path).card.name == "mine"
    assert ensure_pack(write_recipe(tmp_path), packs, tmp_path).version == built.version
    rollback(packs, "mine")
    assert ensure_pack("mine", packs, tmp_path).version == mine.version
    with pytest.raises(PackError, match="already"):
        copied(built, packs, "mine")
    with pytest.raises(PackError, match="cannot be a pack's name"):
        copied(built, packs, "../mine")


# --- the gate -----------------------------------------------------------------------------------------------------------


def refused(current: Pack, new: Pack) -> str:
    with pytest.raises(GateRefused) as caught:
        check(current, new)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_new_head_must_beat_the_most_frequent_label(built: Pack, packs: Path) -> None:
    (good,) = compare(built, made(built, packs))
    assert (good.new, good.new_head, good.passed) == (1.0, True, True)
    assert good.current == pytest.approx(1 / 3)  # one label of two: F1 2/3 and 0
    assert "no better in topic: macro F1 0.0000 beside 0.3333" in refused(built, made(built, packs, right=0))


def test_a_head_may_stay_as_good_but_not_get_worse(built: Pack, packs: Path) -> None:
    seven, eight = made(built, packs, right=7), made(built, packs)
    assert set(check(seven, eight)) == {"topic"}
    assert "worse in topic: macro F1 0.8730 beside 1.0000 of the current version, 8 holdout rows" in refused(
        eight, seven
    )
    assert check(eight, eight) == {}


def test_a_current_head_that_would_be_gone_is_missed(built: Pack, packs: Path) -> None:
    assert "lacks the head topic" in refused(made(built, packs), made(built, packs, "mood"))


def test_going_back_to_an_older_head_is_measured_on_the_current_ones_holdout(built: Pack, packs: Path) -> None:
    labels = ("negative", "neutral", "positive")
    trained = made(built, packs, "sentiment", labels=labels)
    assert set(check(built, trained)) == {"sentiment"}
    other = made(built, packs)  # with the sentiment of the built one
    merged = made(trained, packs)
    assert "worse in sentiment" in refused(merged, other)


def test_versions_on_different_encoders_are_not_compared(built: Pack, packs: Path, tmp_path: Path) -> None:
    version = made(built, packs)
    other = build_pack(write_recipe(tmp_path, version="2", quantization="float32"), packs, tmp_path / "cache")
    assert "another encoder" in refused(other, version)
