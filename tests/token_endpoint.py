"""A token endpoint on loopback: client credentials in, an unsigned token out."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, quote


class TokenEndpoint:
    """`given`: how many tokens it gave; `life_s`: how long they live, negative for ones that are over."""

    def __init__(self) -> None:
        self.given, self.life_s, self.asked = 0, 300.0, list[dict[str, list[str]]]()
        self.answer: bytes | None = None  # in place of a token
        self._clients: set[str] = set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                endpoint.asked.append(parse_qs(form))
                known = self.headers["Authorization"] in endpoint._clients
                body = endpoint._body() if known else b"{}"
                self.send_response(200 if known else 401)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def knows(self, client: str, secret: str) -> None:
        """Gives this client tokens."""
        pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
        self._clients.add(f"Basic {base64.b64encode(pair.encode()).decode()}")

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _body(self) -> bytes:
        if self.answer is not None:
            return self.answer
        self.given += 1
        now = time.time()
        claims = {"sub": "voxpop", "iat": now - 120, "exp": now + self.life_s}
        token = ".".join((_part({"alg": "none"}), _part(claims), ""))
        return json.dumps({"access_token": token, "expires_in": self.life_s, "token_type": "Bearer"}).encode()


def _part(fields: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
