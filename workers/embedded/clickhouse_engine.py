"""The ClickHouse engine in this process (chDB) behind connections that last one request, so that nothing leaks between them.

A connection costs a fifth of a millisecond. It carries the request's database, settings, parameters and tables; what it
sets is gone when it closes. All connections share the engine, which lives as long as the first of them.
"""

import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chdb import ChdbError
from chdb.state.sqlitelike import Connection

from workers.embedded.clickhouse_errors import (
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    READONLY,
    ClickHouseError,
    from_engine,
    refusal,
)
from workers.embedded.clickhouse_request import QueryRequest
from workers.embedded.clickhouse_result import BLOCK_BYTES, EngineResult, Figures, ResultStream, pieces
from workers.embedded.clickhouse_sessions import Sessions, statements_to_restore
from workers.embedded.clickhouse_statement import Statement, settings_clause
from workers.embedded.process import EmbeddedError

USER = "default"
QUERIES_AT_ONCE = 100
_ENGINE_ERRORS = (ChdbError, RuntimeError, ValueError)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_HIGHEST_ERROR_CODE = 1100
_STOP_POLL_S = 0.1
_NOT_READONLY = ("0", "")
_GET_IS_READONLY = (
    "For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries"
)


class Engine:
    """One data directory open in this process. Every method may be called from many threads at once."""

    def __init__(self, directory: Path) -> None:
        """Open or create the database in `directory`. Raises `EmbeddedError` when it is in use or cannot be opened."""
        if "?" in str(directory):
            raise EmbeddedError(f"chDB cannot use a path with a question mark ({directory}): choose another directory")
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = str(directory)
        try:
            self._first = Connection(self._directory)
        except RuntimeError as error:
            raise EmbeddedError(
                f"the database in {directory} cannot be opened ({error}): stop the process that uses it, or restore it"
            ) from None
        self._sessions = Sessions(self._open)
        self.threads = ThreadPoolExecutor(QUERIES_AT_ONCE, thread_name_prefix="query")
        self.version, self.timezone, self.display_name = self._rows("SELECT version(), timezone(), displayName()")[0]
        codes = f"SELECT number, errorCodeToName(number) AS name FROM numbers({_HIGHEST_ERROR_CODE})"  # noqa: S608
        self.error_names = {int(code): name for code, name in self._rows(f"{codes} WHERE name != ''")}
        self._content_types = {
            name.lower(): kind
            for name, kind in self._rows("SELECT name, content_type FROM system.formats WHERE is_output")
        }

    def close(self) -> None:
        """Close the engine. Waits for its background work."""
        self._sessions.close()
        self._first.close()

    def content_type(self, format_name: str) -> str:
        """The media type of an output format."""
        return self._content_types.get(format_name.lower()) or "text/plain; charset=UTF-8"

    @contextmanager
    def connection(self, request: QueryRequest) -> Iterator["EngineConnection"]:
        """A connection set up for `request`. Raises `ClickHouseError` for settings or a database that are not there."""
        if request.session is None:
            connection = self._open()
            try:
                opened = EngineConnection(self, connection, request)
                opened.prepare(request)
                yield opened
            finally:
                connection.close()
            return
        with self._sessions.lease(request.session) as connection:
            opened = EngineConnection(self, connection, request)
            try:
                opened.prepare(request)
                yield opened
            finally:
                opened.restore()

    def _open(self) -> Any:
        """A new connection. It takes SQL as bytes too, which its annotations do not say."""
        connection: Any = Connection(self._directory)
        # The engine's console mode takes `x` for `SELECT x`; a server does not.
        connection.query("SET implicit_select = 0", "Null")
        return connection

    def stop_query(self, mark: str) -> bool:
        """Cancel the query whose log_comment is `mark`, without waiting for its end; whether there is one."""
        asking = self._open()
        try:
            found = asking.query(b"KILL QUERY WHERE Settings['log_comment'] = %b ASYNC" % quoted(mark), "TabSeparated")
            return bool(found.bytes())
        finally:
            asking.close()

    def _rows(self, sql: str) -> list[list[str]]:
        text = bytes(self._first.query(sql, "TabSeparated").bytes()).decode()
        return [line.split("\t") for line in text.splitlines()]


