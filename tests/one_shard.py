"""A cluster of one shard in one engine: what a cluster's statements do, as far as they go without Keeper.

What needs Keeper is left out of them: they are carried out on this node alone, and tables are not replicated. All else is
the product's own: Distributed tables over local ones, settings, inserts and tokens through them, materialized views, reads.

    python -m tests.one_shard --data-dir D     # the embedded ClickHouse's server with such a cluster
"""

import re
import sys
from pathlib import Path
from typing import Any, Self

from clickhouse_connect.driver.httpclient import HttpClient

from workers.embedded import clickhouse_engine, clickhouse_server
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.process import ChildProcess

CLUSTER = "one"
PORT = 9000  # the engine takes a replica at this port for itself, and listens nowhere
CONFIGURATION = (
    f"<clickhouse><tcp_port>{PORT}</tcp_port><remote_servers><{CLUSTER}><shard><replica><host>127.0.0.1</host>"
    f"<port>{PORT}</port></replica></shard></{CLUSTER}></remote_servers></clickhouse>"
)
_ENGINE = re.compile(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?")
_WINDOW = re.compile(r"\breplicated_deduplication_window = (\d+)(?:, replicated_deduplication_window_seconds = \d+)?")


class OneShard(EmbeddedClickHouse):
    """The server's process."""

    def start(self) -> Self:
        """As the embedded ClickHouse's."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "cluster.xml").write_text(CONFIGURATION)
        command = [sys.executable, "-m", "tests.one_shard", "--data-dir", str(self.data_dir), "--port", str(self.port)]
        self._process = ChildProcess("the embedded ClickHouse", command, log_file=self.log_file)
        self._process.wait_until(self._answers, 60)
        return self


def without_keeper(statement: str) -> str:
    """A statement as one node without Keeper can carry it out."""
    here = statement.replace(f" ON CLUSTER `{CLUSTER}`", "")
    engine = _ENGINE.sub(r"\1(", here).replace("MergeTree()", "MergeTree")
    return _WINDOW.sub(r"non_replicated_deduplication_window = \1", engine)


def command_without_keeper(self: HttpClient, cmd: str, *arguments: Any, **named: Any) -> Any:
    """Takes the place of `HttpClient.command`."""
    return _command(self, without_keeper(cmd), *arguments, **named)


_command = HttpClient.command


def main() -> None:
    """The embedded ClickHouse's server, with the cluster of the directory's cluster.xml."""
    file = Path(sys.argv[sys.argv.index("--data-dir") + 1]) / "cluster.xml"
    connection: Any = clickhouse_engine.Connection
    clickhouse_engine.Connection = lambda directory: connection(f"{directory}?config-file={file}")  # type: ignore
    clickhouse_server.main()


if __name__ == "__main__":
    main()
