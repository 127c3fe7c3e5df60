"""ClickHouse's exceptions as its HTTP interface shows them: a number, a text, an HTTP status."""

import re

from workers.errors import VoxpopError

# What src/Server/HTTP/exceptionCodeToHTTPStatus.cpp of ClickHouse maps; every other code is a 500.
_STATUS_OF_CODES: dict[int, frozenset[int]] = {
    # REQUIRED_PASSWORD
    401: frozenset({194}),
    # UNKNOWN_USER, WRONG_PASSWORD, ACCESS_DENIED, SET_NON_GRANTED_ROLE, AUTHENTICATION_FAILED
    403: frozenset({192, 193, 497, 512, 516}),
    # What cannot be parsed, of the wrong type or out of range: SYNTAX_ERROR is 62, BAD_ARGUMENTS is 36
    400: frozenset(
        {6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676}
    ),
    # UNKNOWN_… FUNCTION, IDENTIFIER, TYPE, STORAGE, TABLE, AGGREGATE_FUNCTION, FORMAT, TYPE_OF_QUERY, DATABASE, SETTING,
    # DIRECTION_OF_SORTING, DATABASE_ENGINE, ROLE
    404: frozenset({46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511}),
    408: frozenset({159}),  # TIMEOUT_EXCEEDED
    411: frozenset({381}),  # HTTP_LENGTH_REQUIRED
    413: frozenset({229}),  # QUERY_IS_TOO_LARGE
    501: frozenset({48}),  # NOT_IMPLEMENTED
    503: frozenset({76, 209, 439}),  # CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
}
_STATUS = {code: status for status, codes in _STATUS_OF_CODES.items() for code in codes}

_CODE = re.compile(r"Code: (\d+)\. ")
_VERSION = re.compile(r"\.? ?\(version [^)]*(?:\([^)]*\))?\)\.?")
_NAME_AT_END = re.compile(r"\([A-Z][A-Z0-9_]+\)$")

NAMES = {
    36: "BAD_ARGUMENTS",
    40: "CHECKSUM_DOESNT_MATCH",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    78: "UNKNOWN_TYPE_OF_QUERY",
    89: "UNKNOWN_COMPRESSION_METHOD",
    246: "CORRUPTED_DATA",
    354: "ZLIB_INFLATE_FAILED",
    358: "INTO_OUTFILE_NOT_ALLOWED",
    372: "SESSION_NOT_FOUND",
    373: "SESSION_IS_LOCKED",
    374: "INVALID_SESSION_TIMEOUT",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
    561: "ZSTD_DECODER_FAILED",
    618: "LZ4_DECODER_FAILED",
}
BAD_ARGUMENTS = 36
CHECKSUM_DOESNT_MATCH = 40
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
UNKNOWN_FORMAT = 73
UNKNOWN_TYPE_OF_QUERY = 78
UNKNOWN_COMPRESSION_METHOD = 89
READONLY = 164
CORRUPTED_DATA = 246
INTO_OUTFILE_NOT_ALLOWED = 358
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
INVALID_SESSION_TIMEOUT = 374
ACCESS_DENIED = 497
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002


class ClickHouseError(VoxpopError):
    """An exception of ClickHouse: `code` is its number, `text` its sentence with the symbolic name, without a version."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def http_status(self) -> int:
        """The status ClickHouse's HTTP interface answers with when nothing has been sent yet."""
        return _STATUS.get(self.code, 500)

    def body(self, version: str) -> str:
        """The body of the answer: `Code: N. DB::Exception: … (NAME) (version …)` and a newline."""
        return f"{self.text} (version {version} (official build))\n"


def refusal(code: int, sentence: str) -> ClickHouseError:
    """An exception of ours in ClickHouse's words; `code` is one of this module's constants."""
    return ClickHouseError(code, f"Code: {code}. DB::Exception: {sentence}. ({NAMES[code]})")


def from_engine(error: Exception, names: dict[int, str]) -> ClickHouseError:
    """The ClickHouse exception inside what chDB raised. `names` are the engine's error names by number.

    chDB puts words of its own before "Code: " and sometimes leaves the symbolic name out.
    """
    message = str(error).strip()
    found = _CODE.search(message)
    if found is None:
        text = f"Code: {UNKNOWN_EXCEPTION}. DB::Exception: {message or type(error).__name__}. (UNKNOWN_EXCEPTION)"
        return ClickHouseError(UNKNOWN_EXCEPTION, text)
    code = int(found[1])
    text = _VERSION.sub("", message[found.start() :]).strip()
    if not _NAME_AT_END.search(text) and code in names:
        text = f"{text.rstrip('.')}. ({names[code]})"
    return ClickHouseError(code, text)
