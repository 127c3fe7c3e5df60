"""The embedded ClickHouse with a configuration of the engine's own, as a server reads from config.d.

python -m tests.configured_clickhouse --data-dir D     # its server; the configuration is D/config.xml
"""

import sys
from pathlib import Path
from typing import Any, Self

from workers.embedded import clickhouse_engine, clickhouse_server
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.process import ChildProcess

FILE = "config.xml"


class ConfiguredClickHouse(EmbeddedClickHouse):
    """The server's process."""

    def __init__(self, data_dir: Path, configuration: str) -> None:
        super().__init__(data_dir)
        self._configuration = configuration

    def start(self) -> Self:
        """As the embedded ClickHouse's."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / FILE).write_text(self._configuration)
        command = [
            sys.executable,
            "-m",
            "tests.configured_clickhouse",
            "--data-dir",
            str(self.data_dir),
            "--port",
            str(self.port),
        ]
        self._process = ChildProcess("the embedded ClickHouse", command, log_file=self.log_file)
        self._process.wait_until(self._answers, 60)
        return self


def main() -> None:
    """The embedded ClickHouse's server, with the directory's configuration."""
    file = Path(sys.argv[sys.argv.index("--data-dir") + 1]) / FILE
    connection: Any = clickhouse_engine.Connection
    clickhouse_engine.Connection = lambda directory: connection(f"{directory}?config-file={file}")  # type: ignore
    clickhouse_server.main()


if __name__ == "__main__":
    main()
