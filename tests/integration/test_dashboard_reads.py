"""Which tables the dashboard reads, by ClickHouse's own plan: a raw row is read for a text, never for a figure."""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from clickhouse_connect.driver.client import Client

from dashboards import digests, quality_statements, statements
from dashboards.digests import AskedDigests, AskedSources
from dashboards.parameters import TextFilter, Window
from dashboards.statements import Statement
from workers.settings import Settings
from workers.store.connect import connect

WINDOW = Window(date(2026, 11, 9), date(2026, 11, 15))
FIGURES = {
    "latest day": statements.latest_day(None),
    "latest day of a product": statements.latest_day("x"),
    "totals": statements.totals(WINDOW),
    "totals of a product": statements.totals(WINDOW, "x"),
    "days": statements.daily(WINDOW),
    "days of a product": statements.daily(WINDOW, "x"),
    "days of a source": statements.daily_by_origin(WINDOW, None, "x", None),
    "aspects": statements.aspects(WINDOW),
    "aspects of products": statements.aspects_of_products(WINDOW),
    "days of an aspect": statements.aspect_daily(WINDOW, "x"),
    "issues": statements.issues(None, 5),
    "choices": statements.choices(),
    "packs": quality_statements.packs(WINDOW),
    "certainty": quality_statements.certainty(WINDOW),
    "drift": quality_statements.judgements(WINDOW),
    "drift of topics": quality_statements.topics(WINDOW),
    "latest": quality_statements.latest(),
    "throughput": quality_statements.throughput(60),
    "dead letters": quality_statements.dead_letter_reasons(),
    "digests": digests.latest(AskedDigests()),
}
TEXTS = {
    "texts": statements.texts(TextFilter(), 5),
    "count": statements.count_texts(TextFilter(product="x")),
    "export": statements.texts_for_file(TextFilter(), 5),
    "review": quality_statements.to_review(WINDOW, None, 5),
    "corrected": quality_statements.judged("x", "1"),
    "sources": digests.sources(AskedSources(product="x", event=["1"])),
}


@pytest.fixture(scope="module")
def client(migrated: Settings) -> Iterator[Client]:
    """With a row in every table: what is empty is not read."""
    with connect(migrated.clickhouse) as opened:
        moment = "toDateTime64('2026-11-12 10:00:00', 3, 'UTC')"
        columns = "product, source, event_id, event_time, ingested_at, `aspects.aspect`, `aspects.sentiment`,"
        opened.command(
            f"INSERT INTO insights ({columns} `aspects.confidence`, `aspects.start`, `aspects.end`, topic_vector)"
            f" VALUES ('x', 'x', '1', {moment}, now64(3), ['x'], ['negative'], [0.9], [0], [1], [127])"
        )
        opened.command("INSERT INTO dead_letters (topic, failed_at) VALUES ('x', now64(3))")
        opened.command("INSERT INTO digests (product, window_start, window_end) VALUES ('x', now(), now())")
        opened.command("INSERT INTO feedback (source, event_id) VALUES ('x', '1')")
        yield opened


def tables(client: Client, statement: Statement) -> set[str]:
    bound = {name: value for name, value in statement.parameters.items() if value is not None}
    settings = {"optimize_trivial_count_query": 0, "optimize_use_implicit_projections": 0}
    lines = client.query(f"EXPLAIN {statement.sql}", parameters=bound, settings=settings).result_rows
    return set(re.findall(r"ReadFromMergeTree \(voxpop\.(\w+)\)", "\n".join(line for (line,) in lines)))


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_is_worked_out_of_the_raw_rows(client: Client, name: str) -> None:
    read = tables(client, FIGURES[name])
    assert read
    assert "insights" not in read


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_read_where_they_lie(client: Client, name: str) -> None:
    assert "insights" in tables(client, TEXTS[name])


def test_the_window_s_figures_leave_other_months_alone(client: Client) -> None:
    """Tables are cut by month: two of the year's are read at most, whatever else there is."""
    client.command(
        "INSERT INTO insights (product, event_id, event_time, ingested_at, topic_vector) SELECT 'x', toString(number),"
        " toDateTime64('2026-01-15 00:00:00', 3, 'UTC') + toIntervalMonth(number), now64(3), [127] FROM numbers(12)",
        settings={"max_partitions_per_insert_block": 0},
    )
    for name in (
        "totals",
        "days",
        "days of a product",
        "aspects of products",
        "certainty",
        "packs",
        "drift",
        "drift of topics",
    ):
        statement = FIGURES[name]
        bound = {key: value for key, value in statement.parameters.items() if value is not None}
        plan = client.query(f"EXPLAIN indexes = 1 {statement.sql}", parameters=bound).result_rows
        told = "\n".join(line for (line,) in plan)
        kept = [int(parts) for parts in re.findall(r"Partition\n(?:.*\n)*?\s+Parts: (\d+)/\d+", told)]
        assert kept, told
        assert max(kept) <= 4, told  # of twelve months; a month may still have two parts
