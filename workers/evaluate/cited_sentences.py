"""`python -m workers.evaluate.cited_sentences --sentences 100`: digests' sentences beside their sources, as Markdown.

For a person to judge. From the configured ClickHouse; written sentences first, since quotations are their own source.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from workers.settings import load_settings
from workers.store.connect import connect
from workers.store.query import Reader

SQL = """
SELECT d.product, d.window_start, d.place, d.sentence, d.quoted, d.support, d.pack_version,
    groupArray((i.event_id, i.text)) AS sources
FROM v_digests AS d
ARRAY JOIN arrayZip(d.sources, d.event_ids) AS cited
INNER JOIN insights AS i ON i.source = cited.1 AND i.event_id = cited.2
GROUP BY ALL
ORDER BY d.quoted, cityHash64(d.product, d.window_start, d.place)
LIMIT {most:UInt32}
"""


def as_markdown(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Lines: of each sentence its number, where it is from, its sources, and an empty verdict."""
    for number, (product, start, place, sentence, quoted, support, version, sources) in enumerate(rows, 1):
        kind = "quoted" if quoted else "written"
        yield f"## {number}. {sentence}\n"
        yield f"{product}, {start:%Y-%m-%d %H:%M}, sentence {place}; {kind}; support {support:.2f}; pack {version}\n"
        for event_id, text in sorted(sources):
            yield f"- `{event_id}`: {' '.join(text.split())}"
        yield "\nVerdict:\n"


def main() -> None:
    """Prints the sentences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=100, help="at most so many")
    arguments = parser.parse_args()
    settings = load_settings()
    with connect(settings.clickhouse) as client:
        rows = Reader(client, settings.clickhouse).rows(SQL, {"most": arguments.sentences})
    sys.stdout.writelines(f"{line}\n" for line in as_markdown(rows))


if __name__ == "__main__":
    main()
