"""The HTTP interface sees where a statement ends, what it wants and where its data begins, whatever is quoted in it."""

import pytest

from workers.embedded.clickhouse_errors import ClickHouseError
from workers.embedded.clickhouse_statement import Kind, Statement, parse, settings_clause


def parsed(text: bytes) -> Statement:
    statement = parse(text)
    assert statement is not None
    return statement


@pytest.mark.parametrize(
    ("text", "head", "name", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x00\xff;'", b"INSERT INTO t ", "Native", b"\x00\xff;'"),
        (b"INSERT INTO t FORMAT TSV \t\r\n 1", b"INSERT INTO t ", "TSV", b" 1"),
        (b"insert into t(a, `b c`) values(1, 'x'); ", b"insert into t(a, `b c`) ", "Values", b"(1, 'x'); "),
        (b"INSERT INTO t (format, values) FORMAT CSV\n", b"INSERT INTO t (format, values) ", "CSV", b""),
        (b"INSERT INTO values VALUES (1)", b"INSERT INTO values ", "Values", b"(1)"),
        (b"INSERT INTO db.format FORMAT TSV 1", b"INSERT INTO db.format ", "TSV", b"1"),
        (b"INSERT INTO TABLE t FORMAT TSV\n\n", b"INSERT INTO TABLE t ", "TSV", b"\n"),
        (b"-- FORMAT x\nINSERT /* VALUES */ INTO t FORMAT TSV\n1", b"INSERT /* VALUES */ INTO t ", "TSV", b"1"),
        (b"INSERT INTO FUNCTION f('FORMAT x') FORMAT TSV 1", b"INSERT INTO FUNCTION f('FORMAT x') ", "TSV", b"1"),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT TSV\n1", b"INSERT INTO t SETTINGS a = 1 ", "TSV", b"1"),
    ],
)
def test_the_data_of_an_insert_begins_after_its_format(text: bytes, head: bytes, name: str, data: bytes) -> None:
    statement = parsed(text)
    assert (statement.kind, statement.head, statement.format) == (Kind.INSERT_DATA, head, name)
    assert text[statement.data_start :] == data


@pytest.mark.parametrize(
    ("text", "head", "name", "tail"),
    [
        (b"SELECT 1", b"SELECT 1", None, b""),
        (b"SELECT 1 ;; -- end\n", b"SELECT 1", None, b""),
        (b"SELECT 1 FORMAT JSON;", b"SELECT 1 ", "JSON", b""),
        (b"SELECT 1 SETTINGS a=1 FORMAT CSV SETTINGS b=2", b"SELECT 1 SETTINGS a=1 ", "CSV", b" SETTINGS b=2"),
        (b"SELECT format('{}', 1) AS format FROM t", b"SELECT format('{}', 1) AS format FROM t", None, b""),
        (b"SELECT 'a FORMAT JSON', `FORMAT`", b"SELECT 'a FORMAT JSON', `FORMAT`", None, b""),
        (b"SELECT 'it''s \\' ; FORMAT x'", b"SELECT 'it''s \\' ; FORMAT x'", None, b""),
        (b"SELECT $q$ ; FORMAT x $q$ FORMAT TSV", b"SELECT $q$ ; FORMAT x $q$ ", "TSV", b""),
        (b"(SELECT 1 FORMAT_) FORMAT TSV", b"(SELECT 1 FORMAT_) ", "TSV", b""),
    ],
)
def test_the_format_of_a_query_is_its_last_clause(text: bytes, head: bytes, name: str | None, tail: bytes) -> None:
    statement = parsed(text)
    assert (statement.head, statement.format, statement.tail) == (head, name, tail)
    assert statement.kind is Kind.STREAMED_RESULT


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"WITH 1 AS x SELECT x", Kind.STREAMED_RESULT),
        (b"FROM t SELECT 1", Kind.STREAMED_RESULT),
        (b"WITH 1 AS x INSERT INTO t SELECT x", Kind.NO_RESULT),
        (b"SHOW TABLES", Kind.SMALL_RESULT),
        (b"explain select 1", Kind.SMALL_RESULT),
        (b"CREATE TABLE t (a Int8) ENGINE = Memory", Kind.NO_RESULT),
        (b"INSERT INTO t SELECT * FROM u;", Kind.NO_RESULT),
    ],
)
def test_what_kind_of_answer_a_statement_has(text: bytes, kind: Kind) -> None:
    assert parsed(text).kind is kind


def test_the_arguments_of_input_are_found() -> None:
    text = b"INSERT INTO t SELECT f(a) FROM input('a Array(Int8), b String') WHERE a FORMAT CSV\n1"
    statement = parsed(text)
    assert statement.kind is Kind.INSERT_SELECT_DATA
    assert statement.input_call is not None
    word, bracket, after = statement.input_call
    assert statement.head[word:bracket] == b"input"
    assert statement.head[bracket:after] == b"('a Array(Int8), b String')"
    assert text[statement.data_start :] == b"1"


@pytest.mark.parametrize("text", [b"", b" \n", b"-- nothing\n/* at all */", b";"])
def test_nothing_is_no_statement(text: bytes) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"SELECT 1; SELECT 2", 62),
        (b"INSERT INTO t SELECT 1; DROP TABLE t", 62),
        (b"INSERT INTO t FORMAT TSV;1", 62),
        (b"SELECT 1 INTO OUTFILE 'x'", 358),
        (b"select 1 into\n/**/ outfile 'x'", 358),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT TSV", 78),
    ],
)
def test_several_statements_and_files_of_the_server_are_refused(text: bytes, code: int) -> None:
    with pytest.raises(ClickHouseError) as raised:
        parse(text)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("head", "clause"),
    [
        (b"INSERT INTO t (a, settings) SETTINGS a = 1", b"SETTINGS a = 1"),
        (b"INSERT INTO settings settings b = 2, c = 'x'", b"settings b = 2, c = 'x'"),
        (b"INSERT INTO settings (a)", b""),
        (b"INSERT INTO t ", b""),
    ],
)
def test_the_settings_of_an_insert_are_found(head: bytes, clause: bytes) -> None:
    assert head[settings_clause(head) :] == clause
