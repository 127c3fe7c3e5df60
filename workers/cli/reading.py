"""Commands that judge, summarize and answer."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.application import AsJson, err, out, settings_of
from workers.errors import UsageError

commands = typer.Typer()


@commands.command()
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

    show_classify(settings_of(), file, out, err, as_json=as_json or not out.is_terminal)


@commands.command()
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

    show_summaries(settings_of(), file, generator, words, out, err, as_json=as_json or not out.is_terminal)


@commands.command()
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
    show_answer(settings_of(), question, among, out, err, as_json=as_json)


@commands.command()
def digests(
    once: Annotated[bool, typer.Option("--once", help="Write the digests that are missing, then end.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="With --once: at most so many, the newest windows.")] = None,
) -> None:
    """Write cited digests per product and day (or hour) of what ClickHouse holds, until stopped.

    Example: VOXPOP_CLICKHOUSE__HOST=clickhouse voxpop digests --once
    """
    from workers.commands.digests import show_digests

    show_digests(settings_of(serving=not once), out, once=once, limit=limit)


@commands.command()
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

    show_brief(settings_of(), week, product, out_file, out, as_json=as_json)


@commands.command()
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

    show_headlines(settings_of(serving=not once), out, err, once=once, as_json=as_json)


@commands.command()
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
        show_report(settings_of(), out, as_json=as_json)
    else:
        show_escalate(settings_of(serving=not once), out, once=once, as_json=as_json)


@commands.command("query")
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

    settings = settings_of()
    show_query(Reader(connect(settings.clickhouse), settings.clickhouse).select(sql), out, as_json=as_json)
