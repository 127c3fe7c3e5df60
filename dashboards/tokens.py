"""Who asks: a bearer token, or the cookie that signing in with one gives. Neither ever stands in an address or a log."""

import hashlib
import hmac
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from workers.settings import DashboardTokens

COOKIE = "voxpop_session"
SESSION_S = 12 * 3600


class Role(IntEnum):
    """Each may do what those before it may."""

    VIEWER = 1
    ANALYST = 2
    ADMIN = 3


class Caller(NamedTuple):
    """Who asks: what they may do, and a name that tells them from others without telling their token."""

    role: Role
    name: str


ANYBODY = Caller(Role.ADMIN, "local")


@dataclass(frozen=True, slots=True)
class _Token:
    secret: bytes
    fingerprint: str
    caller: Caller


class Doorman:
    """Knows the tokens. Without any, everybody is an admin: the dashboard then listens on loopback alone."""

    def __init__(self, tokens: DashboardTokens) -> None:
        self._tokens = [
            _Token(
                secret := value.get_secret_value().encode(),
                hashlib.sha256(secret).hexdigest()[:16],
                Caller(role, f"{role.name.lower()}-{place}"),
            )
            for role, values in (
                (Role.VIEWER, tokens.viewer),
                (Role.ANALYST, tokens.analyst),
                (Role.ADMIN, tokens.admin),
            )
            for place, value in enumerate(values, 1)
        ]

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return not self._tokens

    def by_token(self, given: str) -> Caller | None:
        """Whose token it is; None for a wrong one. Every token is compared, in the same time."""
        matches = [token.caller for token in self._tokens if hmac.compare_digest(token.secret, given.encode())]
        return max(matches, default=None)

    def session(self, given: str) -> str | None:
        """A cookie's value for a right token: which token, until when, and a signature under it. None for a wrong one."""
        until = int(time.time()) + SESSION_S
        for token in self._tokens:
            if hmac.compare_digest(token.secret, given.encode()):
                return f"{token.fingerprint}.{until}.{_signature(token, until)}"
        return None

    def by_session(self, cookie: str) -> Caller | None:
        """Whose cookie it is that `session` gave; None when it is forged, too old, or its token is gone."""
        fingerprint, _, rest = cookie.partition(".")
        until, _, signature = rest.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) <= 12) or int(until) < time.time():
            return None
        matches = [
            token.caller
            for token in self._tokens
            if token.fingerprint == fingerprint and hmac.compare_digest(_signature(token, int(until)), signature)
        ]
        return max(matches, default=None)


def _signature(token: _Token, until: int) -> str:
    return hmac.new(token.secret, f"voxpop session until {until}".encode(), hashlib.sha256).hexdigest()
