"""`voxpop worker` with the protocol broken on purpose: python mutant_worker.py MUTANT worker"""

import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

import workers.pipeline
import workers.stream.consume
from workers.block_result import BlockResult
from workers.cli import main
from workers.stream import blocks
from workers.stream.blocks import Block

Offsets = dict[TopicPartition, OffsetAndMetadata]


def skip_the_declaration() -> None:
    """Commits where a block begins, never where it ends."""

    def settlement(done: Iterable[Block], declared: Iterable[Block]) -> Offsets:
        begun = {block.topic_partition: OffsetAndMetadata(block.first, "", -1) for block in declared}
        return blocks.settlement(done, ()) | begun

    workers.stream.consume.settlement = settlement


def commit_before_the_insert() -> None:
    """Finishes a block where it should be declared."""

    def settlement(_done: Iterable[Block], declared: Iterable[Block]) -> Offsets:
        return blocks.settlement(declared, ())

    workers.stream.consume.settlement = settlement


def cut_anew_after_a_crash() -> None:
    """Declares, and forgets what was declared when a partition is taken over."""
    consumer: Any = workers.stream.consume.BlockConsumer
    load = consumer._load

    def forgetful(self: Any, partition: TopicPartition, topic_id: str) -> Any:
        state = load(self, partition, topic_id)
        state.declared_end = None
        return state

    consumer._load = forgetful


def let_a_zombie_insert() -> None:
    """Gives every lease a year."""
    processor: Any = workers.pipeline.BlockProcessor

    def insert(self: Any, result: BlockResult, insert: Callable[[datetime], None]) -> None:
        declared_at = result.block.lease.declared_at
        self._until_done("insert", lambda: insert(self._clock.at(declared_at) + timedelta(days=365)))

    processor._insert = insert


MUTANTS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (skip_the_declaration, commit_before_the_insert, cut_anew_after_a_crash, let_a_zombie_insert)
}

if __name__ == "__main__":
    name = sys.argv.pop(1)
    if name != "none":
        MUTANTS[name]()
    main()
