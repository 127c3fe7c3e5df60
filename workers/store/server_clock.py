"""ClickHouse's clock, told from a clock of this process, so that a lease means the same moment on both sides."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.connect import explain

COMPARED_AGAIN_S = 60.0  # two quartz clocks part by some milliseconds in that time


class ServerClock:
    """Turns a reading of a steady clock of this process (seconds) into ClickHouse's time, early rather than late.

    ClickHouse's answer to `now64` is older than its arrival, so counting from the arrival puts every moment too early by at
    most the way back: a lease computed from it ends a little early, never late.
    """

    def __init__(self, client: Client, settings: ClickHouseSettings, steady: Callable[[], float]) -> None:
        """`steady` reads the clock: seconds that never go back and go on while the machine sleeps."""
        self._client, self._settings, self._steady = client, settings, steady
        self._compared: tuple[datetime, float] | None = None  # ClickHouse's time, and the reading when it arrived

    def at(self, reading_s: float) -> datetime:
        """ClickHouse's time, in UTC, when the steady clock showed `reading_s`.

        Raises `StoreUnavailable` or `StoreRefused` when the clocks have to be compared and ClickHouse does not answer.
        """
        if self._compared is None or self._steady() - self._compared[1] > COMPARED_AGAIN_S:
            self._compared = self._compare()
        server_time, arrived_s = self._compared
        return server_time + timedelta(seconds=reading_s - arrived_s)

    def now(self) -> datetime:
        """ClickHouse's time, in UTC. Raises like `at`."""
        return self.at(self._steady())

    def _compare(self) -> tuple[datetime, float]:
        try:
            row = next(iter(self._client.query("SELECT toUnixTimestamp64Micro(now64(6))").result_rows))
        except ClickHouseError as error:
            raise explain(error, self._settings) from error
        return datetime.fromtimestamp(int(row[0]) / 1e6, UTC), self._steady()
