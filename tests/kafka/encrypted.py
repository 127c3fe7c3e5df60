"""A node of Apache Kafka with a listener in the clear for its own use and one with TLS beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.authority import Authority
from workers.embedded.kafka import HOST, ApacheKafka
from workers.embedded.process import free_port


@contextmanager
def encrypted_kafka(
    directory: Path, authority: Authority, protocol: str, listener: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Where the node answers in the clear, and where by `protocol` ("SSL" or "SASL_SSL") with a certificate of the
    `authority`; `listener` is what else that listener is configured with."""
    plain, port, controller = free_port(HOST), free_port(HOST), free_port(HOST)
    listeners = f"BROKER://{HOST}:{plain},SECURE://{HOST}:{port}"
    config = {
        "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": listeners,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listener.security.protocol.map": f"BROKER:PLAINTEXT,SECURE:{protocol},CONTROLLER:PLAINTEXT",
    }
    own = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(authority.certificate(HOST)), **listener}
    config |= {f"listener.name.secure.{name}": value for name, value in own.items()}
    with ApacheKafka.start(directory / "kafka", directory / "kafka.log", port=plain, config=config):
        yield f"{HOST}:{plain}", f"{HOST}:{port}"
