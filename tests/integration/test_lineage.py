"""From a row to the pack, the training and the data behind it, by a command each."""

import getpass
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from schemas.events import Event
from schemas.insights import Analysis
from tests.by_hand import RememberingProducer, WordJudge, block, empty, process, processor, review
from tests.integration.conftest import Voxpop
from workers.analyze.disguise import SafeEvent
from workers.analyze.judge import Judge
from workers.settings import Settings, as_environment, load_settings
from workers.slm.packs import Pack, read_card
from workers.slm.versions import list_versions

PACK = "e5-small-multilingual"


class PackJudge(WordJudge):
    """Says that a pack's version judged."""

    def __init__(self, pack: Pack) -> None:
        super().__init__()
        self._pack = pack

    def judge_events(self, events: Sequence[SafeEvent]) -> list[Analysis | None]:
        named = {"pack": self._pack.name, "pack_version": self._pack.version}
        return [each.model_copy(update=named) for each in super().judge_events(events) if each is not None]

    def disguise(self, event: Event) -> SafeEvent:
        return super().disguise(event)


@pytest.fixture
def settings(migrated: Settings, tmp_path: Path) -> Settings:
    """Over empty tables, with a directory of packs of its own that has the built one."""
    empty(migrated)
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / PACK).symlink_to(load_settings().packs_dir.resolve() / PACK)
    return migrated.model_copy(update={"packs": packs, "state_dir": load_settings().state_dir.resolve()})


def labelled(folder: Path) -> Path:
    things = ("lamp", "kettle", "chair", "desk", "phone", "bag", "cup", "bed")
    words = {"broken": "defect", "late": "delivery", "torn": "defect", "lost": "delivery"}
    rows = [(f"The {thing} is {word}", label) for thing in things for word, label in words.items()]
    random.Random(1).shuffle(rows)
    path = folder / "mine.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def test_a_row_leads_to_the_training_of_its_version_who_promoted_it_and_the_data_behind(
    settings: Settings, voxpop: Voxpop, tmp_path: Path
) -> None:
    environment, file = as_environment(settings), labelled(tmp_path)
    words = ("train", str(file), "--head", "topic", "--seed", "5", "--promote", "--force", "--json")
    assert voxpop(*words, environment=environment, timeout_s=200).returncode == 0
    built, version = list_versions(settings.packs_dir, PACK)
    working = processor(settings, RememberingProducer(), cast(Judge, PackJudge(version)))
    working.process([block(0, 1, {0: review(0, "I hate the lamp")})])
    done = voxpop("lineage", "e-0", "--source", "test", "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    row = told["row"]
    assert (row["topic"], row["partition"], row["offset"]) == ("reviews", 0, 0)
    assert (row["pack"], row["pack_version"], row["route"]) == (PACK, version.version, "slm")
    assert [each["version"] for each in told["versions"]] == [version.version, built.version]
    trained = told["versions"][0]["trained"]
    assert trained["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (trained["file"], trained["rows"], trained["seed"]) == ("mine.csv", 32, 5)
    assert trained["by"].startswith(f"{getpass.getuser()}@")
    ((promoted,),) = (each["promoted"] for each in told["versions"][:1])
    assert (promoted["who"], promoted["did"]) == (trained["by"], "promoted")
    origin = told["origin"]
    assert origin["base"]["sha256"] == built.card.base.sha256
    assert origin["data_sets"]["mams_acsa"]["licence"] == "Apache-2.0"
    assert {run["seed"] for run in origin["runs"] if "seed" in run} == {13, 17, 29}
    assert all(len(sha256) == 64 for told in origin["data_sets"].values() for sha256 in told["files"].values())
    assert "I hate the lamp" not in done.stdout
    shown = voxpop("lineage", "e-0", environment=environment).stdout
    assert yaml.safe_load(shown)["row"]["event_id"] == "e-0"
    shown = voxpop("packs", "show", PACK, version.version, environment=environment).stdout
    card = yaml.safe_load(shown)
    assert card["lineage"]["training"] == trained
    assert card["origin"]["data_sets"] == origin["data_sets"]
    older = yaml.safe_load(voxpop("packs", "show", PACK, built.version, environment=environment).stdout)
    assert older["version"] == built.version == read_card(settings.packs_dir / PACK).version
    wrong = voxpop("packs", "show", PACK, "9+00000000", environment=environment)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (1, 1)
    assert built.version in wrong.stderr


def test_a_version_that_is_not_known_here_is_named_and_so_is_an_event_that_is_not_there(
    settings: Settings, voxpop: Voxpop
) -> None:
    process(settings, block(0, 1))
    environment = as_environment(settings)
    done = voxpop("lineage", "e-0", "--json", environment=environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "the card of words 1 is not in" in done.stderr
    assert json.loads(done.stdout)["row"]["pack"] == "words"
    done = voxpop("lineage", "e-1", environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no row is of the event 'e-1'" in done.stderr
