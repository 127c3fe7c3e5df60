"""Commands on what is kept, and watched: erasure, retention, lineage, drift, alerts, dead letters."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.application import AsJson, MapOption, SetOption, TimeFormat, err, out, settings_of
from workers.errors import UsageError

commands = typer.Typer()

letters_app = typer.Typer(no_args_is_help=True, help="Messages that could not be used: look at them, send them again.")
alerts_app = typer.Typer(help="Watch for what is unusual, and measure how well.")
commands.add_typer(letters_app, name="deadletters")
commands.add_typer(alerts_app, name="alerts")


@commands.command()
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

    show_erase(settings_of(), EraseRequest.parse(authors, author_ids, events, source), out, err, as_json=as_json)


@commands.command()
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

    show_retention(settings_of(), out, err, apply=apply, as_json=as_json)


@commands.command()
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

    show_audit(settings_of(), action, limit, out, as_json=as_json)


@commands.command()
def lineage(
    event: Annotated[str, typer.Argument(help="An event, by the producer's id.")],
    source: Annotated[str, typer.Option(help="The event's source; without, of every source.")] = "",
    as_json: AsJson = False,
) -> None:
    """From a stored event to its row, the pack's version that judged it, and the data and training behind that version.

    Example: voxpop lineage r-1 --source web-shop
    """
    from workers.commands.lineage import show_lineage

    show_lineage(settings_of(), event, source, out, as_json=as_json)


@commands.command()
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
    if code := show_drift(settings_of(), request, html, out, err, as_json=as_json):
        raise typer.Exit(code)


@alerts_app.callback(invoke_without_command=True)
def alerts(context: typer.Context) -> None:
    """Watch the insights' topic until stopped, and tell what is unusual: topic, table, webhooks, e-mail.

    SIGTERM or Ctrl-C ends it cleanly; SIGUSR1 tells it that nothing more is coming, for instance after a replay.

    Example: VOXPOP_ALERTS__WEBHOOKS='["https://chat.example/hook"]' voxpop alerts
    """
    if context.invoked_subcommand:
        return
    from workers.alerts import run_alerts

    run_alerts(settings_of(serving=True))


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
    show_replay(settings_of(), ReplayRequest(file, mapping, shuffle, days, seed), out, err, as_json=as_json)


@letters_app.command("list")
def deadletters_list(
    reason: Annotated[str, typer.Option(help="Only this reason, e.g. bad_json.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The latest dead letters. Example: voxpop deadletters list --reason bad_json"""
    from workers.commands.deadletters import show_letters

    show_letters(settings_of(), reason, limit, out, err, as_json=as_json)


@letters_app.command("replay")
def deadletters_replay(
    reason: Annotated[str, typer.Option(help="Only this reason, e.g. missing_field.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many, send none.")] = False,
) -> None:
    """Send dead letters to the topics they came from again, after a fix; each one once.

    Example: voxpop deadletters replay --reason analysis_failed
    """
    from workers.commands.deadletters import replay_letters

    replay_letters(settings_of(), reason, out, dry_run=dry_run)
