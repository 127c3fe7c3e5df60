"""Real Chromium on a real dashboard of the real stack. A page that logs an error, or asks anybody else, fails its test."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from dashboards.screenshot import browser as installed_browser
from tests.integration.conftest import (  # noqa: F401 - the stack's fixtures
    pytest_runtest_makereport,
    sample,
    stack,
    start_stack,
)
from workers.errors import UsageError
from workers.settings import Settings, as_environment
from workers.stack import Stack

Serve = Callable[[Settings], AbstractContextManager[str]]
Open = Callable[..., Any]

REFRESH = {"VOXPOP_DASHBOARD__REFRESH_S": "0.5", "VOXPOP_DASHBOARD__CACHE_S": "0.2"}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests. Skips where there is none, unless VOXPOP_REQUIRE_BROWSER=1."""
    try:
        from playwright.sync_api import sync_playwright

        executable = installed_browser()
    except (ImportError, UsageError) as error:
        reason = f"{error}; or run: make test-browser"
        if os.environ.get("VOXPOP_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Runs `voxpop dashboard` with the settings given, on a free port; gives its address."""

    @contextmanager
    def serving(settings: Settings) -> Iterator[str]:
        command = [sys.executable, "-m", "workers.cli", "dashboard", "--port", "0"]
        environment = os.environ | as_environment(settings) | REFRESH
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        try:
            assert process.stdout
            (address,) = re.findall(r"(http://\S+)/", process.stdout.readline())
            yield address
        finally:
            process.terminate()
            process.communicate(timeout=30)

    return serving


@pytest.fixture(scope="session")
def address(sample: Stack, serve: Serve) -> Iterator[str]:  # noqa: F811
    """A dashboard of the stack after the sample stream."""
    with serve(sample.settings) as found:
        yield found


@pytest.fixture
def open_page(chromium: Any, address: str) -> Iterator[Open]:
    """Opens a path in a browser of its own: (path, base, options of the context). Fails at the end if anything was wrong."""
    wrong: list[str] = []
    contexts = []

    def note(page: Any, base: str) -> None:
        page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "request", lambda r: None if r.url.startswith((base, "data:", "blob:")) else wrong.append(f"asked {r.url}")
        )

    def opened(path: str, base: str = address, **options: Any) -> Any:
        context = chromium.new_context(**({"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        note(page, base)
        page.goto(base + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
