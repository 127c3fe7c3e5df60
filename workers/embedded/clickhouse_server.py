"""ClickHouse's HTTP interface over the engine in this process: `python -m workers.embedded.clickhouse_server --data-dir D`.

Any ClickHouse client connects to it as to a server. The password comes from the environment (`PASSWORD_VARIABLE`), never
from the command line, which every user of the machine can read. Once it listens, its pid and port are in `D/server.json`.
"""

import argparse
import fcntl
import ipaddress
import json
import logging
import os
import resource
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import uvicorn

from workers.embedded.clickhouse import ADDRESS_FILE, PASSWORD_VARIABLE
from workers.embedded.clickhouse_answer import Answering
from workers.embedded.clickhouse_engine import Engine
from workers.embedded.clickhouse_http import application
from workers.embedded.deduplication_log import mend_deduplication_logs
from workers.embedded.process import EmbeddedError
from workers.errors import VoxpopError

LOCK_FILE = "server.lock"
MAX_HEAD_BYTES = 1 << 20  # the request line and headers; ClickHouse's own http_max_uri_size
KEEP_ALIVE_S = 600
OPEN_FILES = 65_536  # parts, connections, and three per thread of the engine
SHUTDOWN_GRACE_S = 3
CLOSE_GRACE_S = 4

log = logging.getLogger("voxpop.embedded.clickhouse")


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exits with 1 and one line on standard error when it cannot."""
    parser = argparse.ArgumentParser(description="ClickHouse's HTTP interface over chDB")
    parser.add_argument("--data-dir", type=Path, required=True, help="where the data, the lock and the address live")
    parser.add_argument("--host", default="127.0.0.1", help="any other than loopback needs a password")
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument(
        "--certificate", type=Path, help="a PEM file, the key and then the chain: HTTPS instead of HTTP"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    password = os.environ.pop(PASSWORD_VARIABLE, "")
    try:
        serve(options.data_dir, options.host, options.port, password, options.certificate)
    except VoxpopError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def serve(data_dir: Path, host: str, port: int, password: str, certificate: Path | None = None) -> None:
    """Serve until a signal, then end the process: a query that will not end must not hold it.

    Raises `EmbeddedError` when the directory is in use, the address cannot be had or the certificate cannot be read.
    """
    if not password and not _is_loopback(host):
        raise EmbeddedError(f"{host} is open to other machines: set a password, or use 127.0.0.1")
    if certificate:
        _check_certificate(certificate)
    data_dir.mkdir(parents=True, exist_ok=True)
    _allow_open_files()
    with locked(data_dir), _listening(host, port) as listener:
        for part in mend_deduplication_logs(data_dir / "engine"):
            log.warning("a crash has lost the part %s after noting its token: the token is taken back", part)
        engine = Engine(data_dir / "engine")
        spool_directory = data_dir / "spool"
        spool_directory.mkdir(exist_ok=True)
        server = uvicorn.Server(
            uvicorn.Config(
                application(Answering(engine, spool_directory), password),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                loop="asyncio",  # the same whether or not another package has brought uvloop along
                ws="none",
                http="h11",
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
                ssl_certfile=certificate,
            )
        )
        _announce(data_dir, listener.getsockname()[1])
        log.info("ClickHouse %s serves %s on port %d", engine.version, data_dir, listener.getsockname()[1])
        # uvicorn raises the signal that stopped it once more, for the handlers it found: nothing is left for them to do.
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
        server.run(sockets=[listener])
        closing = threading.Thread(target=engine.close, daemon=True)
        closing.start()
        closing.join(CLOSE_GRACE_S)
        logging.shutdown()
        os._exit(0)


def _check_certificate(certificate: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate)
    except OSError as error:
        raise EmbeddedError(f"{certificate} holds no key with its certificate ({error.strerror}): correct it") from None


def _allow_open_files() -> None:
    """Raise the limit on open files as far as this process may, as ClickHouse does."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def locked(data_dir: Path) -> BinaryIO:
    """The lock on a data directory, held until the file is closed or the process ends in any way.

    Raises `EmbeddedError` when another process holds it.
    """
    lock = (data_dir / LOCK_FILE).open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().decode()
        lock.close()
        raise EmbeddedError(
            f"{data_dir} is in use by another embedded ClickHouse (pid {holder}): stop it or choose another directory"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()).encode())
    lock.flush()
    return lock


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio, which looks at it, switches Nagle's algorithm off: with it every answer waits
    # 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise EmbeddedError(f"cannot listen on {host}:{port} ({error.strerror}): free it or choose another") from None
    return listener


def _announce(data_dir: Path, port: int) -> None:
    """Write the address for those who started us; they compare the pid, so an old file misleads nobody."""
    written = data_dir / f"{ADDRESS_FILE}.new"
    written.write_text(json.dumps({"pid": os.getpid(), "port": port}))
    written.replace(data_dir / ADDRESS_FILE)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
