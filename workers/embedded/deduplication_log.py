"""Mends what a killed ClickHouse leaves of an insert that it had noted as done.

    python -m workers.embedded.deduplication_log /var/lib/clickhouse

A plain MergeTree table writes a part's deduplication token to its log first and renames the part into place afterwards, both
under one lock (`MergeTreeSink`). Killed between the two, it has the token and not the part: the insert's repetition is taken
for one that is in, and its rows are lost. Nothing was committed after such a part, so before the engine runs again it can be
told: its token is in the log, and no part on disk covers its block number. It gets a line that takes the token back, as
ClickHouse writes for a part that is dropped. Replicated tables keep token and part in one transaction and need none of this.
"""

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path

LOGS = "deduplication_logs"
ADD, DROP = "1", "2"
_PART = re.compile(r"(?P<partition>.+?)_(?P<first>\d+)_(?P<last>\d+)_\d+(?:_\d+)?")
_LOG = re.compile(r"deduplication_log_(\d+)\.txt")


def mend_deduplication_logs(directory: Path) -> list[str]:
    """Takes back the tokens whose parts are not there, of every table of the server's `directory`; the parts' names.

    The server must not run. A line that a crash has cut off is removed. Raises `OSError`.
    """
    mended: list[str] = []
    for logs in sorted(directory.glob(f"store/*/*/{LOGS}")):
        mended += _mend_table(logs.parent)
    return mended


def _mend_table(table: Path) -> list[str]:
    logs = sorted((int(m[1]), f) for f in (table / LOGS).iterdir() if (m := _LOG.fullmatch(f.name)))
    if not logs:
        return []
    tokens: dict[str, str] = {}  # token -> the part that came in under it
    for _, file in logs:
        for operation, part, token in _lines(file):
            if operation == ADD:
                tokens[token] = part
            else:
                tokens.pop(token, None)
    present = _parts_on_disk(table)
    lost = [(token, part) for token, part in tokens.items() if not _covered(part, present)]
    latest = logs[-1][1]
    whole = latest.read_text().rpartition("\n")[0]
    wanted = (f"{whole}\n" if whole else "") + "".join(f"{DROP}\t{part}\t{token}\n" for token, part in lost)
    if wanted != latest.read_text():
        _replace(latest, wanted)
    return [part for _, part in lost]


def _lines(file: Path) -> Iterator[tuple[str, str, str]]:
    for line in file.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) == 3:
            yield fields[0], fields[1], fields[2]


def _parts_on_disk(table: Path) -> dict[str, list[tuple[int, int]]]:
    """Partition id -> the ranges of block numbers that its parts hold."""
    found: dict[str, list[tuple[int, int]]] = {}
    for entry in table.iterdir():
        part = _PART.fullmatch(entry.name)
        if part and not entry.name.startswith(("tmp", "delete_tmp", "patch-")):
            found.setdefault(part["partition"], []).append((int(part["first"]), int(part["last"])))
    return found


def _covered(name: str, present: dict[str, list[tuple[int, int]]]) -> bool:
    part = _PART.fullmatch(name)
    if part is None:
        return True  # not a name of ours to judge
    first, last = int(part["first"]), int(part["last"])
    return any(low <= first and last <= high for low, high in present.get(part["partition"], ()))


def _replace(file: Path, text: str) -> None:
    """Wholly or not at all, whatever happens meanwhile."""
    new = file.with_name(f"{file.name}.new")
    with new.open("w") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
    new.replace(file)


def main() -> None:
    """Mends the logs below a directory and says what it took back."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.embedded.deduplication_log",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Takes back deduplication tokens whose parts a crash has lost. Only while the server is stopped.",
        epilog="example: python -m workers.embedded.deduplication_log /var/lib/clickhouse",
    )
    parser.add_argument("directory", type=Path, help="the server's data directory")
    mended = mend_deduplication_logs(parser.parse_args().directory)
    print(f"{len(mended)} tokens taken back" + "".join(f"\n{part}" for part in mended))


if __name__ == "__main__":
    main()
