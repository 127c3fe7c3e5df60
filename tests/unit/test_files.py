"""A user's own file: every row is a message, and a row that is no event says so in the dead letters."""

import codecs
import csv
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import InvalidMessage, Reason, decode_event
from workers.errors import UsageError
from workers.stream.files import SAMPLED_ROWS, EventFile, RowMapping
from workers.stream.produce import Outgoing

NOTHING = RowMapping()
PHONE = RowMapping(constants={"product": "Phone"})
HEAD = "id,text,product,created_at\n"
ROW = "r-1,Great sound,Phone,2026-11-02T10:00:00Z\n"


def written(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def messages(path: Path, mapping: RowMapping = NOTHING) -> list[Outgoing]:
    return list(EventFile(path, mapping))


def events(path: Path, mapping: RowMapping = NOTHING) -> list[dict[str, Any]]:
    return [json.loads(message.value or b"") for message in messages(path, mapping)]


def reason(message: Outgoing) -> Reason | None:
    try:
        decode_event(message.value)
    except InvalidMessage as invalid:
        return invalid.reason
    return None


# --- one row, however it is kept -------------------------------------------------------------------------------------

AS_JSON = json.dumps({"id": "r-1", "text": "Great sound", "product": "Phone", "created_at": "2026-11-02T10:00:00Z"})
AS_FILES = {
    "rows.csv": HEAD + ROW,
    "rows.CSV": HEAD + ROW,
    "rows.tsv": (HEAD + ROW).replace(",", "\t"),
    "rows.jsonl": AS_JSON + "\n",
    "rows.json": AS_JSON,
    "rows.ndjson": f"\n{AS_JSON}\r\n\r\n",
    "quoted.csv": HEAD.replace("text", '"text"') + ROW.replace("Great sound", '"Great sound"'),
    "windows.csv": (HEAD + ROW).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("name", AS_FILES)
def test_a_row_is_the_same_event_in_every_format(tmp_path: Path, name: str, mark: bytes, zipped: str) -> None:
    (message,) = messages(written(tmp_path, name + zipped, mark + AS_FILES[name].encode()))
    assert (message.topic, message.key) == ("voxpop.reviews", b"Phone")
    event = decode_event(message.value)
    assert (event.id, event.text, event.product) == ("r-1", "Great sound", "Phone")
    assert (event.kind, event.source) == ("review", name.rsplit(".", 1)[0])
    assert event.created_at == datetime(2026, 11, 2, 10, tzinfo=UTC)


def test_quoted_line_breaks_commas_and_quotes_stay_inside_their_cell(tmp_path: Path) -> None:
    text = 'First line,\nthe "second"\r\nthird'
    table = io.StringIO(newline="")
    csv.writer(table).writerows([["text", "product"], [text, "Phone"], ["next", "Phone"]])
    assert [event["text"] for event in events(written(tmp_path, "a.csv", table.getvalue()))] == [text, "next"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, max_size=5))
def test_any_text_comes_through_csv_and_json_unchanged(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    directory = tmp_path_factory.mktemp("any", numbered=True)
    table = io.StringIO(newline="")
    csv.writer(table, quoting=csv.QUOTE_ALL).writerows([["text"], *([text] for text in texts)])
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    for name, content in (("a.csv", table.getvalue()), ("a.jsonl", lines)):
        assert [event["text"] for event in events(written(directory, name, content), PHONE)] == texts


# --- columns and fields ----------------------------------------------------------------------------------------------


def test_columns_are_mapped_to_fields_and_to_metadata_and_the_rest_is_named_as_ignored(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "review_body,stars,color,weight,text\nGreat,4,red,1kg,not this one\n")
    mapping = RowMapping.parse(["review_body=text", "stars=rating", "color=metadata.colour"], ["product=Phone"])
    rows = EventFile(path, mapping)
    assert rows.ignored == ["weight", "text"]
    event = decode_event(next(iter(rows)).value)
    assert (event.text, event.rating, event.metadata) == ("Great", 4.0, {"colour": "red"})


def test_set_fills_only_what_a_row_lacks(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,product\nGreat,Phone\nBad,\n")
    mapping = RowMapping.parse([], ["product=Unnamed", "kind=post", "source=forum", "metadata.batch=7"])
    sent = messages(path, mapping)
    assert [message.key for message in sent] == [b"Phone", b"Unnamed"]
    assert {message.topic for message in sent} == {"voxpop.social"}
    event = decode_event(sent[0].value)
    assert (event.kind, event.source, event.metadata) == ("post", "forum", {"batch": "7"})


def test_a_set_time_is_read_as_a_column_of_times_would_be(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text\nGreat\n")
    for constant in ("2026-11-02", "2026/11/02", "1793577600"):
        (message,) = messages(path, RowMapping.parse([], ["product=Phone", f"created_at={constant}"]))
        assert decode_event(message.value).created_at == datetime(2026, 11, 2, tzinfo=UTC)


def test_kind_decides_the_topic_unless_one_is_named(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a.jsonl", '{"text": "a", "kind": "post"}\n{"text": "b", "kind": "review"}\n{"text": "c"}\n'
    )
    assert [m.topic for m in messages(path, PHONE)] == ["voxpop.social", "voxpop.reviews", "voxpop.reviews"]
    named = RowMapping(constants={"product": "Phone"}, topic="voxpop.social")
    assert {m.topic for m in messages(path, named)} == {"voxpop.social"}
    assert events(path, named)[2]["kind"] == "post"


def test_a_field_that_first_appears_late_in_the_file_is_kept(tmp_path: Path) -> None:
    early = '{"text": "short"}\n' * SAMPLED_ROWS
    path = written(tmp_path, "a.jsonl", early + '{"text": "late", "title": "A title", "rating": 2}\n')
    assert {"title": "A title", "rating": 2}.items() <= events(path, PHONE)[-1].items()


def test_numbers_of_a_table_become_what_the_contract_asks_for(tmp_path: Path) -> None:
    lines = '{"id": 17, "product": 501, "text": "a", "rating": "4.5", "author": 7}\n'
    (message,) = messages(written(tmp_path, "a.jsonl", lines))
    event = decode_event(message.value)
    assert (event.id, event.product, event.rating, event.author) == ("17", "501", 4.5, "7")


# --- ids and times ---------------------------------------------------------------------------------------------------


def test_a_row_without_an_id_gets_one_from_its_content_that_is_the_same_each_time(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text\nsame\nsame\nother\nsame\n")
    rows = EventFile(path, PHONE)
    once, again = ([json.loads(message.value or b"")["id"] for message in rows] for _ in range(2))
    assert once == again
    assert len(set(once)) == 4
    assert once[1] == f"{once[0]}-1"
    assert once[3] == f"{once[0]}-2"


def test_a_row_without_a_time_gets_the_time_of_ingestion(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    sent = messages(written(tmp_path, "a.csv", "text,created_at\na,\nb,2026-11-02T10:00:00Z\n"), PHONE)
    first, second = (decode_event(message.value).created_at for message in sent)
    assert before <= first <= datetime.now(UTC)
    assert second == datetime(2026, 11, 2, 10, tzinfo=UTC)


def test_the_format_of_times_is_told_from_the_whole_column_and_a_zoneless_time_is_utc(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,created_at\na,05-02-2015 10:00\nb,23-02-2015 11:00\n")
    assert [event["created_at"] for event in events(path, PHONE)] == [
        "2015-02-05T10:00:00+00:00",
        "2015-02-23T11:00:00+00:00",
    ]


def test_a_doubtful_format_is_asked_for_before_anything_is_sent(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,created_at\na,05-02-2015\n")
    with pytest.raises(UsageError, match="--time-format '%d-%m-%Y' or '%m-%d-%Y'"):
        EventFile(path, PHONE)
    month_first = RowMapping(constants={"product": "Phone"}, time_format="%m-%d-%Y")
    assert events(path, month_first)[0]["created_at"] == "2015-05-02T00:00:00+00:00"


# --- rows that are no events -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row", "why"),
    [
        ("a.csv", b"Caf\xe9,Phone\n", Reason.BAD_UTF8),
        ("a.csv", b",Phone\n", Reason.MISSING_FIELD),
        ("a.csv", b"great, but slow,Phone\n", Reason.BAD_JSON),
        ("a.csv", b"only a text\n", Reason.MISSING_FIELD),
        ("a.csv", b"x" * 200_000 + b",Phone\n", Reason.OVERSIZE),
        ("a.jsonl", b'{"text": "cut off\n', Reason.BAD_JSON),
        ("a.jsonl", b"[1, 2]\n", Reason.NOT_AN_OBJECT),
        ("a.jsonl", b'"text"\n', Reason.NOT_AN_OBJECT),
        ("a.jsonl", b'{"text": "Caf\xe9", "product": "Phone"}\n', Reason.BAD_UTF8),
        ("a.jsonl", b"[" * 5_000 + b"\n", Reason.TOO_DEEP),
        ("a.jsonl", b'{"text": ["a"], "product": "Phone"}\n', Reason.WRONG_TYPE),
        ("a.jsonl", b'{"text": "a", "product": "Phone", "rating": "five"}\n', Reason.WRONG_TYPE),
        ("a.jsonl", b'{"text": "a", "product": "Phone", "rating": 9}\n', Reason.OUT_OF_RANGE),
        ("a.jsonl", b'{"text": "a", "product": "Phone", "id": true}\n', Reason.WRONG_TYPE),
    ],
)
def test_a_broken_row_is_produced_with_its_reason_and_its_neighbours_pass(
    tmp_path: Path, name: str, row: bytes, why: Reason
) -> None:
    good = b"fine,Phone\n" if name == "a.csv" else b'{"text": "fine", "product": "Phone"}\n'
    head = b"text,product\n" if name == "a.csv" else b""
    sent = messages(written(tmp_path, name, head + good + row + good))
    assert [reason(message) for message in sent] == [None, why, None]


def test_an_empty_cell_at_the_end_of_every_row_harms_nothing(tmp_path: Path) -> None:
    assert [event["text"] for event in events(written(tmp_path, "a.csv", "text,product\na,Phone,\nb,Phone,\n"))] == [
        "a",
        "b",
    ]


def test_a_time_that_fits_no_format_is_its_own_rows_fault(tmp_path: Path) -> None:
    good = "a,2026-11-02T10:00:00Z\n"
    sent = messages(written(tmp_path, "a.csv", "text,created_at\n" + good * 30 + "a,soon\n" + good * 30), PHONE)
    assert [index for index, message in enumerate(sent) if reason(message) is Reason.BAD_TIME] == [30]


def test_rows_in_are_messages_out_for_a_file_of_random_bytes(tmp_path: Path) -> None:
    import random

    lines = [random.Random(seed).randbytes(60).replace(b"\n", b" ").replace(b"\r", b" ") for seed in range(300)]
    good = b'{"text": "a", "product": "Phone"}'
    sent = messages(written(tmp_path, "a.jsonl.gz", b"\n".join([good, *lines, good])))
    assert len(sent) == len(lines) + 2
    assert [index for index, message in enumerate(sent) if reason(message) is None] == [0, len(lines) + 1]


# --- files and options that cannot be used: one line with the mend ----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "mapping", "says"),
    [
        ("a.csv", "review,product\nGreat,Phone\n", NOTHING, "--map review=text"),
        ("a.csv", "text\nGreat\n", NOTHING, "--set product=NAME"),
        (
            "a.csv",
            "text,product\nGreat,Phone\n",
            RowMapping(columns={"body": "text"}),
            "no column 'body'; it has: text",
        ),
        ("a.csv", "", NOTHING, "holds no rows"),
        ("a.csv", "text,product\n", NOTHING, "holds no rows"),
        ("a.jsonl", "[1, 2]\n", NOTHING, "--map COLUMN=text"),
        ("a.csv", "text\nGreat\n".encode("utf-16"), PHONE, "UTF-8"),
        ("a.jsonl", '{"text": "Great"}\n'.encode("utf-16"), PHONE, "UTF-8"),
        ("a.csv", "text,created_at\na,soon\n", PHONE, "--time-format"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_mend(
    tmp_path: Path, name: str, content: str | bytes, mapping: RowMapping, says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        EventFile(written(tmp_path, name, content), mapping)
    line = str(refused.value)
    assert says in line
    assert len(line.splitlines()) == 1
    line.encode()


@pytest.mark.parametrize("cut", [40, 2_000])
def test_a_cut_off_gz_file_is_refused_rather_than_taken_for_the_whole(tmp_path: Path, cut: int) -> None:
    rows = "".join(f"{number} {hash(number * 7919):x},Phone\n" for number in range(20_000))
    whole = gzip.compress(("text,product\n" + rows).encode())
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) - cut])
    with pytest.raises(UsageError, match="is it complete"):
        list(EventFile(path, NOTHING))


def test_a_file_that_is_no_gz_for_all_its_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_text(HEAD + ROW)
    with pytest.raises(UsageError, match="cannot be read"):
        EventFile(path, NOTHING)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        EventFile(tmp_path / "absent.csv", NOTHING)


@pytest.mark.parametrize(
    ("columns", "constants", "says"),
    [
        (["review"], [], "--map 'review' is not of the form column=field"),
        (["=text"], [], "is not of the form"),
        (["review=body"], [], "no field 'body'; fields: author, created_at"),
        ([], ["product"], "--set 'product' is not of the form field=value"),
        ([], ["colour=red"], "no field 'colour'"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused_with_the_fields_there_are(
    columns: list[str], constants: list[str], says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        RowMapping.parse(columns, constants)
    assert says in str(refused.value)


def test_progress_reaches_the_size_of_the_file(tmp_path: Path) -> None:
    rows = EventFile(written(tmp_path, "a.csv.gz", "text\n" + "a\n" * 5_000), PHONE)
    seen = [rows.bytes_read for _ in rows]
    assert seen == sorted(seen)
    assert max(seen) <= rows.size == rows.bytes_read
