"""`voxpop drift` on real ClickHouse: a stream that stays as it is, one that moves, and one that only a promotion moved."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.integration.conftest import Voxpop
from workers.commands.drift import FAILED, DriftRequest, show_drift
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings
from workers.store.connect import connect

LAST = date(2026, 9, 30)  # the latest day with texts
WEEK, BEFORE = 7, 28
SURE = "toFloat32(0.5 + 0.49 * pow(u(3), {doubt:Float64}))"
ROWS = f"""
INSERT INTO insights (product, source, event_id, content_hash, offset, language, sentiment, sentiment_confidence,
    `aspects.aspect`, `aspects.sentiment`, `aspects.confidence`, `aspects.start`, `aspects.end`, intents, emotion, flags,
    pack, pack_version, topic_vector, event_time, ingested_at)
WITH k -> (cityHash64(number, {{seed:UInt64}}, k) % 100000) / 100000 AS u
SELECT {{product:String}}, {{source:String}}, concat({{name:String}}, toString(number)), 'h', number,
    if(u(1) < {{spanish:Float64}}, 'es', 'en'),
    if(u(2) < {{negative:Float64}}, 'negative', if(u(2) < {{negative:Float64}} + 0.3, 'neutral', 'positive')), {SURE},
    if(u(4) < {{battery:Float64}}, ['battery'], if(u(4) < 0.6, ['price', 'sound'], [])) AS aspect,
    arrayMap(a -> 'neutral', aspect), arrayMap(a -> 0.9, aspect), arrayMap(a -> 0, aspect), arrayMap(a -> 1, aspect),
    if(u(2) < {{negative:Float64}}, ['complaint'], if(u(6) < 0.2, [], ['praise', 'other'])), if(u(5) < 0.3, '', 'joy'),
    if({SURE} < 0.6, ['unsure'], []), 'words', {{version:String}},
    arrayMap(i -> toInt8(if(i = {{subject:UInt32}}, 85, 0) + 40 * (u(100 + i) - 0.5)), range(64)),
    toDateTime64({{first:Date}}, 3, 'UTC') + toIntervalSecond(intDiv(number * 86400, {{daily:UInt32}})), now64(3)
FROM numbers({{count:UInt64}})
"""
LABELS = """
INSERT INTO feedback (source, event_id, content_hash, product, head, old_label, new_label, corrected_at)
SELECT source, event_id, content_hash, product, 'sentiment', 'negative',
    if(cityHash64(event_id) % 1000 < 1000 * {wrong:Float64}, 'positive', 'negative'), now64(3)
FROM insights WHERE toDate(event_time) BETWEEN {first:Date} AND {last:Date} LIMIT {count:UInt32}
"""


@dataclass(frozen=True)
class Texts:
    """What a day's texts are like; `doubt` above one makes the model less sure."""

    product: str = "Tavio Hush"
    source: str = "web-shop"
    negative: float = 0.2
    spanish: float = 0.3
    battery: float = 0.1
    doubt: float = 0.5
    version: str = "1"
    subject: int = 0
    daily: int = 200


def fill(settings: Settings, texts: Texts, first_ago: int, last_ago: int) -> None:
    """Texts like these on each of the days so many days before LAST."""
    days = first_ago - last_ago + 1
    named = {name: getattr(texts, name) for name in Texts.__dataclass_fields__}
    first, name = LAST - timedelta(days=first_ago), f"{texts.product}-{texts.version}-{first_ago}-"
    seed = sum(map(ord, name)) * 1_000 + first_ago
    named |= {"first": first.isoformat(), "count": days * texts.daily, "name": name, "seed": seed}
    with connect(settings.clickhouse) as client:
        client.command(ROWS, parameters=named)


def stream(settings: Settings, now: Texts, before: Texts) -> None:
    """A week like `now` after four weeks like `before`, and something quite different before them."""
    fill(settings, now, WEEK - 1, 0)
    fill(settings, before, WEEK + BEFORE - 1, WEEK)
    fill(settings, replace(before, negative=0.7, spanish=1.0, doubt=4.0, subject=9), 60, WEEK + BEFORE)


def label(settings: Settings, first_ago: int, last_ago: int, count: int, wrong: float) -> None:
    """People look at so many texts of these days, and find this share of labels wrong."""
    days = {
        "first": (LAST - timedelta(days=first_ago)).isoformat(),
        "last": (LAST - timedelta(days=last_ago)).isoformat(),
    }
    with connect(settings.clickhouse) as client:
        client.command(LABELS, parameters=days | {"count": count, "wrong": wrong})


