"""Kafka over TLS: whom its clients trust, and how they show who they are."""

import socket
import ssl
import struct
from pathlib import Path

from workers.errors import UsageError
from workers.settings import KafkaSettings

_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)  # size, then the request that is answered before any login


def tls_context(settings: KafkaSettings) -> ssl.SSLContext:
    """For every client of ours: certificates are verified, names too, and the client's own is shown where one is set.

    Raises `UsageError` when a file is not there or does not hold what it should: a client would only wait in vain.
    """
    for variable in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        path: Path | None = getattr(settings, variable)
        if path and not path.is_file():
            raise UsageError(f"VOXPOP_KAFKA__{variable.upper()} names {path}, which is no file; correct it")
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
    except ssl.SSLError as error:
        raise UsageError(
            f"VOXPOP_KAFKA__SSL_CAFILE names {settings.ssl_cafile}, which holds no certificate ({error.reason}); correct it"
        ) from None
    if settings.ssl_certfile:
        password = settings.ssl_key_password.get_secret_value() if settings.ssl_key_password else ""
        try:  # with no password at all OpenSSL would ask for one at the terminal
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, lambda: password)
        except ssl.SSLError as error:
            raise UsageError(
                f"the client's certificate {settings.ssl_certfile} cannot be used with its key"
                f" ({error.reason or 'the key needs another password'});"
                " set VOXPOP_KAFKA__SSL_CERTFILE, SSL_KEYFILE and SSL_KEY_PASSWORD to what belongs together"
            ) from None
    return context


def refused_by_tls(reached: socket.socket, host: str, settings: KafkaSettings) -> str | None:
    """Why this broker and we do not come to speak over TLS; None when we do. The socket is spent afterwards."""
    try:
        with tls_context(settings).wrap_socket(reached, server_hostname=host) as speaking:
            speaking.sendall(_API_VERSIONS)  # TLS 1.3 tells what is wrong with a client's certificate afterwards
            speaking.recv(1)
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message
        return f"has a certificate that is not trusted ({why}); set VOXPOP_KAFKA__SSL_CAFILE to its CA's certificate"
    except ssl.SSLError as error:
        if "ALERT" not in (error.reason or ""):
            return "does not speak TLS; set VOXPOP_KAFKA__SECURITY_PROTOCOL as it has it"
        if settings.ssl_certfile:
            return (
                f"does not take the client's certificate {settings.ssl_certfile} ({error.reason});"
                " set VOXPOP_KAFKA__SSL_CERTFILE to one of an authority that it trusts"
            )
        return (
            f"asks for a client's certificate ({error.reason}); set VOXPOP_KAFKA__SSL_CERTFILE, and SSL_KEYFILE where"
            " the key has a file of its own"
        )
    except OSError:  # it hangs up, resets, says nothing, or says something else
        return "does not speak TLS; set VOXPOP_KAFKA__SECURITY_PROTOCOL as it has it"
    return None
