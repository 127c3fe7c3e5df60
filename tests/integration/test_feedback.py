"""What people say of a label is kept, changes no figure, and is what `voxpop train` learns from."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from fastapi.testclient import TestClient
from pydantic import SecretStr

from dashboards.application import application
from tests.by_hand import Rows, block, process, review
from tests.integration.conftest import Voxpop
from workers.settings import DashboardSettings, DashboardTokens, Settings
from workers.store.connect import connect
from workers.store.feedback import corrected_texts

ANALYST = "an-analyst-of-these-tests"
TOKENS = DashboardTokens(analyst=(SecretStr("another-analyst-here"), SecretStr(ANALYST)))


@pytest.fixture(scope="module")
def settings(migrated: Settings) -> Settings:
    """Thirty reviews, all judged with the same confidence."""
    process(migrated, block(0, 30))
    return migrated.model_copy(update={"dashboard": DashboardSettings(cache_s=0.01, tokens=TOKENS)})


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {ANALYST}"}
    with TestClient(application(settings, pages=False), base_url="http://127.0.0.1", headers=headers) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_said_yet(settings: Settings) -> Iterator[Client]:
    with connect(settings.clickhouse) as client:
        client.command("TRUNCATE TABLE feedback")
        yield client


def correct(api: TestClient, event_id: str, label: str) -> Any:
    answer = api.post("/api/v1/feedback", json={"source": "test", "event_id": event_id, "label": label})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_correction_says_who_when_what_and_of_which_model(api: TestClient, settings: Settings) -> None:
    told = correct(api, "e-1", "positive")
    assert (told["old_label"], told["new_label"], told["corrected_by"]) == ("negative", "positive", "analyst-2")
    (row,) = Rows(settings).select(
        "SELECT source, event_id, product, head, toString(old_label), new_label, toString(confidence), pack, pack_version,"
        " corrected_by, content_hash = (SELECT content_hash FROM insights WHERE event_id = 'e-1'),"
        " abs(dateDiff('second', corrected_at, now())) < 60 FROM feedback"
    )
    assert row == (
        "test", "e-1", "Product 1", "sentiment", "negative", "positive", "0.9", "words", "1", "analyst-2", 1, 1
    )  # fmt: skip
    kept = str(Rows(settings).select("SELECT * FROM feedback"))
    assert ANALYST not in kept


def test_rows_are_only_added_and_the_latest_counts(api: TestClient, settings: Settings) -> None:
    for label in ("positive", "neutral", "negative", "neutral"):
        correct(api, "e-1", label)
    rows = Rows(settings)
    assert rows.count("feedback") == 4
    assert [text.label for text in corrected_texts(rows.reader, "sentiment")] == ["neutral"]


def test_the_figures_and_the_model_s_own_label_stay_as_they_are(api: TestClient, settings: Settings) -> None:
    before = Rows(settings).select("SELECT event_id, sentiment FROM insights ORDER BY event_id")
    overview = api.get("/api/v1/overview", params={"days": 3660}).json()
    correct(api, "e-1", "positive")
    assert Rows(settings).select("SELECT event_id, sentiment FROM insights ORDER BY event_id") == before
    assert api.get("/api/v1/overview", params={"days": 3660}).json() == overview


def test_what_has_been_looked_at_leaves_the_queue_and_the_least_sure_come_first(
    api: TestClient, settings: Settings
) -> None:
    with connect(settings.clickhouse) as client:
        sureness = "multiIf(event_id = 'e-7', 0.4, event_id = 'e-5', 0.5, sentiment_confidence)"
        client.command(
            f"ALTER TABLE insights UPDATE sentiment_confidence = {sureness} WHERE 1 SETTINGS mutations_sync = 2"
        )

    def queue() -> list[str]:
        found = api.get("/api/v1/review", params={"days": 3660, "limit": 100}).json()["texts"]
        return [text["event_id"] for text in found]

    assert queue()[:2] == ["e-7", "e-5"]
    assert len(queue()) == 30
    correct(api, "e-7", "neutral")
    assert queue()[0] == "e-5"
    assert len(queue()) == 29


def test_a_text_that_there_is_not_cannot_be_corrected(api: TestClient, settings: Settings) -> None:
    for event in ("nonesuch", "e-1' OR 1=1 --", "e-1\\"):
        answer = api.post("/api/v1/feedback", json={"source": "test", "event_id": event, "label": "neutral"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert Rows(settings).count("feedback") == 0


def test_a_text_that_has_changed_since_is_to_be_looked_at_again(api: TestClient, settings: Settings) -> None:
    correct(api, "e-2", "negative")
    text = "I love the battery of it, now that it has a new one"
    process(settings, block(30, 31, {30: review(2, text)}))
    assert corrected_texts(Rows(settings).reader, "sentiment") == []
    found = api.get("/api/v1/review", params={"days": 3660, "limit": 100}).json()["texts"]
    assert text in [each["text"] for each in found]


def test_who_may_only_read_needs_somebody_else_to_write_and_that_one_is_asked(settings: Settings) -> None:
    """The embedded ClickHouse has one user: a name that it does not know is refused, so the name has been sent."""
    other = settings.dashboard.model_copy(
        update={
            "feedback_username": "voxpop_feedback",
            "feedback_password": SecretStr("x"),
            "tokens": DashboardTokens(),
        }
    )
    app = application(settings.model_copy(update={"dashboard": other}), pages=False)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/api/v1/overview").status_code == 200
        answer = client.post("/api/v1/feedback", json={"source": "test", "event_id": "e-1", "label": "neutral"})
        assert answer.status_code == 502
    assert Rows(settings).count("feedback") == 0


def test_what_people_said_becomes_a_file_that_train_reads(
    api: TestClient, settings: Settings, voxpop: Voxpop, tmp_path: Path
) -> None:
    environment = {
        "VOXPOP_CLICKHOUSE__PORT": str(settings.clickhouse.port),
        "VOXPOP_STATE_DIR": str(Path(".voxpop").resolve()),
    }
    file = tmp_path / "mine.csv"
    nothing = voxpop("feedback", "export", str(file), environment=environment)
    assert (nothing.returncode, file.exists()) == (2, False)
    assert "page Review" in nothing.stderr
    labels = {f"e-{n}": ("negative", "neutral", "positive")[n % 3] for n in range(30)}
    for event, label in labels.items():
        correct(api, event, label)
    done = voxpop("feedback", "export", str(file), environment=environment)
    assert (done.returncode, "30 texts" in done.stdout) == (0, True), done.stderr
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    expected = dict(Rows(settings).select("SELECT text, event_id FROM insights"))
    assert {row["text"]: row["label"] for row in rows} == {text: labels[event] for text, event in expected.items()}
    state = tmp_path / "state"
    state.mkdir()
    (state / "cache").symlink_to(Path(".voxpop/cache").resolve())
    trained = voxpop(
        "train", str(file), "--head", "tone", "--title-column", "title", "--json",
        environment=environment | {"VOXPOP_STATE_DIR": str(state)}, timeout_s=200,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    report = json.loads(trained.stdout.splitlines()[-1])
    assert (report["labels"], report["train_rows"] + report["holdout_rows"]) == (
        ["negative", "neutral", "positive"],
        30,
    )
