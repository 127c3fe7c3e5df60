"""A connection to ClickHouse over HTTP or HTTPS, and what its failures mean."""

import ssl
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from workers.errors import UsageError, VoxpopError
from workers.settings import ClickHouseSettings
from workers.store.cluster import CLUSTER_SETTINGS

# Codes of ClickHouse's ErrorCodes.cpp that no repetition mends: the schema, the statement or the rights are wrong.
_VIOLATED_CONSTRAINT = 469
_HOPELESS = {
    16: "NO_SUCH_COLUMN_IN_TABLE",
    47: "UNKNOWN_IDENTIFIER",
    53: "TYPE_MISMATCH",
    60: "UNKNOWN_TABLE",
    62: "SYNTAX_ERROR",
    81: "UNKNOWN_DATABASE",
    115: "UNKNOWN_SETTING",
    192: "UNKNOWN_USER",
    497: "ACCESS_DENIED",
    469: "VIOLATED_CONSTRAINT",
    516: "AUTHENTICATION_FAILED",
}


class StoreUnavailable(VoxpopError):
    """ClickHouse cannot be reached or cannot take the request now. The same request may pass later."""


class LeaseEnded(StoreUnavailable):
    """ClickHouse refused the rows because the lease of their block has ended. They may pass under a new lease."""


class StoreRefused(VoxpopError):
    """ClickHouse answered that this request can never pass: wrong schema, statement, credentials or rights."""


def connect(settings: ClickHouseSettings, *, database: str | None = None) -> Client:
    """A client for any number of threads. `database` defaults to the configured one. Certificates are verified, names too.

    A client's certificate logs in by itself; with a password both are shown. Raises `StoreUnavailable` or `StoreRefused`;
    `UsageError` when a certificate cannot be read.
    """
    _check_files(settings)
    password = settings.password.get_secret_value()
    try:
        return clickhouse_connect.get_client(
            host=settings.host,
            port=settings.port,
            username=settings.username,
            password=password,
            database=settings.database if database is None else database,
            interface="https" if settings.secure else "http",
            ca_cert=_path(settings.ca_file),
            client_cert=_path(settings.client_cert_file),
            client_cert_key=_path(settings.client_key_file),
            tls_mode="strict" if password else None,
            connect_timeout=settings.connect_timeout_s,
            send_receive_timeout=settings.timeout_s,
            autogenerate_session_id=False,  # sessions are single-threaded; nothing here needs one
            client_name="voxpop",
            settings=CLUSTER_SETTINGS if settings.cluster else None,
            tz_mode="aware",  # a time without its zone would be taken for this machine's
        )
    except ClickHouseError as error:
        raise explain(error, settings) from error


def _path(file: Path | None) -> str | None:
    return str(file) if file else None


def _check_files(settings: ClickHouseSettings) -> None:
    for name in ("ca_file", "client_cert_file", "client_key_file"):
        file: Path | None = getattr(settings, name)
        if file and not file.is_file():
            raise UsageError(f"VOXPOP_CLICKHOUSE__{name.upper()} names {file}, which is no file; correct it")
    if settings.client_cert_file:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                settings.client_cert_file, settings.client_key_file, lambda: ""
            )
        except ssl.SSLError as error:
            raise UsageError(
                f"the client's certificate {settings.client_cert_file} cannot be used with its key ({error.reason});"
                " set VOXPOP_CLICKHOUSE__CLIENT_CERT_FILE and CLIENT_KEY_FILE to what belongs together, the key in the clear"
            ) from None


def explain(error: ClickHouseError, settings: ClickHouseSettings) -> VoxpopError:
    """The driver's error as one of ours: a `StoreRefused` when no repetition can mend it, else a `StoreUnavailable`."""
    where = f"ClickHouse at {settings.host}:{settings.port}"
    code = error.code if isinstance(error, DatabaseError) else None
    said = _first_line(error if code is not None else _root(error))
    if code in {192, 516}:
        return StoreRefused(
            f"{where} refuses the user {settings.username!r}; set VOXPOP_CLICKHOUSE__USERNAME and PASSWORD"
        )
    if code in {60, 81}:
        return StoreRefused(f"{where} lacks a table or database ({said}); run: voxpop migrate")
    if code == _VIOLATED_CONSTRAINT and "inserted_under_lease" in str(error):
        return LeaseEnded(f"{where} refuses rows whose lease has ended")
    if code in _HOPELESS:
        return StoreRefused(f"{where} refuses the request ({said})")
    if code is not None:
        return StoreUnavailable(f"{where} cannot take the request now ({said})")
    if isinstance(cause := _root(error), ssl.SSLCertVerificationError):
        why = cause.verify_message
        mend = "set VOXPOP_CLICKHOUSE__CA_FILE to its CA's certificate"
        return StoreUnavailable(f"{where} has a certificate that is not trusted ({why}); {mend}")
    mend = (
        "is it running? set VOXPOP_CLICKHOUSE__HOST and PORT, SECURE as it has it, CLIENT_CERT_FILE if it asks for one"
    )
    return StoreUnavailable(f"{where} cannot be reached ({said}); {mend}")


def _root(error: BaseException) -> BaseException:
    """What the socket said, under the layers that the HTTP client wraps around it."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 240 else text[:237] + "…"
