"""Alerts on the pages: open ones on Overview, marks on the product's chart, the words behind them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from schemas.alerts import Alert, AlertKind, AlertStatus, Example, Signal
from tests.browser.conftest import Open
from tests.browser.test_pages import violations, wait_for_text
from workers.stack import Stack
from workers.store.connect import connect
from workers.store.write import Writer

BEGAN = datetime(2026, 11, 10, tzinfo=UTC)
QUOTE = "It <b>dies</b> by noon since the update"
SIGNAL = Signal(
    kind=AlertKind.NEGATIVE_SHARE, observed=10, texts=12, expected=1.5, p_value=9e-6, level=0.0015, test="beta-binomial"
)
ALERT = Alert(
    alert_id="browser-test",
    revision=1,
    status=AlertStatus.OPEN,
    product="Tavio Hush",
    kind=AlertKind.NEGATIVE_SHARE,
    aspect="battery",
    severity="high",
    window_start=BEGAN,
    window_end=BEGAN + timedelta(days=1),
    signals=(SIGNAL,),
    examples=(Example(source="x", event_id="1", quote=QUOTE),),
)


@pytest.fixture
def alert(sample: Stack) -> Iterator[Writer]:
    """An open alert of Tavio Hush in the table; gone after the test."""
    with connect(sample.settings.clickhouse) as client:
        writer = Writer(client, sample.settings.clickhouse)
        writer.insert_alerts([ALERT], datetime.now(UTC))
        yield writer
        client.command("TRUNCATE TABLE alerts")


def test_an_open_alert_is_on_the_overview_and_its_end_is_seen_without_a_reload(open_page: Open, alert: Writer) -> None:
    page = open_page("/")
    item = page.locator("[data-alert=browser-test]")
    item.wait_for()
    assert item.get_attribute("data-status") == "open"
    told = item.inner_text()
    assert "Tavio Hush" in told
    assert "10 of 12 texts, 1.5 expected" in told
    assert "p < 0.001" in told
    assert QUOTE in told, "a stranger's markup is shown, not obeyed"
    assert violations(page) == []
    closed = {"revision": 2, "status": AlertStatus.CLOSED, "closed_at": BEGAN + timedelta(days=2)}
    alert.insert_alerts([ALERT.model_copy(update=closed)], datetime.now(UTC))
    page.wait_for_selector("[data-alert=browser-test][data-status=closed]")
    item.get_by_role("link").click()
    page.wait_for_url("**/product?*")


def test_an_alert_is_marked_on_the_product_s_chart_and_told_in_words(open_page: Open, alert: Writer) -> None:
    page = open_page("/product?name=Tavio+Hush", locale="es-ES")
    page.locator("[data-alert=browser-test]").wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.chart svg text')].some(t => t.textContent.includes('Más quejas'))"
    )
    label = page.locator(".chart").first.get_attribute("aria-label")
    assert "Alerta, Más quejas: del 10 nov al 10 nov." in label.replace("\u00a0", " ")
    wait_for_text(page, "[data-alert=browser-test]", "10 de 12 textos, se esperaban 1,5")
    assert violations(page) == []
