"""The way in: under which name, with which token, and how large a request may be."""

import asyncio

from starlette.requests import Request

from dashboards.listening import is_loopback
from dashboards.tokens import Doorman
from workers.errors import UsageError
from workers.serve.protocol import Refused
from workers.settings import DashboardTokens, ServeSettings

BODY_S = 30.0


def check_exposure(settings: ServeSettings) -> None:
    """Raises `UsageError` when other machines could reach the model and nobody would be asked for a token."""
    if not is_loopback(settings.host) and not settings.tokens:
        raise UsageError(
            f"the model on {settings.host} would be open to other machines; set VOXPOP_SERVE__TOKENS ('[\"…\"]'),"
            " or bind it to 127.0.0.1"
        )


class Door:
    """Lets requests in. Methods raise `Refused`."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._doorman = Doorman(DashboardTokens(viewer=settings.tokens))

    def admit(self, request: Request) -> None:
        """A page elsewhere can reach us neither under a name of its own nor without asking the browser's leave first."""
        if not self._knows(request.headers.get("host", "")):
            sentence = "this host name is not known here; set VOXPOP_SERVE__ALLOWED_HOSTS to it"
            raise Refused(421, "invalid_request_error", "unknown_host", sentence)
        if not self._doorman.open:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or self._doorman.by_token(token.strip()) is None:
                told = {"WWW-Authenticate": 'Bearer realm="voxpop"'}
                sentence = "a token is needed; send it as: Authorization: Bearer …"
                raise Refused(401, "authentication_error", "invalid_api_key", sentence, told)
        if request.method == "POST" and request.headers.get("content-type", "").split(";")[0] != "application/json":
            raise Refused(415, "invalid_request_error", "not_json", "send the body as application/json")

    async def body(self, request: Request) -> bytes:
        """The request's body, which is held to its limit while it comes."""
        most, held = self._settings.max_body_bytes, bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for part in request.stream():
                    held += part
                    if len(held) > most:
                        sentence = f"the body is larger than {most:,} bytes"
                        raise Refused(413, "invalid_request_error", "request_too_large", sentence)
        except TimeoutError:
            sentence = f"the body did not come within {BODY_S:.0f} s"
            raise Refused(408, "invalid_request_error", "request_timeout", sentence) from None
        return bytes(held)

    def _knows(self, host: str) -> bool:
        name = (host if host.endswith("]") else host.rsplit(":", 1)[0]).strip("[]").lower()
        allowed = {self._settings.host.lower(), *map(str.lower, self._settings.allowed_hosts)}
        return "*" in allowed or is_loopback(name) or name in allowed
