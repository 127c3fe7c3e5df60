"""`voxpop up` shows its stack on a dashboard of its own; `voxpop dashboard` refuses what it must in one line."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Voxpop
from tests.integration.test_commands import processes_with


def get(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"{address}{path}", timeout=20) as answer:
        return json.load(answer)


def test_up_serves_a_dashboard_of_its_stack_until_it_is_told_to_stop(tmp_path: Path) -> None:
    rows = [f"r-{n},The battery number {n} is great,Phone,5,2026-11-02T10:00:00Z" for n in range(12)]
    (tmp_path / "reviews.csv").write_text(
        "\n".join(["id,text,product,rating,created_at", *rows, "x,,Phone,5,2026-11-02T10:00:00Z"])
    )
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "workers.cli", "up", "--input", str(tmp_path / "reviews.csv"), "--json"]
    command += ["--data", str(tmp_path / "data"), "--dashboard-port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"MARK": mark}
    )
    assert process.stdout
    assert process.stderr
    try:
        summary = json.loads(process.stdout.readline())
        assert (summary["insights"], summary["dead_letters"]) == (12, 1)
        said = []
        while not said or "Ctrl-C" not in said[-1]:
            said.append(process.stderr.readline())
            assert said[-1], "".join(said)
        (address,) = re.findall(r"^Dashboard +(http://127\.0\.0\.1:\d+)/$", "".join(said), re.M)
        assert get(address, "/api/v1/overview")["totals"]["texts"] == 12
        health = get(address, "/api/v1/health")
        assert sum(row["letters"] for row in health["dead_letters"]) == 1
        assert (health["workers"]["answered"], health["workers"]["lag"]) == (1, 0)
        with urllib.request.urlopen(address, timeout=20) as page:
            assert "text/html" in page.headers["Content-Type"]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    assert processes_with(f"MARK={mark}".encode()) == []


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--host", "0.0.0.0"], {}, "would be open to other machines; set VOXPOP_DASHBOARD__TOKENS"),
        ([], {"VOXPOP_TAXONOMY": "/nowhere.yaml"}, "/nowhere.yaml does not exist"),
    ],
)
def test_the_dashboard_refuses_to_start_in_one_line(
    voxpop: Voxpop, words: list[str], environment: dict[str, str], said: str
) -> None:
    done = voxpop("dashboard", *words, environment=environment)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_dashboard_ends_cleanly_when_it_is_told_to(environment: dict[str, str], number: signal.Signals) -> None:
    command = [sys.executable, "-m", "workers.cli", "dashboard", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    assert process.stdout
    try:
        (address,) = re.findall(r"(http://\S+)/", process.stdout.readline())
        assert get(address, "/healthz") == {"status": "ok"}
        process.send_signal(number)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_taken_address_is_named(voxpop: Voxpop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = voxpop("dashboard", "--port", str(port))
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
