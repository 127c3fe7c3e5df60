"""A statement as a person can run it: the bound values written out. Only shown, never run by us."""

import re
from typing import Any

from dashboards.statements import Statement

_PLACEHOLDER = re.compile(r"\{(\w+):(\w+)\}")
_CLAUSES = re.compile(r" (FROM|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT) ")
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"})


def readable(statement: Statement) -> str:
    """The same SELECT with literals in it, on several lines."""
    laid_out = _CLAUSES.sub(lambda match: f"\n{match[1]} ", statement.sql)
    return _PLACEHOLDER.sub(lambda match: _literal(statement.parameters[match[1]], match[2]), laid_out)


def _literal(value: Any, kind: str) -> str:
    if kind == "String":
        return f"'{str(value).translate(_ESCAPES)}'"
    if kind == "Date":
        return f"toDate('{value}')"
    return repr(value)
