"""`voxpop plan`: the simulation behaves as queues do, and a plan keeps what it was asked for."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from workers.commands.bench import remember, remembered
from workers.commands.plan import show_plan
from workers.errors import UsageError
from workers.plan.queueing import WorkerModel, fitted
from workers.plan.sizing import NEEDED, figures_of, parse_rate, parse_time, plan
from workers.settings import Settings

MODEL = WorkerModel(capacity=150, overhead_s=0.1, partitions=4, block_records=256, linger_s=0.2)
FIGURES = {
    "latency_capacity_a_second": 150.0,
    "latency_p50_s_at_50": 0.6,
    "scale_stored_bytes_a_text": 800.0,
    "scale_message_bytes": 400.0,
    "screens_rows_a_second": 80_000.0,
}


def test_a_text_alone_waits_for_company_and_for_its_batch() -> None:
    seconds = MODEL.latencies(rate=0.5, texts=2_000)
    least = MODEL.linger_s + MODEL.overhead_s + 1 / MODEL.texts_a_second
    assert np.percentile(seconds, 50) == pytest.approx(least, rel=0.02)
    assert seconds.min() >= MODEL.overhead_s


def test_every_text_is_served_once_and_none_before_it_came() -> None:
    seconds = MODEL.latencies(rate=100, texts=5_000)
    assert len(seconds) == 4_500
    assert seconds.min() > 0


def test_latency_grows_with_the_load_and_without_bound_beyond_the_capacity() -> None:
    medians = [MODEL.percentile(load, 50) for load in (0.3, 0.6, 0.9, 1.5)]
    assert medians == sorted(medians)
    assert medians[-1] > 20 * medians[0]


def test_a_full_batch_takes_what_the_capacity_says() -> None:
    full = MODEL.partitions * MODEL.block_records
    assert MODEL.overhead_s + full / MODEL.texts_a_second == pytest.approx(full / MODEL.capacity)
    with pytest.raises(ValueError, match="leave nothing"):
        _ = replace(MODEL, overhead_s=100.0).texts_a_second


def test_the_overhead_is_found_again_from_the_latency_it_leads_to() -> None:
    seen = MODEL.percentile(0.5, 50)
    assert fitted(replace(MODEL, overhead_s=0), 0.5, seen).overhead_s == pytest.approx(MODEL.overhead_s, rel=0.1)


def test_the_highest_load_keeps_the_limit_and_one_more_does_not() -> None:
    load = MODEL.highest_load(99, 1.0, 0.95)
    assert 0 < load < 0.95
    assert MODEL.percentile(load, 99) <= 1.0 < MODEL.percentile(load + 0.01, 99) + 0.05
    assert MODEL.highest_load(99, 0.05, 0.95) == 0.0


def test_a_plan_has_room_for_the_rate_and_keeps_its_latency() -> None:
    found = plan(20_000, 2.0, FIGURES, Settings())
    assert found.workers * FIGURES["latency_capacity_a_second"] * found.load == pytest.approx(20_000)
    assert found.load <= 0.8
    assert found.expected_p99_s <= 2.1
    assert found.store_nodes == 1
    assert found.partitions == found.workers * Settings().kafka.partitions
    assert found.deduplication_window >= 30 * found.inserts_a_second
    assert found.disk_gb_a_day == pytest.approx(20_000 * 86_400 * 800 * 2 / 1e9)
    more = plan(1_000_000, 2.0, FIGURES, Settings())
    assert more.store_nodes == 25
    assert more.workers > 40 * found.workers


def test_what_no_load_keeps_is_said_with_what_an_idle_worker_has() -> None:
    with pytest.raises(UsageError, match=r"no load keeps a p99 of 0.1 s: an almost idle worker"):
        plan(10, 0.1, FIGURES, Settings())


@pytest.mark.parametrize(("text", "rate"), [("20000/s", 20_000), ("300k/h", 83.333), ("5M/day", 57.87), ("12", 12)])
def test_rates_are_read(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate, rel=1e-3)


def test_times_are_read_and_what_is_none_is_refused() -> None:
    assert (parse_time("2s"), parse_time("800ms"), parse_time("1min")) == (2, 0.8, 60)
    for wrong in ("", "fast", "-1/s", "0/s", "1.2.3/s", "1e3/s"):
        with pytest.raises(UsageError, match="is no rate"):
            parse_rate(wrong)
    with pytest.raises(UsageError, match="is no time"):
        parse_time("soon")


def test_what_was_not_measured_is_named_with_the_command() -> None:
    with pytest.raises(UsageError, match=r"lacks screens_rows_a_second; .*: voxpop bench --part screens$"):
        figures_of({name: 1.0 for name in NEEDED if not name.startswith("screens")}, "x.json")


def test_the_command_reads_what_bench_remembers_or_printed(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    console = Console(file=(tmp_path / "out").open("w+"), width=120)
    with pytest.raises(UsageError, match="nothing has been measured on this machine; run: voxpop bench"):
        show_plan(settings, "100/s", "3s", None, console, as_json=True)
    remember(settings, {**FIGURES, "latency_p50_s_at_50": 9.0, "parts": {"a": 1}, "skipped": {}, "seconds": 1})
    remember(settings, {"latency_p50_s_at_50": 0.6, "parts": {}, "skipped": {}, "seconds": 1})
    assert json.loads(remembered(settings).read_text()) == FIGURES
    show_plan(settings, "100/s", "3s", None, console, as_json=True)
    printed = tmp_path / "printed"
    printed.write_text("a table\n" + json.dumps(FIGURES) + "\n")
    show_plan(settings, "100/s", "3s", printed, console, as_json=False)
    said = (tmp_path / "out").read_text()
    assert json.loads(said.splitlines()[0])["workers"] == 1
    assert "100 texts a second, p99 of 3 s" in said
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="voxpop bench --json"):
            show_plan(settings, "100/s", "3s", wrong, console, as_json=True)
