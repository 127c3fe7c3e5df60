"""One request to ClickHouse's HTTP interface, taken apart: who asks, what, with which settings and parameters.

URL parameters are ClickHouse's (src/Server/HTTPHandler.cpp): a few belong to the interface itself, `param_…` bind
values, NAME_format, NAME_types and NAME_structure describe a table sent along, every other one is a setting for this query.
"""

import base64
import binascii
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from urllib.parse import unquote_to_bytes

from workers.embedded.clickhouse_errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    INVALID_SESSION_TIMEOUT,
    NOT_IMPLEMENTED,
    refusal,
)

_INTERFACE_PARAMETERS = {
    "add_http_cors_header",
    "buffer_size",
    "client_protocol_version",
    "close_session",
    "compress",
    "database",
    "decompress",
    "default_format",
    "password",
    "query",
    "query_id",
    "quota_key",
    "role",
    "session_check",
    "session_id",
    "session_timeout",
    "stacktrace",
    "user",
    "wait_end_of_query",
}
DEFAULT_FORMAT = "TabSeparated"
MAX_QUERY_BYTES = 262_144  # ClickHouse's own default of max_query_size
SESSION_TIMEOUT_S = 60.0
MAX_SESSION_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Session:
    """The session a request names: its id, how long it may idle, and whether it must exist already."""

    id: str
    timeout_s: float
    must_exist: bool
    close_after: bool


@dataclass(frozen=True)
class ExternalTable:
    """A table sent along with a query: lives as long as the query does."""

    name: str
    format: str
    structure: str
    data: bytes


@dataclass(frozen=True)
class QueryRequest:
    """Everything of a request but its body. Values of `settings` and `parameters` are text exactly as sent."""

    query: bytes
    user: str
    password: str
    database: str
    default_format: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    query_id: str
    session: Session | None
    readonly: bool  # GET: it may read only
    accept_encoding: str
    content_encoding: str
    native_compression: bool
    native_decompression: bool
    wait_end_of_query: bool
    external_tables: tuple[ExternalTable, ...] = field(default=())

    @property
    def max_query_bytes(self) -> int:
        """How long the SQL may be, the data of an INSERT not counted."""
        return max(MAX_QUERY_BYTES, int(_number(self.settings.get("max_query_size", "0"), "max_query_size")))


def read_request(method: str, query_string: bytes, headers: Mapping[str, str], form: "FormData | None") -> QueryRequest:
    """The request's parts. `headers` have lower-case names. `form` is the body when it is multipart/form-data.

    Raises `ClickHouseError` for parameters that make no sense.
    """
    url = _parse_url_parameters(query_string)
    if form is not None:
        url = {**url, **{name: value for name, value in form.fields.items() if name != "query"}}
    text = {name: value.decode("utf-8", "surrogateescape") for name, value in url.items()}
    user, password = _credentials(text, headers)
    query = b"".join((url.get("query", b""), form.fields.get("query", b"") if form else b""))
    tables, describing = _external_tables(text, form)
    return QueryRequest(
        query=query,
        user=user,
        password=password,
        database=text.get("database") or headers.get("x-clickhouse-database", ""),
        default_format=text.get("default_format") or headers.get("x-clickhouse-format") or DEFAULT_FORMAT,
        settings={
            name: value
            for name, value in text.items()
            if name not in _INTERFACE_PARAMETERS and name not in describing and not name.startswith("param_")
        },
        parameters={name[len("param_") :]: value for name, value in text.items() if name.startswith("param_")},
        query_id=text.get("query_id") or str(uuid.uuid4()),
        session=_session(text),
        readonly=method in ("GET", "HEAD"),
        accept_encoding=headers.get("accept-encoding", "") if _flag(text, "enable_http_compression") else "",
        content_encoding=headers.get("content-encoding", "").strip().lower(),
        native_compression=_flag(text, "compress"),
        native_decompression=_flag(text, "decompress"),
        wait_end_of_query=_flag(text, "wait_end_of_query"),
        external_tables=tables,
    )


