"""What ratios usually are, and whether a run's are worse than their noise explains.

`python -m workers.bench.usual RUN.txt... > tests/benchmarks/usual.json` makes the file from what `voxpop bench --quick
--json` printed several times, on machines as busy as they come. A ratio is compared by computing done, which hardly minds
what else a machine does.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from workers.bench.rounds import markdown
from workers.errors import UsageError

FIGURES = (
    "pipeline_to_engine_cpu",
    "plumbing_to_minimal_cpu",
    "cache_saving_50_pct_reposts_cpu",
)  # the higher the better
DEVIATIONS = 4.0  # below the mean of the runs: one run in thousands, were they normally distributed
OTHER_MACHINES = 0.15  # of the mean: what another processor may do to a ratio without anything being worse


class Usual(NamedTuple):
    """A ratio over `runs` runs: its mean and standard deviation."""

    mean: float
    deviation: float
    runs: int

    @property
    def least(self) -> float:
        """What a run may have."""
        return self.mean - max(DEVIATIONS * self.deviation, OTHER_MACHINES * self.mean)


def usual_of(documents: Sequence[Mapping[str, Any]]) -> dict[str, Usual]:
    """Of several runs' documents. Raises `UsageError` when there are too few to tell the noise."""
    if len(documents) < 3:
        raise UsageError(f"{len(documents)} runs do not tell the noise; give three or more")
    found = {}
    for name in FIGURES:
        values = [float(document[name]) for document in documents if name in document]
        if len(values) == len(documents):
            found[name] = Usual(round(mean(values), 4), round(stdev(values), 4), len(values))
    return found


def read_usual(file: Path) -> dict[str, Usual]:
    """Raises `UsageError` when it is no such file."""
    try:
        return {name: Usual(**figure) for name, figure in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{file} does not hold usual ratios ({error}); make one with python -m workers.bench.usual"
        ) from error


def compared(usual: Mapping[str, Usual], figures: Mapping[str, float]) -> tuple[str, list[str]]:
    """A Markdown table of the ratios that were measured, and the names of those that are worse than their noise."""
    measured = [name for name in usual if name in figures]
    if not measured:
        raise UsageError(f"none of the usual ratios was measured; measure {', '.join(usual)}")
    rows = [
        [
            name,
            f"{figures[name]:.3f}",
            f"{usual[name].mean:.3f} ± {usual[name].deviation:.3f}",
            f"{usual[name].least:.3f}",
        ]
        for name in measured
    ]
    table = markdown(["ratio, by computing done", "now", "usually", "at least"], rows)
    return table, [name for name in measured if figures[name] < usual[name].least]


def main() -> None:
    """Writes the file to standard output."""
    documents = [json.loads(Path(name).read_text(encoding="utf-8").splitlines()[-1]) for name in sys.argv[1:]]
    found = {name: figure._asdict() for name, figure in usual_of(documents).items()}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
