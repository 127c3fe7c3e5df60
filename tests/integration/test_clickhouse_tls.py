"""ClickHouse over TLS with a password, by settings alone: a server that cannot prove who it is gets nothing."""

import sys
from collections.abc import Iterator
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


def test_a_wrong_password_is_told_and_not_shown(settings: ClickHouseSettings) -> None:
    with pytest.raises(StoreRefused, match="refuses the user 'default'") as refused:
        connect(settings.model_copy(update={"password": SecretStr("wrong-" + PASSWORD)}))
    assert PASSWORD not in str(refused.value)


def test_without_tls_nothing_is_answered(settings: ClickHouseSettings) -> None:
    with pytest.raises(StoreUnavailable, match="and SECURE as it has it"):
        connect(settings.model_copy(update={"secure": False}))


def test_a_server_without_tls_is_not_spoken_to(settings: ClickHouseSettings, server: EmbeddedClickHouse) -> None:
    with pytest.raises(StoreUnavailable, match="and SECURE as it has it"):
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
