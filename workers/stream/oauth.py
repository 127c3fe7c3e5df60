"""Access tokens for Kafka's SASL mechanism OAUTHBEARER, by the client credentials grant (RFC 6749, 4.4; KIP-768)."""

import base64
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from kafka.net.sasl.oauth import AbstractTokenProvider

from workers.errors import VoxpopError
from workers.settings import KafkaSettings

TIMEOUT_S = 10.0
RENEWED_AT = 0.8  # of a token's life
SHORT_LIFE_S = 60.0  # of a token that does not say how long it lives


class NoToken(VoxpopError):
    """The token endpoint gives none, or does not answer."""


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
    """Asks for a token with the client's id and secret, and keeps it for most of its life. Threads may share one."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._url = settings.sasl_oauth_token_url or ""
        self._scope = settings.sasl_oauth_scope
        secret = settings.sasl_password.get_secret_value() if settings.sasl_password else ""
        quoted = (urllib.parse.quote(part, safe="") for part in (settings.sasl_username or "", secret))
        self._basic = base64.b64encode(":".join(quoted).encode()).decode()
        self._ca_file = settings.ssl_cafile
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def token(self) -> str:
        """A token that lives for a while. Raises `NoToken`, which names no secret."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._token, life_s = self._ask()
                self._until = time.monotonic() + RENEWED_AT * life_s
            return self._token

    def _ask(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        request = urllib.request.Request(self._url, urllib.parse.urlencode(form).encode(), method="POST")  # noqa: S310
        request.add_header("Authorization", f"Basic {self._basic}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=_trusted(self._ca_file)) as answer:  # noqa: S310
                told = json.loads(answer.read())
            return str(told["access_token"]), float(told.get("expires_in", SHORT_LIFE_S))
        except urllib.error.HTTPError as error:
            raise NoToken(
                f"{self._url} gives no token (it answers {error.code}); set VOXPOP_KAFKA__SASL_USERNAME and SASL_PASSWORD"
                " to a client's id and secret, and SASL_OAUTH_SCOPE as it has it"
            ) from None
        except OSError as error:
            why = getattr(error, "reason", error)
            raise NoToken(
                f"{self._url} does not answer ({why}); set VOXPOP_KAFKA__SASL_OAUTH_TOKEN_URL to the token endpoint"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NoToken(
                f"{self._url} answers with no access_token; set VOXPOP_KAFKA__SASL_OAUTH_TOKEN_URL to the token endpoint"
            ) from None


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    """The system's authorities, and Kafka's own."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context
