"""What people see and do on the pages, in Chromium."""

import csv
import json
import re
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from dashboards.screenshot import main
from tests.browser.conftest import Open, Serve
from workers.settings import DashboardSettings, DashboardTokens, Settings
from workers.stack import Stack
from workers.store.connect import connect
from workers.store.migrate import migrate
from workers.stream.produce import AcknowledgedProducer, Outgoing

PAGES = ("/", "/product?name=Tavio+Hush&aspect=battery&with=Zelko+P4", "/explore", "/health", "/review")
HEADINGS = {"/": "Overview", "/explore": "Explore", "/health": "Quality and health", "/review": "Review"}


def rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in stack.reader.select(sql).result_rows]


def send(stack: Stack, number: str, text: str, product: str = "Live Thing") -> None:
    """An event of the sample's last day."""
    event = {"id": number, "kind": "review", "source": "test", "product": product, "text": text}
    value = json.dumps(event | {"created_at": "2026-11-15T12:00:00Z"}).encode()
    producer = AcknowledgedProducer(stack.settings.kafka)
    try:
        producer.send_all([Outgoing("voxpop.reviews", product.encode(), value)])
    finally:
        producer.close()


def wait_for_text(page: Any, selector: str, text: str) -> None:
    page.wait_for_function("([s, t]) => document.querySelector(s)?.textContent.includes(t)", arg=[selector, text])