def _parse_url_parameters(query_string: bytes) -> dict[str, bytes]:
    """Name → percent-decoded bytes. Several `query` parameters are joined, of any other name the last one counts."""
    parameters: dict[str, bytes] = {}
    for pair in query_string.split(b"&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        name = unquote_to_bytes(raw_name.replace(b"+", b" ")).decode("utf-8", "surrogateescape")
        value = unquote_to_bytes(raw_value.replace(b"+", b" "))
        parameters[name] = parameters.get(name, b"") + value if name == "query" else value
    return parameters


def _credentials(text: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """User and password from the X-ClickHouse headers, Basic authorization or the URL; user `default` when unnamed."""
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
    authorization = headers.get("authorization", "")
    if authorization:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise refusal(AUTHENTICATION_FAILED, f"Invalid authentication: '{scheme}' is not served here, use Basic")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise refusal(AUTHENTICATION_FAILED, "Invalid authentication: the Basic header is not base64") from None
        return user or "default", password
    return text.get("user", "default"), text.get("password", "")


def _session(text: Mapping[str, str]) -> Session | None:
    if not text.get("session_id"):
        return None
    timeout_s = _number(text.get("session_timeout", str(SESSION_TIMEOUT_S)), "session_timeout")
    if not 0 < timeout_s <= MAX_SESSION_TIMEOUT_S:
        raise refusal(
            INVALID_SESSION_TIMEOUT,
            f"Session timeout '{timeout_s:g}' is not between 1 and the maximum {MAX_SESSION_TIMEOUT_S:g} seconds",
        )
    return Session(text["session_id"], timeout_s, _flag(text, "session_check"), _flag(text, "close_session"))


def _flag(text: Mapping[str, str], name: str) -> bool:
    return text.get(name, "0").lower() not in ("", "0", "false")


def _number(value: str, name: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise refusal(BAD_ARGUMENTS, f"Cannot parse {name}: '{value}' is not a number") from None


@dataclass(frozen=True)
class FormData:
    """A multipart/form-data body: fields, and files by the name of their field."""

    fields: Mapping[str, bytes]
    files: Mapping[str, bytes]


def parse_form(content_type: str, body: bytes) -> FormData:
    """The parts of a multipart/form-data body (RFC 7578). Raises `ClickHouseError` when it has no boundary."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        raise refusal(BAD_ARGUMENTS, "multipart/form-data without a boundary: name it in the Content-Type header")
    fields: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        disposition = BytesHeaderParser().parsebytes(head.strip())
        name = disposition.get_param("name", header="content-disposition")
        target = fields if disposition.get_filename() is None else files
        target[str(name)] = content
    return FormData(fields, files)


def _external_tables(
    text: Mapping[str, str], form: FormData | None
) -> tuple[tuple[ExternalTable, ...], frozenset[str]]:
    """The tables sent along, and the names of the URL parameters that describe them."""
    if form is None:
        return (), frozenset()
    tables: list[ExternalTable] = []
    describing: set[str] = set()
    for name, data in form.files.items():
        keys = {kind: f"{name}_{kind}" for kind in ("format", "types", "structure")}
        describing.update(keys.values())
        structure = text.get(keys["structure"], "")
        if not structure:
            types = text.get(keys["types"], "")
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types.split(","), 1) if kind)
        if not structure:
            raise refusal(BAD_ARGUMENTS, f"Neither {name}_structure nor {name}_types is given for the table '{name}'")
        tables.append(ExternalTable(name, text.get(keys["format"], DEFAULT_FORMAT), structure, data))
    return tuple(tables), frozenset(describing)


def refuse_what_is_not_served(request: QueryRequest) -> None:
    """`ClickHouseError` NOT_IMPLEMENTED for what a client may ask of a real server and would misread from this one."""
    if request.native_compression:
        raise refusal(
            NOT_IMPLEMENTED, "compress=1 is not served here: use enable_http_compression=1 and Accept-Encoding"
        )
