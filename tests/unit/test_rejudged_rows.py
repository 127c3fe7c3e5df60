"""What `voxpop reprocess` is asked for, and what it makes of a stored row."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.insights import Analysis, Insight, Sentiment
from workers.commands.reprocess import ReprocessRequest, moment_of
from workers.errors import UsageError
from workers.failpoints import read
from workers.reprocess import rejudged
from workers.store.selection import PackVersion, Selection


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T12:30", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
        ("2026-06-01T12:30:00+02:00", datetime(2026, 6, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_date_is_its_first_moment_in_utc_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    assert moment_of("--since", text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "01/06/2026", "0001-01-01", "9999-01-01"])
def test_what_is_no_date_is_one_line_that_names_the_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--until ") as caught:
        ReprocessRequest.parse("2026-06-01", text, None, None, None, dry_run=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("until", ["2026-06-01", "2026-05-31", "2026-06-01T02:00:00+02:00"])
def test_an_end_that_is_not_after_the_begin_is_wrong_use(until: str) -> None:
    with pytest.raises(UsageError, match="is not after --since 2026-06-01"):
        ReprocessRequest.parse("2026-06-01", until, None, None, None, dry_run=False)


def test_a_condition_holds_no_value_of_the_caller() -> None:
    since = datetime(2026, 6, 1, tzinfo=UTC)
    sql, parameters = Selection(PackVersion("p'", "v'"), since, since, "a' OR 1", "s'", "n'").condition()
    assert "'" not in sql.replace("'UTC'", "")
    assert {"p'", "v'", "a' OR 1", "s'", "n'"} <= {value for value in parameters.values() if isinstance(value, str)}


def test_a_row_judged_again_keeps_all_that_is_the_events_and_takes_all_that_is_the_models() -> None:
    said = {"text": "Fine", "language": "en", "sentiment": Sentiment(label="neutral", score=0.0, confidence=0.5)}
    new = Analysis(
        **said | {"urgency": 0.5, "flags": ("unsure",), "redactions": {"email": 1}}, pack="p", pack_version="2"
    )
    at = datetime(2026, 6, 1, tzinfo=UTC)
    events = {"topic": "t", "topic_id": "i", "partition": 3, "offset": 9, "event_id": "e", "content_hash": "abc"}
    events |= {
        "kind": "review",
        "source": "s",
        "product": "Thing",
        "title": "T",
        "rating": 2.5,
        "author": "ab",
        "url": "u",
    }
    events |= {"metadata": {"a": "b"}, "event_time": at, "ingested_at": at}
    assert set(events) == set(Insight.model_fields) - set(Analysis.model_fields), "a new field must be carried over too"
    again = rejudged({**events, "judged": 4}, new)
    assert again.judged == 5
    assert again.insight.model_dump() == {**new.model_dump(), **events}
    assert again.old_row == ("t", "i", 3, 9, 4)


def test_the_places_of_a_page_can_be_armed() -> None:
    assert set(read("page-claimed=kill,page-deleted=raise@2")) == {"page-claimed", "page-deleted"}