def request(**asked: Any) -> DriftRequest:
    names = ("days", "since", "until")
    window = tuple(asked.pop(name, None) for name in names)
    reference = tuple(asked.pop(f"reference_{name}", None) for name in names)
    by, most, fail_on = asked.pop("by", None), asked.pop("most", 20), asked.pop("fail_on", None)
    return DriftRequest.parse(window, reference, asked, by, most, fail_on)


@dataclass
class Shown:
    """What a run printed, and its exit code."""

    code: int
    document: dict[str, Any]

    def measure(self, what: str, group: str = "") -> dict[str, Any]:
        groups = {each["name"]: each for each in (self.document["overall"], *self.document["groups"])}
        return next(each for each in groups[group]["measures"] if each["what"] == what)

    def verdicts(self, group: str = "") -> dict[str, str]:
        groups = {each["name"]: each for each in (self.document["overall"], *self.document["groups"])}
        return {each["what"]: each["verdict"] for each in groups[group]["measures"]}


@pytest.fixture
def report(settings: Settings) -> Callable[..., Shown]:
    def shown(**asked: Any) -> Shown:
        printed = io.StringIO()
        code = show_drift(
            settings, request(**asked), None, Console(file=printed), Console(file=io.StringIO()), as_json=True
        )
        return Shown(code, json.loads(printed.getvalue()))

    return shown


def test_a_stream_that_stays_as_it_is_is_steady(settings: Settings, report: Callable[..., Shown]) -> None:
    stream(settings, Texts(), Texts())
    shown = report(fail_on="watch")
    assert (shown.code, shown.document["verdict"], shown.document["fit"]) == (0, "steady", "yes")
    assert set(shown.verdicts().values()) == {"steady"}
    assert (shown.document["overall"]["texts"], shown.document["overall"]["reference_texts"]) == (1_400, 5_600)
    assert shown.document["window"] == {"since": "2026-09-24T00:00:00+00:00", "until": "2026-10-01T00:00:00+00:00"}
    assert shown.document["do"] == []


def test_a_stream_that_moved_is_told_measure_by_measure(settings: Settings, report: Callable[..., Shown]) -> None:
    moved = replace(Texts(), negative=0.6, spanish=0.9, battery=0.5, doubt=2.0, subject=3)
    stream(settings, moved, Texts())
    shown = report(fail_on="moved")
    assert (shown.code, shown.document["verdict"], shown.document["fit"]) == (FAILED, "moved", "in_doubt")
    wrong = {what: verdict for what, verdict in shown.verdicts().items() if verdict != "moved"}
    assert wrong == {"not_served": "steady", "no_emotion": "steady"}
    parts = {part["name"]: (part["reference"], part["share"]) for part in shown.measure("sentiment")["parts"]}
    assert parts["negative"] == pytest.approx((0.2, 0.6), abs=0.04)
    intents = {part["name"]: (part["reference"], part["share"]) for part in shown.measure("intents")["parts"]}
    assert intents["complaint"] == parts["negative"]
    assert intents["other"] == intents["praise"], "an intent called other is one of its own"
    told = shown.document["overall"]
    assert told["confidence"] < told["reference_confidence"] - 0.1
    assert any("voxpop train" in line for line in shown.document["do"])
    assert any("voxpop reprocess --since 2026-09-24" in line for line in shown.document["do"])


def test_figures_are_those_of_a_recount(settings: Settings, report: Callable[..., Shown]) -> None:
    stream(settings, replace(Texts(), negative=0.4, battery=0.3), Texts())
    sql = (
        "SELECT countIf(sentiment = 'negative') / count(), countIf(has(`aspects.aspect`, 'battery')) / count(),"
        " countIf(empty(`aspects.aspect`)) / count(), countIf(empty(intents)) / count(),"
        " countIf(has(flags, 'unsure')) / count(), avg(sentiment_confidence) FROM insights"
        " WHERE toDate(event_time) BETWEEN '2026-09-24' AND '2026-09-30'"
    )
    with connect(settings.clickhouse) as client:
        counted = next(iter(client.query(sql).result_rows))
    shown = report()
    shares = [
        next(part["share"] for part in shown.measure(what)["parts"] if part["name"] == name)
        for what, name in (
            ("sentiment", "negative"),
            ("aspects", "battery"),
            ("aspects", "none"),
            ("intents", "none"),
            ("unsure", "unsure"),
        )
    ]
    assert (*shares, shown.document["overall"]["confidence"]) == pytest.approx(counted, abs=1e-4)


def test_what_customers_say_alone_is_no_sign_against_the_model(
    settings: Settings, report: Callable[..., Shown]
) -> None:
    stream(settings, replace(Texts(), negative=0.6), Texts())
    shown = report(fail_on="moved")
    assert (shown.code, shown.document["verdict"], shown.document["fit"]) == (FAILED, "moved", "yes")
    assert "no sign against the model" in shown.document["says"]


