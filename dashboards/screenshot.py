"""A picture of a running dashboard, by the Chromium at hand: `python -m dashboards.screenshot --out docs/dashboard.png`.

voxpop up            # in another terminal; its sample stream is what the picture in the README shows
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from workers.errors import UsageError, VoxpopError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
MACOS_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
LOAD_MS = 15_000  # of the page's own clock, which runs ahead of ours while nothing is under way
TIMEOUT_S = 120
TRIES = 6  # a page may be sent before its figures, which are there the next time
SHOWS_FIGURES = b'class="status"'  # see status.html: nothing is loading, and ClickHouse has answered
PNG = b"\x89PNG\r\n\x1a\n"


def main(arguments: list[str] | None = None) -> int:
    """Writes the picture; 1 and one line on standard error when it cannot."""
    parser = argparse.ArgumentParser(description="A picture of a running dashboard")
    parser.add_argument("--out", type=Path, required=True, help="where the PNG goes")
    parser.add_argument("--address", default="http://127.0.0.1:8080/", help="the page, with what it is asked for")
    parser.add_argument("--width", type=int, default=1360)
    parser.add_argument("--height", type=int, default=1260)
    parser.add_argument("--language", default="en", help="what the browser says it prefers")
    options = parser.parse_args(arguments)
    try:
        take(options.address, options.out, (options.width, options.height), options.language)
    except VoxpopError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.out} has {options.out.stat().st_size:,} bytes")
    return 0


def browser() -> str:
    """The Chromium or Chrome of this machine. Raises `UsageError` when there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and MACOS_BROWSER.exists():
        found = str(MACOS_BROWSER)
    if found is None:
        raise UsageError("there is no Chromium: install it (on Debian: apt-get install chromium)")
    return found


def take(address: str, out: Path, size: tuple[int, int], language: str = "en") -> None:
    """Draws the page at `address` into a PNG of `size` pixels. Raises `VoxpopError` when it cannot be reached or drawn."""
    _check_reachable(address)
    with tempfile.TemporaryDirectory(prefix="voxpop-screenshot-") as directory:
        for _ in range(TRIES):
            picture, document = _drawn(address, Path(directory), size, language)
            if picture.startswith(PNG) and SHOWS_FIGURES in document:
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_bytes(picture)
                return
    raise VoxpopError(f"the page at {address} shows no figures; look at it in a browser")


def _drawn(address: str, directory: Path, size: tuple[int, int], language: str) -> tuple[bytes, bytes]:
    """The picture, empty when there is none, and the document that it shows."""
    made = directory / "page.png"
    made.unlink(missing_ok=True)
    command = [
        browser(),
        "--headless",
        "--no-sandbox",  # it shows our own page only, and root has no sandbox
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={directory / 'profile'}",
        f"--window-size={size[0]},{size[1]}",
        f"--lang={language}",
        f"--accept-lang={language}",
        f"--virtual-time-budget={LOAD_MS}",
        "--dump-dom",
        f"--screenshot={made}",
        address,
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)  # noqa: S603 - no shell
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise VoxpopError(f"Chromium drew no picture of {address} ({type(error).__name__}); try it by hand") from error
    return made.read_bytes() if made.exists() else b"", done.stdout


def _check_reachable(address: str) -> None:
    try:
        with urllib.request.urlopen(address, timeout=30):  # noqa: S310 - the caller's own address
            return
    except (urllib.error.URLError, ValueError) as error:
        raise UsageError(f"no dashboard answers at {address} ({error}); start one with: voxpop up") from error


if __name__ == "__main__":
    sys.exit(main())
