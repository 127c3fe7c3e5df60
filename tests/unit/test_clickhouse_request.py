"""A request is read as ClickHouse reads it, a body is unpacked whole or refused, an exception keeps number and name."""

import base64
import zlib
from urllib.parse import quote

import lz4.frame  # type: ignore[import-untyped]
import pytest

from workers.embedded.clickhouse_compression import chosen_encoder, decoded, decoded_native_blocks
from workers.embedded.clickhouse_errors import ClickHouseError, from_engine
from workers.embedded.clickhouse_request import QueryRequest, parse_form, read_request
from workers.embedded.clickhouse_result import pieces


def read(query_string: str, method: str = "POST", **headers: str) -> QueryRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_request(method, query_string.encode(), named, None)


def test_parameters_settings_and_bound_values_are_told_apart() -> None:
    request = read(
        "query=SELECT+%7Bx%3AString%7D&database=d&max_threads=2&param_x=a%5Ctb&default_format=CSV&query_id=q"
    )
    assert request.query == b"SELECT {x:String}"
    assert (request.database, request.default_format, request.query_id) == ("d", "CSV", "q")
    assert request.settings == {"max_threads": "2"}
    assert request.parameters == {"x": "a\\tb"}


def test_bytes_that_are_not_utf8_survive() -> None:
    assert read("query=SELECT+'%FF%FE'").query == b"SELECT '\xff\xfe'"
    assert read("param_x=%FF").parameters["x"].encode("utf-8", "surrogateescape") == b"\xff"


def test_only_get_and_head_read_only() -> None:
    assert [read("", method).readonly for method in ("GET", "HEAD", "POST")] == [True, True, False]


def test_credentials_come_from_headers_before_the_url() -> None:
    basic = "Basic " + base64.b64encode("ann:pa:ß".encode()).decode()
    assert (read("", authorization=basic).user, read("", authorization=basic).password) == ("ann", "pa:ß")
    own = read("user=url&password=url", x_clickhouse_user="header", x_clickhouse_key="secret")
    assert (own.user, own.password) == ("header", "secret")
    assert read(f"user=bob&password={quote('ß &')}").password == "ß &"
    assert read("").user == "default"
    with pytest.raises(ClickHouseError, match="use Basic"):
        read("", authorization="Bearer token")


def test_compression_is_only_used_when_it_is_enabled() -> None:
    assert read("", accept_encoding="gzip").accept_encoding == ""
    assert read("enable_http_compression=1", accept_encoding="gzip").accept_encoding == "gzip"
    names = [chosen_encoder(wanted) for wanted in ("gzip, lz4;q=1", "br, zstd, gzip", "deflate", "br", "")]
    assert [encoder.name if encoder else None for encoder in names] == ["lz4", "zstd", "deflate", None, None]


def test_a_form_carries_query_values_and_tables() -> None:
    lines = [
        "--B",
        'Content-Disposition: form-data; name="query"',
        "",
        "SELECT {p:String} FROM names",
        "--B",
        'Content-Disposition: form-data; name="param_p"',
        "",
        "v\r\nw",
        "--B",
        'Content-Disposition: form-data; name="names"; filename="names.tsv"',
        "Content-Type: application/octet-stream",
        "",
        "1\tone\n",
        "--B--",
        "",
    ]
    form = parse_form('multipart/form-data; boundary="B"', "\r\n".join(lines).encode())
    request = read_request("POST", b"names_types=UInt8,String&names_format=TSV&max_threads=1", {}, form)
    assert request.query == b"SELECT {p:String} FROM names"
    assert request.parameters == {"p": "v\r\nw"}
    assert request.settings == {"max_threads": "1"}
    (table,) = request.external_tables
    assert (table.name, table.format, table.structure, table.data) == (
        "names",
        "TSV",
        "_1 UInt8, _2 String",
        b"1\tone\n",
    )


def test_sessions_have_a_sane_timeout() -> None:
    session = read("session_id=s&session_timeout=5&session_check=1").session
    assert session is not None
    assert (session.id, session.timeout_s, session.must_exist) == ("s", 5.0, True)
    for wrong in ("0", "-1", "99999", "soon"):
        with pytest.raises(ClickHouseError):
            read(f"session_id=s&session_timeout={wrong}")


@pytest.mark.parametrize("encoding", ["lz4", "deflate"])
def test_bodies_in_several_frames_are_unpacked_and_torn_ones_refused(encoding: str) -> None:
    pack = lz4.frame.compress if encoding == "lz4" else zlib.compress
    packed = pack(b"first ") + pack(b"second")
    one_by_one = [packed[at : at + 1] for at in range(len(packed))]
    assert b"".join(decoded(one_by_one, encoding)) == b"first second"
    for torn in (packed[:-3], b"rubbish" + packed):
        with pytest.raises(ClickHouseError, match="Cannot decompress"):
            list(decoded([torn], encoding))
    with pytest.raises(ClickHouseError, match="Unknown compression method 'snappy'"):
        list(decoded([b"x"], "snappy"))


def test_torn_native_blocks_are_refused() -> None:
    block = bytes(16) + b"\x02" + (9 + 3).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
    assert b"".join(decoded_native_blocks([block, block[:20], block[20:]])) == b"abcabc"
    for wrong in (block[:-1], b"\xff" * 40):
        with pytest.raises(ClickHouseError, match="Cannot decompress"):
            list(decoded_native_blocks([wrong]))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_what_an_encoder_packs_unpacks(encoding: str) -> None:
    encoder = chosen_encoder(encoding)
    assert encoder is not None
    packed = [encoder.encode(b"abc" * 1000), encoder.encode(b"def"), encoder.finish()]
    assert b"".join(decoded(packed, encoding)) == b"abc" * 1000 + b"def"
    empty = chosen_encoder(encoding)
    assert empty is not None
    assert b"".join(decoded([empty.finish()], encoding)) == b""


def test_pieces_do_not_depend_on_how_the_bytes_came() -> None:
    data = bytes(range(256)) * 10
    for step in (1, 7, 1000, 5000):
        chunks = [data[at : at + step] for at in range(0, len(data), step)]
        assert list(pieces(chunks, 1000)) == [data[:1000], data[1000:2000], data[2000:]]


@pytest.mark.parametrize(
    ("message", "code", "text", "status"),
    [
        ("Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)", 60, "Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)", 404),
        (
            "Streaming insert finish failed: Code: 27. DB::Exception: Bad: row 2. (version 26.9.2.1)",
            27,
            "Code: 27. DB::Exception: Bad: row 2. (CANNOT_PARSE_INPUT_ASSERTION_FAILED)",
            400,
        ),
        ("out of luck", 1002, "Code: 1002. DB::Exception: out of luck. (UNKNOWN_EXCEPTION)", 500),
    ],
)
def test_an_exception_keeps_number_name_and_status(message: str, code: int, text: str, status: int) -> None:
    error = from_engine(RuntimeError(message), {27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED", 60: "UNKNOWN_TABLE"})
    assert (error.code, error.text, error.http_status) == (code, text, status)
    assert error.body("26.9") == f"{text} (version 26.9 (official build))\n"
