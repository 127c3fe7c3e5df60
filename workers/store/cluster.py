"""The statements of a migration as a replicated, sharded cluster is given them: made from the same files, word for word.

A table X becomes X_local on every node (Replicated…MergeTree) and X, a Distributed table over all shards: programs, views
and people name X as ever. Materialized views feed local tables from local tables, so a row and all that is made of it lie on
one shard, under one token. Why that keeps each promise: deploy/clickhouse/CLUSTER.md.
"""

import re

from workers.errors import VoxpopError

FORGOTTEN_AFTER_S = 315_360_000  # ten years: only the number of inserts says when a token is forgotten, as on one node
LOCAL = "_local"

# What a row's shard is told by. Whatever must meet there shares it: versions of an event, revisions of a digest or an alert.
SHARDED_BY = {
    **dict.fromkeys(
        (
            "insights",
            "event_keys",
            "aspect_mentions",
            "retractions",
            "pages",
            "claims",
            "feedback",
            "escalations",
            "headlines",
        ),
        "cityHash64(source, event_id)",
    ),
    **dict.fromkeys(("sentiment_hourly", "aspects_daily", "digests", "alerts"), "cityHash64(product)"),
    "judgements_daily": "cityHash64(day, language)",
    "topics_daily": "cityHash64(day, pack)",
    "briefs": "cityHash64(week)",
    "dead_letters": "cityHash64(topic, partition, offset)",
    "erasures": "cityHash64(receipt)",
    "audit": "cityHash64(done_at)",
    "retention": "cityHash64(source)",
}

# Given with every request on a cluster.
CLUSTER_SETTINGS = {
    "distributed_foreground_insert": 1,  # the answer must mean that every shard has its rows
    "insert_quorum": "auto",  # most replicas of the shard have them, so that they outlive one
    "insert_quorum_parallel": 0,
    "select_sequential_consistency": 1,  # what was answered is read, whichever replica is asked
    "distributed_product_mode": "global",
}

_CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)\n")
_ENGINE = re.compile(r"^ENGINE = (\w*MergeTree)(?:\((.*)\))?$", re.MULTILINE)
_WINDOW = re.compile(r"^SETTINGS non_replicated_deduplication_window = (\d+)$", re.MULTILINE)
_SETTINGS = re.compile(r"^SETTINGS ", re.MULTILINE)
_MATERIALIZED = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS\n")
_VIEW = re.compile(r"CREATE (OR REPLACE VIEW|VIEW IF NOT EXISTS) (\w+) AS\n")
_ALTER = re.compile(r"ALTER TABLE (\w+)\s")
_OF_COLUMNS = re.compile(r"(?:ADD|MODIFY) COLUMN ")


def local(table: str) -> str:
    """The table that holds the rows of this one on each node of a cluster."""
    return table + LOCAL


def on_every_node(statement: str, cluster: str) -> str:
    """A DELETE or ALTER of the table that it names, for those that hold its rows, on all shards of a cluster."""
    return re.sub(r"^(DELETE FROM|ALTER TABLE) (\w+)", rf"\1 \2{LOCAL} ON CLUSTER `{cluster}`", statement)


def history_table(cluster: str, database: str) -> str:
    """Where it is noted which migrations were applied: the same on every node, whatever its shard."""
    return (
        f"CREATE TABLE IF NOT EXISTS schema_migrations ON CLUSTER `{cluster}` (number UInt32, name String, sha256 String,"
        " applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplicatedReplacingMergeTree("
        f"'/clickhouse/tables/all/{database}/schema_migrations', '{{shard}}-{{replica}}') ORDER BY number"
    )


def on_cluster(statement: str, cluster: str, database: str) -> list[str]:
    """What a cluster is given for one statement of a migration. Raises `VoxpopError` for a statement of an unknown kind."""
    here = f"ON CLUSTER `{cluster}`"
    if made := _CREATE.match(statement):
        name = made[1]
        return [
            _replicated(statement, name, here, database),
            f"CREATE TABLE IF NOT EXISTS {name} {here} AS {local(name)}\n"
            f"ENGINE = Distributed('{cluster}', '{database}', '{local(name)}', {_sharding_key(name)})",
        ]
    if made := _MATERIALIZED.match(statement):
        head = f"CREATE MATERIALIZED VIEW IF NOT EXISTS {made[1]} {here} TO {local(made[2])} AS\n"
        return [
            head + re.sub(r"^FROM (\w+)", rf"FROM \1{LOCAL}", _on_one_line(statement[made.end() :]), flags=re.MULTILINE)
        ]
    if made := _VIEW.match(statement):
        return [f"CREATE {made[1]} {made[2]} {here} AS\n{statement[made.end() :]}"]
    if made := _ALTER.match(statement):
        rest = statement[made.end(1) :]
        altered = [f"ALTER TABLE {local(made[1])} {here}{rest}"]
        return [*altered, f"ALTER TABLE {made[1]} {here}{rest}"] if _OF_COLUMNS.search(rest) else altered
    if made := re.fullmatch(r"DROP VIEW IF EXISTS (\w+)", statement):
        return [f"{statement} {here} SYNC"]
    if made := re.fullmatch(r"TRUNCATE TABLE (\w+)", statement):
        return [f"TRUNCATE TABLE {local(made[1])} {here}"]
    if statement.startswith("INSERT INTO "):
        return [statement]
    raise VoxpopError(f"a migration has a statement that is not known on a cluster: {' '.join(statement.split())[:80]}")


def _replicated(statement: str, name: str, here: str, database: str) -> str:
    engine = _ENGINE.search(statement)
    if engine is None:
        raise VoxpopError(f"the table {name} is of an engine that is not known on a cluster")
    place = f"'/clickhouse/tables/{{shard}}/{database}/{name}', '{{replica}}'"
    arguments = f"{place}, {engine[2]}" if engine[2] else place
    window = _WINDOW.search(statement)
    remembered = (
        f"replicated_deduplication_window = {window[1] if window else 0},"
        f" replicated_deduplication_window_seconds = {FORGOTTEN_AFTER_S if window else 0}"
    )
    body = statement[: engine.start()] + f"ENGINE = Replicated{engine[1]}({arguments})" + statement[engine.end() :]
    if window:
        body = _WINDOW.sub(f"SETTINGS {remembered}", body)
    elif _SETTINGS.search(body):
        body = _SETTINGS.sub(f"SETTINGS {remembered}, ", body, count=1)
    else:
        body = f"{body}\nSETTINGS {remembered}"
    return body.replace(f"CREATE TABLE IF NOT EXISTS {name}\n", f"CREATE TABLE IF NOT EXISTS {local(name)} {here}\n", 1)


def _on_one_line(select: str) -> str:
    """The SELECT with every FROM at the beginning of a line."""
    return re.sub(r"[ \t]+FROM ", "\nFROM ", select)


def _sharding_key(name: str) -> str:
    try:
        return SHARDED_BY[name]
    except KeyError:
        raise VoxpopError(f"the table {name} has no sharding key: workers/store/cluster.py needs one") from None