class EngineConnection:
    """One request's way into the engine. Used by one request, by one thread at a time."""

    def __init__(self, engine: Engine, connection: Any, request: QueryRequest) -> None:
        self._engine = engine
        self._connection = connection
        # How `stop_query` finds the query: ids come from clients and need not be unique.
        self._mark = f"{request.query_id} {uuid.uuid4()}"
        self._in_session = request.session is not None
        self._readonly_by_get = request.readonly and request.settings.get("readonly", "0") in _NOT_READONLY
        self._readonly = "2" if self._readonly_by_get else request.settings.get("readonly", "0")
        self._restore: list[bytes] = []

    def prepare(self, request: QueryRequest) -> None:
        """Apply the request's settings, parameters, database and tables; readonly last, for it forbids the others."""
        values = {name: value for name, value in request.settings.items() if name != "readonly"}
        for name in values:
            if not _SETTING_NAME.fullmatch(name):
                raise refusal(BAD_ARGUMENTS, f"'{name}' is not the name of a setting: check the URL's parameters")
        if self._in_session:
            names = [quoted(name) for name in values]
            self._restore += statements_to_restore(self._connection, names, keep_database=bool(request.database))
        values = {"log_comment": self._mark, **values}
        values |= {f"param_{name}": value for name, value in request.parameters.items()}
        self._execute(b"SET " + b", ".join(encoded(name) + b" = " + quoted(value) for name, value in values.items()))
        if request.database:
            self._execute(b"USE " + quoted(request.database, b"`"))
        for table in request.external_tables:
            name_sql = quoted(table.name, b"`")
            self._execute(b"CREATE TEMPORARY TABLE %b (%b) ENGINE = Memory" % (name_sql, encoded(table.structure)))
            self._restore.append(b"DROP TEMPORARY TABLE " + name_sql)
            self.insert(b"INSERT INTO " + name_sql, table.format, [table.data])
        if self._readonly not in _NOT_READONLY and not self._in_session:
            self._execute(b"SET readonly = " + quoted(self._readonly))

    def restore(self) -> None:
        """Put back what the request set, where the connection lives on."""
        for statement in reversed(self._restore):
            self._execute(statement)

    def _check_readonly(self, sql: bytes) -> None:
        """Refuse `sql` when it writes and the request is readonly.

        Needed in a session only, whose connection could never leave the engine's own readonly mode again.
        """
        if not self._in_session or self._readonly in _NOT_READONLY:
            return
        if self._connection._conn.classify_query(sql.decode("utf-8", "replace"))["query_class"].name != "READ_ONLY":
            text = f"Code: {READONLY}. DB::Exception: {USER}: Cannot execute query in readonly mode. (READONLY)"
            raise self._error(ChdbError(text))

    def small(self, statement: Statement, format_name: str) -> tuple[bytes, Figures]:
        """Run a statement whose result, if any, fits into memory: the result in `format_name`, and the figures."""
        self._check_readonly(statement.head)
        result = self._execute(statement.head + b" " + statement.tail, format_name)
        return bytes(result.bytes()), Figures.of(result)

    def streamed(self, statement: Statement, format_name: str) -> ResultStream:
        """Start a SELECT whose result is read piece by piece."""
        self._check_readonly(statement.head)
        return ResultStream(statement, format_name, self._execute, self._stop, self._engine.threads)

    def insert(self, sql: bytes, format_name: str, chunks: Iterable[bytes]) -> Figures:
        """Insert the data in `chunks` by `sql`, an INSERT without FORMAT and data. When `chunks` raises, it is cancelled.

        The engine reads the data from a pipe as FROM INFILE. (chDB's own streaming insert answers that all went well when
        writing fails behind the parser: a constraint, a materialized view, too many parts.)
        """
        self._check_readonly(sql + b" VALUES")
        at = settings_clause(sql)

        def statement(path: bytes) -> bytes:
            source = b" FROM INFILE %b COMPRESSION 'none' " % path
            return sql[:at] + source + sql[at:] + b" FORMAT " + encoded(format_name)

        return self._fed(statement, chunks)

    def insert_select(self, statement: Statement, chunks: Iterable[bytes]) -> Figures:
        """Run INSERT … SELECT … FROM input('structure'), whose data is in `chunks`: the engine reads it from a pipe."""
        assert statement.input_call is not None and statement.format is not None  # noqa: S101, PT018 - the kind says so
        self._check_readonly(statement.head)
        word, bracket, after = statement.input_call
        structure = statement.head[bracket + 1 : after - 1].strip()
        if not structure:
            raise refusal(NOT_IMPLEMENTED, "input() without a structure is not served here: name the columns in it")
        call = b"file(%b, " + quoted(statement.format) + b", " + structure + b")"
        return self._fed(lambda path: statement.head[:word] + call % path + statement.head[after:], chunks)

    def _fed(self, statement: Callable[[bytes], bytes], chunks: Iterable[bytes]) -> Figures:
        """Run the statement that reads `chunks` from the path it is given (an SQL string literal)."""
        reader, writer = os.pipe()

        def run() -> EngineResult:
            try:
                return self._execute(statement(b"'/dev/fd/%d'" % reader))
            finally:
                os.close(reader)  # so that the feeding below ends when the engine stops reading

        running = self._engine.threads.submit(run)
        try:
            self._feed(writer, chunks, running)
        finally:
            wait([running])  # the connection must not be closed under it
        return Figures.of(running.result())

    def _feed(self, writer: int, chunks: Iterable[bytes], running: "Future[EngineResult]") -> None:
        """Write `chunks` into the pipe. When they fail the query is cancelled first: an end of file would commit a part."""
        with open(writer, "wb", buffering=0) as pipe:
            try:
                for piece in pieces(chunks, BLOCK_BYTES):
                    pipe.write(piece)
            except BrokenPipeError:
                return  # the engine reads no more: its own error says why
            except BaseException:
                # Only the end of file wakes a read from the pipe, so it is not the end of the query that is waited for.
                while not (running.done() or self._stop()):
                    wait([running], _STOP_POLL_S)
                raise

    def _stop(self) -> bool:
        return self._engine.stop_query(self._mark)

    def _execute(self, sql: bytes, format_name: str = "Null") -> EngineResult:
        try:
            result: EngineResult = self._connection.query(sql, format_name)
        except _ENGINE_ERRORS as error:
            raise self._error(error) from None
        return result

    def _error(self, error: Exception) -> ClickHouseError:
        exception = from_engine(error, self._engine.error_names)
        if exception.code == READONLY and self._readonly_by_get:
            text = exception.text.replace(" (READONLY)", f" {_GET_IS_READONLY}. (READONLY)")
            return ClickHouseError(READONLY, text)
        return exception


def encoded(text: str) -> bytes:
    """The bytes of text that came with a request, which need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def quoted(text: str, quote: bytes = b"'") -> bytes:
    """An SQL string literal, or an identifier between backticks."""
    return quote + encoded(text).replace(b"\\", b"\\\\").replace(quote, b"\\" + quote) + quote
