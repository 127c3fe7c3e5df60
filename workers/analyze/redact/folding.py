"""The folded copy of a text: what the patterns search, each character knowing where it came from."""

import html
import re
import unicodedata

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff"
)
_IS_INVISIBLE = re.compile(f"[{_INVISIBLE}]")
_ENTITY = r"&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});|%(?:40|2[bBeE])"
_FOLDABLE = re.compile(
    rf"{_ENTITY}|[{_INVISIBLE}]|[^\S\x00-\x7f]|(?![0-9])\d"
    "|[\u2010-\u2015\u2212\u2024\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u2795\u3002\ufe50-\ufe6b\uff01-\uff5e\U0001d400-\U0001d7ff]"
)


def _fold_piece(piece: str) -> str:
    """What one matched piece of the text means to the patterns: often one ASCII character, or nothing."""
    if len(piece) > 1:
        piece = chr(int(piece[1:], 16)) if piece[0] == "%" else html.unescape(html.unescape(piece.replace("amp;", "")))
    if _IS_INVISIBLE.match(piece) or not piece:
        return ""
    if piece.isspace():
        return " " if piece != "\n" else piece
    if len(piece) > 1:
        return piece
    if unicodedata.category(piece) == "Pd" or piece == "\u2212":
        return "-"
    digit = unicodedata.digit(piece, None)
    if digit is not None:
        return str(digit)
    return {"\u2795": "+", "\u3002": "."}.get(piece) or unicodedata.normalize("NFKC", piece)


def folded_copy(text: str) -> tuple[str, list[int] | None]:
    """The folded copy, and for each of its characters (and its end) the index in `text`; None when the two are the same."""
    if (text.isascii() and "&" not in text and "%" not in text) or _FOLDABLE.search(text) is None:
        return text, None
    pieces: list[str] = []
    origins: list[int] = []
    done = 0
    for match in _FOLDABLE.finditer(text):
        pieces.append(text[done : match.start()])
        origins.extend(range(done, match.start()))
        folded = _fold_piece(match.group())
        pieces.append(folded)
        origins.extend([match.start()] * len(folded))
        done = match.end()
    pieces.append(text[done:])
    origins.extend(range(done, len(text) + 1))
    return "".join(pieces), origins


def small_letters(text: str) -> str:
    """Letters as patterns that mind no case compare them: what one of them finds has its letters in here."""
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").lower().replace("\u0131", "i").replace("\u017f", "s")
