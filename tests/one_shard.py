"""A cluster of one shard in one engine: what a cluster's statements do, as far as they go without Keeper.

What needs Keeper is left out of them: they are carried out on this node alone, and tables are not replicated. All else is
the product's own: Distributed tables over local ones, settings, inserts and tokens through them, materialized views, reads.
"""

import re
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.httpclient import HttpClient

from tests.configured_clickhouse import ConfiguredClickHouse

CLUSTER = "one"
PORT = 9000  # the engine takes a replica at this port for itself, and listens nowhere
CONFIGURATION = (
    f"<clickhouse><tcp_port>{PORT}</tcp_port><remote_servers><{CLUSTER}><shard><replica><host>127.0.0.1</host>"
    f"<port>{PORT}</port></replica></shard></{CLUSTER}></remote_servers></clickhouse>"
)
_ENGINE = re.compile(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?")
_WINDOW = re.compile(r"\breplicated_deduplication_window = (\d+)(?:, replicated_deduplication_window_seconds = \d+)?")


def one_shard(directory: Path) -> ConfiguredClickHouse:
    """The server, not yet started."""
    return ConfiguredClickHouse(directory, CONFIGURATION)


def without_keeper(statement: str) -> str:
    """A statement as one node without Keeper can carry it out."""
    here = statement.replace(f" ON CLUSTER `{CLUSTER}`", "")
    engine = _ENGINE.sub(r"\1(", here).replace("MergeTree()", "MergeTree")
    return _WINDOW.sub(r"non_replicated_deduplication_window = \1", engine)


def command_without_keeper(self: HttpClient, cmd: str, *arguments: Any, **named: Any) -> Any:
    """Takes the place of `HttpClient.command`."""
    return _command(self, without_keeper(cmd), *arguments, **named)


_command = HttpClient.command
