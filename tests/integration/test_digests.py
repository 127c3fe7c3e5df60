"""What `voxpop digests` promises: one digest a window, cited, whatever dies; late texts lead to a new revision."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.by_hand import Rows, block, process, wait_until
from workers.failpoints import DIGEST_FAILPOINTS, WRITING_FAILPOINTS
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.digests import SECONDS, DigestRow, DigestStore, PendingWindow

Voxpop = Callable[..., subprocess.CompletedProcess[str]]
DAY = SECONDS["day"]
TEXTS = (
    "The battery is great and the sound is clear.",
    "Great battery. The headband is comfortable. I recommend them.",
    "The sound is clear but the case is flimsy.",
    "The sound is great, would buy again.",
    "The headband is comfortable and the battery is great.",
    "The case is flimsy and the app is slow.",
)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "VOXPOP_CLICKHOUSE__PORT": str(settings.clickhouse.port),
        "VOXPOP_STATE_DIR": str(Path(".voxpop").resolve()),
        "VOXPOP_DIGESTS__POLL_S": "0.2",
        "VOXPOP_DIGESTS__REFRESH_S": "0",
    }


def event(number: int, text: str, **fields: Any) -> bytes:
    made = {"id": f"e-{number}", "kind": "review", "source": "shop", "product": "Hush", "text": text}
    return json.dumps(made | {"created_at": f"2026-11-12T{number % 24:02}:00:00Z"} | fields).encode()


def store(settings: Settings, first: int = 0, texts: tuple[str, ...] = TEXTS, **fields: Any) -> None:
    """Has a worker take these texts as events of one day."""
    values = {first + i: event(first + i, text, **fields) for i, text in enumerate(texts)}
    process(settings, block(first, first + len(texts), values))


def digest(voxpop: Voxpop, environment: dict[str, str], *words: str) -> int:
    """How many digests one run writes."""
    ran = voxpop("digests", "--once", *words, environment=environment, timeout_s=200)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout.split()[0])


def shown(rows: Rows) -> list[tuple[Any, ...]]:
    return rows.select("SELECT product, window_start, revision, sentence, event_ids FROM v_digests ORDER BY ALL")


def test_a_days_digest_cites_events_of_that_day_that_support_it(
    settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    store(settings)
    store(settings, 50, TEXTS[:3], product="Few")
    assert digest(voxpop, environment) == 1
    found = rows.select(
        "SELECT d.product, place, sentence, citations, d.support, d.texts, d.pack, d.pack_version,"
        " window_end - window_start, countIf(i.product = d.product AND i.event_time >= window_start"
        " AND i.event_time < window_end) FROM v_digests AS d"
        " ARRAY JOIN arrayZip(d.sources, d.event_ids) AS cited"
        " LEFT JOIN insights AS i ON i.source = cited.1 AND i.event_id = cited.2 GROUP BY ALL ORDER BY place"
    )
    assert 2 <= len(found) <= 5
    assert [row[1] for row in found] == list(range(1, len(found) + 1))
    for product, _, sentence, citations, support, texts, pack, version, window, stored in found:
        assert (product, texts, window, stored) == ("Hush", 6, DAY, citations), sentence
        assert citations > 0
        assert 0.5 < support <= 1
        assert (bool(pack), bool(version)) == (True, True)
    said = " ".join(row[2] for row in found).lower()
    assert "battery" in said
    assert "flimsy" in said


def test_a_thing_that_the_day_before_did_not_know_is_new(
    settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    store(settings, 0, TEXTS, created_at="2026-11-11T10:00:00Z")
    store(settings, 20, (*TEXTS[:4], "The hinge is broken.", "Broken hinge after a week."))
    assert digest(voxpop, environment) == 2
    news = "SELECT window_start, sentence, event_ids FROM v_digests WHERE sentence LIKE 'New since%'"
    ((start, sentence, cited),) = rows.select(news)
    assert (start.day, sentence) == (12, "New since the window before: the hinge is broken.")
    assert sorted(cited) == ["e-24", "e-25"]


def test_a_second_run_writes_nothing(
    settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    store(settings)
    assert [digest(voxpop, environment), digest(voxpop, environment)] == [1, 0]
    assert rows.count("digests") == 1


def test_a_late_text_leads_to_a_new_revision_and_only_that_is_shown(
    settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    store(settings)
    digest(voxpop, environment)
    store(settings, 20, ("The hinge is broken and the battery is terrible.",) * 3)
    assert digest(voxpop, environment) == 1
    assert {row[2] for row in shown(rows)} == {2}
    assert rows.select("SELECT DISTINCT texts FROM v_digests") == [(9,)]
    assert digest(voxpop, environment) == 0


def test_a_changed_text_leads_to_a_new_revision(
    settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    store(settings)
    digest(voxpop, environment)
    process(settings, block(100, 101, {100: event(0, "The battery is terrible and the sound is awful.")}))
    assert digest(voxpop, environment) == 1
    assert rows.select("SELECT DISTINCT revision, texts FROM v_digests") == [(2, 6)]


@pytest.mark.parametrize("place", [*DIGEST_FAILPOINTS, *WRITING_FAILPOINTS])
def test_killed_anywhere_the_next_run_leaves_one_digest_a_window(
    settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str], place: str
) -> None:
    for product in range(3):
        store(settings, 10 * product, product=f"Hush {product}")
    killed = voxpop(
        "digests", "--once", environment=environment | {"VOXPOP_FAILPOINTS": f"{place}=kill@2"}, timeout_s=200
    )
    assert killed.returncode == -signal.SIGKILL
    digest(voxpop, environment)
    disturbed = shown(rows)
    assert rows.select("SELECT count(), uniqExact(product), max(revision) FROM digests") == [(3, 3, 1)]
    with connect(settings.clickhouse) as client:
        client.command("TRUNCATE TABLE digests")
    assert digest(voxpop, environment) == 3
    assert shown(rows) == disturbed


def test_two_processes_at_once_leave_one_digest_a_window(
    settings: Settings, rows: Rows, environment: dict[str, str]
) -> None:
    for product in range(4):
        store(settings, 10 * product, product=f"Hush {product}")
    command = [sys.executable, "-m", "workers.cli", "digests", "--once"]
    both = [subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(200) for process in both] == [0, 0]
    assert rows.select("SELECT product, count(), max(revision) FROM digests GROUP BY product ORDER BY product") == [
        (f"Hush {product}", 1, 1) for product in range(4)
    ]


def test_the_same_digest_again_changes_nothing(settings: Settings, rows: Rows) -> None:
    store(settings)
    with connect(settings.clickhouse) as client:
        digests = DigestStore(client, settings.clickhouse)
        (window,) = digests.pending(DAY, 5, 35, ("p", "1"))
        row = DigestRow(window, ["Fine."], [[("shop", "e-1")]], [1.0], [True], "extractive", "p", "1")
        until = datetime.now(UTC) + timedelta(minutes=5)
        digests.insert(row, until)
        digests.insert(row, until)
        assert rows.count("digests") == 1
        assert digests.pending(DAY, 5, 35, ("p", "1")) == []
        assert [w.product for w in digests.pending(DAY, 5, 35, ("p", "2"))] == ["Hush"]
        assert isinstance(window, PendingWindow)


def test_one_author_is_one_voice(settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str]) -> None:
    store(settings, 0, TEXTS, author="@loud")
    digest(voxpop, environment)
    assert len({event_id for row in shown(rows) for event_id in row[4]}) <= 1


def test_a_window_that_lost_its_texts_shows_no_digest(
    settings: Settings, rows: Rows, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    store(settings)
    digest(voxpop, environment)
    assert shown(rows)
    with connect(settings.clickhouse) as client:
        client.command("DELETE FROM insights WHERE event_id IN ('e-0', 'e-1', 'e-2')")
    assert digest(voxpop, environment) == 1
    assert shown(rows) == []
    assert digest(voxpop, environment) == 0


@pytest.fixture
def service(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`voxpop digests` as it runs beside workers, on hours and days."""
    command = [sys.executable, "-m", "workers.cli", "digests"]
    variables = os.environ | environment | {"VOXPOP_DIGESTS__WINDOWS": '["hour", "day"]'}
    running = subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL)
    yield running
    running.kill()
    running.wait()


def test_the_service_follows_what_comes_in_and_ends_cleanly(
    settings: Settings, rows: Rows, service: subprocess.Popen[bytes]
) -> None:
    store(settings, created_at="2026-11-12T10:30:00Z")
    kinds = "SELECT DISTINCT window_end - window_start AS s FROM v_digests ORDER BY s"
    wait_until(lambda: rows.select(kinds) == [(SECONDS["hour"],), (DAY,)], "digests of the hour and of the day")
    store(settings, 30, ("The hinge is broken.",), created_at="2026-11-12T10:40:00Z")
    newest = "SELECT min(revision) FROM v_digests"
    wait_until(lambda: rows.select(newest) == [(2,)], "both revised")
    assert service.poll() is None
    service.send_signal(signal.SIGTERM)
    assert service.wait(60) == 0
