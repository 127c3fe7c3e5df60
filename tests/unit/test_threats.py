"""The threat model claims nothing that a test does not back: every line names tests, and they are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "THREATS.md").read_text(encoding="utf-8")
LINES = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]


def test_every_line_of_the_table_names_what_stands_against_it_and_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert len(rows) == len(LINES) + 2  # the head and its rule
    assert all(len(line) == 3 and all(cell.strip() for cell in line) for line in LINES)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0].strip())
def test_the_tests_of_a_line_are_there(line: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line[2])
    assert len(named) == line[2].count("::")
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("threat", ["poisons", "orders", "model", "who wrote", "wears the system down"])
def test_every_threat_of_a_kind_that_is_asked_about_is_on_the_page(threat: str) -> None:
    assert [line for line in LINES if threat in line[0]]
