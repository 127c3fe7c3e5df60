"""The way in: whose name the request came under, who asks, and what the browser may do with the answer."""

import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.listening import is_loopback
from dashboards.problems import problem
from dashboards.tokens import ANYBODY, COOKIE, Caller, Doorman
from workers.errors import UsageError
from workers.settings import DashboardSettings

NEEDS_NO_TOKEN = ("/healthz", "/sign-in", "/favicon.ico", "/_nicegui/", "/assets/")
PAGES = "text/html"
CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")

# NiceGUI evaluates expressions that its own server sends and sets styles on elements; scripts run only with our nonce or
# from here, and nothing can be sent elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def check_exposure(settings: DashboardSettings) -> None:
    """Raises `UsageError` when other machines could reach the dashboard and nobody would be asked for a token."""
    if not is_loopback(settings.host) and Doorman(settings.tokens).open:
        raise UsageError(
            f"the dashboard on {settings.host} would be open to other machines; set VOXPOP_DASHBOARD__TOKENS"
            ' (\'{"viewer": ["…"]}\'), or bind it to 127.0.0.1'
        )


class Gate:
    """An ASGI middleware around everything, web sockets included. `scope["caller"]` is who asks: a `Caller`, or None."""

    def __init__(self, app: ASGIApp, settings: DashboardSettings, doorman: Doorman) -> None:
        self._app, self._settings, self._doorman = app, settings, doorman

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        nonce = secrets.token_urlsafe(16)
        guarded = _with_headers(send, scope, nonce)
        if not self._knows(headers.get("host", "")):
            await _refuse(
                scope, receive, guarded, 421, "Unknown host", "set VOXPOP_DASHBOARD__ALLOWED_HOSTS to this name"
            )
            return
        if _from_elsewhere(scope, headers):
            await _refuse(
                scope, receive, guarded, 403, "Asked by another site", "open the dashboard's own page instead"
            )
            return
        caller = self._caller(headers)
        scope["caller"], scope["nonce"] = caller, nonce
        if caller is None and not scope["path"].startswith(NEEDS_NO_TOKEN):
            if scope["type"] == "http" and PAGES in headers.get("accept", "") and not scope["path"].startswith("/api/"):
                await _redirect(guarded, "/sign-in")
                return
            await _refuse(scope, receive, guarded, 401, "Token needed", "send it as: Authorization: Bearer …")
            return
        await self._app(scope, receive, guarded)

    def _knows(self, host: str) -> bool:
        """A page elsewhere must not reach us under a name of its own (DNS rebinding)."""
        allowed = self._settings.allowed_hosts
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower()
        return "*" in allowed or is_loopback(name) or name in {self._settings.host.lower(), *map(str.lower, allowed)}

    def _caller(self, headers: Headers) -> Caller | None:
        if self._doorman.open:
            return ANYBODY
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._doorman.by_token(token.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return self._doorman.by_session(cookie.value) if cookie else None


def _from_elsewhere(scope: Scope, headers: Headers) -> bool:
    """Browsers let any page open a web socket or send a form, and name the page that does: a cookie alone proves nothing."""
    if scope["type"] == "http" and scope["method"] in CHANGES_NOTHING:
        return False
    origin = headers.get("origin")
    if origin is not None and origin.split("://", 1)[-1] != headers.get("host"):
        return True
    return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def _with_headers(send: Send, scope: Scope, nonce: str) -> Send:
    """Adds the headers to every answer, and the nonce to every script of a page.

    In a page `<script` stands only where the page's own code put it: what comes from elsewhere is escaped, and NiceGUI
    escapes `<` in the elements that it embeds.
    """
    held: list[Message] = []

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.body" and held:
            held.append(message)
            if not message.get("more_body", False):
                await _send_page(send, held, nonce)
            return
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.format(nonce=nonce)
            if scope["path"].startswith("/api/"):
                headers.setdefault("Cache-Control", "private, no-store")
            if headers.get("content-type", "").startswith(PAGES):
                held.append(message)
                return
        await send(message)

    return guarded


async def _send_page(send: Send, held: list[Message], nonce: str) -> None:
    start, *rest = held
    body = b"".join(message.get("body", b"") for message in rest)
    body = body.replace(b"<script", f'<script nonce="{nonce}"'.encode())
    MutableHeaders(scope=start)["content-length"] = str(len(body))
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, title: str, detail: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = {"WWW-Authenticate": 'Bearer realm="voxpop"'} if status == 401 else None
    await problem(status, title, detail, headers)(scope, receive, send)


async def _redirect(send: Send, where: str) -> None:
    await send({"type": "http.response.start", "status": 303, "headers": [(b"location", where.encode())]})
    await send({"type": "http.response.body", "body": b""})
