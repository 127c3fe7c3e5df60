"""ClickHouse over TLS with a password, by settings alone: a server that cannot prove who it is gets nothing."""

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.authority import Authority
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.process import EmbeddedError
from workers.errors import UsageError
from workers.settings import ClickHouseSettings, Settings
from workers.store.connect import StoreRefused, StoreUnavailable, connect
from workers.store.migrate import migrate, shipped_migrations

PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EmbeddedClickHouse]:
    directory, certificate = tmp_path_factory.mktemp("clickhouse"), authority.certificate("127.0.0.1")
    with EmbeddedClickHouse(directory, password=PASSWORD, certificate=certificate) as running:
        yield running


@pytest.fixture
def settings(secure: EmbeddedClickHouse, authority: Authority) -> ClickHouseSettings:
    return ClickHouseSettings(
        port=secure.port, password=SecretStr(PASSWORD), secure=True, ca_file=authority.ca_file, connect_timeout_s=5
    )


def test_migrations_pass_and_rows_are_read_over_it(settings: ClickHouseSettings, secure: EmbeddedClickHouse) -> None:
    assert len(migrate(Settings(clickhouse=settings))) == len(shipped_migrations())
    with connect(settings) as client:
        assert client.query("SELECT count() FROM insights").result_rows == [(0,)]
    assert secure.url.startswith("https://")


@pytest.mark.parametrize("named", [None, "another"])
def test_a_certificate_of_an_unknown_authority_is_refused(
    settings: ClickHouseSettings, tmp_path: Path, named: str | None
) -> None:
    ca_file = Authority(tmp_path).ca_file if named else None
    with pytest.raises(StoreUnavailable, match=r"not trusted .*; set VOXPOP_CLICKHOUSE__CA_FILE to its CA's"):
        connect(settings.model_copy(update={"ca_file": ca_file}))


@pytest.mark.parametrize(
    ("names", "expired", "why"), [(("localhost",), False, "IP address mismatch"), (("127.0.0.1",), True, "expired")]
)
def test_a_certificate_for_another_name_or_of_the_past_is_refused(
    settings: ClickHouseSettings, authority: Authority, tmp_path: Path, names: tuple[str, ...], expired: bool, why: str
) -> None:
    certificate = authority.certificate(*names, expired=expired)
    with (
        EmbeddedClickHouse(tmp_path, password=PASSWORD, certificate=certificate) as other,
        pytest.raises(StoreUnavailable, match=why),
    ):
        connect(settings.model_copy(update={"port": other.port}))


@contextmanager
def asks_for_a_certificate(authority: Authority, behind: int) -> Iterator[int]:
    """The port of a TLS listener that lets in whoever shows a certificate of the authority, to the server behind it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(authority.certificate("127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the listener is closed
                while True:
                    threading.Thread(target=join, args=listener.accept()[:1], daemon=True).start()

        def join(taken: socket.socket) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(taken, server_side=True) as inside,
                socket.create_connection(("127.0.0.1", behind)) as outside,
            ):
                threading.Thread(target=copy, args=(outside, inside), daemon=True).start()
                copy(inside, outside)

        def copy(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while some := source.recv(65_536):
                    target.sendall(some)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_client_shows_its_certificate_where_one_is_asked_for(
    authority: Authority, server: EmbeddedClickHouse, tmp_path: Path
) -> None:
    with asks_for_a_certificate(authority, server.port) as port:
        mutual = ClickHouseSettings(port=port, secure=True, ca_file=authority.ca_file, connect_timeout_s=5)
        shown = mutual.model_copy(update={"client_cert_file": authority.certificate("voxpop"), "database": "default"})
        with connect(shown) as client:
            assert client.query("SELECT 1").result_rows == [(1,)]
        for wrong in (None, Authority(tmp_path).certificate("voxpop")):
            with pytest.raises(StoreUnavailable, match="CLIENT_CERT_FILE if it asks for one"):
                connect(mutual.model_copy(update={"client_cert_file": wrong}))
        with pytest.raises(UsageError, match="cannot be used with its key"):
            connect(mutual.model_copy(update={"client_cert_file": authority.ca_file}))


def test_a_wrong_password_is_told_and_not_shown(settings: ClickHouseSettings) -> None:
    with pytest.raises(StoreRefused, match="refuses the user 'default'") as refused:
        connect(settings.model_copy(update={"password": SecretStr("wrong-" + PASSWORD)}))
    assert PASSWORD not in str(refused.value)


def test_without_tls_nothing_is_answered(settings: ClickHouseSettings) -> None:
    with pytest.raises(StoreUnavailable, match="SECURE as it has it"):
        connect(settings.model_copy(update={"secure": False}))


def test_a_server_without_tls_is_not_spoken_to(settings: ClickHouseSettings, server: EmbeddedClickHouse) -> None:
    with pytest.raises(StoreUnavailable, match="SECURE as it has it"):
        connect(settings.model_copy(update={"port": server.port}))


def test_files_that_are_not_there_are_named(settings: ClickHouseSettings, tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    with pytest.raises(UsageError, match=f"VOXPOP_CLICKHOUSE__CA_FILE names {missing}, which is no file"):
        connect(settings.model_copy(update={"ca_file": missing}))
    with pytest.raises(EmbeddedError, match="holds no key with its certificate"):
        EmbeddedClickHouse(tmp_path / "data", password=PASSWORD, certificate=missing).start()


@pytest.mark.skipif(sys.platform != "linux", reason="a process's words are read from Linux's /proc")
def test_its_password_stands_in_no_command_line(secure: EmbeddedClickHouse) -> None:
    words = Path(f"/proc/{secure.pid}/cmdline").read_bytes()
    assert b"--certificate" in words
    assert PASSWORD.encode() not in words
