"""Commands that measure and reckon."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.application import AsJson, err, out, settings_of
from workers.errors import UsageError, VoxpopError

commands = typer.Typer()


@commands.command()
def bench(
    parts: Annotated[
        list[str],
        typer.Option(
            "--part",
            help="engine, pipeline, protocol, plumbing, latency, scale, cache, digests, screens (all if unset), soak,"
            " generator.",
        ),
    ] = [],  # noqa: B006 - Typer copies it
    quick: Annotated[bool, typer.Option("--quick", help="Small and rough, in a minute or two.")] = False,
    texts: Annotated[Path | None, typer.Option(help="A file of your own texts, one a line, plain or JSON.")] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=1_000, max=100_000_000, help="Insights generated for the screens; a million if unset."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Usual ratios, such as tests/benchmarks/usual.json: a worse one than its noise explains is exit 1."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure this machine: the engine, the pipeline, the protocol's cost. Ratios of what runs side by side, in turn.

    On a stack of its own. With --json the last line is a document of all figures.

    Example: voxpop bench --quick --part protocol
    """
    from workers.bench.run import EXTRA_PARTS, PARTS, BenchRequest
    from workers.commands.bench import show_bench

    if unknown := [part for part in parts if part not in PARTS + EXTRA_PARTS]:
        raise UsageError(f"there is no part {unknown[0]!r}; take one of {', '.join(PARTS + EXTRA_PARTS)}")
    request = BenchRequest(parts or PARTS, quick, texts, rows)
    if worse := show_bench(settings_of(), request, out, err, against, as_json=as_json):
        raise VoxpopError(f"slower than before: {', '.join(worse)} (see the last table)")


@commands.command()
def chaos(
    broker: Annotated[str, typer.Option(help="embedded, or kafka: Apache Kafka from `make kafka-jars`.")] = "embedded",
    faults: Annotated[int, typer.Option(min=1, max=10_000, help="How many faults.")] = 50,
    events: Annotated[int, typer.Option(min=100, help="How many messages are sent meanwhile.")] = 4_000,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 3,
    seed: Annotated[int | None, typer.Option(help="Repeats a run's faults in their order; a new one if unset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Break everything while a known stream runs, then check every promise: nothing lost, nothing doubled. Exit 1 if not.

    Kills, freezes and scales workers, kills ClickHouse and Apache Kafka, disturbs the network, crashes at every step of the
    protocol. On a stack of its own; touches nothing else.

    Example: voxpop chaos --broker kafka --faults 200 --seed 7
    """
    import secrets

    from workers.chaos.report import ChaosRequest
    from workers.commands.chaos import show_chaos

    if broker not in ("embedded", "kafka"):
        raise UsageError(f"there is no broker {broker!r}; take embedded or kafka")
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    request = ChaosRequest(broker, faults, events, workers, chosen)
    if not show_chaos(settings_of(), request, out, err, as_json=as_json):
        raise typer.Exit(1)


@commands.command()
def plan(
    rate: Annotated[str, typer.Option(help="Texts: 20000/s, 300k/h, 5M/day.")],
    p99: Annotated[
        str, typer.Option(help="From topic to queryable, in all but one of a hundred cases: 2s, 800ms.")
    ] = "3s",
    bench: Annotated[
        Path | None,
        typer.Option(help="What `voxpop bench --json` printed; the latest whole run on this machine if unset."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How many workers, partitions and ClickHouse nodes a rate needs, and what they cost, from figures measured here.

    Example: voxpop plan --rate 20000/s --p99 2s
    """
    from workers.commands.plan import show_plan

    show_plan(settings_of(), rate, p99, bench, out, as_json=as_json)
