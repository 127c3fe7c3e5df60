"""Kafka clients, configured alike, and what their failures mean."""

import socket
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from workers.errors import VoxpopError
from workers.settings import OAUTHBEARER, KafkaSettings
from workers.stream.oauth import ClientCredentials, NoToken
from workers.stream.partitioner import KeyPartitioner
from workers.stream.tls import refused_by_tls, tls_context

PROBE_S = 3.0
BATCH_BYTES = 262_144  # of a partition's messages in one request, before compression: a block's in a few
ENVELOPE_BYTES = 262_144  # a dead letter is the original message plus its headers: allow it so much more


class BrokerUnavailable(VoxpopError):
    """No broker answers at the configured address, or it cannot take the request now."""


def client_config(settings: KafkaSettings) -> dict[str, Any]:
    """What every kafka-python client of ours is given: addresses and security. Certificates are verified, names too.

    Raises `UsageError` when a certificate cannot be read: the client would only wait for a broker in vain.
    """
    config: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in settings.bootstrap_servers.split(",")],
        "client_id": "voxpop",
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        config["ssl_context"] = tls_context(settings)
    if settings.sasl_mechanism == OAUTHBEARER:
        config["sasl_mechanism"] = OAUTHBEARER
        config["sasl_oauth_token_provider"] = ClientCredentials(settings)
    elif settings.sasl_mechanism:
        config["sasl_mechanism"] = settings.sasl_mechanism
        config["sasl_plain_username"] = settings.sasl_username
        config["sasl_plain_password"] = settings.sasl_password.get_secret_value() if settings.sasl_password else None
    return config


def unavailable(settings: KafkaSettings, error: Exception) -> BrokerUnavailable:
    """The one line for a broker that does not answer. A client that never got in is told apart by a look of our own, since
    kafka-python says the same whatever was wrong: that it could not bootstrap."""
    if isinstance(error, KafkaTimeoutError) and (refused := _refusal(settings)):
        return BrokerUnavailable(refused)
    said = " ".join(str(error).split()) or type(error).__name__
    return BrokerUnavailable(
        f"no Kafka broker answers at {settings.bootstrap_servers} ({said[:160]});"
        " is it running? set VOXPOP_KAFKA__BOOTSTRAP_SERVERS"
    )


def _refusal(settings: KafkaSettings) -> str | None:
    """Why the first address takes connections and lets this client in none the less; None when it takes none."""
    where = settings.bootstrap_servers.split(",")[0].strip()
    host, _, port = where.rpartition(":")
    try:
        reached = socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S)
    except (OSError, ValueError):
        return None
    protocol, user = settings.security_protocol, settings.sasl_username
    with reached:
        if protocol.endswith("SSL") and (wrong := refused_by_tls(reached, host.strip("[]"), settings)):
            return f"Kafka at {where} {wrong}"
    if settings.sasl_mechanism == OAUTHBEARER:
        try:
            ClientCredentials(settings).token()
        except NoToken as error:
            return f"Kafka at {where} needs a token: {error}"
        return f"Kafka at {where} does not take the tokens of {settings.sasl_oauth_token_url}; see the broker's log for why"
    if settings.sasl_mechanism:
        return (
            f"Kafka at {where} does not let the user {user!r} in by {settings.sasl_mechanism} over {protocol}; set"
            " VOXPOP_KAFKA__SASL_USERNAME, SASL_PASSWORD, SASL_MECHANISM and SECURITY_PROTOCOL as it has them"
        )
    return (
        f"Kafka at {where} takes connections and does not answer in {protocol};"
        " set VOXPOP_KAFKA__SECURITY_PROTOCOL as it has it"
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
            batch_size=BATCH_BYTES,
            partitioner=KeyPartitioner(),
            max_request_size=settings.max_message_bytes + ENVELOPE_BYTES,
        )
    except KafkaError as error:
        raise unavailable(settings, error) from error
