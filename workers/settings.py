"""Every setting, in one tree. Sources, strongest first: VOXPOP_… variables, then files of these names in the directory that
VOXPOP_SECRETS_DIR names, then `voxpop.toml` (or the file that VOXPOP_CONFIG names). A nested setting's variable joins its
path with two underscores: VOXPOP_KAFKA__BOOTSTRAP_SERVERS.
"""

import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from workers.errors import UsageError

MIN_TOKEN_CHARS = 16
OAUTHBEARER = "OAUTHBEARER"


def long_enough(tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """The tokens. Raises `ValueError` when one could be guessed."""
    if any(len(token.get_secret_value()) < MIN_TOKEN_CHARS for token in tokens):
        raise ValueError(f"a token needs at least {MIN_TOKEN_CHARS} characters, or it can be guessed")
    return tokens


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(_Section):
    bootstrap_servers: str = "127.0.0.1:9092"
    group_id: str = "voxpop"
    topics: tuple[str, ...] = ("voxpop.reviews", "voxpop.social")
    insights_topic: str = "voxpop.insights"
    dead_letters_topic: str = "voxpop.deadletters"
    alerts_topic: str = "voxpop.alerts"
    partitions: int = Field(default=4, ge=1, le=1000, description="Of a topic that has to be created.")
    replication_factor: int = Field(default=-1, description="-1 takes the broker's default.")
    session_timeout_ms: int = Field(default=45_000, ge=1_000)
    max_message_bytes: int = Field(default=1_048_576, ge=1_024, description="Larger messages become dead letters.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = Field(default=None, description="The client's own, with its chain (PEM): mutual TLS.")
    ssl_keyfile: Path | None = Field(default=None, description="Its key, where that is not in the same file.")
    ssl_key_password: SecretStr | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    sasl_username: str | None = Field(default=None, description="With OAUTHBEARER the client's id.")
    sasl_password: SecretStr | None = Field(default=None, description="With OAUTHBEARER the client's secret.")
    sasl_oauth_token_url: str | None = Field(
        default=None, description="Where OAUTHBEARER gets its tokens; https, or http on loopback."
    )
    sasl_oauth_scope: str | None = None

    @model_validator(mode="after")
    def _says_who_it_is(self) -> Self:
        if self.security_protocol.startswith("SASL_"):
            needed = ["sasl_mechanism", "sasl_username", "sasl_password"]
            if self.sasl_mechanism == OAUTHBEARER:
                needed.append("sasl_oauth_token_url")
            given = {name: getattr(self, name) for name in needed}
            if missing := [name for name, value in given.items() if not value]:
                raise ValueError(f"the security protocol {self.security_protocol} needs {', '.join(missing)}")
        elif self.sasl_mechanism:
            raise ValueError(f"sasl_mechanism has no effect with the security protocol {self.security_protocol}")
        return self

    @model_validator(mode="after")
    def _shows_what_it_has(self) -> Self:
        if self.ssl_certfile and not self.security_protocol.endswith("SSL"):
            raise ValueError(f"ssl_certfile has no effect with the security protocol {self.security_protocol}")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile is the key of a certificate: set ssl_certfile, too")
        return self

    @field_validator("sasl_oauth_token_url")
    @classmethod
    def _keeps_the_secret(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", url):
            raise ValueError(
                "the client's secret is sent there: it begins with https://, or http:// and a loopback address"
            )
        return url


class ClickHouseSettings(_Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8123, ge=1, le=65535)
    username: str = "default"
    password: SecretStr = SecretStr("")
    database: str = Field(default="voxpop", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    secure: bool = False
    ca_file: Path | None = None
    client_cert_file: Path | None = Field(default=None, description="PEM, logs in instead of a password: mutual TLS.")
    client_key_file: Path | None = Field(default=None, description="Its key, where that is not in the same file.")
    cluster: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="A cluster's name in the servers' remote_servers, for replicated tables; deploy/clickhouse/CLUSTER.md.",
    )
    connect_timeout_s: int = Field(default=10, ge=1)
    timeout_s: int = Field(default=120, ge=1)
    deduplication_window: int = Field(
        default=10_000,
        ge=100,
        description="Inserts that each table remembers (one a block and month); see deploy/DELIVERY.md.",
    )

    @model_validator(mode="after")
    def _shows_what_it_has(self) -> Self:
        if self.client_cert_file and not self.secure:
            raise ValueError("client_cert_file has no effect without secure = true")
        return self


BLOCK_FLOOR = 1_024  # messages of a block that no pace makes smaller: fewer fill the model's batches worse
BATCH_S = 10.0  # of work, over all partitions, that larger blocks may come to


class WorkerSettings(_Section):
    block_records: int = Field(
        default=4_096,
        ge=1,
        le=10_000,
        description="At most so many messages a block; fewer, down to 1,024, where a batch would take over ten seconds.",
    )
    block_bytes: int = Field(
        default=1_000_000, ge=1_024, description="A block is cut when its messages reach this size."
    )
    linger_ms: int = Field(default=200, ge=0, le=60_000, description="How long the first message waits for company.")
    resend_window_days: int = Field(default=30, ge=0, le=365, description="Same source and id within it counts once.")
    lease_s: float = Field(
        default=30.0, ge=5, le=600, description="How long after its declaration a block may be inserted; it is renewed."
    )
    bad_run_limit: int = Field(
        default=200, ge=1, description="Stop after so many unusable ones of a partition in a row."
    )
    bad_share_limit: float = Field(default=0.5, gt=0, le=1, description="Stop when more of a partition is unusable.")
    bad_share_over: int = Field(default=400, ge=10, description="Measured over so many latest messages a partition.")
    insert_retry_max_s: float = Field(default=30.0, gt=0, description="The longest pause between two tries.")
    stop_timeout_s: float = Field(default=30.0, gt=0, description="How long a clean stop waits for the block at hand.")
    http_host: str = "127.0.0.1"
    http_port: int | None = Field(
        default=None, ge=0, le=65535, description="/metrics /healthz /readyz; 0 takes a free one."
    )

    def block_limit(self, pace: float, partitions: int) -> int:
        """Messages of a block at most, where `pace` messages a second are finished, of `partitions` together."""
        return min(self.block_records, max(BLOCK_FLOOR, int(pace * BATCH_S / max(1, partitions))))


class RouteSettings(_Section):
    """Texts of this product, of this source, or of both: judged by this pack."""

    product: str | None = None
    source: str | None = None
    pack: str

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.product is None and self.source is None:
            raise ValueError("a route names a product, a source or both")
        return self


class ModelSettings(_Section):
    pack: str = Field(default="e5-small-multilingual", description="A pack's name, or the directory of one.")
    routes: tuple[RouteSettings, ...] = Field(
        default=(), description="Other packs for some products or sources; the first that fits is taken."
    )
    replicas: int | None = Field(default=None, ge=1, description="One thread each; the CPUs at hand when unset.")
    generator: str | None = Field(
        default=None, description="A decoder pack that writes summaries; when unset they are composed and quoted."
    )
    base_source: Literal["auto", "pypi", "hub"] = "auto"
    headline_min_chars: int = Field(default=280, ge=1, description="Shorter texts get no headline of their own.")
    cache_entries: int = Field(default=50_000, ge=0, description="Answers that a worker remembers; 0 remembers none.")
    cache_mb: int = Field(default=64, ge=0, description="What they take in its memory, about, at most.")


class PrivacySettings(_Section):
    author_salt: SecretStr | None = Field(
        default=None, description="Shared by all workers; made once a machine if unset."
    )
    public_handles: tuple[str, ...] = ()
    phone_regions: tuple[str, ...] = ("ES", "US", "GB", "MX", "AR", "CO", "CL", "PE")
    dead_letter_days: int = Field(default=14, ge=1, le=365)


Days = Annotated[int, Field(ge=1, le=36_500)]


class RetentionSettings(_Section):
    """How long what people wrote is kept, from the day it was taken in; `voxpop retention --apply` removes what is older."""

    days: Days | None = Field(
        default=None, description="Texts of every source that has no days of its own; unset: kept."
    )
    sources: dict[str, Days | None] = Field(
        default={}, description='Of one source, known or yet to come: {"x": 30, "survey": 730}; null: kept.'
    )
    aggregates_days: Days | None = Field(
        default=None, description="Sums of days without any text left, from that day on; unset: kept."
    )

    @field_validator("sources")
    @classmethod
    def _are_named(cls, sources: dict[str, int | None]) -> dict[str, int | None]:
        if "" in sources:
            raise ValueError("a source has a name")
        return sources

    def of_source(self, source: str) -> int | None:
        """The days of a source's texts; None when they are kept."""
        return self.sources.get(source, self.days)


class DigestSettings(_Section):
    windows: tuple[Literal["hour", "day"], ...] = Field(default=("day",), min_length=1)
    min_texts: int = Field(default=5, ge=2, description="Windows of a product with fewer get no digest.")
    sentences: int = Field(default=5, ge=2, le=10, description="At most.")
    words: int = Field(default=60, ge=20, le=200, description="About so many, at most.")
    lookback_days: int = Field(default=35, ge=1, le=3660, description="Before the newest event; older windows stay.")
    poll_s: float = Field(default=10.0, gt=0, description="How often it looks for windows that have changed.")
    refresh_s: float = Field(default=60.0, ge=0, description="A window's digest is made again at most so often.")
    cpu_share: float = Field(default=0.25, gt=0, le=1, description="Of one core, at most: it rests after each digest.")


class DashboardTokens(_Section):
    """Who may read what. Every secret is a value, never a key, so that no message about a wrong setting can show one."""

    viewer: tuple[SecretStr, ...] = Field(default=(), description="May read figures.")
    analyst: tuple[SecretStr, ...] = Field(
        default=(), description="May also read and export texts, and correct labels."
    )
    admin: tuple[SecretStr, ...] = Field(default=(), description="May also list dead letters (never their bytes).")

    @model_validator(mode="before")
    @classmethod
    def _roles_alone(cls, given: object) -> object:
        if isinstance(given, dict) and not given.keys() <= cls.model_fields.keys():
            raise ValueError('tokens are lists by role: {"viewer": [], "analyst": [], "admin": []}')
        return given

    @field_validator("*")
    @classmethod
    def _long_enough(cls, tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        return long_enough(tokens)


class DashboardSettings(_Section):
    host: str = Field(default="127.0.0.1", description="Any other than loopback needs tokens.")
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes a free one.")
    tokens: DashboardTokens = DashboardTokens()
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Names under which browsers reach it, beyond `host` and loopback; * for any."
    )
    cache_s: float = Field(default=2.0, gt=0, le=300, description="For so long a figure is read once for everybody.")
    refresh_s: float = Field(default=3.0, ge=0.5, le=300, description="How often an open page asks for news.")
    queries_at_once: int = Field(default=4, ge=1, le=64, description="Queries on ClickHouse at the same time.")
    query_timeout_s: int = Field(default=15, ge=1, le=300, description="A longer query is ended.")
    query_rows: int = Field(default=20_000, ge=1_000, description="The most rows that one query may give back.")
    query_rows_read: int = Field(default=1_000_000_000, ge=1_000_000, description="The most rows it may read.")
    export_rows: int = Field(default=10_000, ge=1, le=1_000_000, description="The most texts in one export.")
    feedback_username: str | None = Field(
        default=None,
        description="Who writes what people correct and who read texts, where `clickhouse.username` may only read.",
    )
    feedback_password: SecretStr | None = None
    audit_window_s: float = Field(
        default=60.0, gt=0, le=3_600, description="Equal readings of texts are one row of the audit for so long."
    )
    audit_required: bool = Field(
        default=False, description="Show no text unless it can be noted in the audit who reads it."
    )
    worker_metrics: tuple[str, ...] = Field(
        default=(), description="Addresses of workers' /metrics, for lag and latency: http://host:port/metrics"
    )


class ServeSettings(_Section):
    """`voxpop serve`: a generator pack behind an address like OpenAI's."""

    host: str = Field(default="127.0.0.1", description="Any other than loopback needs tokens.")
    port: int = Field(default=8090, ge=0, le=65535, description="0 takes a free one.")
    pack: str = Field(default="smollm2-135m-instruct", description="A decoder pack's name, or the directory of one.")
    tokens: tuple[SecretStr, ...] = Field(default=(), description="Bearer tokens; who sends one of them is answered.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Names under which it is reached, beyond `host` and loopback; * for any."
    )
    at_once: int = Field(default=2, ge=1, le=64, description="Answers that are made at the same time, a core each.")
    waiting: int = Field(default=16, ge=0, le=1_000, description="Requests that may wait; more are sent away (429).")
    max_body_bytes: int = Field(default=262_144, ge=1_024, description="Larger requests are refused (413).")
    max_tokens: int = Field(default=512, ge=1, le=4_096, description="The most new tokens of one answer.")

    @field_validator("tokens")
    @classmethod
    def _long_enough(cls, tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        return long_enough(tokens)


class HeadlineSettings(_Section):
    """`voxpop headlines`: a generator writes headlines beside the workers. Off while `generator` is unset."""

    generator: str | None = Field(default=None, description="A decoder pack's name, or the directory of one.")
    min_chars: int = Field(default=600, ge=1, description="A text as long gets one.")
    urgency: float = Field(default=0.5, ge=0, le=1, description="So does one as urgent, if too long to be its own.")
    tokens_per_s: float = Field(
        default=20.0, gt=0, description="Generated, over time, at most: it rests after each batch."
    )
    lookback_days: int = Field(default=7, ge=1, le=3660, description="Before the newest event; older texts are left.")
    poll_s: float = Field(default=5.0, gt=0, description="How often it looks for texts to write about.")


class EscalationSettings(_Section):
    """A second opinion on texts that the pack is unsure of. Off while `base_url` is unset: nothing leaves the machine."""

    base_url: str | None = Field(
        default=None, pattern=r"^https?://[^\s?#@]+$", description="OpenAI-compatible: https://host/v1"
    )
    model: str = Field(default="smollm2-135m-instruct", min_length=1, description="Its name at the endpoint.")
    api_key: SecretStr | None = None
    ca_file: Path | None = Field(default=None, description="The endpoint's authority, where the system's are not its.")
    timeout_s: float = Field(default=30.0, gt=0, le=600, description="From asking to the whole answer.")
    at_once: int = Field(default=2, ge=1, le=64, description="Calls at the same time.")
    calls_per_hour: int = Field(default=200, ge=1)
    calls_per_day: int = Field(default=2_000, ge=1)
    tokens_per_hour: int = Field(default=200_000, ge=1, description="Of questions and answers.")
    tokens_per_day: int = Field(default=2_000_000, ge=1)
    prompt_price: float = Field(default=0.0, ge=0, description="Of a million tokens of questions, for the cost.")
    answer_price: float = Field(default=0.0, ge=0, description="Of a million tokens of answers.")
    confidence_below: float = Field(default=0.5, gt=0, le=1, description="Of the sentiment: surer texts are left.")
    important: tuple[Literal["urgent", "negative", "complaint", "stars"], ...] = Field(
        default=("urgent", "negative", "complaint", "stars"),
        min_length=1,
        description="And one of these is so. stars: they say the opposite of the sentiment.",
    )
    lookback_days: int = Field(default=7, ge=1, le=3660, description="Before the newest event; older texts are left.")
    max_chars: int = Field(default=4_000, ge=100, le=20_000, description="Of a longer text the beginning is sent.")
    tries_per_day: int = Field(default=3, ge=1, description="Of a text whose call fails.")
    breaker_failures: int = Field(default=5, ge=1, description="So many in a row, and nothing is asked for a while.")
    breaker_pause_s: float = Field(
        default=60.0, gt=0, description="For so long; then one call tries whether it is over."
    )
    poll_s: float = Field(default=5.0, gt=0, description="How often it looks for texts to ask about.")
    http_host: str = "127.0.0.1"
    http_port: int | None = Field(
        default=None, ge=0, le=65535, description="/metrics /healthz /readyz; 0 takes a free one."
    )


class EmailSettings(_Section):
    """Alerts by e-mail: sent when `to` names somebody."""

    to: tuple[str, ...] = ()
    sender: str = "voxpop@localhost"
    host: str = "127.0.0.1"
    port: int = Field(default=25, ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = "none"
    username: str | None = None
    password: SecretStr | None = None


class AlertSettings(_Section):
    enabled: bool = Field(default=True, description="Whether `voxpop up` watches for alerts.")
    group_id: str = Field(
        default="voxpop-alerts", description="Its consumer group, and the name of its tables' topics."
    )
    window_hours: int = Field(default=24, ge=1, le=168, description="A part of a day, or whole days.")
    history_days: int = Field(default=28, ge=7, le=366, description="The past that a window is compared with.")
    min_windows: int = Field(
        default=7, ge=3, le=366, description="A product with fewer windows behind it is only watched."
    )
    lateness_hours: int = Field(default=1, ge=0, le=168, description="How long a window waits for late texts.")
    settle_s: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="Old texts: a topic from which nothing comes for so long has no more of them.",
    )
    min_texts: int = Field(default=5, ge=1, description="Fewer are never an alert.")
    campaign_texts: int = Field(default=5, ge=2, description="Fewer near-identical texts are never a campaign.")
    false_alarms_per_day: float = Field(
        default=0.1,
        gt=0,
        le=10,
        description="At most so many are to be expected, over all products, if nothing changes.",
    )
    close_p: float = Field(default=0.05, gt=0, lt=1, description="An alert lasts while its p value is below this.")
    webhooks: tuple[SecretStr, ...] = Field(default=(), description="http(s) addresses that get alerts as JSON.")
    webhook_secret: SecretStr | None = Field(default=None, description="Signs what webhooks get (HMAC-SHA256).")
    email: EmailSettings = EmailSettings()
    notify_within_hours: int = Field(default=72, ge=1, description="Of older moments nobody is told: of a replay, say.")
    notify_timeout_s: float = Field(default=10.0, gt=0, le=300)
    notify_tries: int = Field(default=4, ge=1, le=20)
    http_host: str = "127.0.0.1"
    http_port: int | None = Field(
        default=None, ge=0, le=65535, description="/metrics /healthz /readyz; 0 takes a free one."
    )

    @field_validator("webhooks")
    @classmethod
    def _are_addresses(cls, webhooks: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(not webhook.get_secret_value().startswith(("http://", "https://")) for webhook in webhooks):
            raise ValueError("a webhook is an address that begins with http:// or https://")
        return webhooks

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if 24 % self.window_hours and self.window_hours % 24:
            raise ValueError("window_hours must divide a day, or be whole days")
        if self.history_days * 24 < self.min_windows * max(24, self.window_hours):
            raise ValueError("history_days is shorter than min_windows windows")
        return self


class Settings(BaseSettings):
    """The whole tree. Build it with `load_settings`, which turns a wrong value into one clear line."""

    model_config = SettingsConfigDict(
        env_prefix="VOXPOP_", env_nested_delimiter="__", frozen=True, extra="forbid", cli_parse_args=False
    )

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    worker: WorkerSettings = WorkerSettings()
    model: ModelSettings = ModelSettings()
    privacy: PrivacySettings = PrivacySettings()
    retention: RetentionSettings = RetentionSettings()
    dashboard: DashboardSettings = DashboardSettings()
    alerts: AlertSettings = AlertSettings()
    digests: DigestSettings = DigestSettings()
    serve: ServeSettings = ServeSettings()
    escalation: EscalationSettings = EscalationSettings()
    headlines: HeadlineSettings = HeadlineSettings()
    taxonomy: Path | None = Field(default=None, description="Your taxonomy file; the shipped one when unset.")
    state_dir: Path = Field(default=Path(".voxpop"), description="Packs, caches, the embedded stack's data and logs.")
    packs: Path | None = Field(
        default=None, description="Where packs lie, which may be read-only; `packs` in state_dir when unset."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Constructor, environment, secrets' files, then the TOML file."""
        files = NestedSecretsSettingsSource(
            file_secret_settings, secrets_dir=secrets_dir(), secrets_dir_missing="error"
        )
        return init_settings, env_settings, files, TomlConfigSettingsSource(settings_cls, config_file())

    @cached_property
    def packs_dir(self) -> Path:
        return self.packs or self.state_dir / "packs"

    @cached_property
    def cache_dir(self) -> Path:
        return self.state_dir / "cache"


def as_environment(settings: Settings) -> dict[str, str]:
    """The VOXPOP_… variables that give another process these settings, secrets included. What is unset has none."""
    found: dict[str, str] = {}

    def put(path: tuple[str, ...], model: BaseModel) -> None:
        for name in type(model).model_fields:
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                put((*path, name), value)
            elif value is not None:
                found["VOXPOP_" + "__".join((*path, name)).upper()] = _as_variable(value)

    put((), settings)
    return found


def _as_variable(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value, default=_plain) if isinstance(value, (tuple, dict, bool)) else str(value)


def _plain(value: SecretStr | BaseModel) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value.model_dump(mode="json", exclude_none=True)


def usable_cpus() -> int:
    """The CPUs this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def config_file() -> Path:
    """The TOML file that settings are read from, whether it exists or not."""
    return Path(os.environ.get("VOXPOP_CONFIG", "voxpop.toml"))


def secrets_dir() -> Path | None:
    """The directory whose files hold settings: its file VOXPOP_CLICKHOUSE__PASSWORD holds the password, for instance.

    What Docker and Kubernetes mount for a secret is such a directory; names of any other kind in it are passed over.
    """
    named = os.environ.get("VOXPOP_SECRETS_DIR")
    return Path(named) if named else None


def load_settings() -> Settings:
    """The settings of this process. Raises `UsageError` that names the wrong one."""
    if "VOXPOP_CONFIG" in os.environ and not config_file().is_file():
        raise UsageError(f"VOXPOP_CONFIG names {config_file()}, which does not exist; correct it or unset it")
    if (secrets := secrets_dir()) and not secrets.is_dir():
        raise UsageError(f"VOXPOP_SECRETS_DIR names {secrets}, which is no directory; correct it or unset it")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = [str(part) for part in first["loc"]]
        raise UsageError(
            f"setting {'.'.join(path)}: {first['msg']}; set VOXPOP_{'__'.join(path).upper()} or correct {config_file()}"
        ) from error
    except SettingsError as error:
        raise UsageError(
            f'a VOXPOP_ variable cannot be read ({error}); lists are JSON there: VOXPOP_KAFKA__TOPICS=\'["a", "b"]\''
        ) from error
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be read ({error.strerror}); correct its owner or its mode"
        ) from error
    except ValueError as error:
        raise UsageError(f"settings cannot be read ({' '.join(str(error).split())}); see {config_file()}") from error
