"""Kafka clients, configured alike, and what their failures mean."""

from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from workers.errors import VoxpopError
from workers.settings import KafkaSettings

ENVELOPE_BYTES = 262_144  # a dead letter is the original message plus its headers: allow it so much more


class BrokerUnavailable(VoxpopError):
    """No broker answers at the configured address, or it cannot take the request now."""


def client_config(settings: KafkaSettings) -> dict[str, Any]:
    """What every kafka-python client of ours is given: addresses and security."""
    config: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in settings.bootstrap_servers.split(",")],
        "client_id": "voxpop",
        "security_protocol": settings.security_protocol,
    }
    if settings.ssl_cafile:
        config["ssl_cafile"] = str(settings.ssl_cafile)
    if settings.sasl_mechanism:
        config["sasl_mechanism"] = settings.sasl_mechanism
        config["sasl_plain_username"] = settings.sasl_username
        config["sasl_plain_password"] = settings.sasl_password.get_secret_value() if settings.sasl_password else None
    return config


def unavailable(settings: KafkaSettings, error: Exception) -> BrokerUnavailable:
    """The one line for a broker that does not answer."""
    said = " ".join(str(error).split()) or type(error).__name__
    return BrokerUnavailable(
        f"no Kafka broker answers at {settings.bootstrap_servers} ({said[:160]});"
        " is it running? set VOXPOP_KAFKA__BOOTSTRAP_SERVERS"
    )


def connect_admin(settings: KafkaSettings, *, timeout_s: float = 10.0) -> KafkaAdminClient:
    """An admin client. Raises `BrokerUnavailable` after `timeout_s` seconds without an answer."""
    try:
        return KafkaAdminClient(**client_config(settings), bootstrap_timeout_ms=int(timeout_s * 1000))
    except KafkaError as error:
        raise unavailable(settings, error) from error


def connect_producer(settings: KafkaSettings, *, timeout_s: float = 10.0) -> KafkaProducer:
    """An idempotent producer that waits for all replicas. Raises `BrokerUnavailable`."""
    try:
        return KafkaProducer(
            **client_config(settings),
            bootstrap_timeout_ms=int(timeout_s * 1000),
            acks="all",
            compression_type="lz4",
            linger_ms=5,
            max_request_size=settings.max_message_bytes + ENVELOPE_BYTES,
        )
    except KafkaError as error:
        raise unavailable(settings, error) from error
