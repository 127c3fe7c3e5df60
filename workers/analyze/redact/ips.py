"""Addresses of machines, told apart from version numbers."""

import ipaddress
import re
from collections.abc import Iterator

IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*[0-9])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION_CUE = re.compile(
    r"\b(?:v|ver|versi[oó]n|firmware|software|build|release|update|android|ios|driver|rom)\W{0,3}$", re.I
)


def ips(text: str) -> Iterator[tuple[int, int]]:
    for match in IPV4.finditer(text) if text.count(".") >= 3 else ():
        if _is_ip(match.group()) and not _VERSION_CUE.search(text, max(0, match.start() - 24), match.start()):
            yield match.span()
    if text.count(":") > 1:
        yield from (match.span() for match in _IPV6.finditer(text) if len(match.group()) > 5 and _is_ip(match.group()))


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
