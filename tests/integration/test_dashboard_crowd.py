"""Two hundred clients at once, over sockets: each gets its answer, none what is not its own, and the service lives on."""

import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import pytest
from pydantic import SecretStr

from workers.settings import DashboardSettings, DashboardTokens, as_environment
from workers.stack import Stack

CLIENTS = 200
Served = tuple[subprocess.Popen[str], str]
VIEWER, ANALYST, ADMIN = ("viewer-of-the-crowd-test", "analyst-of-the-crowd-test", "admin-of-the-crowd-test")
TOKENS = DashboardTokens(viewer=(SecretStr(VIEWER),), analyst=(SecretStr(ANALYST),), admin=(SecretStr(ADMIN),))
SECRETS = (VIEWER, ANALYST, ADMIN)
# What two hundred ask for: (path, token, the answer's status).
GOOD = [
    ("/healthz", "", 200),
    ("/api/v1/overview?days=14", VIEWER, 200),
    ("/api/v1/products?days=7", VIEWER, 200),
    ("/api/v1/compare?product=Tavio+Hush&with=Zelko+P4", VIEWER, 200),
    ("/api/v1/drift", VIEWER, 200),
    ("/api/v1/health", VIEWER, 200),
    ("/api/v1/texts?limit=200", ANALYST, 200),
    ("/api/v1/texts.csv?product=Tavio+Hush", ANALYST, 200),
    ("/api/v1/texts.parquet", ANALYST, 200),
    ("/api/v1/dead-letters", ADMIN, 200),
]
BAD = [
    ("/api/v1/overview", "", 401),
    ("/api/v1/overview", "wrong" * 5, 401),
    ("/api/v1/overview", VIEWER[:-1], 401),
    (f"/api/v1/overview?token={ADMIN}", "", 401),
    ("/api/v1/texts", VIEWER, 403),
    ("/api/v1/review", VIEWER, 403),
    ("/api/v1/texts.parquet", VIEWER, 403),
    ("/api/v1/dead-letters", ANALYST, 403),
    ("/api/v1/texts?limit=99999999999999999999", ANALYST, 422),
    ("/api/v1/overview?days=-1", VIEWER, 422),
    ("/api/v1/texts?q=" + "x" * 20_000, ANALYST, 422),
    ("/api/v1/texts?cursor=" + "A" * 400, ANALYST, 422),
    ("/api/v1/texts?product=" + quote("' OR 1=1; DROP TABLE insights; --"), ANALYST, 200),
    ("/api/v1/products/" + quote("x'; TRUNCATE TABLE insights; --", safe=""), VIEWER, 404),
    ("/api/v1/compare?product=" + quote("') UNION ALL SELECT value FROM dead_letters --"), VIEWER, 404),
    ("/../../../../etc/passwd", ADMIN, 404),
    ("/assets/../../messages.yaml", ADMIN, 404),
    ("/assets/%2e%2e/%2e%2e/tokens.py", ADMIN, 404),
    ("/assets/..%2f..%2ftokens.py", ADMIN, 404),
    ("/api/v1/products/..%2f..%2f..%2fetc%2fpasswd", ADMIN, 404),
    ("/api/v1/%00", ADMIN, 404),
]


@pytest.fixture(scope="module")
def served(sample: Stack) -> Iterator[Served]:
    """`voxpop dashboard` with tokens, on a port of its own."""
    settings = sample.settings.model_copy(update={"dashboard": DashboardSettings(tokens=TOKENS, cache_s=0.05)})
    command = [sys.executable, "-m", "workers.cli", "dashboard", "--port", "0"]
    environment = os.environ | as_environment(settings)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout
        (address,) = re.findall(r"(http://\S+)/", process.stdout.readline())
        yield process, address
        process.terminate()


def ask(address: str, path: str, token: str) -> tuple[int, bytes]:
    """One request on a connection of its own, its path as it stands here."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=120)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_two_hundred_at_once_are_answered_and_the_hostile_among_them_get_nothing(served: Served, sample: Stack) -> None:
    process, address = served
    tables = "SELECT (SELECT count() FROM insights), (SELECT count() FROM dead_letters), (SELECT count() FROM feedback)"
    before = sample.reader.select(tables).result_rows
    asked = [(GOOD + BAD)[number % len(GOOD + BAD)] for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda each: ask(address, each[0], each[1]), asked))
    wrong = Counter(
        (path[:60], status, wanted)
        for (path, _, wanted), (status, _) in zip(asked, answers, strict=True)
        if status != wanted and not (wanted == 200 and status == 503)  # busy: it says when to come again
    )
    assert wrong == Counter()
    told = [body for (path, *_), (_, body) in zip(asked, answers, strict=True) if (path, 200) not in GOOD]
    assert not any(b"root:" in body or b"hmac" in body or b"Traceback" in body for body in told)
    assert not any(secret.encode() in body for body in told for secret in SECRETS)
    assert sample.reader.select(tables).result_rows == before
    assert process.poll() is None
    assert ask(address, "/healthz", "") == (200, b'{"status":"ok"}')
    for path, token, wanted in GOOD + BAD:  # and one after the other each gets what it should
        assert (path[:60], ask(address, path, token)[0]) == (path[:60], wanted)


def test_clients_that_say_nothing_or_nonsense_keep_nobody_else_waiting(served: Served) -> None:
    process, address = served
    parts = urlsplit(address)
    silent = [socket.create_connection((parts.hostname, parts.port)) for _ in range(CLIENTS)]
    try:
        for number, connection in enumerate(silent):
            if number % 3 == 1:
                connection.sendall(b"GET /api/v1/overview HTTP/1.1\r\nHost: 127")
            elif number % 3 == 2:
                connection.sendall(b"\x16\x03\x01\xff\xff nonsense \r\n\r\n")
        assert ask(address, "/api/v1/overview?days=14", VIEWER)[0] == 200
        head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as oversized:
            try:
                oversized.sendall(head)
                first = oversized.recv(64)
            except ConnectionError:
                first = b""
        assert first == b"" or first.startswith(b"HTTP/1.1 4")
    finally:
        for connection in silent:
            connection.close()
    assert process.poll() is None
    assert ask(address, "/healthz", "")[0] == 200
