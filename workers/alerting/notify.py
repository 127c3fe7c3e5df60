"""Tells people, where webhooks or e-mail are configured. Bounded in time and tries; a failure is logged and counted."""

import hashlib
import hmac
import smtplib
import ssl
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import orjson
import structlog

from schemas.alerts import Alert, AlertKind, AlertStatus
from workers import metrics
from workers.settings import AlertSettings, EmailSettings

log = structlog.get_logger(__name__)

REMEMBERED = 10_000  # notices, so that one that comes twice is sent once
FIRST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Channel:
    """`send` raises OSError (smtplib's errors are that too) when it did not work; another try may."""

    name: str
    send: Callable[[Alert], None]


class Notifier:
    """Tells each opening and each closing once a channel. One thread at a time."""

    def __init__(self, settings: AlertSettings, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._pause = pause
        self._told: OrderedDict[tuple[str, int], None] = OrderedDict()
        self.channels: Sequence[Channel] = _channels(settings)

    def tell(self, alert: Alert) -> None:
        """Nothing of updates, and nothing of moments that are long over. Never raises because a channel fails."""
        if not self._is_news(alert):
            return
        for channel in self.channels:
            self._try(channel, alert)

    def _is_news(self, alert: Alert) -> bool:
        oldest = datetime.now(UTC) - timedelta(hours=self._settings.notify_within_hours)
        name = (alert.alert_id, alert.revision)
        if (alert.revision > 1 and alert.status is AlertStatus.OPEN) or alert.moment < oldest or name in self._told:
            return False
        self._told[name] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return True

    def _try(self, channel: Channel, alert: Alert) -> None:
        for attempt in range(self._settings.notify_tries):
            if attempt:
                self._pause(FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                channel.send(alert)
            except OSError as error:
                log.warning("notice not sent", channel=channel.name, alert=alert.alert_id, cause=_cause(error))
            else:
                metrics.NOTICES.labels(channel.name, "sent").inc()
                return
        metrics.NOTICES.labels(channel.name, "given_up").inc()
        log.error("notice given up", channel=channel.name, alert=alert.alert_id, tries=self._settings.notify_tries)


def _cause(error: OSError) -> str:
    """Without the address, which may be a secret."""
    return f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__


def sentence(alert: Alert) -> str:
    """The alert in one line, for people."""
    leading = alert.leading
    what = {
        AlertKind.NEGATIVE_SHARE: f"{leading.observed} of {leading.texts} texts negative",
        AlertKind.VOLUME: f"{leading.observed} texts",
        AlertKind.URGENCY: f"{leading.observed} of {leading.texts} texts urgent",
        AlertKind.NEW_ASPECT: f"{leading.observed} of {leading.texts} texts speak of something new",
        AlertKind.SILENCE: f"nothing from {alert.source or 'any source'}",
        AlertKind.CAMPAIGN: f"{leading.observed} of {leading.texts} texts nearly identical",
    }[alert.kind]
    about = f" ({alert.aspect})" if alert.aspect else ""
    span = f"{alert.window_start:%Y-%m-%d %H:%M} to {alert.window_end:%Y-%m-%d %H:%M} UTC"
    figures = f"{leading.expected:.1f} expected, p = {leading.p_value:.1g}"
    return f"{alert.product}: {what}{about}, {figures}, {span} [{alert.status}]"


def _channels(settings: AlertSettings) -> list[Channel]:
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
    channels = [
        Channel(f"webhook {number}", _webhook(url.get_secret_value(), secret, settings.notify_timeout_s))
        for number, url in enumerate(settings.webhooks, 1)
    ]
    if settings.email.to:
        channels.append(Channel("e-mail", _email(settings.email, settings.notify_timeout_s)))
    return channels


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What was meant for one address goes to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _webhook(url: str, secret: str | None, timeout_s: float) -> Callable[[Alert], None]:
    """POSTs {"text": a line for chat programs, "alert": all of it}. `X-Voxpop-Signature` is the body's HMAC-SHA256."""
    opener = urllib.request.build_opener(_NoRedirects)

    def send(alert: Alert) -> None:
        body = orjson.dumps({"text": sentence(alert), "alert": alert.model_dump(mode="json")})
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{alert.alert_id}:{alert.revision}",
        }
        if secret is not None:
            headers["X-Voxpop-Signature"] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - settings allow http and https only
        with opener.open(request, timeout=timeout_s):
            return

    return send


def _email(settings: EmailSettings, timeout_s: float) -> Callable[[Alert], None]:
    def send(alert: Alert) -> None:
        message = EmailMessage()
        message["Subject"] = " ".join(f"Voxpop: {sentence(alert)}".split())
        message["From"], message["To"] = settings.sender, ", ".join(settings.to)
        message["Message-ID"] = f"<{alert.alert_id}.{alert.revision}@voxpop>"
        quotes = "\n".join(f"- {example.quote} ({example.source} {example.event_id})" for example in alert.examples)
        message.set_content(f"{sentence(alert)}\n\n{quotes}\n")
        context = ssl.create_default_context()
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout_s, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=timeout_s)
        with server:
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.username and settings.password:
                server.login(settings.username, settings.password.get_secret_value())
            server.send_message(message)

    return send
