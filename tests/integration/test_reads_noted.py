"""Who reads texts is on the record: once a window with counts, nothing of a text, and no page waits for it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from dashboards import reads as reads_module
from dashboards.application import application
from dashboards.figures import Figures
from schemas.taxonomy import load_taxonomy
from tests.by_hand import Rows, block, empty, process, review, wait_until
from tests.integration.conftest import Voxpop
from workers.settings import DashboardSettings, DashboardTokens, Settings
from workers.stack import Stack
from workers.store.connect import StoreUnavailable, connect

VIEWER, ANALYST, ADMIN = ("viewer-token-of-tests", "analyst-token-of-tests", "admin-token-of-tests")
TOKENS = DashboardTokens(viewer=(SecretStr(VIEWER),), analyst=(SecretStr(ANALYST),), admin=(SecretStr(ADMIN),))
TEXTS = 12
READ = (
    "SELECT who, action, details FROM audit WHERE action IN ('read', 'refused') ORDER BY who, action, details['view']"
)
NEVER_S = 3_600


@pytest.fixture
def settings(migrated: Settings) -> Settings:
    """A dozen texts, and no record."""
    empty(migrated)
    process(migrated, block(0, TEXTS, {n: review(n, f"I love the price of the Quokkaphone {n}") for n in range(TEXTS)}))
    return migrated


@contextmanager
def dashboard(settings: Settings, **changes: Any) -> Iterator[TestClient]:
    """Ended, it has written what it held."""
    asked = DashboardSettings(tokens=TOKENS, **({"audit_window_s": NEVER_S, "cache_s": 0.01} | changes))
    app = application(settings.model_copy(update={"dashboard": asked}), pages=False)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def get(client: TestClient, path: str, token: str = ANALYST, **asked: Any) -> int:
    answer = client.get(f"/api/v1/{path}", params=asked, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


def noted(settings: Settings) -> list[tuple[str, str, dict[str, str]]]:
    found = Rows(settings).select(READ)
    return [(who, action, {k: v for k, v in details.items() if k != "since"}) for who, action, details in found]


def test_equal_readings_of_a_window_are_one_row_that_says_how_often_and_how_many_texts(settings: Settings) -> None:
    with dashboard(settings) as client:
        for _ in range(25):
            assert get(client, "texts", limit=5) == 200
        assert get(client, "texts", limit=5, language="en") == 200
        assert get(client, "texts", ADMIN, limit=5) == 200
        assert noted(settings) == []  # no answer has waited for it
    plain = {"view": "texts", "reads": "25", "texts": "125"}
    filtered = {"view": "texts", "language": "en", "reads": "1", "texts": "5"}
    admin, *analyst = noted(settings)
    assert admin == ("admin-1", "read", {"view": "texts", "reads": "1", "texts": "5"})
    assert sorted(analyst, key=str) == sorted([("analyst-1", "read", plain), ("analyst-1", "read", filtered)], key=str)


def test_it_is_written_when_the_window_ends(settings: Settings) -> None:
    with dashboard(settings, audit_window_s=0.05) as client:
        assert get(client, "texts", limit=5) == 200
        wait_until(lambda: len(noted(settings)) == 1, "the record of the first window")
        assert get(client, "texts", limit=5) == 200
        wait_until(lambda: len(noted(settings)) == 2, "the record of the second")


def test_every_way_to_texts_is_noted_with_its_filters_and_nothing_of_a_text(settings: Settings) -> None:
    with connect(settings.clickhouse) as client:
        client.command(
            "INSERT INTO alerts (alert_id, kind, status, severity, `signals.kind`, `signals.aspect`, `signals.observed`,"
            " `signals.texts`, `signals.expected`, `signals.p_value`, event_ids, sources, quotes) VALUES ('a', 'volume',"
            " 'open', 'high', ['volume'], [''], [9], [9], [1], [0.001], ['e-1'], ['test'], ['the Quokkaphone'])"
        )
    with dashboard(settings) as asking:
        assert get(asking, "texts", q="Quokkaphone of Jane Doe", product="Product 1") == 200
        assert get(asking, "texts/sources", product="Product 1", event=["e-1", "e-6"]) == 200
        assert get(asking, "review", days=3660, limit=3) == 200
        assert get(asking, "texts.csv", sentiment="positive") == 200
        assert get(asking, "texts.parquet") == 200
        assert get(asking, "alerts") == 200
        assert get(asking, "alerts", VIEWER) == 200  # sees no quotation
        assert get(asking, "overview", VIEWER) == 200
    told = {details["view"]: (who, details) for who, _, details in noted(settings)}
    assert told == {
        "texts": ("analyst-1", {"view": "texts", "q": "given", "product": "Product 1", "reads": "1", "texts": "0"}),
        "texts/sources": (
            "analyst-1",
            {"view": "texts/sources", "event": "2", "product": "Product 1", "reads": "1", "texts": "2"},
        ),
        "review": ("analyst-1", {"view": "review", "days": "3660", "reads": "1", "texts": "3"}),
        "texts.csv": ("analyst-1", {"view": "texts.csv", "sentiment": "positive", "reads": "1", "texts": "12"}),
        "texts.parquet": ("analyst-1", {"view": "texts.parquet", "reads": "1", "texts": "12"}),
        "alerts": ("analyst-1", {"view": "alerts", "reads": "1", "texts": "1"}),
    }
    whole = str(Rows(settings).select("SELECT * FROM audit"))
    for secret in ("Quokkaphone", "Jane", "e-1", ANALYST):
        assert secret not in whole


def test_who_is_refused_is_on_the_record_too(settings: Settings) -> None:
    with dashboard(settings) as client:
        for path in ("texts", "texts.csv", "texts", "review?days=7"):
            assert get(client, path, VIEWER) == 403
        assert get(client, "dead-letters", ANALYST) == 403
        assert get(client, "texts", "no-token-of-this-place") == 401
    assert [(who, action, told["view"], told["reads"]) for who, action, told in noted(settings)] == [
        ("analyst-1", "refused", "dead-letters", "1"),
        ("viewer-1", "refused", "review", "1"),
        ("viewer-1", "refused", "texts", "2"),
        ("viewer-1", "refused", "texts.csv", "1"),
    ]


def test_texts_are_shown_while_the_record_cannot_be_written_and_are_noted_once_it_can(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    down, tried = threading.Event(), threading.Event()
    down.set()
    write = reads_module.note_all

    def fails(*arguments: Any) -> None:
        if down.is_set():
            tried.set()
            raise StoreUnavailable("the record is away")
        write(*arguments)

    monkeypatch.setattr(reads_module, "note_all", fails)
    with dashboard(settings, audit_window_s=0.05) as client:
        assert get(client, "texts", limit=5) == 200
        assert tried.wait(30)
        assert get(client, "texts", limit=5) == 200
        assert noted(settings) == []
        down.clear()
        wait_until(lambda: noted(settings) != [], "the record")
    assert [details for _, _, details in noted(settings)] == [{"view": "texts", "reads": "2", "texts": "10"}]


def test_where_the_record_is_required_no_text_is_shown_without_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = reads_module.note_all

    def fails(*_: Any) -> None:
        raise StoreUnavailable("the record is away")

    with dashboard(settings, audit_required=True) as client:
        monkeypatch.setattr(reads_module, "note_all", fails)
        assert [get(client, path) for path in ("texts", "texts.csv", "texts.parquet", "overview")] == [
            503,
            503,
            503,
            200,
        ]
        monkeypatch.setattr(reads_module, "note_all", write)
        assert get(client, "texts") == 200
        assert [details["view"] for _, _, details in noted(settings)] == ["texts", "texts.csv", "texts.parquet"]
        for _ in range(5):
            assert get(client, "texts") == 200
        assert len(noted(settings)) == 3  # of this window it is known already
    assert sum(int(told["reads"]) for _, _, told in noted(settings) if told["view"] == "texts") == 7


def test_however_many_filters_are_tried_few_lines_are_held(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads_module, "MOST_LINES", 3)
    with dashboard(settings) as client:
        for n in range(9):
            assert get(client, "texts", product=f"Product {n}") == 200
    found = noted(settings)
    assert len(found) == 4
    assert sum(int(details["reads"]) for _, _, details in found) == 9
    assert [details["reads"] for _, _, details in found if details.get("filters") == "many"] == ["6"]


def test_the_writer_is_the_one_that_writes_corrections(settings: Settings) -> None:
    """The embedded ClickHouse has one user: a name that it does not know is refused, so the name has been sent."""
    asked = DashboardSettings(
        feedback_username="voxpop_feedback", feedback_password=SecretStr("x"), audit_required=True
    )
    figures = Figures(settings.model_copy(update={"dashboard": asked}), load_taxonomy())
    with TestClient(application(settings, figures, pages=False), base_url="http://127.0.0.1") as client:
        assert get(client, "overview") == 200
        assert get(client, "texts") == 502
    assert noted(settings) == []


def test_the_command_line_notes_an_answer_without_its_question_and_lists_who_read(
    sample: Stack, voxpop: Voxpop, environment: dict[str, str]
) -> None:
    asked = voxpop(
        "ask",
        "What do they say of the battery?",
        "--product",
        "Tavio Hush",
        "--json",
        environment=environment,
    )
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["sentences"]
    listed = voxpop("audit", "--action", "read", "--json", environment=environment)
    lines = [json.loads(line) for line in listed.stdout.splitlines()]
    mine = [line["details"] for line in lines if line["details"]["view"] == "voxpop ask"]
    assert mine[0]["products"] == "Tavio Hush"
    assert int(mine[0]["texts"]) >= 1
    assert "battery" not in json.dumps(mine)  # others read by the aspect of that name
