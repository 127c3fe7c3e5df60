"""`python -m workers.evaluate.audit docs/audit.yaml`: sentences on our sample texts beside their sources, to be judged.

Makes the sentences anew, keeps the verdicts of those whose text and sources have not changed, and leaves the others without
one. Composed sentences come first, since a quotation is its own source.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from schemas.events import InvalidMessage, decode_event
from schemas.samples import gold_labels, sample_messages
from workers.analyze.redact import Redactor
from workers.analyze.summary import Summarizer
from workers.analyze.support import Reader
from workers.settings import load_settings
from workers.slm.build import ensure_pack

WINDOWS: Final = (40, 80)  # texts of a product that follow each other
LEAST_TEXTS: Final = 3
ALL: Final = "all"  # languages

Group = tuple[str, str, list[str]]  # product, language, redacted texts in the order of the stream


@dataclass(frozen=True)
class Entry:
    """A sentence and the texts it cites. `verdict` and `why` are written by hand; the verdict is None until then."""

    id: str
    product: str
    language: str
    sentence: str
    quoted: bool
    support: float
    sources: tuple[str, ...]
    verdict: Literal["supported", "partly", "unsupported"] | None = None
    why: str = ""


def sample_groups() -> Iterator[Group]:
    """The sample texts by product and windows of several lengths, of all languages, as a digest has them, and of each; an
    event that came twice is read once."""
    languages = {key: label.language for key, label in gold_labels().items()}
    redactor, seen = Redactor(), set()
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for message in sample_messages():
        try:
            event = decode_event(message.value)
        except InvalidMessage:
            continue  # malformed on purpose
        key = (event.source, event.id)
        if key not in seen and key in languages:
            seen.add(key)
            redacted = redactor.redact(event.text, product=event.product).text
            for language in (languages[key], ALL):
                texts[event.product, language].append(redacted)
    for (product, language), own in sorted(texts.items()):
        for size in WINDOWS:
            windows = (own[first : first + size] for first in range(0, len(own), size))
            yield from ((product, language, window) for window in windows if len(window) >= LEAST_TEXTS)


def generated(summarizer: Summarizer) -> list[Entry]:
    """Every sentence that the groups' summaries say, once for the same sources: composed before quoted, without verdict."""
    found: dict[str, Entry] = {}
    for product, language, texts in sample_groups():
        for said in summarizer.summarize(texts, product=product).sentences:
            sources = tuple(texts[i] for i in said.citations)
            key = sha256("\0".join((product, said.text, *sources)).encode()).hexdigest()[:12]
            found.setdefault(key, Entry(key, product, language, said.text, said.quoted, said.support, sources))
    return sorted(found.values(), key=lambda entry: (entry.quoted, entry.id))


def read(file: Path) -> list[Entry]:
    """The entries of an audit file."""
    rows: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [Entry(**{**row, "sources": tuple(row["sources"])}) for row in rows]


def merged(made: Sequence[Entry], judged: Sequence[Entry]) -> list[Entry]:
    """All of `made`, with the verdict of the entry of the same sentence and sources; then what was judged unsupported and is
    made no longer, so that it is known again."""
    verdicts = {entry.id: entry for entry in judged}
    kept = [
        replace(entry, verdict=verdicts[entry.id].verdict, why=verdicts[entry.id].why)
        if entry.id in verdicts
        else entry
        for entry in made
    ]
    made_ids = {entry.id for entry in made}
    return [*kept, *(entry for entry in judged if entry.verdict == "unsupported" and entry.id not in made_ids)]


@contextmanager
def sample_reader() -> Iterator[Reader]:
    """The configured pack, to read the sample texts with."""
    settings = load_settings()
    pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir)
    with closing(pack.encoder(settings.model.replicas)) as encoder:
        yield Reader(encoder, pack.heads)


def main() -> None:
    """Writes the file, below the comment that it begins with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    file: Path = parser.parse_args().file
    judged = read(file) if file.is_file() else []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if judged else []
    header = "".join(line for line in lines if line.startswith("#"))
    with sample_reader() as reader:
        made = generated(Summarizer(reader))
    rows = [{**asdict(entry), "sources": list(entry.sources)} for entry in merged(made, judged)]
    written = yaml.safe_dump(rows, allow_unicode=True, sort_keys=False, width=120)
    file.write_text(header + written, encoding="utf-8")


if __name__ == "__main__":
    main()
