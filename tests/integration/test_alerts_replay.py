"""The planted incident is told once, soon, and closes; a quiet stream raises no more than was stated."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.samples import PLANTED
from tests.alert_texts import days
from tests.integration.conftest import Voxpop
from workers.alerting.replay import shuffled
from workers.alerting.text import from_insight
from workers.settings import AlertSettings


def test_the_sample_s_planted_incident_is_its_only_alert(voxpop: Voxpop) -> None:
    done = voxpop("alerts", "replay", "--sample", "--json", timeout_s=180)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (alert,) = document["alerts"]
    assert (alert["product"], alert["status"], alert["closed_because"]) == (PLANTED.product, "closed", "usual_again")
    assert alert["window_start"] >= f"{PLANTED.began:%Y-%m-%d}"
    assert document["planted"]["delay_windows"] <= 2
    assert document["planted"]["other_alerts"] == 0


def test_the_whole_stack_tells_the_same_at_the_end_of_the_sample_stream(voxpop: Voxpop, tmp_path: Path) -> None:
    done = voxpop("up", "--once", "--json", "--data", str(tmp_path), timeout_s=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["alerts"] == 1


def test_switched_off_nobody_watches(voxpop: Voxpop, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"text": "Good lamp, warm light", "product": "Lamp", "created_at": "2026-11-02T10:00:00Z"}\n')
    environment = {"VOXPOP_ALERTS__ENABLED": "false"}
    done = voxpop("up", "--once", "--input", str(path), "--json", environment=environment, timeout_s=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["alerts"] is None


def test_shuffled_texts_raise_no_more_alarms_than_stated_and_planted_incidents_are_found_soon() -> None:
    settings = AlertSettings()
    texts = [
        replace(from_insight(each), key=f"{product}-{number}")
        for product, counts in (("A", (12, 4)), ("B", (20, 5)), ("C", (30, 12)))
        for number, each in enumerate(days([counts] * 40, product=product))
    ]
    found = shuffled(texts, settings, rounds=8, days=None, seed=1)
    assert found.days == pytest.approx(8 * 32, abs=8)
    assert found.false_alarms_per_day <= settings.false_alarms_per_day
    assert found.planted == 8
    assert len(found.delays_windows) >= 6
    assert max(found.delays_windows) <= 3


@pytest.mark.parametrize("words", [["replay"], ["replay", "x.csv", "--sample"]])
def test_a_replay_is_of_a_file_or_of_the_sample(voxpop: Voxpop, words: list[str]) -> None:
    done = voxpop("alerts", *words)
    assert done.returncode == 2
    assert "--sample" in done.stderr
