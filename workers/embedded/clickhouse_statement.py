"""What the HTTP interface must know of a statement before the engine runs it: its kind, its FORMAT, where its data begins.

ClickHouse's own parser tells its HTTP handler; chDB does not tell us. So this reads tokens, no grammar: words at the top
level, with strings, quoted names, comments, heredocs and brackets stepped over (src/Parsers/Lexer.cpp of ClickHouse).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from workers.embedded.clickhouse_errors import (
    INTO_OUTFILE_NOT_ALLOWED,
    SYNTAX_ERROR,
    UNKNOWN_TYPE_OF_QUERY,
    refusal,
)

_TOKEN = re.compile(
    rb"""(?P<blank>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
    |(?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_\x80-\xff][\w\x80-\xff]*)
    |(?P<number>\d\w*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = b"([{", b")]}"
# One newline, or the blanks up to it, separates the FORMAT's name from the data (ParserInsertQuery.cpp).
_BEFORE_DATA = re.compile(rb"[ \t\f]*\r?\n?")

_STREAMED = {b"SELECT", b"WITH", b"FROM", b"("}
_WITH_RESULT = {b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"CHECK", b"KILL", b"BACKUP", b"RESTORE"}


class Kind(Enum):
    """How a statement is run."""

    STREAMED_RESULT = auto()  # a SELECT: any size, so it is streamed
    SMALL_RESULT = auto()  # SHOW, DESCRIBE, EXPLAIN …
    NO_RESULT = auto()  # DDL, SET, INSERT … SELECT
    INSERT_DATA = auto()  # INSERT … FORMAT x or VALUES, the data follows
    INSERT_SELECT_DATA = auto()  # INSERT … SELECT … FROM input('…') FORMAT x, the data follows


@dataclass(frozen=True)
class Statement:
    """One statement without its trailing semicolon.

    `head` is the SQL up to its FORMAT clause (all of it when there is none) and `tail` what follows that clause (SETTINGS).
    `data_start` is the offset in the parsed text at which the data of an INSERT begins, None for other kinds.
    `input_call` has offsets in `head`: of the word `input`, of the bracket after it, of what follows the closing bracket.
    """

    kind: Kind
    head: bytes
    format: str | None = None
    tail: bytes = b""
    data_start: int | None = None
    input_call: tuple[int, int, int] | None = None

    @property
    def whole(self) -> bytes:
        """The SQL as it came, its data left out."""
        if self.format is None:
            return self.head
        return b"%b FORMAT %b %b" % (self.head, self.format.encode(), self.tail)


@dataclass(frozen=True)
class _Token:
    text: bytes
    start: int
    end: int
    depth: int  # how many brackets are open around it; a bracket has the depth of what it encloses less one
    is_word: bool

    def is_keyword(self, *keywords: bytes) -> bool:
        return self.is_word and self.depth == 0 and self.text.upper() in keywords


def _tokens(text: bytes) -> Iterator[_Token]:
    """The tokens of `text` that are not blank, read lazily: bytes after the last one asked for are never looked at."""
    depth = 0
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "blank":
            continue
        piece = match[0]
        if piece in _CLOSING:
            depth = max(0, depth - 1)
        yield _Token(piece, match.start(), match.end(), depth, match.lastgroup == "word")
        if piece in _OPENING:
            depth += 1


def parse(text: bytes) -> Statement | None:
    """The statement that `text` is or begins with (then data follows); None when there is nothing but blanks and comments.

    Raises `ClickHouseError` for several statements, and for INTO OUTFILE and FROM INFILE, which touch the server's files.
    """
    tokens = _tokens(text)
    first = next(tokens, None)
    if first is None or first.text == b";":
        return None
    if first.is_keyword(b"INSERT"):
        return _parse_insert(text, tokens)
    return _parse_query(text, first, tokens)


def settings_clause(head: bytes) -> int:
    """Where the SETTINGS clause of an INSERT's head begins; its end when there is none."""
    found, before = len(head), None
    for token in _tokens(head):
        if token.is_word and before is not None and before.is_keyword(b"SETTINGS"):
            found = before.start
        before = token
    return found


def _parse_query(text: bytes, first: _Token, rest: Iterator[_Token]) -> Statement:
    """A statement without data: everything in `text` belongs to it."""
    tokens = [first, *rest]
    while tokens[-1].text == b";":
        tokens.pop()
    end = tokens[-1].end
    kind = Kind.NO_RESULT
    if first.text.upper() in _STREAMED:
        kind = Kind.STREAMED_RESULT
    elif first.text.upper() in _WITH_RESULT:
        kind = Kind.SMALL_RESULT
    clause: int | None = None
    for at, token in enumerate(tokens):
        if token.text == b";":
            raise refusal(
                SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed): send one statement per request"
            )
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        _refuse_files(token, following)
        if token.is_keyword(b"INSERT") and following is not None and following.is_keyword(b"INTO"):
            kind = Kind.NO_RESULT
        if token.is_keyword(b"FORMAT") and _ends_a_clause(tokens, at):
            clause = at
    if clause is None:
        return Statement(kind, text[first.start : end])
    name = tokens[clause + 1]
    return Statement(
        kind, text[first.start : tokens[clause].start], name.text.decode(errors="replace"), text[name.end : end]
    )


