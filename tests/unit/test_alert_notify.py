"""Who is told, when, and what becomes of a channel that fails."""

import email
import hashlib
import hmac
import smtplib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.alerts import Alert, AlertStatus
from tests.alert_texts import INCIDENT, days
from workers.alerting import notify
from workers.alerting.notify import Channel, Notifier, sentence
from workers.alerting.replay import replay
from workers.alerting.text import from_insight
from workers.errors import UsageError
from workers.settings import AlertSettings, EmailSettings, load_settings

(CLOSED,) = replay([from_insight(each) for each in days(INCIDENT)], AlertSettings()).alerts
NOW = datetime.now(UTC)
OPENED = CLOSED.model_copy(
    update={"revision": 1, "status": AlertStatus.OPEN, "closed_at": None, "window_end": NOW - timedelta(hours=1)}
)
SOON_CLOSED = CLOSED.model_copy(update={"closed_at": NOW})


class Sent:
    """A channel that fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.alerts: list[Alert] = []
        self.tries = 0
        self._failures = failures

    def __call__(self, alert: Alert) -> None:
        self.tries += 1
        if self.tries <= self._failures:
            raise ConnectionRefusedError
        self.alerts.append(alert)


def notifier(*sent: Sent, pauses: list[float] | None = None) -> Notifier:
    made = Notifier(AlertSettings(), pause=(pauses if pauses is not None else []).append)
    made.channels = [Channel(str(number), channel) for number, channel in enumerate(sent)]
    return made


def test_opening_and_end_are_told_once_each_and_what_lies_between_is_not() -> None:
    sent = Sent()
    tells = notifier(sent)
    for alert in (OPENED, OPENED, OPENED.model_copy(update={"revision": 2}), SOON_CLOSED, SOON_CLOSED):
        tells.tell(alert)
    assert sent.alerts == [OPENED, SOON_CLOSED]


def test_what_is_long_over_is_not_told() -> None:
    sent = Sent()
    notifier(sent).tell(CLOSED)
    assert sent.alerts == []


def test_a_channel_that_fails_is_tried_with_growing_pauses_then_given_up_and_the_others_are_told() -> None:
    broken, slow, good = Sent(failures=99), Sent(failures=2), Sent()
    pauses: list[float] = []
    notifier(broken, slow, good, pauses=pauses).tell(OPENED)
    assert (broken.tries, slow.tries, good.tries) == (4, 3, 1)
    assert (broken.alerts, slow.alerts, good.alerts) == ([], [OPENED], [OPENED])
    assert pauses == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_without_settings_nobody_is_told() -> None:
    assert Notifier(AlertSettings()).channels == []


def test_a_webhook_s_body_is_signed_and_names_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Opener:
        def open(self, request: Any, timeout: float) -> "Opener":
            asked.append((request, timeout))
            return self

        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(notify.urllib.request, "build_opener", lambda *_: Opener())
    settings = AlertSettings(webhooks=(SecretStr("https://chat.example/hook"),), webhook_secret=SecretStr("key"))
    Notifier(settings).tell(OPENED)
    ((request, timeout),) = asked
    assert timeout == settings.notify_timeout_s
    assert request.get_header("Idempotency-key") == f"{OPENED.alert_id}:1"
    signature = hmac.new(b"key", request.data, hashlib.sha256).hexdigest()
    assert request.get_header("X-voxpop-signature") == f"sha256={signature}"


def test_an_e_mail_has_the_sentence_and_the_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            assert (host, port, timeout) == ("mail.example", 25, 10.0)

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def send_message(self, message: email.message.EmailMessage) -> None:
            sent.append(message)

    monkeypatch.setattr(smtplib, "SMTP", Server)
    Notifier(AlertSettings(email=EmailSettings(to=("a@example.com",), host="mail.example"))).tell(OPENED)
    (message,) = sent
    assert message["Subject"] == f"Voxpop: {sentence(OPENED)}"
    assert OPENED.examples[0].quote in message.get_content()


def test_a_product_s_name_with_line_breaks_makes_no_header_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(smtplib.SMTP, "__init__", lambda *_, **__: None)
    monkeypatch.setattr(smtplib.SMTP, "__exit__", lambda *_: None)
    monkeypatch.setattr(smtplib.SMTP, "send_message", lambda _, message: sent.append(message))
    settings = AlertSettings(email=EmailSettings(to=("a@example.com",)))
    Notifier(settings).tell(OPENED.model_copy(update={"product": "Lamp\r\nBcc: all@example.com"}))
    assert sent[0]["Bcc"] is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WEBHOOKS", '["ftp://x"]'), ("WINDOW_HOURS", "7"), ("HISTORY_DAYS", "7"), ("FALSE_ALARMS_PER_DAY", "0")],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"VOXPOP_ALERTS__{variable}", value)
    if variable == "HISTORY_DAYS":
        monkeypatch.setenv("VOXPOP_ALERTS__WINDOW_HOURS", "48")
    with pytest.raises(UsageError, match="setting alerts"):
        load_settings()
