"""Builders in processes of their own: two at once, and one that is killed half-way."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.reference.small_e5s1 import e5s1
from workers.slm.build import ensure_pack
from workers.slm.errors import PackError
from workers.slm.packs import load_pack

BUILD = """
import sys
from pathlib import Path
from workers.slm.build import ensure_pack
root = Path(sys.argv[2])
print(ensure_pack(sys.argv[1], root / "packs", root / "cache", progress=lambda line: print(line, flush=True)).version)
"""
# Stands still where a build is half done, and says so, until a line comes in.
STALL = """
import sys
from workers.slm import build
def stall(path):
    print("half built", flush=True)
    sys.stdin.readline()
build.sync = stall
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "base.bin").write_bytes(e5s1())
    document = {
        "name": "small",
        "version": "1",
        "date": "2026-01-01",
        "description": "For tests.",
        "licence": "MIT",
        "languages": ["en"],
        "base": {
            "name": "small",
            "licence": "MIT",
            "format": "e5s1",
            "sha256": {"weights": hashlib.sha256(e5s1()).hexdigest()},
            "sources": [{"kind": "directory", "path": str(tmp_path), "members": {"weights": "base.bin"}}],
        },
        "encoder": {"window_tokens": 16, "start_token": "<s>", "end_token": "</s>"},
    }
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def start(script: str, recipe: str, root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, recipe, str(root)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def read_to(builder: subprocess.Popen[str], wanted: str) -> list[str]:
    """The builder's lines up to the first that holds `wanted`. Fails when the builder ends before."""
    assert builder.stdout is not None
    lines: list[str] = []
    while not lines or wanted not in lines[-1]:
        lines.append(builder.stdout.readline())
        assert lines[-1], f"the builder ended without {wanted!r}: {lines}"
    return lines


def test_while_one_builds_another_waits_and_takes_what_it_built(recipe: str, tmp_path: Path) -> None:
    first = start(STALL + BUILD, recipe, tmp_path)
    read_to(first, "half built")
    second = start(BUILD, recipe, tmp_path)
    before = read_to(second, "waiting for another process")
    built, taken = first.communicate("go on\n", timeout=60)[0], second.communicate(timeout=60)[0]
    assert (first.returncode, second.returncode) == (0, 0), built + taken
    assert built.splitlines()[-1] == taken.splitlines()[-1]
    assert "building the pack" not in "".join(before) + taken


def test_a_builder_killed_half_way_leaves_no_pack_and_no_lock(recipe: str, tmp_path: Path) -> None:
    builder = start(STALL + BUILD, recipe, tmp_path)
    read_to(builder, "half built")
    builder.kill()
    builder.communicate(timeout=30)
    with pytest.raises(PackError):
        load_pack(tmp_path / "packs" / "small")
    assert list((tmp_path / "packs").glob(".building.small.*"))
    assert ensure_pack(recipe, tmp_path / "packs", tmp_path / "cache").name == "small"
    assert not list((tmp_path / "packs").glob(".building.small.*"))
