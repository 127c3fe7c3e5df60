"""Commands that run the parts of the stack, and look after them."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.application import AsJson, MapOption, SetOption, TimeFormat, err, out, settings_of
from workers.errors import VoxpopError

commands = typer.Typer()


@commands.command()
def up(
    once: Annotated[bool, typer.Option("--once", help="End when the stream is done, instead of serving.")] = False,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Your CSV or JSONL (.gz) instead of the sample.")
    ] = None,
    columns: MapOption = [],  # noqa: B006 - Typer copies it
    constants: SetOption = [],  # noqa: B006
    time_format: TimeFormat = None,
    topic: Annotated[str | None, typer.Option(help="One topic for all rows of --input.")] = None,
    port: Annotated[int, typer.Option(help="Where /healthz, /readyz and /metrics answer; 0 takes a free port.")] = 0,
    kafka_port: Annotated[int, typer.Option(help="The broker's port; 0 takes a free one.")] = 0,
    clickhouse_port: Annotated[int, typer.Option(help="ClickHouse's HTTP port; 0 takes a free one.")] = 0,
    dashboard_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The dashboard's port; 8080 or a free one if unset.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    data: Annotated[
        Path | None, typer.Option(help="Keep ClickHouse's data here; a new empty place when unset.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole stack here: broker, ClickHouse, workers, and a stream through them.

    Example: voxpop up --once --input reviews.csv --map review=text --set product="My Phone"
    """
    from workers.commands.up import UpRequest, show_up
    from workers.stream.files import RowMapping

    mapping = RowMapping.parse(columns, constants, time_format, topic)
    request = UpRequest(
        once, input_file, mapping, port, kafka_port, clickhouse_port, workers, data, as_json, dashboard_port
    )
    show_up(settings_of(), request, out, err)


@commands.command()
def produce(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or JSONL, .gz or not.")],
    topic: Annotated[
        str | None, typer.Option(help="One topic for all rows; by default each row's kind decides.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="At most so many messages a second.")] = None,
    columns: MapOption = [],  # noqa: B006
    constants: SetOption = [],  # noqa: B006
    time_format: TimeFormat = None,
) -> None:
    """Send a file's rows to the topics of the configured broker.

    Example: voxpop produce tweets.csv.gz --map tweet=text --map airline=product --set kind=post
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from workers.stream.files import EventFile, RowMapping
    from workers.stream.produce import AcknowledgedProducer, Sent, produce_stream
    from workers.stream.topics import ensure_topics

    settings = settings_of()
    rows = EventFile(file, RowMapping.parse(columns, constants, time_format, topic))
    if rows.ignored:
        err.print(
            f"ignored columns: {', '.join(rows.ignored)} (take one along with --map COL=metadata.KEY)", markup=False
        )
    ensure_topics(settings.kafka)
    producer = AcknowledgedProducer(settings.kafka)
    columns_shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns_shown, console=err) as bar:
            task = bar.add_task("producing", total=rows.size)

            def show(sent: Sent) -> None:
                bar.update(task, completed=rows.bytes_read, description=f"{sent.acknowledged:,} messages")

            sent = produce_stream(producer, rows, settings.kafka, rate=rate, on_progress=show)
    finally:
        producer.close()
    out.print(f"{sent.acknowledged:,} messages acknowledged", highlight=False)
    if sent.refused:
        raise VoxpopError(
            f"{sent.refused} rows are larger than the topic takes and were not sent; split or shorten them"
        )


@commands.command()
def worker() -> None:
    """Consume the topics and write insights until stopped (SIGTERM or Ctrl-C ends it cleanly).

    Example: VOXPOP_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 VOXPOP_CLICKHOUSE__HOST=clickhouse voxpop worker
    """
    from workers.worker import run_worker

    run_worker(settings_of(serving=True))


@commands.command()
def dashboard(
    host: Annotated[str | None, typer.Option(help="Where it listens; any other than loopback needs tokens.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Its port; 0 takes a free one.")] = None,
) -> None:
    """Serve the pages and the API on the configured ClickHouse until stopped.

    Example: VOXPOP_CLICKHOUSE__HOST=clickhouse voxpop dashboard --port 8080
    """
    from workers.commands.dashboard import show_dashboard

    settings = settings_of(serving=True)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    show_dashboard(settings.model_copy(update={"dashboard": settings.dashboard.model_copy(update=given)}), out)


@commands.command()
def serve(
    pack: Annotated[str | None, typer.Option(help="A decoder pack's name or directory.")] = None,
    host: Annotated[str | None, typer.Option(help="Where it listens; any other than loopback needs tokens.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Its port; 0 takes a free one.")] = None,
) -> None:
    """Serve a generator pack at /v1/chat/completions and /v1/models, as OpenAI's clients ask for it, until stopped.

    Streams, and chooses labels from the enums of a JSON schema. On loopback no token is needed; elsewhere set
    VOXPOP_SERVE__TOKENS.

    Example: voxpop serve --pack smollm2-135m-instruct --port 8090
    """
    from workers.commands.serve import show_serve

    settings = settings_of(serving=True)
    given = {name: value for name, value in (("pack", pack), ("host", host), ("port", port)) if value is not None}
    show_serve(settings.model_copy(update={"serve": settings.serve.model_copy(update=given)}), out)


@commands.command("migrate")
def migrate_command(
    cluster: Annotated[
        str | None, typer.Option(help="Make replicated tables on this cluster (VOXPOP_CLICKHOUSE__CLUSTER).")
    ] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Only print the statements; nothing is connected to.")
    ] = False,
) -> None:
    """Create or bring up to date the ClickHouse tables and views. Safe to run at any time, from any number of places.

    Example: VOXPOP_CLICKHOUSE__HOST=clickhouse voxpop migrate
    """
    from workers.commands.migrate import on_this_cluster, printed
    from workers.store.migrate import migrate

    settings = on_this_cluster(settings_of(), cluster)
    if print_only:
        typer.echo(printed(settings))
        return
    applied = migrate(settings, on_applied=lambda m: out.print(f"applied {m.name}", highlight=False))
    if not applied:
        out.print(f"the database {settings.clickhouse.database} is up to date", highlight=False)


@commands.command()
def doctor(as_json: AsJson = False) -> None:
    """Check broker, ClickHouse, packs, clock, retention and disk, and say what to do about what is wrong.

    Example: voxpop doctor
    """
    from workers.commands.doctor import examine, show_findings

    if not show_findings(examine(settings_of()), out, as_json=as_json):
        raise typer.Exit(1)
