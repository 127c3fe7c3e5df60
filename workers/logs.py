"""Structured logs: JSON lines on standard error, or readable lines when a person watches. Never a text or a key in one."""

import logging
import sys

import structlog

_LIBRARIES = ("kafka", "urllib3", "clickhouse_connect", "faust", "aiokafka", "mode")


def configure_logs(level: str, *, human: bool | None = None, libraries: bool = True) -> None:
    """Sets up logging for this process. `human` defaults to whether standard error is a terminal.

    Without `libraries` only our own words come (below `debug`): a command says in one line what failed, which the clients
    of Kafka and ClickHouse would bury under their retries.
    """
    readable = sys.stderr.isatty() if human is None else human
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    quiet = logging.WARNING if libraries or root.level <= logging.DEBUG else logging.CRITICAL + 1
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(max(quiet, root.level))
