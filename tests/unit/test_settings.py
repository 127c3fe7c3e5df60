"""A setting comes from the environment, else from the file, else from its default; a wrong one is named in one line."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from workers.errors import UsageError
from workers.settings import (
    ClickHouseSettings,
    DashboardSettings,
    DashboardTokens,
    KafkaSettings,
    Settings,
    WorkerSettings,
    as_environment,
    config_file,
    load_settings,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and a working directory without a voxpop.toml."""
    for name in [name for name in os.environ if name.upper().startswith("VOXPOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(UsageError) as raised:
        load_settings()
    said = str(raised.value)
    assert "\n" not in said
    return said


def test_without_file_and_variables_the_defaults_hold() -> None:
    settings = load_settings()
    assert settings.kafka.topics == ("voxpop.reviews", "voxpop.social")
    assert settings.clickhouse.database == "voxpop"
    assert settings == Settings()


def test_nothing_listens_or_connects_beyond_this_machine_by_default() -> None:
    settings = load_settings()
    assert settings.kafka.bootstrap_servers.startswith("127.0.0.1:")
    assert settings.clickhouse.host == settings.worker.http_host == settings.dashboard.host == "127.0.0.1"


def test_variables_outrank_the_file_and_the_file_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("voxpop.toml").write_text(
        'log_level = "debug"\n[kafka]\nbootstrap_servers = "file:9092"\ngroup_id = "file"\n[worker]\nlinger_ms = 7\n'
    )
    monkeypatch.setenv("VOXPOP_KAFKA__BOOTSTRAP_SERVERS", "variable:9092")
    settings = load_settings()
    assert settings.kafka.bootstrap_servers == "variable:9092"
    assert (settings.kafka.group_id, settings.worker.linger_ms, settings.log_level) == ("file", 7, "debug")
    assert settings.worker.block_records == Settings.model_fields["worker"].default.block_records


def test_the_file_is_the_one_that_voxpop_config_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else" / "where.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text('state_dir = "/data"\n')
    Path("voxpop.toml").write_text('state_dir = "/other"\n')
    monkeypatch.setenv("VOXPOP_CONFIG", str(elsewhere))
    settings = load_settings()
    assert settings.packs_dir == Path("/data/packs")
    assert settings.cache_dir == Path("/data/cache")
    assert config_file() == elsewhere


def test_a_named_file_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPOP_CONFIG", "nosuch.toml")
    assert refusal() == "VOXPOP_CONFIG names nosuch.toml, which does not exist; correct it or unset it"


def test_lists_are_json_in_a_variable_and_lists_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("voxpop.toml").write_text('[privacy]\npublic_handles = ["@shop"]\n')
    monkeypatch.setenv("VOXPOP_KAFKA__TOPICS", '["mine.reviews"]')
    settings = load_settings()
    assert settings.kafka.topics == ("mine.reviews",)
    assert settings.privacy.public_handles == ("@shop",)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VOXPOP_KAFKA__PARTITIONS", "0"),
        ("VOXPOP_KAFKA__PARTITIONS", "many"),
        ("VOXPOP_KAFKA__SECURITY_PROTOCOL", "HTTPS"),
        ("VOXPOP_KAFKA__SESSION_TIMEOUT_MS", "999"),
        ("VOXPOP_KAFKA__MAX_MESSAGE_BYTES", "1"),
        ("VOXPOP_CLICKHOUSE__PORT", "65536"),
        ("VOXPOP_CLICKHOUSE__DATABASE", "a-b; DROP DATABASE x"),
        ("VOXPOP_CLICKHOUSE__DEDUPLICATION_WINDOW", "99"),
        ("VOXPOP_WORKER__BAD_SHARE_LIMIT", "1.1"),
        ("VOXPOP_WORKER__BLOCK_RECORDS", "0"),
        ("VOXPOP_PRIVACY__DEAD_LETTER_DAYS", "0"),
        ("VOXPOP_MODEL__REPLICAS", "0"),
        ("VOXPOP_LOG_LEVEL", "loud"),
        ("VOXPOP_KAFKA__COLOUR", "red"),
    ],
)
def test_a_wrong_value_is_refused_in_a_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    said = refusal()
    assert f"set {variable} or correct voxpop.toml" in said
    assert f"setting {variable.removeprefix('VOXPOP_').lower().replace('__', '.')}:" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[kafka]\npartitions = 'x'\n", "setting kafka.partitions:"),
        ("[kafka]\ncolour = 'red'\n", "setting kafka.colour:"),
        ("colour = 'red'\n", "setting colour:"),
        ("kafka = 5\n", "setting kafka:"),
        ("[kafka\n", "settings cannot be read"),
        ("a = 1\na = 2\n", "settings cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_in_a_line_that_names_it(content: str, said: str) -> None:
    Path("voxpop.toml").write_text(content)
    refused = refusal()
    assert said in refused
    assert "voxpop.toml" in refused


def test_a_file_that_is_not_text_is_refused_in_one_line() -> None:
    Path("voxpop.toml").write_bytes(b"\xff\xfe\x00")
    assert "settings cannot be read" in refusal()


def test_a_variable_that_is_no_list_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPOP_KAFKA__TOPICS", "voxpop.reviews,voxpop.social")
    said = refusal()
    assert '"kafka"' in said
    assert """lists are JSON there: VOXPOP_KAFKA__TOPICS='["a", "b"]'""" in said


SECRET = "correct-horse"


def test_secrets_are_not_shown_wherever_settings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("KAFKA__SASL_PASSWORD", "CLICKHOUSE__PASSWORD", "PRIVACY__AUTHOR_SALT"):
        monkeypatch.setenv(f"VOXPOP_{variable}", SECRET)
    settings = load_settings()
    assert settings.clickhouse.password.get_secret_value() == SECRET
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown


def test_a_refusal_does_not_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPOP_CLICKHOUSE__PASSWORD", SECRET)
    monkeypatch.setenv("VOXPOP_CLICKHOUSE__PORT", "none")
    assert SECRET not in refusal()
    monkeypatch.setenv("VOXPOP_CLICKHOUSE", f'{{"password": ["{SECRET}"]}}')
    assert SECRET not in refusal()


@pytest.mark.parametrize(
    "tokens", [f'{{"{SECRET}": "viewer"}}', f'{{"viewer": ["{SECRET}"]}}', f'{{"viewer": "{SECRET}"}}']
)
def test_a_refused_token_is_not_shown(monkeypatch: pytest.MonkeyPatch, tokens: str) -> None:
    monkeypatch.setenv("VOXPOP_DASHBOARD__TOKENS", tokens)  # the wrong way round, too short, and no list
    said = refusal()
    assert "VOXPOP_DASHBOARD__TOKENS" in said
    assert SECRET not in said


def test_settings_cannot_be_changed_once_loaded() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.log_level = "error"
    with pytest.raises(ValueError, match="frozen"):
        settings.kafka.partitions = 9


def test_settings_handed_to_another_process_are_the_same_there(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(
        kafka=KafkaSettings(topics=("a", "b"), sasl_password=SecretStr(SECRET)),
        clickhouse=ClickHouseSettings(password=SecretStr(SECRET), secure=True, ca_file=Path("/ca.pem")),
        worker=WorkerSettings(linger_ms=0, http_port=0),
        dashboard=DashboardSettings(
            tokens=DashboardTokens(admin=(SecretStr(SECRET * 2),)), worker_metrics=("http://a",)
        ),
    )
    monkeypatch.setenv("VOXPOP_WORKER__LINGER_MS", "777")  # what the other process inherits gives way
    for name, value in as_environment(given).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == given


def test_routes_reach_a_child_process_and_name_a_product_or_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("voxpop.toml").write_text(
        '[model]\nroutes = [{product = "Phone", pack = "phones"}, {source = "forum", product = "Car", pack = "cars"}]\n'
    )
    settings = load_settings()
    assert [(route.product, route.source, route.pack) for route in settings.model.routes] == [
        ("Phone", None, "phones"),
        ("Car", "forum", "cars"),
    ]
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    Path("voxpop.toml").unlink()
    assert load_settings().model.routes == settings.model.routes
    monkeypatch.setenv("VOXPOP_MODEL__ROUTES", '[{"pack": "phones"}]')
    assert "a route names a product, a source or both" in refusal()


def secret_file(directory: Path, name: str, value: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(value)
    return path


def test_a_file_named_like_a_variable_holds_its_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounted = tmp_path / "secrets"
    secret_file(mounted, "VOXPOP_CLICKHOUSE__PASSWORD", f"{SECRET}\n")
    secret_file(mounted, "VOXPOP_DASHBOARD__TOKENS", f'{{"viewer": ["{SECRET * 2}"]}}')
    secret_file(mounted, "grafana_password", "not ours")
    monkeypatch.setenv("VOXPOP_SECRETS_DIR", str(mounted))
    settings = load_settings()
    assert settings.clickhouse.password.get_secret_value() == SECRET
    assert [token.get_secret_value() for token in settings.dashboard.tokens.viewer] == [SECRET * 2]
    assert settings.clickhouse.host == "127.0.0.1"


def test_a_secret_as_kubernetes_mounts_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounted = tmp_path / "secrets"
    mounted.mkdir()
    secret_file(mounted / "..2026_11_02", "VOXPOP_KAFKA__SASL_PASSWORD", SECRET)
    (mounted / "..data").symlink_to("..2026_11_02")
    (mounted / "VOXPOP_KAFKA__SASL_PASSWORD").symlink_to("..data/VOXPOP_KAFKA__SASL_PASSWORD")
    monkeypatch.setenv("VOXPOP_SECRETS_DIR", str(mounted))
    password = load_settings().kafka.sasl_password
    assert password is not None
    assert password.get_secret_value() == SECRET


def test_a_variable_outranks_a_secrets_file_and_that_the_toml_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounted = tmp_path / "secrets"
    secret_file(mounted, "VOXPOP_CLICKHOUSE__PASSWORD", "of the directory")
    secret_file(mounted, "VOXPOP_CLICKHOUSE__USERNAME", "of the directory")
    Path("voxpop.toml").write_text('[clickhouse]\npassword = "toml"\nusername = "toml"\nhost = "toml"\n')
    monkeypatch.setenv("VOXPOP_SECRETS_DIR", str(mounted))
    monkeypatch.setenv("VOXPOP_CLICKHOUSE__USERNAME", "variable")
    store = load_settings().clickhouse
    assert (store.password.get_secret_value(), store.username, store.host) == ("of the directory", "variable", "toml")


def test_a_secrets_directory_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPOP_SECRETS_DIR", "nosuch")
    assert refusal() == "VOXPOP_SECRETS_DIR names nosuch, which is no directory; correct it or unset it"


def test_a_wrong_secrets_file_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOXPOP_SECRETS_DIR", str(tmp_path / "secrets"))
    wrong = secret_file(tmp_path / "secrets", "VOXPOP_CLICKHOUSE__PASSWROD", SECRET)
    said = refusal()
    assert "VOXPOP_CLICKHOUSE__PASSWROD" in said
    assert SECRET not in said
    wrong.unlink()
    secret_file(tmp_path / "secrets", "VOXPOP_DASHBOARD__TOKENS", SECRET)
    assert SECRET not in refusal()


def test_packs_may_lie_apart_from_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXPOP_STATE_DIR", "/state")
    assert load_settings().packs_dir == Path("/state/packs")
    monkeypatch.setenv("VOXPOP_PACKS", "/image/packs")
    settings = load_settings()
    assert (settings.packs_dir, settings.cache_dir) == (Path("/image/packs"), Path("/state/cache"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "needs sasl_mechanism, sasl_username, sasl_password"),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "u"},
            "needs sasl_password",
        ),
        (
            {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "u"},
            "has no effect with the security protocol PLAINTEXT",
        ),
        ({"SSL_CERTFILE": "me.pem"}, "ssl_certfile has no effect with the security protocol PLAINTEXT"),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_KEYFILE": "me.key"}, "set ssl_certfile, too"),
    ],
)
def test_a_login_that_is_not_whole_or_would_not_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"VOXPOP_KAFKA__{name}", value)
    assert said in refusal()