def _ends_a_clause(tokens: list[_Token], at: int) -> bool:
    """Whether the word FORMAT at `at` begins the FORMAT clause: a name follows, then nothing or SETTINGS."""
    if at == 0 or at + 1 >= len(tokens) or not tokens[at + 1].is_word:
        return False
    return at + 2 == len(tokens) or tokens[at + 2].is_keyword(b"SETTINGS")


def _refuse_files(token: _Token, following: _Token | None) -> None:
    if following is None:
        return
    if token.is_keyword(b"INTO") and following.is_keyword(b"OUTFILE"):
        raise refusal(INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed over HTTP: read the answer instead")
    if token.is_keyword(b"FROM") and following.is_keyword(b"INFILE"):
        raise refusal(
            UNKNOWN_TYPE_OF_QUERY, "FROM INFILE is not allowed over HTTP: send the data in the request's body"
        )


def _parse_insert(text: bytes, rest: Iterator[_Token]) -> Statement:
    """An INSERT. Tokens are read only up to the data, which may be binary."""
    read: list[_Token] = []
    selects = False
    input_call: tuple[int, int, int] | None = None
    start = _first_token_start(text)
    for token in rest:
        previous = read[-1] if read else None
        read.append(token)
        if previous is None:
            continue
        _refuse_files(previous, token)
        if previous.text.lower() == b"input" and previous.is_word and token.text == b"(":
            input_call = (previous.start - start, token.start - start, _closing(text, token) - start)
        if _names_the_target(read):
            continue
        if token.is_keyword(b"SELECT", b"WITH"):
            selects = True
        if token.is_keyword(b"VALUES") and not selects:
            return Statement(Kind.INSERT_DATA, text[start : token.start], "Values", data_start=_data_start(text, token))
        if previous.is_keyword(b"FORMAT") and token.is_word and not _names_the_target(read[:-1]):
            if selects and input_call is None:
                continue
            kind = Kind.INSERT_SELECT_DATA if selects else Kind.INSERT_DATA
            name = token.text.decode(errors="replace")
            head = text[start : previous.start]
            return Statement(kind, head, name, b"", _data_start(text, token), input_call)
    return Statement(Kind.NO_RESULT, _without_semicolon(text, start, read))


def _first_token_start(text: bytes) -> int:
    return next(_tokens(text)).start


def _names_the_target(read: list[_Token]) -> bool:
    """Whether the last of the tokens after INSERT is still INTO, TABLE, FUNCTION or a part of the table's name."""
    words = [token.text.upper() for token in read]
    at = 1 if words[0] == b"INTO" else 0
    if len(words) > at + 1 and words[at] in (b"TABLE", b"FUNCTION") and words[at + 1] != b".":
        at += 1
    return len(words) <= at + 1 or words[-1] == b"." or words[-2] == b"."


def _data_start(text: bytes, last: _Token) -> int:
    if text[last.end : last.end + 1] == b";":
        raise refusal(SYNTAX_ERROR, "You have excessive ';' symbol before data for INSERT: remove it")
    blanks = _BEFORE_DATA.match(text, last.end)
    return blanks.end() if blanks else last.end


def _closing(text: bytes, opening: _Token) -> int:
    """The offset just after the bracket that closes `opening`."""
    for token in _tokens(text[opening.start :]):
        if token.depth == 0 and token.text == b")":
            return opening.start + token.end
    raise refusal(SYNTAX_ERROR, "Syntax error: input( is not closed")


def _without_semicolon(text: bytes, start: int, read: list[_Token]) -> bytes:
    while read and read[-1].text == b";":
        read.pop()
    if any(token.text == b";" and token.depth == 0 for token in read):
        raise refusal(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed): send one statement per request")
    return text[start : read[-1].end if read else len(text)]
