"""Every figure of the API equals a recount by SQL of the rows, on the sample stream; nothing that is sent becomes SQL."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from dashboards.application import application
from dashboards.emerging import emerging
from dashboards.figures import Figures
from dashboards.parameters import TextFilter, Window
from dashboards.readable_sql import readable
from dashboards.statements import Statement, aspects_of_products, texts, totals
from schemas.samples import sample_messages
from schemas.taxonomy import load_taxonomy
from workers.settings import DashboardSettings, Settings
from workers.stack import Stack
from workers.store.connect import StoreUnavailable, connect

DAYS = {"from": "2026-11-09", "to": "2026-11-15"}
IN = "toDate(event_time) BETWEEN '2026-11-09' AND '2026-11-15'"
BEFORE = "toDate(event_time) BETWEEN '2026-11-02' AND '2026-11-08'"
MIX = "countIf(sentiment = 'negative'), countIf(sentiment = 'neutral'), countIf(sentiment = 'positive')"
HOSTILE = [
    "' OR 1=1 --",
    "x'; DROP TABLE insights; --",
    "\\' OR '1'='1",
    "{product:String}",
    "') UNION ALL SELECT value FROM dead_letters --",
    "%s %(x)s {}",
    "\n;SELECT 1",
    "`insights`",
    "🙂\u202e\\x00",
]


def dashboard_settings(stack: Stack, **changes: Any) -> Settings:
    return stack.settings.model_copy(update={"dashboard": DashboardSettings(cache_s=0.01, **changes)})


@pytest.fixture(scope="module")
def api(sample: Stack) -> Iterator[TestClient]:
    with TestClient(application(dashboard_settings(sample), pages=False), base_url="http://127.0.0.1") as client:
        yield client


def get(api: TestClient, path: str, **parameters: Any) -> Any:
    answer = api.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in stack.reader.select(sql).result_rows]


def mix(row: dict[str, Any]) -> tuple[int, ...]:
    return row["texts"], row["negative"], row["neutral"], row["positive"]


# --- figures -------------------------------------------------------------------------------------------------------------


def test_the_overview_equals_a_recount(api: TestClient, sample: Stack) -> None:
    found = get(api, "overview", **DAYS)
    assert [mix(found["totals"])] == rows(sample, f"SELECT count(), {MIX} FROM insights WHERE {IN}")
    assert [mix(found["totals_before"])] == rows(sample, f"SELECT count(), {MIX} FROM insights WHERE {BEFORE}")
    assert [(found["totals"]["urgent"],)] == rows(sample, f"SELECT countIf(urgency >= 0.5) FROM insights WHERE {IN}")
    by_day = rows(
        sample,
        f"SELECT toString(toDate(event_time)) AS d, count(), {MIX} FROM insights WHERE {IN} OR {BEFORE}"
        " GROUP BY d ORDER BY d",
    )
    assert [(day["day"], *mix(day)) for day in found["days"] if day["texts"]] == by_day
    assert len(found["days"]) == 14
    by_product = rows(
        sample, f"SELECT product, count(), {MIX} FROM insights WHERE {IN} GROUP BY product ORDER BY 2 DESC, 1"
    )
    assert [(p["product"], *mix(p)) for p in found["products"]] == by_product
    (mean,) = rows(sample, f"SELECT avg(sentiment_score) FROM insights WHERE {IN}")[0]
    assert found["totals"]["mean_score"] == pytest.approx(mean, abs=2e-4)


def test_movers_are_counted_from_the_rows_of_both_windows(api: TestClient, sample: Stack) -> None:
    counted = {
        product: figures
        for product, *figures in rows(
            sample,
            f"SELECT product, countIf({IN}), countIf({IN} AND sentiment = 'negative'), countIf({BEFORE}),"
            f" countIf({BEFORE} AND sentiment = 'negative') FROM insights GROUP BY product",
        )
    }
    found = get(api, "overview", **DAYS)["movers"]
    assert found
    for mover in found:
        texts_now, negative, before, negative_before = counted[mover["product"]]
        assert (mover["texts"], mover["negative"]) == (texts_now, negative)
        assert (mover["texts_before"], mover["negative_before"]) == (before, negative_before)
        assert mover["difference"] == pytest.approx(negative / texts_now - negative_before / before, abs=1e-4)


def test_the_story_of_the_sample_is_the_surest_mover(api: TestClient) -> None:
    """Tavio Hush goes wrong half-way: see schemas/samples/README.md."""
    first = get(api, "overview", **DAYS)["movers"][0]
    assert (first["product"], first["evidence"], first["difference"] > 0.3) == ("Tavio Hush", "strong", True)


def test_every_product_equals_a_recount(api: TestClient, sample: Stack) -> None:
    names = [row[0] for row in rows(sample, "SELECT DISTINCT product FROM insights WHERE source != 'test'")]
    assert {p["product"] for p in get(api, "products", days=3660)["products"]} >= set(names)
    for name in names:
        found = get(api, f"products/{name}", **DAYS)
        here = f"product = '{name}' AND {IN}"
        assert [mix(found["totals"])] == rows(sample, f"SELECT count(), {MIX} FROM insights WHERE {here}")
        (rating,) = rows(sample, f"SELECT avg(rating) FROM insights WHERE {here}")[0]
        assert found["totals"]["mean_rating"] == pytest.approx(rating, abs=1e-3)
        mentions = rows(
            sample,
            "SELECT a, count(), countIf(s = 'negative'), countIf(s = 'neutral'), countIf(s = 'positive') FROM insights"
            f" ARRAY JOIN `aspects.aspect` AS a, `aspects.sentiment` AS s WHERE {here} GROUP BY a ORDER BY 2 DESC, 1",
        )
        assert [(a["aspect"], *mix(a)) for a in found["aspects"]] == mentions


def test_aspects_and_their_days_equal_a_recount(api: TestClient, sample: Stack) -> None:
    for aspect in get(api, "aspects", **DAYS)["aspects"][:5]:
        recount = rows(
            sample,
            "SELECT toString(toDate(event_time)) AS d, count(), countIf(s = 'negative'), countIf(s = 'neutral'),"
            " countIf(s = 'positive') FROM insights ARRAY JOIN `aspects.aspect` AS a, `aspects.sentiment` AS s"
            f" WHERE a = '{aspect['aspect']}' AND {IN} GROUP BY d ORDER BY d",
        )
        days = get(api, "trends", aspect=aspect["aspect"], **DAYS)["days"]
        assert [(day["day"], *mix(day)) for day in days if day["texts"]] == recount
        assert sum(day["texts"] for day in days) == aspect["texts"]


def test_trends_by_source_and_language_equal_a_recount(api: TestClient, sample: Stack) -> None:
    recount = rows(
        sample,
        f"SELECT toString(toDate(event_time)) AS d, count(), {MIX} FROM insights"
        f" WHERE source = 'x' AND language = 'es' AND {IN} GROUP BY d ORDER BY d",
    )
    days = get(api, "trends", source="x", language="es", **DAYS)["days"]
    assert [(day["day"], *mix(day)) for day in days if day["texts"]] == recount
    assert recount


def test_issues_are_the_view_s(api: TestClient, sample: Stack) -> None:
    found = [(i["product"], i["aspect"], i["mentions"], i["negative"]) for i in get(api, "issues", limit=200)["issues"]]
    assert Counter(found) == Counter(rows(sample, "SELECT product, aspect, mentions, negative FROM v_top_issues"))
    assert [issue[3] for issue in found] == sorted((issue[3] for issue in found), reverse=True)


def test_health_equals_a_recount(api: TestClient, sample: Stack) -> None:
    found = get(api, "health")
    letters = {row["reason"]: row["letters"] for row in found["dead_letters"]}
    assert letters == dict(rows(sample, "SELECT reason, count() FROM dead_letters GROUP BY reason"))
    assert Counter(letters) >= Counter(m.expected_reason for m in sample_messages() if m.expected_reason)
    assert found["texts"] == rows(sample, "SELECT count() FROM insights")[0][0]
    within = "toDate(event_time) > (SELECT toDate(max(event_time)) - 30 FROM insights)"
    days = rows(
        sample,
        "SELECT toString(toDate(event_time)) AS d, count(), countIf(has(flags, 'unsure')), countIf(emotion = '')"
        f" FROM insights WHERE {within} GROUP BY d ORDER BY d",
    )
    assert [(c["day"], c["texts"], c["unsure"], c["no_emotion"]) for c in found["certainty"]] == days
    packs = rows(sample, f"SELECT pack, pack_version, count() FROM insights WHERE {within} GROUP BY 1, 2")
    assert Counter((p["pack"], p["version"], p["texts"]) for p in found["packs"]) == Counter(packs)


def test_dead_letters_come_without_their_bytes(api: TestClient) -> None:
    letters = get(api, "dead-letters")["letters"]
    assert letters
    assert {key for letter in letters for key in letter} == {
        "topic", "partition", "offset", "reason", "sentence", "failed_at"
    }  # fmt: skip


def test_a_comparison_is_made_of_what_both_products_say_of_themselves(api: TestClient) -> None:
    found = get(api, "compare", product="Tavio Hush", **{"with": "Zelko P4"}, **DAYS)
    for side, name in (("here", "Tavio Hush"), ("there", "Zelko P4")):
        alone = get(api, f"products/{name}", **DAYS)
        assert (found[side]["totals"], found[side]["window"]) == (alone["totals"], alone["window"])
        assert found[side]["days"] == alone["days"][7:]
        mentions = {a["aspect"]: mix(a) for a in alone["aspects"]}
        assert {a["aspect"]: mix(a[side]) for a in found["aspects"] if a[side]["texts"]} == mentions
    shares = [found[side]["totals"]["negative"] / found[side]["totals"]["texts"] for side in ("here", "there")]
    assert found["difference"] == pytest.approx(shares[0] - shares[1], abs=1e-4)


def test_a_comparison_with_the_days_before_says_what_the_product_s_change_says(api: TestClient) -> None:
    found, alone = get(api, "compare", product="Tavio Hush", **DAYS), get(api, "products/Tavio Hush", **DAYS)
    assert found["there"]["totals"] == alone["totals_before"]
    assert (found["difference"], found["z"], found["evidence"]) == (
        alone["change"]["difference"], alone["change"]["z"], "strong"
    )  # fmt: skip
    for row in found["aspects"]:
        assert row["q"] is None or row["q"] >= row["p"]


def test_a_comparison_with_what_is_not_there_is_no_answer(api: TestClient) -> None:
    assert api.get("/api/v1/compare", params={"product": "Tavio Hush", "with": "Nonesuch"}).status_code == 404
    assert api.get("/api/v1/compare").status_code == 422


def test_emerging_aspects_are_counted_from_the_rows_of_both_windows(api: TestClient, sample: Stack) -> None:
    recount = rows(
        sample,
        f"SELECT product, aspect, countIf({IN}) AS now_, countIf({IN} AND sentiment = 'negative'), countIf({BEFORE}) AS then"
        " FROM aspect_mentions GROUP BY product, aspect HAVING now_ > 0 OR then > 0 ORDER BY 1, 2",
    )
    window = Window(date(2026, 11, 9), date(2026, 11, 15))
    statement = aspects_of_products(window)
    counted = sample.reader.select(statement.sql, parameters=statement.parameters).result_rows
    assert len(recount) > 50
    assert sorted(tuple(row) for row in counted) == recount
    expected = [row.model_dump(mode="json") for row in emerging(recount)]
    assert get(api, "overview", **DAYS)["emerging"] == expected


# --- texts ---------------------------------------------------------------------------------------------------------------

FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "1"),
    ({"product": "Tizón y Maíz"}, "product = 'Tizón y Maíz'"),
    ({"source": "x", "language": "es"}, "source = 'x' AND language = 'es'"),
    ({"sentiment": "negative"}, "sentiment = 'negative'"),
    ({"aspect": "battery"}, "has(`aspects.aspect`, 'battery')"),
    (
        {"aspect": "battery", "polarity": "positive"},
        "arrayExists((a, s) -> a = 'battery' AND s = 'positive', `aspects.aspect`, `aspects.sentiment`)",
    ),
    ({"intent": "question"}, "has(intents, 'question')"),
    ({"min_confidence": 0.9}, "sentiment_confidence >= 0.9"),
    ({"from": "2026-11-10", "to": "2026-11-11"}, "toDate(event_time) IN ('2026-11-10', '2026-11-11')"),
    ({"q": "BATERÍA"}, "positionCaseInsensitiveUTF8(concat(title, '\0', text), 'batería') > 0"),
]


def everything(api: TestClient, limit: int, **asked: Any) -> list[dict[str, Any]]:
    """All pages, one after another."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = get(api, "texts", limit=limit, **asked, **({"cursor": cursor} if cursor else {}))
        found += page["texts"]
        cursor = page["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize(("asked", "where"), FILTERS, ids=lambda value: str(value)[:40])
def test_a_filter_finds_what_sql_finds_on_pages_of_any_size(
    api: TestClient, sample: Stack, asked: dict[str, Any], where: str
) -> None:
    expected = rows(sample, f"SELECT source, event_id FROM insights WHERE {where}")
    assert expected
    for limit in (7, 200):
        found = everything(api, limit, **asked)
        assert Counter((text["source"], text["event_id"]) for text in found) == Counter(expected)
        moments = [text["event_time"] for text in found]
        assert moments == sorted(moments, reverse=True)
    assert get(api, "texts/count", **asked)["count"] == len(expected)


def test_evidence_lies_within_its_text(api: TestClient, sample: Stack) -> None:
    expected = dict(rows(sample, "SELECT (source, event_id, aspect, start), evidence FROM aspect_mentions"))
    found = {
        (text["source"], text["event_id"], m["aspect"], m["start"]): text["text"][m["start"] : m["end"]]
        for text in everything(api, 200)
        for m in text["aspects"]
    }
    assert found == expected


def test_the_export_is_csv_of_the_same_texts(api: TestClient) -> None:
    answer = api.get("/api/v1/texts.csv", params={"product": "Hotel Solvenar"})
    assert "attachment" in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    texts_found = everything(api, 200, product="Hotel Solvenar")
    assert [line["event_id"].lstrip("'") for line in lines] == [text["event_id"] for text in texts_found]
    assert [line["text"].lstrip("'") for line in lines] == [text["text"].lstrip("'") for text in texts_found]
    assert not any(value.startswith(("=", "+", "-", "@")) for line in lines for value in (line["text"], line["title"]))


def in_parquet(sample: Stack, document: bytes, tmp_path: Path) -> list[dict[str, Any]]:
    """The file read by pyarrow where it is installed, else by ClickHouse, which takes it in as it gave it out."""
    try:
        import pyarrow.parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        mention = "aspect String, sentiment String, confidence Float32, start UInt32, end UInt32, evidence String"
        columns = f"event_id String, text String, event_time DateTime64(3, 'UTC'), aspects Array(Tuple({mention}))"
        with connect(sample.settings.clickhouse, database="default") as client:
            client.command(f"CREATE TABLE parquet_read ({columns}) ENGINE = Memory")
            client.raw_insert("parquet_read", insert_block=document, fmt="Parquet")
            found = client.query("SELECT * FROM parquet_read")
            client.command("DROP TABLE parquet_read")
        return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    path = tmp_path / "texts.parquet"
    path.write_bytes(document)
    table: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return table


def test_the_parquet_export_holds_the_same_texts_with_their_evidence(
    api: TestClient, sample: Stack, tmp_path: Path
) -> None:
    answer = api.get("/api/v1/texts.parquet", params={"product": "Hotel Solvenar"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert 'filename="voxpop-texts.parquet"' in answer.headers["content-disposition"]
    expected = everything(api, 200, product="Hotel Solvenar")
    found = in_parquet(sample, answer.content, tmp_path)
    assert [row["event_id"] for row in found] == [text["event_id"] for text in expected]
    assert [row["text"] for row in found] == [text["text"] for text in expected]
    assert [row["event_time"] for row in found] == [datetime.fromisoformat(text["event_time"]) for text in expected]
    mentions = [[(m["aspect"], m["sentiment"], m["evidence"]) for m in row["aspects"]] for row in found]
    assert mentions == [
        [(m["aspect"], m["sentiment"], text["text"][m["start"] : m["end"]]) for m in text["aspects"]]
        for text in expected
    ]


def test_an_export_has_no_more_rows_than_the_settings_allow(sample: Stack, tmp_path: Path) -> None:
    settings = dashboard_settings(sample, export_rows=5)
    with TestClient(application(settings, pages=False), base_url="http://127.0.0.1") as client:
        found = in_parquet(sample, client.get("/api/v1/texts.parquet").content, tmp_path)
        newest = get(client, "texts", limit=5)["texts"]
        assert [row["event_id"] for row in found] == [text["event_id"] for text in newest]
        assert len(client.get("/api/v1/texts.csv").content.decode("utf-8-sig").split("\r\n")) >= 6


def test_an_export_that_clickhouse_ends_is_a_problem_and_never_half_a_file(sample: Stack) -> None:
    settings = dashboard_settings(sample, query_rows=1_000, export_rows=1, query_rows_read=1_000_000)
    figures = Figures(settings, load_taxonomy())
    with TestClient(application(settings, figures, pages=False), base_url="http://127.0.0.1") as client:
        assert client.portal is not None
        late = Statement("SELECT throwIf(number = 900) FROM numbers(1000) SETTINGS max_block_size = 10", {})
        with pytest.raises(StoreUnavailable, match="throwIf"):
            client.portal.call(figures.reader.file, late, "Parquet")
        away = settings.model_copy(
            update={"clickhouse": settings.clickhouse.model_copy(update={"database": "nowhere"})}
        )
        with TestClient(application(away, pages=False), base_url="http://127.0.0.1") as elsewhere:
            answer = elsewhere.get("/api/v1/texts.parquet")
            assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")


# --- what is sent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_find_nothing_and_change_nothing(api: TestClient, sample: Stack, word: str) -> None:
    before = rows(sample, "SELECT count() FROM insights")
    for name in ("product", "source", "language", "aspect", "intent", "q"):
        assert get(api, "texts", **{name: word})["texts"] == []
    assert get(api, "aspects", product=word)["aspects"] == []
    assert get(api, "issues", product=word)["issues"] == []
    assert api.get(f"/api/v1/products/{quote(word, safe='')}").status_code == 404
    assert rows(sample, "SELECT count() FROM insights") == before


@pytest.mark.parametrize("length", [201, 5_000, 20_000])
def test_oversized_parameters_are_refused(api: TestClient, length: int) -> None:
    for path in ("texts", "aspects", "trends", "issues"):
        assert api.get(f"/api/v1/{path}", params={"product": "x" * length}).status_code == 422
    assert api.get(f"/api/v1/products/{'x' * length}").status_code == 422


def test_the_sql_that_is_shown_finds_the_same(sample: Stack) -> None:
    """What people copy is what was run, with hostile words quoted as the strings they are."""

    def both_ways(statement: Statement) -> None:
        bound = {name: value for name, value in statement.parameters.items() if value is not None}
        ran = sample.reader.select(statement.sql, parameters=bound).result_rows
        assert [tuple(row) for row in ran] == rows(sample, readable(statement))

    window = Window(*(TextFilter.model_validate(DAYS).model_dump()[name] for name in ("first", "last")))
    both_ways(totals(window, "Tavio Hush"))
    both_ways(texts(TextFilter.model_validate({"product": "Tavio Hush", "q": "it", "min_confidence": 0.5, **DAYS}), 20))
    for word in HOSTILE:
        both_ways(texts(TextFilter(product=word, q=word, aspect=word), 20))


# --- many at once --------------------------------------------------------------------------------------------------------


def test_a_hundred_who_look_at_once_cost_the_queries_of_one(sample: Stack) -> None:
    settings = sample.settings.model_copy(update={"dashboard": DashboardSettings(cache_s=60)})
    figures = Figures(settings, load_taxonomy())
    with TestClient(application(settings, figures, pages=False), base_url="http://127.0.0.1") as client:
        with ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(lambda _: client.get("/api/v1/overview", params=DAYS), range(100)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert figures.reader.queries == 5  # totals of both windows, days, aspects, aspects by product
        tag = answers[0].headers["etag"]
        again = client.get("/api/v1/overview", params=DAYS, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")


def test_a_query_that_takes_too_much_is_refused_not_endured(sample: Stack) -> None:
    tight = dashboard_settings(sample, query_rows=1_000, export_rows=1, query_rows_read=1_000_000)
    figures = Figures(tight, load_taxonomy())
    with TestClient(application(tight, figures, pages=False), base_url="http://127.0.0.1") as client:
        assert client.portal is not None
        too_many = Statement("SELECT number FROM numbers(5000)", {})
        with pytest.raises(Exception, match="Limit for result exceeded"):
            client.portal.call(figures.reader.rows, too_many)
        with pytest.raises(Exception, match="READONLY"):
            client.portal.call(figures.reader.rows, Statement("TRUNCATE TABLE voxpop.insights", {}))
