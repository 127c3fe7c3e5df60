"""`voxpop ask`: an answer for people, with the texts it rests on; or as JSON."""

import orjson
from rich.console import Console

from workers.ask import Answered, as_fields, open_asker
from workers.commands.audit import note_or_say
from workers.commands.reprocess import moment_of
from workers.errors import UsageError
from workers.settings import Settings
from workers.store.audit import TEXTS_READ
from workers.store.connect import connect
from workers.store.nearest import Among, NearestTexts
from workers.store.query import Reader

SENTIMENTS = ("negative", "neutral", "positive")


def among_of(
    products: list[str],
    source: str | None,
    language: str | None,
    sentiment: str | None,
    since: str | None,
    until: str | None,
) -> Among:
    """The filters of a command line. Raises `UsageError`."""
    if sentiment is not None and sentiment not in SENTIMENTS:
        raise UsageError(f"--sentiment {sentiment!r} is none; say one of {', '.join(SENTIMENTS)}")
    begin = None if since is None else moment_of("--since", since)
    end = None if until is None else moment_of("--until", until)
    if begin is not None and end is not None and end <= begin:
        raise UsageError(f"--until {until} is not after --since {since}, so no event lies between; give a later one")
    return Among(tuple(products), source, language, sentiment, begin, end)


def show_answer(settings: Settings, question: str, among: Among, out: Console, err: Console, *, as_json: bool) -> None:
    """Answers one question, which is on the record without its words. That there is not enough evidence is an answer, too.

    Raises `UsageError` for what is no question, else `VoxpopError`.
    """
    with connect(settings.clickhouse) as client, open_asker(settings) as asker:
        answered = asker.ask(question, among, NearestTexts(Reader(client, settings.clickhouse)))
    _note(settings, among, answered, err)
    if as_json:
        out.file.write(orjson.dumps(as_fields(answered)).decode() + "\n")
    else:
        out.print(_readable(answered), highlight=False, markup=False, soft_wrap=True)


def _note(settings: Settings, among: Among, answered: Answered, err: Console) -> None:
    """Who read how many texts, where an answer quotes any."""
    if not answered.sentences:
        return
    filters = {"products": ", ".join(among.products), "source": among.source, "language": among.language}
    told = {name: value for name, value in filters.items() if value}
    cited = {near for sentence in answered.sentences for near in sentence.sources}
    note_or_say(settings, TEXTS_READ, {"view": "voxpop ask", **told, "reads": "1", "texts": str(len(cited))}, err)


def _readable(answered: Answered) -> str:
    about = f" about {', '.join(answered.products)}" if answered.products else ""
    if not answered.sentences:
        return f"Not enough evidence: {answered.texts:,} of {answered.compared:,} texts{about} seem to answer that."
    sources = list(dict.fromkeys(near for sentence in answered.sentences for near in sentence.sources))
    cited = [
        f"{sentence.text} [{', '.join(str(sources.index(near) + 1) for near in sentence.sources)}]"
        for sentence in answered.sentences
    ]
    mix = ", ".join(f"{answered.mix[name]} {name}" for name in SENTIMENTS if name in answered.mix)
    listed = [f"  [{i}] {near.event_time:%Y-%m-%d} {near.source} {near.event_id}" for i, near in enumerate(sources, 1)]
    basis = f"{answered.texts:,} of {answered.compared:,} texts{about} answer: {mix}"
    return "\n".join([" ".join(cited), "", basis, *listed])
