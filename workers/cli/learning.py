"""Commands on models: labels of your own, evaluation, packs and what is judged again."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.application import AsJson, err, out, settings_of

commands = typer.Typer()

packs_app = typer.Typer(
    no_args_is_help=True,
    help="The model packs: list, build, verify, show, copy, and their versions: promote, rollback.",
)
feedback_app = typer.Typer(no_args_is_help=True, help="The labels that people gave on the dashboard's page Review.")
traces_app = typer.Typer(no_args_is_help=True, help="Learn from a larger model: reasoning traces as a training set.")
commands.add_typer(packs_app, name="packs")
commands.add_typer(feedback_app, name="feedback")
commands.add_typer(traces_app, name="traces")


@commands.command()
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
    show_train(settings_of(), request, out, err, as_json=as_json)


@commands.command("eval")
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

    settings = settings_of()
    named = {name: value for name, value in (("pack", pack), ("generator", generator)) if value}
    settings = settings.model_copy(update={"model": settings.model.model_copy(update=named)})
    rivals = tuple(name.strip() for name in against.split(",") if name.strip())
    columns = (text_column, label_column, language_column)
    budgets = tuple(Budget.parse(each) for each in reason.split(",") if each.strip())
    request = EvalRequest(tuple(files), head, *columns, tuple(label_map), rivals, train, limit, budgets, uncertain)
    show_eval(settings, request, html, out, err, as_json=as_json)


@commands.command()
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
    show_reprocess(settings_of(), request, out, err, as_json=as_json)


@packs_app.command("list")
def packs_list(as_json: AsJson = False) -> None:
    """The packs that can be built and those that are: versions, which is current, what each was made of.

    Example: voxpop packs list
    """
    from workers.commands.packs import show_list

    show_list(settings_of(), out, as_json=as_json)


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

    settings = settings_of()
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

    verify(settings_of(), pack, out)


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

    show_card(settings_of(), pack, version, out)


@packs_app.command("copy")
def packs_copy(
    source: Annotated[str, typer.Argument(help="A built pack's name or directory.")],
    name: Annotated[str, typer.Argument(help="The new pack's name: lower-case letters, digits, hyphens.")],
) -> None:
    """A pack of another name that goes its own way, for instance a business unit's. Takes no room for the model.

    Example: voxpop packs copy e5-small-multilingual airline
    """
    from workers.commands.packs import copy_pack

    copy_pack(settings_of(), source, name, out)


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

    promote_version(settings_of(), name, version, out, err, force=force)


@packs_app.command("rollback")
def packs_rollback(name: Annotated[str, typer.Argument(help="The pack.")]) -> None:
    """Go back to the version before the last promotion. Running workers follow.

    Example: voxpop packs rollback e5-small-multilingual
    """
    from workers.commands.packs import rollback_version

    rollback_version(settings_of(), name, out, err)


@feedback_app.command("export")
def feedback_export(
    file: Annotated[Path, typer.Argument(help="The CSV to write: title, text (redacted), label.")],
    head: Annotated[str, typer.Option(help="Whose labels.")] = "sentiment",
) -> None:
    """Write the texts with the labels that people gave them, for voxpop train. Example: voxpop feedback export mine.csv"""
    from workers.commands.feedback import export_feedback

    export_feedback(settings_of(), file, head, out, err)


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
    show_traces(settings_of(), request, out, err, as_json=as_json)