def violations(page: Any) -> list[str]:
    """What axe finds wrong, WCAG 2.2 AA and its best practices."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {node['html'][:160]}" for v in found for node in v["nodes"]]


# --- every page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_shows_its_data_and_keeps_nobody_out(open_page: Open, path: str, scheme: str) -> None:
    page = open_page(path, color_scheme=scheme)
    page.wait_for_selector(".card:visible")
    wait_for_text(page, ".status", "Live")
    assert page.locator("h1").inner_text() == HEADINGS.get(path, "Tavio Hush")
    if path not in ("/explore", "/review"):
        page.wait_for_selector(".chart svg path", state="attached")
        assert page.locator(".chart").first.get_attribute("aria-label")
    assert violations(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_every_page_fits_a_telephone_and_speaks_spanish(open_page: Open, path: str) -> None:
    page = open_page(path, viewport={"width": 360, "height": 740}, locale="es-ES")
    page.wait_for_selector(".card:visible")
    wait_for_text(page, ".status", "En directo")
    assert page.locator("html").get_attribute("lang") == "es"
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert violations(page) == []


def test_the_overview_s_numbers_are_sql_s(open_page: Open, sample: Stack) -> None:
    page = open_page("/?days=14")
    page.wait_for_selector(".totals")
    ((texts, negative),) = rows(
        sample,
        "SELECT sum(volume), sum(v.negative) / sum(volume) FROM v_product_daily AS v"
        " WHERE day > (SELECT max(day) FROM v_product_daily) - 14",
    )
    values = page.locator(".totals .value").all_inner_texts()
    assert values[:2] == [f"{texts:,}", f"{100 * negative:.0f}%"]
    page.locator("details summary").first.click()
    assert page.locator("details table tbody tr").count() == 28


def test_another_period_changes_the_figures_and_the_address_without_a_reload(open_page: Open) -> None:
    page = open_page("/")
    page.wait_for_selector(".totals")
    page.evaluate("window.stayed = true")
    before = page.locator(".totals .value").first.inner_text()
    page.select_option("select[name=days]", "14")
    page.wait_for_function("b => document.querySelector('.totals .value').textContent !== b", arg=before)
    assert "days=14" in page.url
    assert page.evaluate("window.stayed")


# --- live ----------------------------------------------------------------------------------------------------------------


def test_new_insights_appear_on_every_page_without_a_reload(open_page: Open, sample: Stack) -> None:
    overview, explore, health = (open_page(path) for path in ("/", "/explore?product=Live+Thing", "/health"))
    overview.wait_for_selector(".totals")
    explore.wait_for_selector(".actions")
    health.wait_for_selector(".totals")
    everywhere = (overview, explore, health)
    for page in everywhere:
        page.evaluate("window.stayed = true")
    texts = int(overview.locator(".totals .value").first.inner_text())
    in_all = health.locator(".totals .then").first.inner_text()
    send(sample, "live-1", "The battery of this one is wonderful.")
    overview.wait_for_function("n => +document.querySelector('.totals .value').textContent === n", arg=texts + 1)
    overview.wait_for_selector("text=Live Thing")
    explore.get_by_role("button", name="Show 1 new").click()
    explore.wait_for_selector("text=wonderful")
    health.wait_for_function("t => document.querySelector('.totals .then').textContent !== t", arg=in_all)
    product = open_page("/product?name=Live+Thing")
    product.wait_for_selector(".texts")
    product.evaluate("window.stayed = true")
    product.get_by_label(re.compile("Show the texts about")).first.focus()
    key = product.evaluate("document.activeElement.dataset.key")
    send(sample, "live-2", "The battery of this one is awful.")
    product.wait_for_selector("text=awful")
    assert product.evaluate("document.activeElement.dataset.key") == key  # who reads on is not thrown out
    assert all(page.evaluate("window.stayed") for page in (*everywhere, product))


def test_a_page_that_nobody_looks_at_rests(open_page: Open, sample: Stack) -> None:
    hidden, shown = open_page("/"), open_page("/")
    for page in (hidden, shown):
        page.wait_for_selector(".totals")
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    hidden.evaluate(hide, True)
    first = ".totals .value"
    before = hidden.locator(first).first.inner_text()
    for number in range(2):  # the first may meet a refresh that was under way
        send(sample, f"rest-{number}", "Fine.")
        shown.wait_for_function(
            "([s, n]) => +document.querySelector(s).textContent >= n", arg=[first, int(before) + 1 + number]
        )
    assert int(hidden.locator(first).first.inner_text()) <= int(before) + 1
    hidden.evaluate(hide, False)
    hidden.wait_for_function("([s, n]) => +document.querySelector(s).textContent >= n", arg=[first, int(before) + 2])


# --- explore -------------------------------------------------------------------------------------------------------------


def test_filters_narrow_what_is_shown_and_stay_in_the_address(open_page: Open, sample: Stack) -> None:
    page = open_page("/explore")
    page.wait_for_selector(".texts > li")
    page.select_option("select[name=product]", "Garza Air")
    page.select_option("select[name=sentiment]", "negative")
    page.select_option("select[name=language]", "es")
    where = "product = 'Garza Air' AND sentiment = 'negative' AND language = 'es'"
    ((expected,),) = rows(sample, f"SELECT count() FROM insights WHERE {where}")
    wait_for_text(page, ".actions .count", f"{expected} texts")
    assert set(page.locator(".texts .tag").all_inner_texts()) == {"negative"}
    assert set(page.locator(".texts .about a").all_inner_texts()) == {"Garza Air"}
    assert "language=es" in page.url
    page.fill("input[type=search]", "no such words at all")
    wait_for_text(page, ".state strong", "No text matches")
    page.reload()
    page.wait_for_selector("text=No text matches")
    assert page.input_value("select[name=product]") == "Garza Air"
    page.get_by_role("link", name="Clear filters").click()
    page.wait_for_selector(".texts > li")


def test_the_evidence_of_the_chosen_aspect_is_what_is_marked(open_page: Open, sample: Stack) -> None:
    expected = {
        " ".join(words.split())
        for (words,) in rows(
            sample,
            "SELECT evidence FROM aspect_mentions WHERE product = 'Zelko P4' AND aspect = 'camera'"
            " AND event_time >= '2026-11-09'",
        )
    }
    page = open_page("/product?name=Zelko+P4")
    page.get_by_label("Show the texts about Camera").click()
    page.wait_for_selector("text=What they say about Camera")
    marked = page.evaluate(
        "[...document.querySelectorAll('mark')].map(m => { const c = m.cloneNode(true);"
        " c.querySelectorAll('span').forEach(s => s.remove()); return c.textContent; })"
    )
    assert {" ".join(words.split()) for words in marked} == expected
    assert page.locator("mark").first.evaluate("m => getComputedStyle(m).textDecorationLine") == "underline"
    assert page.locator("button[aria-pressed=true]").inner_text() == "Camera"


def test_html_in_a_text_is_shown_and_never_obeyed(open_page: Open, sample: Stack) -> None:
    hostile = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script> 'great' battery & sound"
    send(sample, "hostile-1", hostile, "<b onmouseover=window.pwned=1>Thing</b>")
    page = open_page("/explore?q=onerror")
    page.get_by_role("button", name="Show 1 new").or_(page.locator(".texts > li")).first.wait_for()
    if page.get_by_role("button", name="Show 1 new").count():
        page.get_by_role("button", name="Show 1 new").click()
    page.wait_for_selector(".texts .said")
    assert page.locator(".texts .said img, .texts .said script, .texts .about b").count() == 0
    assert '<img src=x onerror="window.pwned=1">' in page.locator(".texts .said").first.inner_text()
    page.locator(".texts .about a").first.click()
    page.wait_for_selector("h1:has-text('<b onmouseover')")
    assert page.evaluate("window.pwned === undefined")


def test_the_export_holds_what_is_shown(open_page: Open, sample: Stack, tmp_path: Any) -> None:
    page = open_page("/explore?product=Hotel+Solvenar&sentiment=positive")
    page.wait_for_selector(".texts > li")
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download CSV").click()
    loading.value.save_as(tmp_path / "texts.csv")
    with (tmp_path / "texts.csv").open(encoding="utf-8-sig", newline="") as lines:
        found = list(csv.DictReader(lines))
    where = "product = 'Hotel Solvenar' AND sentiment = 'positive'"
    assert sorted(row["event_id"] for row in found) == sorted(
        event for (event,) in rows(sample, f"SELECT event_id FROM insights WHERE {where}")
    )
    assert loading.value.suggested_filename == "voxpop-texts.csv"


def test_the_parquet_export_is_a_parquet_file_of_what_is_shown(open_page: Open, tmp_path: Any) -> None:
    page = open_page("/explore?product=Hotel+Solvenar&sentiment=positive")
    page.wait_for_selector(".texts > li")
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download Parquet").click()
    loading.value.save_as(tmp_path / "texts.parquet")
    document = (tmp_path / "texts.parquet").read_bytes()
    assert (document[:4], document[-4:]) == (b"PAR1", b"PAR1")  # tests/integration/test_dashboard_api.py reads it
    assert loading.value.suggested_filename == "voxpop-texts.parquet"


def test_the_sql_shown_finds_the_texts_shown_and_can_be_copied(open_page: Open, sample: Stack) -> None:
    page = open_page("/explore?aspect=battery&polarity=negative&q='", permissions=["clipboard-read", "clipboard-write"])
    page.wait_for_selector(".actions")
    page.locator("summary:has-text('SQL')").click()
    page.get_by_role("button", name="Copy").click()
    page.wait_for_selector("button:has-text('Copied')")
    sql = page.evaluate("navigator.clipboard.readText()")
    assert sql == page.locator("#sql").inner_text()
    result = sample.reader.select(sql)
    at = list(result.column_names).index("event_id")
    shown = [
        event.rsplit("/", 1)[1]
        for event in page.locator(".texts > li").evaluate_all("l => l.map(e => e.dataset.event)")
    ]
    assert shown == [row[at] for row in result.result_rows[:50]]


def test_more_texts_follow_the_first_without_a_gap(open_page: Open, sample: Stack) -> None:
    page = open_page("/explore")
    page.wait_for_selector(".texts > li:nth-child(50)")
    page.get_by_role("button", name="More texts").click()
    page.wait_for_selector(".texts > li:nth-child(100)")
    events = page.locator(".texts > li").evaluate_all("l => l.map(e => e.dataset.event)")
    sql = "SELECT concat(source, '/', event_id) FROM insights ORDER BY event_time DESC, topic DESC, topic_id DESC,"
    expected = rows(sample, f"{sql} partition DESC, offset DESC LIMIT 100")
    assert events == [event for (event,) in expected]


# --- side by side, digests, review, drift ---------------------------------------------------------------------------------


def test_a_product_is_set_beside_another_and_the_address_says_so(open_page: Open, sample: Stack) -> None:
    page = open_page("/product?name=Tavio+Hush&days=14")
    page.wait_for_selector(".versus")
    page.evaluate("window.stayed = true")
    assert "Nov" in page.locator(".versus thead").first.inner_text()  # its own days before
    page.select_option("select[name=with]", "Zelko P4")
    wait_for_text(page, ".versus thead", "Zelko P4")
    assert "with=Zelko" in page.url
    assert page.evaluate("window.stayed")
    within = "day > (SELECT max(day) FROM v_product_daily WHERE product = 'Tavio Hush') - 14"
    sql = f"SELECT sum(volume), sum(negative) / sum(volume) FROM v_product_daily WHERE {within} AND product ="
    for at, product in enumerate(("Tavio Hush", "Zelko P4")):
        ((texts, share),) = rows(sample, f"{sql} '{product}'")
        cells = [page.locator(f".versus tbody tr:nth-child({row}) td").nth(at).inner_text() for row in (1, 2)]
        assert cells == [f"{texts:,}", f"{100 * share:.0f}%"]
    page.goto(page.url)  # as somebody else opens the link
    wait_for_text(page, ".versus thead", "Zelko P4")
    page.select_option("select[name=with]", "")
    page.wait_for_function("!document.querySelector('.versus thead').textContent.includes('Zelko')")
    assert "with=" not in page.url


def test_a_sentence_of_a_digest_opens_its_sources(open_page: Open, sample: Stack) -> None:
    page = open_page("/product?name=Zelko+P4")
    page.wait_for_selector("text=No digest yet")
    assert violations(page) == []
    cited = [event for (event,) in rows(sample, "SELECT event_id FROM insights WHERE product = 'Zelko P4' LIMIT 2")]
    columns = "product, window_start, window_end, revision, texts, sentences, citations, support, method, created_at"
    digest = ["Zelko P4", datetime(2026, 11, 15, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC), 0, 9]
    digest += [["The <b>camera</b> is loved."], [cited], [0.9], "extractive", datetime(2026, 11, 16, tzinfo=UTC)]
    with connect(sample.settings.clickhouse) as client:
        client.insert("digests", [digest], column_names=columns.split(", "))
    try:
        sentence = page.get_by_role("button", name="The <b>camera</b> is loved. sources: 2")
        sentence.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".cited .texts > li")
        shown = page.locator(".cited .texts > li").evaluate_all("l => l.map(e => e.dataset.event.split('/').pop())")
        assert sorted(shown) == sorted(cited)
        assert sentence.get_attribute("aria-expanded") == "true"
        assert violations(page) == []
        overview = open_page("/")
        overview.wait_for_selector("[data-digest='Zelko P4']")
        sentence.click()
        page.wait_for_selector(".cited", state="detached")
    finally:
        with connect(sample.settings.clickhouse) as client:
            client.command("TRUNCATE TABLE digests")


def test_a_person_corrects_a_label_and_it_is_kept(open_page: Open, sample: Stack) -> None:
    page = open_page("/review?days=14")
    page.wait_for_selector(".texts > li")
    queue = "SELECT source, event_id FROM insights ORDER BY sentiment_confidence LIMIT 1"
    ((source, event),) = rows(sample, queue)
    first = page.locator(".texts > li").first
    assert first.get_attribute("data-event") == f"{source}/{event}"
    ((model,),) = rows(sample, f"SELECT toString(sentiment) FROM insights WHERE event_id = '{event}'")
    other = "positive" if model != "positive" else "negative"
    first.get_by_role("button", name=other).focus()
    page.keyboard.press("Enter")
    wait_for_text(page, ".texts > li .labels [role=status]", "Corrected")
    assert first.get_by_role("button", name=other).get_attribute("aria-pressed") == "true"
    assert page.evaluate(
        "document.activeElement.closest('.labels') !== null"
    )  # who goes on by keyboard is not thrown out
    assert violations(page) == []
    kept = f"SELECT toString(old_label), new_label, corrected_by FROM feedback WHERE event_id = '{event}'"
    assert rows(sample, kept) == [(model, other, "local")]
    page.get_by_role("button", name="Next texts").click()
    page.wait_for_function("e => document.querySelector('.texts > li').dataset.event !== e", arg=f"{source}/{event}")


def test_drift_is_told_in_words_and_by_shape(open_page: Open, sample: Stack) -> None:
    page = open_page("/health")
    page.wait_for_selector("[data-drift=sentiment]")
    read = page.locator("[data-drift=sentiment] td").first.inner_text().strip()
    assert re.match(r"(steady|moving|shifted) \(", read)
    sign = "[data-drift=sentiment] .sign"
    assert page.locator(sign).get_attribute("aria-hidden") == "true"
    assert page.evaluate(f"getComputedStyle(document.querySelector('{sign}')).clipPath") or read.startswith("steady")
    page.locator("summary:has-text('Sentiment in detail')").click()
    page.wait_for_selector("text=Four weeks before")
    assert read.split(" (")[0] in str(page.locator(".chart[aria-label*='Stability index']").get_attribute("aria-label"))


# --- theme, language, keyboard ---------------------------------------------------------------------------------------------


def test_the_theme_is_the_system_s_until_it_is_chosen_and_then_stays(open_page: Open) -> None:
    page = open_page("/", color_scheme="dark")
    page.wait_for_selector(".totals")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").wait_for()
    light = page.evaluate(background)
    assert sum(map(int, re.findall(r"\d+", light)[:3])) > 600 > 200 > sum(map(int, re.findall(r"\d+", dark)[:3]))
    page.reload()
    page.get_by_role("button", name="Theme: light").click()
    page.get_by_role("button", name="Theme: dark").wait_for()
    assert page.evaluate(background) == dark


def test_the_language_can_be_switched_and_numbers_follow(open_page: Open) -> None:
    page = open_page("/product?name=Tavio+Hush&days=14")
    page.wait_for_selector(".totals")
    page.get_by_role("button", name="Español").click()
    page.wait_for_selector("text=Textos y su sentimiento")
    assert page.locator("html").get_attribute("lang") == "es"
    assert page.title() == "Producto · Voxpop"
    assert re.search(r"\d,\d", page.locator(".totals").inner_text())
    assert page.locator("text=Batería").count()
    page.get_by_role("button", name="English").click()
    page.wait_for_selector("text=Texts and their sentiment")


def test_the_keyboard_reaches_everything_in_order(open_page: Open) -> None:
    page = open_page("/")
    page.wait_for_selector(".totals")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id || location.hash") in ("content", "#content")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#content') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_picture_of_the_readme_can_be_taken(address: str, chromium: Any, tmp_path: Any) -> None:
    assert main(["--out", str(tmp_path / "docs" / "page.png"), "--address", f"{address}/", "--width", "900"]) == 0
    picture = (tmp_path / "docs" / "page.png").read_bytes()
    assert int.from_bytes(picture[16:20], "big") == 900  # the width in a PNG's header
    assert len(picture) > 40_000  # an empty page has a fifth of that


# --- states --------------------------------------------------------------------------------------------------------------


def test_without_clickhouse_a_page_says_so_and_what_to_do(open_page: Open, serve: Serve, sample: Stack) -> None:
    away = sample.settings.clickhouse.model_copy(update={"port": 1, "connect_timeout_s": 1})
    with serve(sample.settings.model_copy(update={"clickhouse": away})) as base:
        page = open_page("/", base)
        page.wait_for_selector("[role=alert]:has-text('ClickHouse does not answer')")
        wait_for_text(page, ".status", "Waiting for ClickHouse")
        assert violations(page) == []
        page.context.close()


def test_while_clickhouse_takes_its_time_a_page_shows_that_it_loads(
    open_page: Open, serve: Serve, sample: Stack
) -> None:
    with socket.socket() as silent:  # takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        slow = sample.settings.clickhouse.model_copy(update={"port": silent.getsockname()[1]})
        with serve(sample.settings.model_copy(update={"clickhouse": slow})) as base:
            page = open_page("/", base)
            page.wait_for_selector(".skeleton")
            assert page.locator("[role=status]:has-text('Loading figures')").count() == 1
            assert violations(page) == []
            page.context.close()


def test_before_the_first_text_a_page_says_that_it_waits(open_page: Open, serve: Serve, sample: Stack) -> None:
    empty = sample.settings.clickhouse.model_copy(update={"database": "empty"})
    settings = sample.settings.model_copy(update={"clickhouse": empty})
    migrate(settings)
    with serve(settings) as base:
        for path in ("/", "/product", "/explore", "/health", "/review"):
            page = open_page(path, base)
            page.wait_for_selector("text=No texts yet")
            assert violations(page) == []
            page.context.close()


def test_an_unknown_product_is_named(open_page: Open) -> None:
    page = open_page("/product?name=Nonesuch")
    page.wait_for_selector("text=There is no text about this product")
    assert page.locator("h1").inner_text() == "Nonesuch"


def test_where_tokens_are_set_a_browser_signs_in_and_sees_what_its_role_may(
    open_page: Open, serve: Serve, sample: Stack
) -> None:
    viewer = "a-viewer-token-of-this-test"
    dashboard = DashboardSettings(tokens=DashboardTokens(viewer=(SecretStr(viewer),)))
    settings: Settings = sample.settings.model_copy(update={"dashboard": dashboard})
    with serve(settings) as base:
        page = open_page("/explore", base)
        assert page.url == f"{base}/sign-in"
        assert violations(page) == []
        page.get_by_label("Token").fill(viewer)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector(".totals")
        assert viewer not in page.url
        (cookie,) = (c for c in page.context.cookies() if c["name"] == "voxpop_session")
        assert (cookie["httpOnly"], cookie["sameSite"], viewer in cookie["value"]) == (True, "Strict", False)
        for path in ("/explore", "/review"):
            page.goto(f"{base}{path}")
            page.wait_for_selector("text=it needs the role analyst")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{base}/sign-in")
        page.goto(f"{base}/health")
        assert page.url == f"{base}/sign-in"
        page.context.close()