def test_people_who_disagree_more_often_are_the_evidence(settings: Settings, report: Callable[..., Shown]) -> None:
    stream(settings, Texts(), Texts())
    label(settings, 34, 7, 200, wrong=0.1)
    label(settings, 6, 0, 200, wrong=0.4)
    label(settings, 60, 35, 200, wrong=1.0)
    shown = report(fail_on="moved")
    said = shown.document["overall"]["agreement"]
    assert (said["now"]["texts"], said["reference"]["texts"], said["trend"]) == (200, 200, "worse")
    assert said["change"]["low"] > 0.15
    assert (shown.code, shown.document["fit"]) == (FAILED, "no")
    assert set(shown.verdicts().values()) == {"steady"}, "nothing else shows it"


def test_people_who_agree_as_before_settle_a_doubt(settings: Settings, report: Callable[..., Shown]) -> None:
    stream(settings, replace(Texts(), subject=3, doubt=2.0), Texts())
    assert report().document["fit"] == "in_doubt"
    label(settings, 34, 7, 500, wrong=0.1)
    label(settings, 6, 0, 500, wrong=0.1)
    assert report().document["fit"] == "yes"


@pytest.mark.parametrize(("later_s", "disagreed"), [(1, 0), (-1, 100)])
def test_of_several_corrections_of_a_text_the_latest_counts(
    settings: Settings, report: Callable[..., Shown], later_s: int, disagreed: int
) -> None:
    stream(settings, Texts(), Texts())
    label(settings, 6, 0, 100, wrong=1.0)
    with connect(settings.clickhouse) as client:
        client.command(
            "INSERT INTO feedback SELECT * REPLACE (old_label AS new_label,"
            f" corrected_at + toIntervalSecond({later_s}) AS corrected_at) FROM feedback"
        )
    assert report().document["overall"]["agreement"]["now"] == {"texts": 100, "disagreed": disagreed}


def test_a_promotion_is_not_laid_to_the_stream(settings: Settings, report: Callable[..., Shown]) -> None:
    """Version 2 calls more texts negative. It judged some of the reference, too, and there it said the same."""
    stream(settings, replace(Texts(), negative=0.6, version="2"), Texts())
    fill(settings, replace(Texts(), negative=0.6, version="2", daily=40), WEEK + BEFORE - 1, WEEK)
    shown = report(fail_on="watch")
    sentiment = shown.measure("sentiment")
    assert (sentiment["reading"], sentiment["verdict"], sentiment["cause"]) == ("shifted", "steady", "version")
    assert sentiment["under_one_version"]["pack"] == {"pack": "words", "version": "2"}
    assert (shown.code, shown.document["verdict"], shown.document["fit"]) == (0, "steady", "yes")
    assert any("version changed" in note for note in shown.document["notes"])


def test_a_stream_that_moved_under_a_new_version_is_told_all_the_same(
    settings: Settings, report: Callable[..., Shown]
) -> None:
    stream(settings, replace(Texts(), negative=0.8, version="2"), Texts())
    fill(settings, replace(Texts(), negative=0.3, version="2", daily=40), WEEK + BEFORE - 1, WEEK)
    shown = report()
    assert (shown.measure("sentiment")["verdict"], shown.measure("sentiment")["cause"]) == ("moved", "stream")


def test_without_a_version_in_common_it_is_not_told_who_moved(settings: Settings, report: Callable[..., Shown]) -> None:
    stream(settings, replace(Texts(), negative=0.6, version="2"), Texts())
    shown = report(fail_on="moved")
    assert (shown.measure("sentiment")["verdict"], shown.measure("sentiment")["cause"]) == ("watch", "untold")
    assert (shown.code, shown.document["fit"]) == (0, "cannot_tell")
    assert shown.document["do"][0].startswith("voxpop reprocess --since 2026-08-27")


