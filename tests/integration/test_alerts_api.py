"""Alerts through the API: figures for every role, quotes for those who may read texts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from dashboards.application import application
from schemas.alerts import Alert, AlertKind, AlertStatus, Example, Signal
from tests.by_hand import empty
from workers.settings import DashboardSettings, DashboardTokens, Settings
from workers.store.connect import connect
from workers.store.write import Writer

NOW = datetime(2026, 11, 10, tzinfo=UTC)
VIEWER, ANALYST = "a-viewer-s-token-0001", "an-analyst-s-token-01"
TOKENS = DashboardTokens(viewer=(SecretStr(VIEWER),), analyst=(SecretStr(ANALYST),))


def alert(number: int, product: str, status: AlertStatus) -> Alert:
    signal = Signal(
        kind=AlertKind.VOLUME, observed=40, texts=0, expected=6.5, p_value=1e-9, level=1e-3, test="negative binomial"
    )
    return Alert(
        alert_id=f"alert-{number}",
        revision=1,
        status=status,
        product=product,
        kind=AlertKind.VOLUME,
        severity="high",
        window_start=NOW + timedelta(days=number),
        window_end=NOW + timedelta(days=number + 1),
        signals=(signal,),
        examples=(Example(source="shop", event_id="e-1", quote="it caught fire"),),
    )


@pytest.fixture
def api(migrated: Settings) -> Iterator[TestClient]:
    empty(migrated)
    told = [
        alert(0, "Desk Lamp", AlertStatus.OPEN),
        alert(1, "Desk Lamp", AlertStatus.CLOSED),
        alert(2, "Kettle", AlertStatus.CLOSED),
    ]
    with connect(migrated.clickhouse) as client:
        Writer(client, migrated.clickhouse).insert_alerts(told, NOW)
    settings = migrated.model_copy(update={"dashboard": DashboardSettings(tokens=TOKENS)})
    with TestClient(application(settings, pages=False), base_url="http://127.0.0.1") as client:
        yield client


def get(api: TestClient, token: str, **asked: Any) -> list[dict[str, Any]]:
    answer = api.get("/api/v1/alerts", params=asked, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["alerts"]
    return found


def test_open_alerts_come_first_and_filters_narrow(api: TestClient) -> None:
    assert [row["alert_id"] for row in get(api, ANALYST)] == ["alert-0", "alert-2", "alert-1"]
    assert [row["alert_id"] for row in get(api, ANALYST, product="Desk Lamp", status="closed")] == ["alert-1"]
    assert [row["alert_id"] for row in get(api, ANALYST, limit=1)] == ["alert-0"]
    (signal,) = get(api, ANALYST)[0]["signals"]
    assert (signal["observed"], signal["expected"], signal["p_value"]) == (40, 6.5, 1e-9)


def test_quotes_are_for_those_who_may_read_texts(api: TestClient) -> None:
    assert {row["examples"][0]["quote"] for row in get(api, ANALYST)} == {"it caught fire"}
    assert {row["examples"][0]["quote"] for row in get(api, VIEWER)} == {""}


def test_wrong_parameters_are_refused(api: TestClient) -> None:
    headers = {"Authorization": f"Bearer {ANALYST}"}
    for wrong in ({"status": "half"}, {"limit": 0}, {"product": ""}, {"other": "x"}):
        assert api.get("/api/v1/alerts", params=wrong, headers=headers).status_code == 422
    hostile = "x' OR 1=1 --"
    assert get(api, ANALYST, product=hostile) == []
