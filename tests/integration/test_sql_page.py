"""Every statement of docs/SQL.md runs on the sample stream and answers something."""

import re
from pathlib import Path

import pytest

from workers.stack import Stack

PAGE = (Path(__file__).parents[2] / "docs" / "SQL.md").read_text(encoding="utf-8")
STATEMENTS = [block.strip().rstrip(";") for block in re.findall(r"^```sql\n(.*?)^```$", PAGE, re.S | re.M)]


def test_the_page_has_examples() -> None:
    assert len(STATEMENTS) >= 12


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda sql: " ".join(sql.split())[:40])
def test_the_statement_answers(sample: Stack, statement: str) -> None:
    assert sample.reader.select(statement).result_rows
