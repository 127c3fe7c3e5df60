"""When a page shows its figures, by the browser's own clock, in a browser that has never been there."""

import importlib.util
from collections.abc import Callable
from urllib.parse import quote

from dashboards.screenshot import browser
from workers.errors import UsageError

PAGES = ("overview", "product", "explore", "health", "review")
TIMEOUT_MS = 60_000
# Notes the first frame in which the page is live, and every chart that is visible has been drawn.
_NOTE = """
new MutationObserver((_, observer) => {
  const live = document.querySelector(".status:not(.is-stale)");
  const charts = [...document.querySelectorAll(".chart")].filter((chart) => chart.offsetParent);
  if (!live || !charts.every((chart) => chart.querySelector("svg path"))) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => (window.painted = performance.now())));
}).observe(document, { childList: true, subtree: true });
"""


def first_paints(
    address: str, product: str, rounds: int, said: Callable[[str], None]
) -> tuple[dict[str, list[float]], str]:
    """Page -> milliseconds from the request to the first frame with all figures; and why there are none, or ""."""
    if importlib.util.find_spec("playwright") is None:
        return {}, "playwright is not installed: pip install -e '.[browser]'"
    try:
        executable = browser()
    except UsageError as error:
        return {}, str(error)
    from playwright.sync_api import sync_playwright

    paths = {
        "overview": "",
        "product": f"product?name={quote(product)}&days=30",
        "explore": "explore",
        "health": "health",
        "review": "review",
    }
    taken: dict[str, list[float]] = {page: [] for page in PAGES}
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            for number in range(rounds):
                for name, path in paths.items():
                    context = started.new_context(viewport={"width": 1280, "height": 900})
                    page = context.new_page()
                    page.add_init_script(_NOTE)
                    page.goto(address + path)
                    page.wait_for_function("window.painted", timeout=TIMEOUT_MS)
                    taken[name].append(round(page.evaluate("window.painted"), 1))
                    context.close()
                said(f"first paints: round {number + 1} of {rounds}")
        finally:
            started.close()
    return taken, ""
