"""How long a text waits in a worker: a simulation of its loop, and the one number in it that is fitted to a measurement.

A worker takes what its partitions have ready (a block each: full, or its oldest message has waited `linger_s`), and works on
all of it at once; what comes meanwhile waits. So it is a queue with one server and bulk service (Bailey 1954) whose batches
grow with the load: a batch of n texts takes `overhead_s` + n / `texts_a_second`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]

FIT_STEPS = 18
MOST_OVERHEAD_S = 4.0


@dataclass(frozen=True, slots=True)
class WorkerModel:
    """`capacity`: texts a second that a worker has when all partitions' blocks are full, everything counted."""

    capacity: float
    overhead_s: float
    partitions: int
    block_records: int
    linger_s: float

    @property
    def texts_a_second(self) -> float:
        """Without what every batch costs once. Raises ValueError when that is more than a full batch takes."""
        full = self.partitions * self.block_records
        left_s = full / self.capacity - self.overhead_s
        if left_s <= 0:
            raise ValueError(f"{self.overhead_s} s a batch leave nothing of a batch's {full / self.capacity:.3f} s")
        return full / left_s

    def latencies(self, rate: float, texts: int = 20_000, seed: int = 0) -> Seconds:
        """Seconds from arrival to done of so many texts that come at random (Poisson), `rate` a second over all partitions,
        in no order. The first tenth, while the queue forms, is left out."""
        rng = np.random.default_rng(seed)
        arrivals = np.cumsum(rng.exponential(1 / rate, texts))
        places = rng.integers(self.partitions, size=texts)
        waiting = [arrivals[places == place] for place in range(self.partitions)]
        taken = [0] * self.partitions
        speed, now, found = self.texts_a_second, 0.0, []
        while True:
            ready = [self._ready_at(queue, first) for queue, first in zip(waiting, taken, strict=True)]
            now = max(now, min(ready))
            if not np.isfinite(now):
                break
            batch = []
            for place, at in enumerate(ready):
                if at <= now:
                    first = taken[place]
                    there = int(np.searchsorted(waiting[place], now, side="right"))
                    taken[place] = min(there, first + self.block_records)
                    batch.append(waiting[place][first : taken[place]])
            together = np.concatenate(batch)
            now += self.overhead_s + len(together) / speed
            found.append(now - together)
        return np.concatenate(found)[texts // 10 :]

    def _ready_at(self, queue: Seconds, first: int) -> float:
        """When this partition's next block can be cut: it is full, or its first text has waited long enough."""
        if first >= len(queue):
            return float("inf")
        lingered = float(queue[first]) + self.linger_s
        full = first + self.block_records - 1
        return min(lingered, float(queue[full])) if full < len(queue) else lingered

    def percentile(self, load: float, percent: float) -> float:
        """Seconds, at a share of the capacity."""
        return float(np.percentile(self.latencies(load * self.capacity), percent))

    def highest_load(self, percent: float, limit_s: float, most: float) -> float:
        """The largest share of the capacity, in hundredths, up to `most`, at which a percentile stays within the limit; 0.0
        when none does. Latency grows with the load from where blocks no longer wait for company."""
        low, high = 0, round(100 * most)
        if self.percentile(high / 100, percent) <= limit_s:
            return high / 100
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.percentile(middle / 100, percent) <= limit_s else (low, middle)
        return low / 100


def fitted(model: WorkerModel, load: float, median_s: float) -> WorkerModel:
    """The model whose median latency at this load is what was measured there, as near as its overhead allows, which is at
    most nine tenths of a full batch's time."""
    full_s = model.partitions * model.block_records / model.capacity
    low, high = 0.0, min(MOST_OVERHEAD_S, 0.9 * full_s)
    for _ in range(FIT_STEPS):
        middle = (low + high) / 2
        if replace(model, overhead_s=middle).percentile(load, 50) < median_s:
            low = middle
        else:
            high = middle
    return replace(model, overhead_s=(low + high) / 2)
