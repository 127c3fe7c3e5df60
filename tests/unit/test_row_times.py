"""When a row was written: one format for a column, settled by its rows, or the user is asked."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import UsageError
from workers.stream.row_times import parser_for

NOON = datetime(2015, 2, 5, 12, 30, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1973, 4, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "written",
    [
        "2015-02-05T12:30:00Z",
        "2015-02-05t12:30:00z",
        "2015-02-05T12:30:00+00:00",
        "2015-02-05 12:30:00",
        " 2015-02-05 12:30 ",
        "2015-02-05T07:30:00-05:00",
        "20150205T123000",
        "2015/02/05 12:30",
        "2015.02.05 12.30.00",
        "2015/02/05 07:30:00 -0500",
        "1423139400",
        "1423139400.0",
        "1423139400000",
        "Thu, 05 Feb 2015 12:30:00 +0000",
        "Thu, 05 Feb 2015 07:30:00 EST",
        "Thu Feb 05 07:30:00 -0500 2015",
    ],
)
def test_a_moment_is_the_same_moment_however_it_is_written(written: str) -> None:
    assert parser_for([written])(written) == NOON


@pytest.mark.parametrize(
    "written", ["Feb 05, 2015", "February 05, 2015", "05 Feb 2015", "5 February 2015", "2015-02-05"]
)
def test_a_date_without_an_hour_is_the_beginning_of_its_day(written: str) -> None:
    assert parser_for([written])(written) == datetime(2015, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize("separator", "-/.")
@pytest.mark.parametrize("time", ["", " 09:05", " 09:05:07", " 09.05", " 09:05 AM", " 09:05 +0200"])
def test_one_row_past_the_twelfth_settles_which_comes_first(separator: str, time: str) -> None:
    doubtful, day_first, month_first = (
        date.replace("/", separator) + time for date in ("05/02/2015", "23/02/2015", "02/23/2015")
    )
    assert parser_for([doubtful, day_first])(doubtful).date().isoformat() == "2015-02-05"
    assert parser_for([doubtful, month_first])(doubtful).date().isoformat() == "2015-05-02"


def test_dates_that_no_row_settles_are_asked_for_with_both_readings_in_one_line() -> None:
    with pytest.raises(UsageError) as refused:
        parser_for(["05-02-2015", "11-12-2015"])
    line = str(refused.value)
    assert "\n" not in line
    assert "--time-format '%d-%m-%Y' or '%m-%d-%Y'" in line


def test_rows_that_contradict_each_other_settle_nothing() -> None:
    with pytest.raises(UsageError, match="--time-format"):
        parser_for(["23-02-2015", "02-23-2015"] * 10)


def test_a_few_bad_rows_do_not_change_how_the_others_are_read() -> None:
    samples = ["05-02-2015"] * 38 + ["23-02-2015", "yesterday"]
    parse = parser_for(samples)
    assert parse("05-02-2015") == datetime(2015, 2, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="yesterday"):
        parse("yesterday")


@pytest.mark.parametrize(
    "written", ["yesterday", "2015", "05022015", "99", "1e30", "nan", "-1423139400", "31/31/2015", " "]
)
def test_what_is_no_time_is_asked_for_in_one_line_with_the_mend(written: str) -> None:
    with pytest.raises(UsageError) as refused:
        parser_for([written])
    assert "--time-format" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_the_named_format_is_used_and_what_it_does_not_fit_raises() -> None:
    parse = parser_for(["05/02/2015"], "%m/%d/%Y")
    assert parse("05/02/2015") == datetime(2015, 5, 2, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not match"):
        parse("2015-02-05")


def test_a_named_format_that_fits_no_row_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match=r"--time-format '%d/%m/%y' does not fit '2015-02-05'"):
        parser_for(["2015-02-05", "2015-02-06"], "%d/%m/%y")


@given(MOMENTS, ZONES)
def test_seconds_milliseconds_iso_and_mail_dates_name_the_same_moment(moment: datetime, zone: timezone) -> None:
    here = moment.replace(tzinfo=zone)
    writings = (
        here.isoformat(),
        here.isoformat(" "),
        str(int(here.timestamp())),
        str(int(here.timestamp() * 1000)),
        format_datetime(here),
        here.strftime("%Y/%m/%d %H:%M:%S %z"),
    )
    for written in writings:
        read = parser_for([written])(written)
        assert read == here
        assert read.utcoffset() == timedelta(0)


@given(st.lists(MOMENTS, min_size=1, max_size=30), st.sampled_from(["%d-%m-%Y %H:%M", "%m/%d/%Y", "%d.%m.%Y %H.%M.%S"]))
def test_a_numeric_column_is_read_as_it_was_written_or_the_user_is_asked(moments: list[datetime], written: str) -> None:
    samples = [moment.strftime(written) for moment in moments]
    try:
        parse = parser_for(samples)
    except UsageError:
        assert all(moment.day <= 12 for moment in moments)
        return
    expected = [datetime.strptime(sample, written).replace(tzinfo=UTC) for sample in samples]
    assert [parse(sample) for sample in samples] == expected


@given(st.lists(st.text(alphabet="0123456789 ,:-/.+TZADFMPabcefjnorstuvy\n", max_size=30), min_size=1, max_size=5))
def test_any_column_gives_times_in_utc_or_one_line(samples: list[str]) -> None:
    refusal = ""
    try:
        parse = parser_for(samples)
    except UsageError as refused:
        refusal = str(refused)
    assert len(refusal.splitlines()) <= 1
    assert refusal or all(parse(sample).utcoffset() == timedelta(0) for sample in samples)
