"""`voxpop …`: parses, calls, prints. What a command does lives elsewhere; imports are late so that --help is quick."""

import os
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from schemas.taxonomy import TaxonomyError
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings, load_settings

app = typer.Typer(
    name="voxpop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="From a raw text in a Kafka topic to a validated, queryable insight in ClickHouse, on your own machine.",
)
packs_app = typer.Typer(
    no_args_is_help=True,
    help="The model packs: list, build, verify, show, copy, and their versions: promote, rollback.",
)
letters_app = typer.Typer(no_args_is_help=True, help="Messages that could not be used: look at them, send them again.")
alerts_app = typer.Typer(help="Watch for what is unusual, and measure how well.")
feedback_app = typer.Typer(no_args_is_help=True, help="The labels that people gave on the dashboard's page Review.")
traces_app = typer.Typer(no_args_is_help=True, help="Learn from a larger model: reasoning traces as a training set.")
app.add_typer(packs_app, name="packs")
app.add_typer(letters_app, name="deadletters")
app.add_typer(alerts_app, name="alerts")
app.add_typer(feedback_app, name="feedback")
app.add_typer(traces_app, name="traces")

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")]
MapOption = Annotated[
    list[str], typer.Option("--map", metavar="COL=FIELD", help="Column -> event field or metadata.KEY. Repeatable.")
]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="FIELD=VALUE", help="A field for every row that lacks it. Repeatable.")
]
TimeFormat = Annotated[
    str | None, typer.Option("--time-format", help="strptime format of the times, when the file does not tell.")
]


def main(arguments: list[str] | None = None) -> NoReturn:
    """The entry point. Exit codes: 0 done, 1 the work failed, 2 wrong use, 3 for `voxpop drift --fail-on`.

    `--debug`, anywhere, adds the trace.
    """
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    try:
        code = app(args=[word for word in words if word != "--debug"], prog_name="voxpop", standalone_mode=False)
    except typer.TyperException as error:
        _wrong_use(error)
    except UsageError as error:
        _fail(error, 2, debug)
    except (VoxpopError, TaxonomyError) as error:
        _fail(error, 1, debug)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains once more
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _wrong_use(error: typer.TyperException) -> NoReturn:
    """One line for a wrong option; the help itself for a bare command that needs a word more."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "voxpop"
    message = error.format_message()
    if "\n" in message:
        typer.echo(message, err=True)
    else:
        err.print(f"{path}: {message} See: {path} --help", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)


def _fail(error: Exception, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    err.print(f"voxpop: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


def _settings(*, serving: bool = False) -> Settings:
    from workers.logs import configure_logs

    settings = load_settings()
    configure_logs(settings.log_level, libraries=serving)
    return settings


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"voxpop {version('voxpop')}", highlight=False)
        raise typer.Exit


@app.callback()
def voxpop(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Settings: VOXPOP_… variables or voxpop.toml. `--debug`, anywhere, adds the trace to an error."""


@app.command()
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
    show_up(_settings(), request, out, err)


@app.command()
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

    settings = _settings()
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


@app.command()
def worker() -> None:
    """Consume the topics and write insights until stopped (SIGTERM or Ctrl-C ends it cleanly).

    Example: VOXPOP_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 VOXPOP_CLICKHOUSE__HOST=clickhouse voxpop worker
    """
    from workers.worker import run_worker

    run_worker(_settings(serving=True))


@app.command()
def dashboard(
    host: Annotated[str | None, typer.Option(help="Where it listens; any other than loopback needs tokens.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Its port; 0 takes a free one.")] = None,
) -> None:
    """Serve the pages and the API on the configured ClickHouse until stopped.

    Example: VOXPOP_CLICKHOUSE__HOST=clickhouse voxpop dashboard --port 8080
    """
    from workers.commands.dashboard import show_dashboard

    settings = _settings(serving=True)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    show_dashboard(settings.model_copy(update={"dashboard": settings.dashboard.model_copy(update=given)}), out)


@app.command()
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

    settings = _settings(serving=True)
    given = {name: value for name, value in (("pack", pack), ("host", host), ("port", port)) if value is not None}
    show_serve(settings.model_copy(update={"serve": settings.serve.model_copy(update=given)}), out)


