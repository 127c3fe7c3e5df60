"""Kafka over TLS with SASL SCRAM, by settings alone; the installed wheel on it and on ClickHouse over TLS and a password."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from pydantic import SecretStr

from schemas.samples import gold_labels, sample_messages
from tests.authority import Authority
from tests.by_hand import Rows, wait_until
from tests.conftest import StartKafka
from tests.deployment import commands
from tests.kafka.encrypted import encrypted_kafka
from tests.token_endpoint import TokenEndpoint
from tests.wheel import Installed, install
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.kafka import HOST, ApacheKafka
from workers.embedded.process import free_port
from workers.errors import UsageError
from workers.faust_app import faust_app
from workers.settings import ClickHouseSettings, KafkaSettings, Settings, load_settings
from workers.stream.connect import BrokerUnavailable, connect_admin, connect_producer
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics, topic_settings

USER = "voxpop"
PASSWORD = "kafka-correct-horse"
STORE_PASSWORD = "clickhouse-correct-horse"
ADMIN = "dashboard-correct-horse"
BEARER = (  # takes unsigned tokens, as only tests may
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
    ' unsecuredLoginStringClaim_sub="broker";'
)
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, start_kafka: StartKafka
) -> Iterator[KafkaSettings]:
    """A node with a listener in the clear for its own use, and one that takes TLS and SCRAM alone: how to reach that one."""
    assert start_kafka  # skips, or fails, where Kafka cannot run
    directory = tmp_path_factory.mktemp("secure-kafka")
    users = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "oauthbearer.sasl.jaas.config": BEARER,
        "scram-sha-256.sasl.jaas.config": SCRAM,
        "scram-sha-512.sasl.jaas.config": SCRAM,
    }
    with encrypted_kafka(directory, authority, "SASL_SSL", users) as (plain, encrypted):
        admin = KafkaAdminClient(bootstrap_servers=plain)
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            user = UserScramCredentialUpsertion(USER, mechanism, PASSWORD, iterations=4_096)
            assert admin.alter_user_scram_credentials([user]) == {USER: None}
        admin.close()
        yield KafkaSettings(
            bootstrap_servers=encrypted,
            security_protocol="SASL_SSL",
            ssl_cafile=authority.ca_file,
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username=USER,
            sasl_password=SecretStr(PASSWORD),
            session_timeout_ms=6_000,
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[ClickHouseSettings]:
    directory, certificate = tmp_path_factory.mktemp("clickhouse"), authority.certificate(HOST)
    with EmbeddedClickHouse(directory, password=STORE_PASSWORD, certificate=certificate) as running:
        password = SecretStr(STORE_PASSWORD)
        yield ClickHouseSettings(port=running.port, password=password, secure=True, ca_file=authority.ca_file)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_who_has_the_password_is_let_in(secure: KafkaSettings, mechanism: str) -> None:
    settings = secure.model_copy(update={"sasl_mechanism": mechanism})
    ensure_topics(settings)
    admin = connect_admin(settings)
    wait_until(lambda: set(topic_settings(settings)) <= set(admin.list_topics()), "the topics to be listed")
    admin.close()


@pytest.fixture
def by_token(secure: KafkaSettings, tokens: TokenEndpoint) -> KafkaSettings:
    """The same listener, by tokens of an endpoint that knows the user."""
    tokens.knows(USER, PASSWORD)
    return secure.model_copy(update={"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_url": tokens.url})


def test_whose_token_is_good_is_let_in_and_one_token_serves_many_connections(
    by_token: KafkaSettings, tokens: TokenEndpoint
) -> None:
    ensure_topics(by_token)
    producer = AcknowledgedProducer(by_token)
    ends = producer.send_all([Outgoing(by_token.topics[0], b"k", b"by token")])
    producer.close()
    assert ends
    assert 1 <= tokens.given <= 6  # one a client, of several connections each


def test_alerts_get_in_by_token(by_token: KafkaSettings) -> None:
    ensure_topics(by_token)

    async def consumed() -> bool:
        app = faust_app(Settings(kafka=by_token), 1)
        await app.producer.start()
        sent = await app.producer.send(by_token.topics[0], b"k", b"by token", None, None, None)
        answer = await sent
        await app.producer.stop()
        return answer.offset >= 0

    assert asyncio.run(consumed())


def test_a_client_that_gets_no_token_or_a_bad_one_is_told_so(by_token: KafkaSettings, tokens: TokenEndpoint) -> None:
    wrong = by_token.model_copy(update={"sasl_password": SecretStr("wrong-" + PASSWORD)})
    with pytest.raises(
        BrokerUnavailable, match=r"gives no token \(it answers 401\); set VOXPOP_KAFKA__SASL_USERNAME"
    ) as told:
        connect_admin(wrong, timeout_s=2)
    assert PASSWORD not in str(told.value)
    tokens.life_s = -60
    with pytest.raises(BrokerUnavailable, match="does not take the tokens of http"):
        connect_admin(by_token, timeout_s=2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sasl_password": SecretStr("wrong-" + PASSWORD)}, "does not let the user 'voxpop' in by SCRAM-SHA-512"),
        ({"sasl_username": "nobody"}, "does not let the user 'nobody' in"),
        ({"sasl_mechanism": "PLAIN"}, "does not let the user 'voxpop' in by PLAIN"),
        ({"ssl_cafile": None}, "has a certificate that is not trusted"),
        ({"security_protocol": "SASL_PLAINTEXT"}, "in by SCRAM-SHA-512 over SASL_PLAINTEXT"),
        ({"security_protocol": "PLAINTEXT", "sasl_mechanism": None}, "does not answer in PLAINTEXT"),
    ],
)
def test_whoever_is_not_let_in_is_told_why_without_the_password(
    secure: KafkaSettings, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(BrokerUnavailable) as refused:
        connect_admin(secure.model_copy(update=changes), timeout_s=2)
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)
    with pytest.raises(BrokerUnavailable):
        connect_producer(secure.model_copy(update=changes), timeout_s=1)


def test_a_broker_of_an_unknown_authority_is_not_trusted(secure: KafkaSettings, tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"not trusted .*; set VOXPOP_KAFKA__SSL_CAFILE to its CA's"):
        connect_admin(secure.model_copy(update={"ssl_cafile": Authority(tmp_path).ca_file}), timeout_s=2)


def test_a_broker_without_tls_is_not_given_the_password(secure: KafkaSettings, kafka: ApacheKafka) -> None:
    with pytest.raises(BrokerUnavailable, match="does not speak TLS; set VOXPOP_KAFKA__SECURITY_PROTOCOL"):
        connect_admin(secure.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers}), timeout_s=2)


def test_an_authority_that_is_no_file_is_named(secure: KafkaSettings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is no file; correct it"):
        connect_admin(secure.model_copy(update={"ssl_cafile": tmp_path / "nosuch.pem"}))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def given(secure: KafkaSettings, store: ClickHouseSettings, tmp_path: Path) -> dict[str, str]:
    """What deploy/k8s gives: addresses and authorities as variables, secrets as files."""
    secrets = {
        "VOXPOP_KAFKA__SASL_USERNAME": USER,
        "VOXPOP_KAFKA__SASL_PASSWORD": PASSWORD,
        "VOXPOP_CLICKHOUSE__PASSWORD": STORE_PASSWORD,
        "VOXPOP_PRIVACY__AUTHOR_SALT": "shared by all workers",
        "VOXPOP_DASHBOARD__TOKENS": json.dumps({"admin": [ADMIN]}),
    }
    directory = tmp_path / "secrets"
    directory.mkdir()
    for name, value in secrets.items():
        (directory / name).write_text(value)
    return {
        "VOXPOP_SECRETS_DIR": str(directory),
        "VOXPOP_PACKS": str(load_settings().packs_dir.resolve()),
        "VOXPOP_LOG_LEVEL": "debug",
        "VOXPOP_KAFKA__BOOTSTRAP_SERVERS": secure.bootstrap_servers,
        "VOXPOP_KAFKA__SECURITY_PROTOCOL": secure.security_protocol,
        "VOXPOP_KAFKA__SSL_CAFILE": str(secure.ssl_cafile),
        "VOXPOP_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
        "VOXPOP_KAFKA__SESSION_TIMEOUT_MS": str(secure.session_timeout_ms),
        "VOXPOP_CLICKHOUSE__PORT": str(store.port),
        "VOXPOP_CLICKHOUSE__SECURE": "true",
        "VOXPOP_CLICKHOUSE__CA_FILE": str(store.ca_file),
    }


def assert_tells_nothing(*said: str | bytes) -> None:
    """No secret in what was said."""
    for words in said:
        text = words if isinstance(words, str) else words.decode(errors="replace")
        assert [secret for secret in (PASSWORD, STORE_PASSWORD, ADMIN) if secret in text] == []


def shown(pid: int) -> bytes:
    """What every user of the machine sees of a process in `ps`."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def answers(port: int, path: str) -> bool:
    """Whether a probe would be content."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def test_the_wheel_does_its_work_over_tls_and_tells_no_secret(
    installed: Installed, given: dict[str, str], secure: KafkaSettings, store: ClickHouseSettings, tmp_path: Path
) -> None:
    for command in ("migrate", "doctor"):
        done = installed.run(command, environment=given)
        assert done.returncode == 0, done.stdout
        assert_tells_nothing(done.stdout, done.stderr)
    ensure_topics(secure)
    producer = AcknowledgedProducer(secure)
    producer.send_all(Outgoing(message.topic, message.key, message.value) for message in sample_messages())
    producer.close()
    rows = Rows(Settings(clickhouse=store))
    log = tmp_path / "parts.log"
    with (
        installed.running("worker", environment=given, log=log) as worker,
        installed.running("dashboard", environment=given, log=log) as dashboard,
    ):
        wait_until(lambda: worker.poll() is not None or rows.count() == len(gold_labels()), "every insight", 120)
        assert (worker.poll(), dashboard.poll()) == (None, None), log.read_text(errors="replace")[-2_000:]
        assert_tells_nothing(shown(worker.pid), shown(dashboard.pid))
        port = installed.environment["VOXPOP_DASHBOARD__PORT"]
        asking = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/texts?limit=1")
        asking.add_header("Authorization", f"Bearer {ADMIN}")
        with urllib.request.urlopen(asking, timeout=20) as answer:
            assert json.load(answer)
    assert b"worker started" in log.read_bytes()
    assert_tells_nothing(log.read_bytes())


@pytest.mark.skipif("alerts" not in commands(), reason="there is no `voxpop alerts`")
def test_the_wheel_watches_for_alerts_over_tls(
    installed: Installed, given: dict[str, str], secure: KafkaSettings, tmp_path: Path
) -> None:
    assert installed.run("migrate", environment=given).returncode == 0
    ensure_topics(secure)
    port, log = free_port(HOST), tmp_path / "alerts.log"
    with installed.running("alerts", environment={**given, "VOXPOP_ALERTS__HTTP_PORT": str(port)}, log=log) as alerts:
        wait_until(lambda: alerts.poll() is not None or answers(port, "/readyz"), "alerts to be ready", 120)
        assert alerts.poll() is None, log.read_text(errors="replace")[-2_000:]
        assert_tells_nothing(shown(alerts.pid))
    assert_tells_nothing(log.read_bytes())


@pytest.mark.parametrize("command", [["worker"], ["migrate"], ["doctor"], ["query", "SELECT 1"]])
def test_a_failure_with_its_trace_tells_no_secret(
    installed: Installed, given: dict[str, str], command: list[str]
) -> None:
    secrets = Path(given["VOXPOP_SECRETS_DIR"])
    (secrets / "VOXPOP_KAFKA__SASL_PASSWORD").write_text(f"wrong-{PASSWORD}")
    (secrets / "VOXPOP_CLICKHOUSE__PASSWORD").write_text(f"wrong-{STORE_PASSWORD}")
    done = installed.run(*command, "--debug", environment=given)
    assert done.returncode == 1
    assert_tells_nothing(done.stdout, done.stderr)
