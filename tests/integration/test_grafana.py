"""Every query of the Grafana dashboards answers on the embedded ClickHouse; every metric they read is one that we export."""

import json
import re
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

import workers.metrics  # noqa: F401 - registers what a worker exports
from workers.stack import Stack

FOLDER = Path(__file__).parents[2] / "dashboards" / "grafana"
BOARDS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}
TARGETS = [
    pytest.param(target, id=f"{name}: {panel['title']} {target['refId']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
VARIABLES = [variable["query"] for board in BOARDS.values() for variable in board["templating"]["list"]]


def as_sent(sql: str) -> str:
    """The query as Grafana's data source sends it: macros and variables filled for all products and all times."""
    sql = re.sub(
        r"\$__timeFilter\((\w+)\)",
        r"\1 >= toDateTime('2020-01-01 00:00:00') AND \1 <= toDateTime('2100-01-01 00:00:00')",
        sql,
    )
    return sql.replace("${product:singlequote}", "SELECT DISTINCT product FROM v_product_daily")


def of_kind(kind: str) -> list[Any]:
    return [param for param in TARGETS if kind in param.values[0]]


def test_both_dashboards_are_there_with_unique_panels() -> None:
    assert BOARDS.keys() == {"operations", "product"}
    for board in BOARDS.values():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("target", of_kind("rawSql"))
def test_a_query_answers_from_the_stable_views(sample: Stack, target: dict[str, Any]) -> None:
    sql = as_sent(target["rawSql"])
    assert "$" not in sql
    assert set(re.findall(r"(?:FROM|JOIN) (\w+)", sql)) <= {
        "v_product_daily",
        "v_aspect_trends",
        "v_top_issues",
        "v_recent",
    }
    answer = sample.reader.select(sql)
    assert answer.result_rows
    assert ("time" in answer.column_names) >= (target["queryType"] == "timeseries")


@pytest.mark.parametrize("sql", VARIABLES)
def test_a_variables_query_answers(sample: Stack, sql: str) -> None:
    assert sample.reader.select(sql).result_rows


@pytest.mark.parametrize("target", of_kind("expr"))
def test_a_prometheus_query_reads_what_a_worker_exports(target: dict[str, Any]) -> None:
    exported = {metric.name: metric for metric in prometheus_client.REGISTRY.collect()}
    read = set(re.findall(r"voxpop_\w+", target["expr"]))
    assert read
    for name in read:
        family = next((f for f in exported if name == f or re.fullmatch(rf"{f}_(total|sum|count|bucket)", name)), None)
        assert family, name
    labels = set(re.findall(r"by \(([\w, ]+)\)", target["expr"])) - {"le"}
    known = {
        label
        for collector in prometheus_client.REGISTRY._collector_to_names
        for label in getattr(collector, "_labelnames", ())
    }
    assert labels <= known
