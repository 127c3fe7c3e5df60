"""Tells alerts: first to ClickHouse, then to the topic, until both have them."""

import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from schemas.alerts import Alert
from workers import metrics
from workers.settings import Settings
from workers.store.connect import StoreUnavailable
from workers.store.write import Writer
from workers.stream.connect import BrokerUnavailable
from workers.stream.produce import AcknowledgedProducer, Outgoing

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """Told to stop while ClickHouse or the broker did not answer. Whoever reads the texts again tells the alerts again."""


class AlertPublisher:
    """One thread at a time. `stopping` ends its waiting."""

    def __init__(self, settings: Settings, writer: Writer, producer: AcknowledgedProducer) -> None:
        self._settings = settings
        self._writer = writer
        self._producer = producer
        self.stopping = threading.Event()

    def publish(self, alerts: Sequence[Alert]) -> None:
        """Returns when table and topic have them. Telling the same revision again changes no table. Raises `StoreRefused` or
        `Stopped`."""
        messages = [
            Outgoing(self._settings.kafka.alerts_topic, alert.product.encode(), alert.model_dump_json().encode())
            for alert in alerts
        ]
        self._until_done(lambda: self._writer.insert_alerts(alerts, datetime.now(UTC)))
        self._until_done(lambda: self._producer.send_all(messages))
        for alert in alerts:
            metrics.ALERTS.labels(str(alert.kind), str(alert.status)).inc()
            log.info(
                "alert", id=alert.alert_id, revision=alert.revision, status=str(alert.status), kind=str(alert.kind)
            )

    def _until_done(self, attempt: Callable[[], object]) -> None:
        pause_s = 0.1
        while True:
            try:
                attempt()
            except (StoreUnavailable, BrokerUnavailable) as error:
                metrics.RETRIES.labels("alert").inc()
                log.warning("trying again", operation="alert", cause=str(error), at_most_s=round(pause_s, 1))
            else:
                return
            if self.stopping.wait(random.uniform(0, pause_s)):  # noqa: S311 - jitter, not a secret
                raise Stopped
            pause_s = min(pause_s * 2, self._settings.worker.insert_retry_max_s)
