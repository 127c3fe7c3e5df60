"""What is told of a product's texts: once, whatever order they come in, however often they are read."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.alerts import Alert, AlertKind, AlertStatus
from schemas.insights import Insight
from tests.alert_texts import FIRST_DAY, INCIDENT, PRODUCT, days, insight
from workers.alerting.text import from_insight
from workers.alerting.watch import Tables, Watch
from workers.settings import AlertSettings

SETTINGS = AlertSettings()
CLAIM = "Do not buy this lamp, the seller took my money and the parcel never came, see my profile, number"


def watched(
    insights: Iterable[Insight], settings: AlertSettings = SETTINGS, tables: Tables | None = None
) -> list[Alert]:
    """Every revision told, in the order of telling."""
    watch = Watch(settings, tables or Tables({}, {}, {}))
    told: list[Alert] = []
    for each in insights:
        step = watch.take(from_insight(each))
        told += step.alerts
        watch.settle(step)
    step = watch.hurry()
    watch.settle(step)
    return told + step.alerts


def newest(told: Sequence[Alert]) -> list[Alert]:
    return list({alert.alert_id: alert for alert in told}.values())


def day(number: int) -> datetime:
    return FIRST_DAY + timedelta(days=number)


def test_an_incident_opens_in_its_first_window_is_told_while_it_lasts_and_closes_once() -> None:
    told = watched(days(INCIDENT))
    assert [alert.revision for alert in told] == [1, 2, 3]
    assert [alert.status for alert in told] == [AlertStatus.OPEN, AlertStatus.OPEN, AlertStatus.CLOSED]
    assert len({alert.alert_id for alert in told}) == 1
    last = told[-1]
    assert (last.kind, last.window_start, last.window_end) == (AlertKind.NEGATIVE_SHARE, day(10), day(12))
    assert (last.closed_at, last.closed_because) == (day(13), "usual_again")
    assert (last.leading.observed, last.leading.texts) == (12, 14)
    assert last.leading.p_value < last.leading.level
    assert len(last.examples) == 5
    assert all(example.quote.startswith("I hate it") for example in last.examples)


def test_a_product_that_is_its_usual_self_raises_nothing() -> None:
    assert watched(days([(6, 1), (7, 2), (5, 1), (6, 2)] * 8)) == []


def test_without_enough_windows_behind_it_nothing_is_told() -> None:
    assert watched(days([(6, 1)] * 5 + [(14, 13), (6, 1), (6, 1)])) == []


def test_texts_of_one_topic_that_come_before_another_s_are_put_in_their_windows() -> None:
    """A worker that catches up brings two weeks of reviews, then two weeks of posts."""
    insights = days(INCIDENT)
    posts = [each.model_copy(update={"topic": "voxpop.social"}) for each in insights[1::2]]
    assert watched([*insights[::2], *posts]) == watched(insights)


def test_resends_updates_and_texts_read_twice_count_once() -> None:
    insights = days(INCIDENT)
    twice = [copy for each in insights for copy in (each, each)]
    assert watched(twice) == watched(insights)
    calm = [each.model_copy(update={"sentiment": insights[3].sentiment}) for each in insights]
    assert watched([copy for pair in zip(insights, calm, strict=True) for copy in pair]) == watched(calm)
    assert {alert.kind for alert in watched(calm)} == {AlertKind.VOLUME}


def test_an_update_that_was_written_at_another_hour_moves_its_count() -> None:
    tables = Tables({}, {}, {})
    insights = days(INCIDENT)
    moved = insights[70].model_copy(update={"event_time": insights[70].event_time + timedelta(hours=7)})
    watched([*insights, moved], tables=tables)
    assert sum(record["texts"] for record in tables.hours.values()) == len(insights) - 6  # the last day is not over


def test_a_text_that_is_too_late_is_left_out_and_one_that_is_a_little_late_counts() -> None:
    live = [each.model_copy(update={"ingested_at": each.event_time}) for each in days([(6, 1)] * 10)]
    watch = Watch(SETTINGS, Tables({}, {}, {}))
    for each in live:
        watch.settle(watch.take(from_insight(each)))
    arrived = live[-1].event_time
    assert watch.take(from_insight(insight(900, day(5), arrived=arrived))).late
    assert not watch.take(from_insight(insight(901, day(8), arrived=arrived))).late


def test_what_is_stored_is_json_and_a_watch_that_starts_from_it_goes_on_as_if_nothing_had_been() -> None:
    insights = days(INCIDENT)
    whole = watched(insights)
    live = [each.model_copy(update={"ingested_at": each.event_time}) for each in insights]
    for cut in range(60, len(live), 3):
        stored: list[dict[str, Any]] = [{}, {}, {}]
        told: list[Alert] = []
        for part in (live[:cut], live[max(0, cut - 5) :]):  # the last ones are read again
            tables = Tables(*(json.loads(json.dumps(table)) for table in stored))
            watch = Watch(SETTINGS, tables)
            for each in part:
                step = watch.take(from_insight(each))
                told += step.alerts
                watch.settle(step)
            stored = [dict(tables.texts), dict(tables.hours), dict(tables.products)]
        assert newest(told) == newest(whole)
        assert len(told) == len({(alert.alert_id, alert.revision) for alert in told})


def test_an_alert_that_was_told_but_not_remembered_is_told_again_under_the_same_name() -> None:
    live = [each.model_copy(update={"ingested_at": each.event_time}) for each in days(INCIDENT)]
    tables = Tables({}, {}, {})
    watch = Watch(SETTINGS, tables)
    for each in live:
        step = watch.take(from_insight(each))
        if step.alerts:
            break
        watch.settle(step)
    again = Watch(SETTINGS, tables).take(from_insight(each))
    assert again.alerts == step.alerts


def test_only_the_texts_of_the_latest_windows_are_kept() -> None:
    tables = Tables({}, {}, {})
    watched(days([(6, 1)] * 60), tables=tables)
    assert len(tables.texts) <= 6 * 4
    assert len(tables.hours) <= 6 * 30


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (AlertKind.VOLUME, days([(6, 1)] * 10 + [(40, 8)] + [(6, 1)] * 2)),
        (
            AlertKind.URGENCY,
            [
                insight(n, each.event_time, urgency=0.9 if each.event_time >= day(10) else 0.1)
                for n, each in enumerate(days([(8, 2)] * 12))
            ],
        ),
        (
            AlertKind.NEW_ASPECT,
            [
                insight(n, each.event_time, aspects=("fire",) if each.event_time >= day(10) else ("light",))
                for n, each in enumerate(days([(9, 2)] * 12))
            ],
        ),
        (
            AlertKind.CAMPAIGN,
            [
                insight(
                    n,
                    each.event_time,
                    text=f"{CLAIM} {n}"
                    if each.event_time >= day(10) and n % 2
                    else f"{n} {n * 7919} is {n * 31} {n * 3} {n}",
                )
                for n, each in enumerate(days([(16, 0)] * 12))
            ],
        ),
    ],
)
def test_every_kind_of_surge_is_told_with_its_test_and_its_texts(kind: AlertKind, made: list[Insight]) -> None:
    told = newest(watched(made))
    assert [alert.kind for alert in told] == [kind]
    assert told[0].window_start == day(10)
    assert told[0].examples
    assert told[0].leading.test in ("beta-binomial", "negative binomial")


def test_a_source_that_stops_is_told_and_its_next_text_closes_the_alert() -> None:
    insights = days([(12, 2)] * 16)
    made = [
        each.model_copy(update={"source": "forum" if n % 2 else "shop"})
        for n, each in enumerate(insights)
        if not n % 2 or not day(10) <= each.event_time < day(13)
    ]
    told = watched(made)
    assert {alert.kind for alert in told} == {AlertKind.SILENCE}
    assert {alert.source for alert in told} == {"forum"}
    assert told[0].window_start < day(13)
    assert (told[-1].status, told[-1].closed_because) == (AlertStatus.CLOSED, "usual_again")


def test_a_live_product_that_falls_silent_is_told_by_the_clock_of_the_others() -> None:
    lamp = [each.model_copy(update={"ingested_at": each.event_time}) for each in days([(12, 2)] * 10)]
    desk = [
        each.model_copy(update={"ingested_at": each.event_time})
        for each in days([(12, 2)] * 14, product="Desk", number=1000)
    ]
    told = watched(sorted([*lamp, *desk], key=lambda each: each.event_time))
    assert {(alert.product, alert.kind) for alert in told} == {(PRODUCT, AlertKind.SILENCE)}


def test_time_that_passes_without_any_text_is_told_by_ticks() -> None:
    watch = Watch(SETTINGS, Tables({}, {}, {}))
    for each in days([(12, 2)] * 10):
        watch.settle(watch.take(from_insight(each.model_copy(update={"ingested_at": each.event_time}))))
    told: list[Alert] = []
    for hour in range(24 * 3):
        step = watch.tick(int((day(10) + timedelta(hours=hour)).timestamp()))
        told += step.alerts
        watch.settle(step)
    assert {alert.kind for alert in told} == {AlertKind.SILENCE}


def test_a_replay_of_years_with_a_long_gap_is_no_alert() -> None:
    old = days([(6, 1)] * 10, first=datetime(2015, 2, 1, tzinfo=UTC))
    assert watched([*old, *days([(14, 3)] * 5, number=500)]) == []


def test_what_stays_unusual_becomes_the_new_usual_and_does_not_open_again() -> None:
    told = watched(days([(10, 1)] * 10 + [(10, 9)] * 40))
    assert len(newest(told)) == 1
    assert told[-1].closed_because == "new_usual"


def test_hours_of_day_are_compared_with_the_same_hours() -> None:
    """Four in five texts come in the same six hours, every day."""
    settings = AlertSettings(window_hours=6)
    made = []
    for number in range(20):
        for hour in (9, 9, 10, 10, 11, 11, 12, 13, 13, 14, 14, 14, 3, 20, 21):
            made.append(insight(len(made), day(number) + timedelta(hours=hour, minutes=len(made) % 60)))
    assert watched(sorted(made, key=lambda each: each.event_time), settings) == []
    night = [insight(5000 + n, day(15) + timedelta(hours=1, minutes=3 * n)) for n in range(14)]
    told = watched(sorted([*made, *night], key=lambda each: each.event_time), settings)
    assert {(alert.kind, alert.window_start) for alert in told} == {(AlertKind.VOLUME, day(15))}