@app.command()
def escalate(
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing is left to ask, or nothing may be asked.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Only say what it changed and whether it was worth it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a larger model about stored texts that the pack is unsure of and that matter, until stopped. Off by default.

    Sends redacted texts to VOXPOP_ESCALATION__BASE_URL, any OpenAI-compatible endpoint, and takes the label of its
    answer alone; within budgets of calls and tokens, each call in the table escalations. Workers wait for nothing of it.

    Example: VOXPOP_ESCALATION__BASE_URL=http://127.0.0.1:8090/v1 voxpop escalate --once

    Example: voxpop escalate --report --json
    """
    from workers.commands.escalate import show_escalate, show_report

    if report and once:
        raise UsageError("give either --once or --report: voxpop escalate --report")
    if report:
        show_report(_settings(), out, as_json=as_json)
    else:
        show_escalate(_settings(serving=not once), out, once=once, as_json=as_json)


@app.command()
def brief(
    week: Annotated[str | None, typer.Option(help="An ISO week, like 2026-W47; the last whole one if unset.")] = None,
    product: Annotated[
        list[str], typer.Option(help="Only of this product; else of those with most texts. Repeatable.")
    ] = [],  # noqa: B006 - Typer reads it, nobody changes it
    out_file: Annotated[Path | None, typer.Option("--out", help="Write the Markdown here, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have a larger model write a week's brief of the digests and figures. Every sentence is checked; needs an endpoint.

    Sends sentences of digests and figures to VOXPOP_ESCALATION__BASE_URL, within the budgets of `voxpop escalate`.

    Example: VOXPOP_ESCALATION__BASE_URL=https://models.example/v1 voxpop brief --week 2026-W47
    """
    from workers.commands.brief import show_brief

    show_brief(_settings(), week, product, out_file, out, as_json=as_json)


@app.command()
def headlines(
    once: Annotated[bool, typer.Option("--once", help="End when no text is left to write about.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a generator write headlines for stored texts that are long or urgent, until stopped. Off by default.

    Needs VOXPOP_HEADLINES__GENERATOR, a decoder pack. A headline that its text does not support is not written: the
    author's own sentence stays. Rows are replaced afterwards, each event counts once, and workers wait for nothing of it.

    Example: VOXPOP_HEADLINES__GENERATOR=smollm2-135m-voxpop voxpop headlines --once
    """
    from workers.commands.headlines import show_headlines

    show_headlines(_settings(serving=not once), out, err, once=once, as_json=as_json)


@app.command("migrate")
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

    settings = on_this_cluster(_settings(), cluster)
    if print_only:
        typer.echo(printed(settings))
        return
    applied = migrate(settings, on_applied=lambda m: out.print(f"applied {m.name}", highlight=False))
    if not applied:
        out.print(f"the database {settings.clickhouse.database} is up to date", highlight=False)


@app.command()
def classify(
    file: Annotated[
        str, typer.Argument(help="JSONL with `text` (and optional `aspects`: names to judge), or - for stdin.")
    ],
    as_json: AsJson = False,
) -> None:
    """Judge texts without a broker: JSON lines in, one insight a line out, in the same order.

    Example: echo '{"text": "Great sound, but the battery dies fast"}' | voxpop classify - --json
    """
    from workers.commands.classify import show_classify

    show_classify(_settings(), file, out, err, as_json=as_json or not out.is_terminal)


@app.command()
def summarize(
    file: Annotated[str, typer.Argument(help="JSONL of {`id`, `reviews`: [...]}, .gz or not, or - for stdin.")],
    generator: Annotated[
        str | None,
        typer.Option(help="A decoder pack that writes, e.g. smollm2-135m-instruct; none composes and quotes."),
    ] = None,
    words: Annotated[int, typer.Option(min=10, max=300, help="About so many words, at most.")] = 45,
    as_json: AsJson = False,
) -> None:
    """Summarize groups of reviews in cited sentences: JSON lines in, one summary a line out, in the same order.

    Example: echo '{"id": 1, "reviews": ["Great sound.", "The sound is great, but it is heavy."]}' | voxpop summarize -
    """
    from workers.commands.summarize import show_summaries

    show_summaries(_settings(), file, generator, words, out, err, as_json=as_json or not out.is_terminal)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="A question in plain words, in English or Spanish; in quotes.")],
    product: Annotated[
        list[str], typer.Option(help="Only texts about this product; else what the question names. Repeatable.")
    ] = [],  # noqa: B006 - Typer reads it, nobody changes it
    source: Annotated[str | None, typer.Option(help="Only texts from this source.")] = None,
    language: Annotated[str | None, typer.Option(help="Only texts in this language, e.g. es.")] = None,
    sentiment: Annotated[str | None, typer.Option(help="Only negative, neutral or positive texts.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only texts written then or later (ISO; UTC without a zone).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only texts written before that.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question from the stored texts, in sentences that cite them; or say that the evidence is not enough.

    Example: voxpop ask "why are people returning the X200?" --since 2026-06-01
    """
    from workers.commands.ask import among_of, show_answer

    among = among_of(product, source, language, sentiment, since, until)
    show_answer(_settings(), question, among, out, err, as_json=as_json)


@app.command()
def digests(
    once: Annotated[bool, typer.Option("--once", help="Write the digests that are missing, then end.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="With --once: at most so many, the newest windows.")] = None,
) -> None:
    """Write cited digests per product and day (or hour) of what ClickHouse holds, until stopped.

    Example: VOXPOP_CLICKHOUSE__HOST=clickhouse voxpop digests --once
    """
    from workers.commands.digests import show_digests

    show_digests(_settings(serving=not once), out, once=once, limit=limit)


@app.command()
def train(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or JSONL of texts and labels, .gz or not; 20 to 20,000 rows.")],
    head: Annotated[
        str, typer.Option(help="sentiment, intents, emotion … with its own labels, or a new name for labels of yours.")
    ],
    text_column: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="The column of the labels.")] = "label",
    title_column: Annotated[str | None, typer.Option(help="The column of the titles, if your events have any.")] = None,
    separator: Annotated[
        str | None, typer.Option(help="A text may bear several labels, parted by this, or none.")
    ] = None,
    holdout: Annotated[str, typer.Option(help="A file like FILE to measure on, or a share of FILE.")] = "0.2",
    pack: Annotated[
        str | None, typer.Option(help="The pack that gets the version; the configured one if unset.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split; keep it, so that a text stays in the holdout.")] = 0,
    promote: Annotated[bool, typer.Option("--promote", help="Make the version current if it passes the gate.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --promote: even if it is worse.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a head on your own labels, on the CPU, and make a new version of the pack; it is promoted when you say so.

    Example: voxpop train topics.csv --head topic --promote
    """
    from workers.commands.train import TrainRequest, show_train
    from workers.stream.labelled_file import LabelledColumns

    columns = LabelledColumns(text_column, label_column, title_column, separator)
    request = TrainRequest(file, head, columns, holdout, pack, seed, promote=promote, force=force)
    show_train(_settings(), request, out, err, as_json=as_json)


@app.command("query")
def query_command(
    sql: Annotated[str, typer.Argument(help="One SELECT.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object a row.")] = False,
) -> None:
    """Run a SELECT, read-only, against the configured ClickHouse.

    Example: voxpop query "SELECT product, sum(volume) FROM v_product_daily GROUP BY product"
    """
    from workers.commands.query import show_query
    from workers.store.connect import connect
    from workers.store.query import Reader

    settings = _settings()
    show_query(Reader(connect(settings.clickhouse), settings.clickhouse).select(sql), out, as_json=as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check broker, ClickHouse, packs, clock and disk, and say what to do about what is wrong.

    Example: voxpop doctor
    """
    from workers.commands.doctor import examine, show_findings

    if not show_findings(examine(_settings()), out, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def reprocess(
    since: Annotated[str, typer.Option(metavar="DATE", help="Events from this day on, or moment; UTC if no zone.")],
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Events before this day, or moment.")] = None,
    product: Annotated[str | None, typer.Option(help="Only this product's.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source's.")] = None,
    version_not: Annotated[
        str | None, typer.Option("--pack-version-not", metavar="V", help="Leave rows of this version alone, too.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many rows, by pack; change none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge stored texts again with the configured pack: rows and aggregates follow, each event still counts once.

    Rows that this very pack and version has judged are left alone, so it may be stopped, killed and run again at any
    time, beside live workers too. With --json the last line is a document of counts.

    Example: voxpop reprocess --since 2026-06-01 --product "My Phone"
    """
    from workers.commands.reprocess import ReprocessRequest, show_reprocess

    request = ReprocessRequest.parse(since, until, product, source, version_not, dry_run=dry_run)
    show_reprocess(_settings(), request, out, err, as_json=as_json)


@app.command()
def drift(
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="The window's days; 7 if unset.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="The window from this day on, or moment; UTC if no zone.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The window's end; that of the latest day with texts if unset.")
    ] = None,
    reference_days: Annotated[
        int | None, typer.Option(min=1, max=3_650, help="The days before it that it is compared with; 28 if unset.")
    ] = None,
    reference_since: Annotated[str | None, typer.Option(metavar="DATE", help="The reference from then on.")] = None,
    reference_until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The reference's end; the window's begin if unset.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Also each product, source or language.")] = None,
    product: Annotated[str | None, typer.Option(help="Only this product's texts.")] = None,
    source: Annotated[str | None, typer.Option(help="Only texts from this source.")] = None,
    language: Annotated[str | None, typer.Option(help="Only texts in this language, e.g. es.")] = None,
    most: Annotated[int, typer.Option(min=1, max=1_000, help="With --by: those with most texts.")] = 20,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", help="watch or moved: exit 3 when that is the verdict, or worse.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the model still fits the stream: what moved in a window against the weeks before it, and what to do.

    Compares what the model says, how sure it is, languages and what texts are about, and how often people disagreed with it.
    A change that a promoted pack version made is not laid to the stream.

    Example: voxpop drift --days 7 --by product --html drift.html --fail-on moved
    """
    from workers.commands.drift import DriftRequest, show_drift

    filters = {"product": product, "source": source, "language": language}
    window, reference = (days, since, until), (reference_days, reference_since, reference_until)
    request = DriftRequest.parse(window, reference, filters, by, most, fail_on)
    if code := show_drift(_settings(), request, html, out, err, as_json=as_json):
        raise typer.Exit(code)


@app.command()
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
    if not show_chaos(_settings(), request, out, err, as_json=as_json):
        raise typer.Exit(1)


@app.command()
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
    if worse := show_bench(_settings(), request, out, err, against, as_json=as_json):
        raise VoxpopError(f"slower than before: {', '.join(worse)} (see the last table)")


@app.command()
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

    show_plan(_settings(), rate, p99, bench, out, as_json=as_json)


@app.command("eval")
def eval_command(
    files: Annotated[list[Path], typer.Argument(help="CSV, TSV or JSONL, .gz or not: a text and a label a row.")],
    pack: Annotated[str | None, typer.Option(help="A pack's name or directory; the configured one if unset.")] = None,
    head: Annotated[
        str, typer.Option(help="One of the pack's heads, intents.complaint for one label of several, or aspects.")
    ] = "sentiment",
    text_column: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label_column: Annotated[
        str | None, typer.Option(help="The column of the labels; label if unset, or aspects for that head.")
    ] = None,
    language_column: Annotated[
        str | None, typer.Option(help="The column of the languages; detected where there is none.")
    ] = None,
    label_map: Annotated[
        list[str], typer.Option("--map-label", metavar="FILE=HEAD", help="A label of the file is one of the head.")
    ] = [],  # noqa: B006 - Typer copies it
    against: Annotated[str, typer.Option(help="Set beside it, by commas: vader, tfidf, minilm, smollm2.")] = "",
    train: Annotated[Path | None, typer.Option(help="What tfidf and minilm learn from, of the same columns.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows of each file, its first.")] = None,
    reason: Annotated[
        str,
        typer.Option(metavar="TOKENS", help="A generator thinks so long about uncertain texts: 0,32,64 or 16-64."),
    ] = "",
    generator: Annotated[str | None, typer.Option(help="The decoder pack for --reason; the configured one.")] = None,
    uncertain: Annotated[int, typer.Option(min=1, help="For --reason: so many texts, the least sure.")] = 100,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts here; it needs nothing else.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a pack on your own labelled texts, beside what you would use instead.

    Example: voxpop eval labelled.csv --map-label 0=negative --map-label 1=positive --against vader --html report.html
    """
    from workers.commands.evaluate import show_eval
    from workers.evaluate.run import EvalRequest
    from workers.slm.reasoning import Budget

    settings = _settings()
    named = {name: value for name, value in (("pack", pack), ("generator", generator)) if value}
    settings = settings.model_copy(update={"model": settings.model.model_copy(update=named)})
    rivals = tuple(name.strip() for name in against.split(",") if name.strip())
    columns = (text_column, label_column, language_column)
    budgets = tuple(Budget.parse(each) for each in reason.split(",") if each.strip())
    request = EvalRequest(tuple(files), head, *columns, tuple(label_map), rivals, train, limit, budgets, uncertain)
    show_eval(settings, request, html, out, err, as_json=as_json)


@app.command()
def erase(
    authors: Annotated[
        list[str], typer.Option("--author", metavar="HASH", help="An author as in insights.author. Repeatable.")
    ] = [],  # noqa: B006 - Typer copies it
    author_ids: Annotated[
        list[str],
        typer.Option("--author-id", metavar="ID", help="An author as producers name them, or - for lines of stdin."),
    ] = [],  # noqa: B006
    events: Annotated[
        list[str], typer.Option("--event", metavar="ID", help="An event, by the producer's id. Repeatable.")
    ] = [],  # noqa: B006
    source: Annotated[str, typer.Option(help="The source of these events; without, of every source.")] = "",
    as_json: AsJson = False,
) -> None:
    """Take a person's texts out of ClickHouse, figures and bytes, and keep them out. Workers may go on meanwhile.

    Waits for a worker's lease (30 s) and for merges. Died halfway? Run it again. Kafka's topics, backups and files that were
    exported are not reached.

    Example: voxpop erase --event r-1 --event r-2 --source web-shop
    """
    from workers.commands.erase import EraseRequest, show_erase

    show_erase(_settings(), EraseRequest.parse(authors, author_ids, events, source), out, err, as_json=as_json)


@app.command()
def retention(
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove it. Safe at any time, from one place at a time.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What is older than VOXPOP_RETENTION__DAYS and VOXPOP_RETENTION__SOURCES allow, by source and table; figures stay.

    With --apply it goes, while workers go on: for cron, once a day. Waits for a worker's lease (30 s) when texts are due,
    and for merges. Died halfway? Run it again. Kafka's topics and backups are not reached.

    Example: VOXPOP_RETENTION__SOURCES='{"x": 30}' voxpop retention --apply
    """
    from workers.commands.retention import show_retention

    show_retention(_settings(), out, err, apply=apply, as_json=as_json)


@app.command()
def audit(
    action: Annotated[
        str,
        typer.Option(help="Only these: read, refused, erased, retention, corrected, promoted, rolled back, exported …"),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Who promoted, erased, corrected, exported, or read texts or dead letters. Example: voxpop audit --action read"""
    from workers.commands.audit import show_audit

    show_audit(_settings(), action, limit, out, as_json=as_json)


@app.command()
def lineage(
    event: Annotated[str, typer.Argument(help="An event, by the producer's id.")],
    source: Annotated[str, typer.Option(help="The event's source; without, of every source.")] = "",
    as_json: AsJson = False,
) -> None:
    """From a stored event to its row, the pack's version that judged it, and the data and training behind that version.

    Example: voxpop lineage r-1 --source web-shop
    """
    from workers.commands.lineage import show_lineage

    show_lineage(_settings(), event, source, out, as_json=as_json)


@alerts_app.callback(invoke_without_command=True)
def alerts(context: typer.Context) -> None:
    """Watch the insights' topic until stopped, and tell what is unusual: topic, table, webhooks, e-mail.

    SIGTERM or Ctrl-C ends it cleanly; SIGUSR1 tells it that nothing more is coming, for instance after a replay.

    Example: VOXPOP_ALERTS__WEBHOOKS='["https://chat.example/hook"]' voxpop alerts
    """
    if context.invoked_subcommand:
        return
    from workers.alerts import run_alerts

    run_alerts(_settings(serving=True))


@alerts_app.command("replay")
def alerts_replay(
    file: Annotated[Path | None, typer.Argument(help="CSV, TSV or JSONL, .gz or not; or --sample.")] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="The sample stream, in which an incident is planted.")
    ] = False,
    columns: MapOption = [],  # noqa: B006
    constants: SetOption = [],  # noqa: B006
    time_format: TimeFormat = None,
    shuffle: Annotated[int, typer.Option(min=0, max=1_000, help="Rounds with each text's day drawn by lot.")] = 0,
    days: Annotated[int | None, typer.Option(min=8, max=3_650, help="Spread the shuffled texts over so many.")] = None,
    seed: Annotated[int, typer.Option(help="Of the lots.")] = 0,
    as_json: AsJson = False,
) -> None:
    """What alerts a file's texts would have led to; with --shuffle, how many come by chance and how late real ones are.

    Needs no broker and no ClickHouse, and tells nobody.

    Example: voxpop alerts replay tweets.csv --map airline=product --shuffle 20 --days 60
    """
    from workers.commands.alerts import ReplayRequest, show_replay
    from workers.stream.files import RowMapping

    if sample == (file is not None):
        raise UsageError("give either a file or --sample: voxpop alerts replay --sample")
    mapping = RowMapping.parse(columns, constants, time_format)
    show_replay(_settings(), ReplayRequest(file, mapping, shuffle, days, seed), out, err, as_json=as_json)


@packs_app.command("list")
def packs_list(as_json: AsJson = False) -> None:
    """The packs that can be built and those that are: versions, which is current, what each was made of.

    Example: voxpop packs list
    """
    from workers.commands.packs import show_list

    show_list(_settings(), out, as_json=as_json)


@packs_app.command("build")
def packs_build(
    name: Annotated[
        str | None, typer.Argument(help="A recipe's name or .yaml file; the configured one if unset.")
    ] = None,
    missing_only: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing when an intact pack is there.")
    ] = False,
) -> None:
    """Fetch a base by hash and build its pack. Example: voxpop packs build e5-small-multilingual"""
    from workers.slm.build import build_pack, ensure_built

    settings = _settings()
    make = ensure_built if missing_only else build_pack
    pack = make(
        name or settings.model.pack,
        settings.packs_dir,
        settings.cache_dir,
        choice=settings.model.base_source,
        progress=lambda line: err.print(line, markup=False, highlight=False),
    )
    out.print(f"{pack.name} {pack.version} is in {pack.path}", highlight=False, soft_wrap=True)


@packs_app.command("verify")
def packs_verify(
    pack: Annotated[
        str | None, typer.Argument(help="A built pack's name or directory; all built ones if unset.")
    ] = None,
) -> None:
    """Recompute every hash. Example: voxpop packs verify"""
    from workers.commands.packs import verify

    verify(_settings(), pack, out)


@packs_app.command("show")
def packs_show(
    pack: Annotated[
        str | None, typer.Argument(help="A built pack's name or directory; the configured one if unset.")
    ] = None,
    version: Annotated[
        str | None, typer.Argument(help="One of its versions, as rows name it; the current one if unset.")
    ] = None,
) -> None:
    """A pack's card: base, licence, heads, metrics, limits, and what it was learnt from.

    Example: voxpop packs show e5-small-multilingual 3+8493056e
    """
    from workers.commands.packs import show_card

    show_card(_settings(), pack, version, out)


@packs_app.command("copy")
def packs_copy(
    source: Annotated[str, typer.Argument(help="A built pack's name or directory.")],
    name: Annotated[str, typer.Argument(help="The new pack's name: lower-case letters, digits, hyphens.")],
) -> None:
    """A pack of another name that goes its own way, for instance a business unit's. Takes no room for the model.

    Example: voxpop packs copy e5-small-multilingual airline
    """
    from workers.commands.packs import copy_pack

    copy_pack(_settings(), source, name, out)


@packs_app.command("promote")
def packs_promote(
    name: Annotated[str, typer.Argument(help="The pack.")],
    version: Annotated[str, typer.Argument(help="Its version, as `voxpop packs list` shows it.")],
    force: Annotated[bool, typer.Option("--force", help="Even if it is worse; the lineage says so.")] = False,
) -> None:
    """Make a version current, unless it is worse than the current one on your holdout. Running workers take it up.

    Example: voxpop packs promote e5-small-multilingual 2+0c1b2a39
    """
    from workers.commands.packs import promote_version

    promote_version(_settings(), name, version, out, err, force=force)


@packs_app.command("rollback")
def packs_rollback(name: Annotated[str, typer.Argument(help="The pack.")]) -> None:
    """Go back to the version before the last promotion. Running workers follow.

    Example: voxpop packs rollback e5-small-multilingual
    """
    from workers.commands.packs import rollback_version

    rollback_version(_settings(), name, out, err)


@letters_app.command("list")
def deadletters_list(
    reason: Annotated[str, typer.Option(help="Only this reason, e.g. bad_json.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The latest dead letters. Example: voxpop deadletters list --reason bad_json"""
    from workers.commands.deadletters import show_letters

    show_letters(_settings(), reason, limit, out, err, as_json=as_json)


@letters_app.command("replay")
def deadletters_replay(
    reason: Annotated[str, typer.Option(help="Only this reason, e.g. missing_field.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many, send none.")] = False,
) -> None:
    """Send dead letters to the topics they came from again, after a fix; each one once.

    Example: voxpop deadletters replay --reason analysis_failed
    """
    from workers.commands.deadletters import replay_letters

    replay_letters(_settings(), reason, out, dry_run=dry_run)


@feedback_app.command("export")
def feedback_export(
    file: Annotated[Path, typer.Argument(help="The CSV to write: title, text (redacted), label.")],
    head: Annotated[str, typer.Option(help="Whose labels.")] = "sentiment",
) -> None:
    """Write the texts with the labels that people gave them, for voxpop train. Example: voxpop feedback export mine.csv"""
    from workers.commands.feedback import export_feedback

    export_feedback(_settings(), file, head, out, err)


@traces_app.command("build")
def traces_build(
    file: Annotated[
        Path, typer.Argument(help="The JSON lines to write: text, reasoning, label; its card lies beside it.")
    ],
    labelled: Annotated[
        Path | None, typer.Option(help="Texts with gold labels: CSV, TSV or JSONL, .gz or not. They are redacted.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="The column of the labels.")] = "label",
    title_column: Annotated[str | None, typer.Option(help="The column of the titles, if there is one.")] = None,
    feedback: Annotated[bool, typer.Option("--feedback", help="Stored texts whose sentiment people gave.")] = False,
    texts: Annotated[int, typer.Option(min=1, max=20_000, help="At most so many texts.")] = 200,
    votes: Annotated[int, typer.Option(min=3, max=15, help="Samples of a text without gold; most must agree.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the lots and samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Ask the escalation endpoint for reasons and a label of texts, and keep what agrees with gold or with a vote.

    Sends redacted texts to VOXPOP_ESCALATION__BASE_URL, within the budgets of `voxpop escalate`. Stopped or killed, run it
    again: an answer that it has is never asked for twice.

    Example: voxpop traces build traces.jsonl --labelled gold.csv --texts 500
    """
    from workers.commands.traces import TracesRequest, show_traces
    from workers.stream.labelled_file import LabelledColumns

    columns = LabelledColumns(text_column, label_column, title_column)
    request = TracesRequest(file, labelled, columns, feedback, texts, votes, seed)
    show_traces(_settings(), request, out, err, as_json=as_json)


if __name__ == "__main__":
    main()