def test_each_product_is_told_by_itself_and_few_texts_say_nothing(
    settings: Settings, report: Callable[..., Shown]
) -> None:
    stream(settings, replace(Texts(), negative=0.7), Texts())
    fill(settings, Texts(product="Garza Air", source="survey"), WEEK + BEFORE - 1, 0)
    fill(settings, Texts(product="Pelusa", daily=1), WEEK + BEFORE - 1, 0)
    shown = report(by="product")
    assert [group["name"] for group in shown.document["groups"]] == ["Garza Air", "Tavio Hush", "Pelusa"]
    assert {name: shown.verdicts(name)["sentiment"] for name in ("Tavio Hush", "Garza Air", "Pelusa")} == {
        "Tavio Hush": "moved", "Garza Air": "steady", "Pelusa": "too_few"
    }  # fmt: skip
    assert set(shown.verdicts("Pelusa").values()) == {"too_few"}
    assert report(by="product", most=2).document["left_out"] == 1
    alone = report(product="Tavio Hush")
    assert alone.measure("sentiment")["index"] == shown.measure("sentiment", "Tavio Hush")["index"]
    assert report(source="survey").document["overall"]["reference_texts"] == 28 * 200
    spanish = report(language="es")
    assert "language" not in spanish.verdicts()
    by_language = report(by="language")
    assert "language" in by_language.verdicts()
    assert "language" not in by_language.verdicts("es")


def test_windows_can_be_named(settings: Settings, report: Callable[..., Shown]) -> None:
    stream(settings, replace(Texts(), negative=0.7), Texts())
    before = report(since="2026-09-01", until="2026-09-10", reference_since="2026-09-24", reference_until="2026-10-01")
    assert (before.document["overall"]["texts"], before.document["overall"]["reference_texts"]) == (1_800, 1_400)
    assert before.measure("sentiment")["verdict"] == "moved"
    steady = report(until="2026-09-24", days=5, reference_days=10)
    assert steady.document["reference"] == {"since": "2026-09-09T00:00:00+00:00", "until": "2026-09-19T00:00:00+00:00"}
    assert steady.document["verdict"] == "steady"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"by": "planet"}, "say one of product, source, language"),
        ({"fail_on": "steady"}, "say moved or watch"),
        ({"days": 3, "since": "2026-09-01"}, "give one of them"),
        ({"reference_days": 3, "reference_since": "2026-09-01"}, "give one of them"),
        ({"since": "yesterday"}, "is not a date"),
        ({"since": "2026-09-10", "until": "2026-09-01"}, "--until is not after --since"),
        ({"reference_until": "2026-09-27"}, "overlaps the window"),
        ({"product": "Tavio Hash"}, "is 'Tavio Hush' meant?"),
        ({"source": "zzz"}, "voxpop drift --by source"),
    ],
)
def test_wrong_use_is_told_in_a_line_with_the_mend(
    settings: Settings, report: Callable[..., Shown], asked: dict[str, Any], says: str
) -> None:
    fill(settings, Texts(), 40, 0)
    with pytest.raises(UsageError) as wrong:
        report(**asked)
    assert says in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_nothing_to_compare_is_told(settings: Settings, report: Callable[..., Shown]) -> None:
    with pytest.raises(VoxpopError, match="there is no text yet"):
        report()
    fill(settings, Texts(), 3, 0)
    fill(settings, Texts(product="Pelusa", source="survey"), 3, 0)
    with pytest.raises(VoxpopError, match="no text lies in the reference"):
        report()
    with pytest.raises(VoxpopError, match="no text lies in the window"):
        report(since="2025-01-01", until="2025-02-01", reference_since="2026-09-01", reference_until="2026-10-01")
    with pytest.raises(VoxpopError, match="no text of product 'Pelusa' and source 'web-shop' together"):
        report(product="Pelusa", source="web-shop")


def test_the_command_prints_a_table_a_page_and_an_exit_code(settings: Settings, voxpop: Voxpop, tmp_path: Path) -> None:
    stream(settings, replace(Texts(product="<b>Tavio</b>"), negative=0.7), Texts(product="<b>Tavio</b>"))
    label(settings, 34, 0, 3_000, wrong=0.2)
    environment = {"VOXPOP_CLICKHOUSE__PORT": str(settings.clickhouse.port)}
    page = tmp_path / "drift.html"
    asked = ("drift", "--by", "product", "--html", str(page), "--fail-on", "moved")
    ran = voxpop(*asked, environment=environment)
    assert ran.returncode == FAILED, ran.stderr
    for told in ("Sentiment", "moved", "negative 20 % →", "<b>Tavio</b>", "Siddiqi", "still fits the stream"):
        assert told in ran.stdout
    drawn = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;Tavio&lt;/b&gt;" in drawn
    assert "<b>" not in drawn
    assert "<script" not in drawn
    assert drawn.count("<svg") >= 3
    assert "prefers-color-scheme:dark" in drawn
    missing = voxpop("drift", "--html", str(tmp_path / "no" / "drift.html"), environment=environment)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.count("\n") == 1


def test_clickhouse_that_is_away_is_told_in_a_line(voxpop: Voxpop) -> None:
    ran = voxpop("drift", environment={"VOXPOP_CLICKHOUSE__PORT": "1"})
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "cannot be reached" in ran.stderr
    assert ran.stderr.count("\n") == 1
