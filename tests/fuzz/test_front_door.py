"""Whatever lies in a topic becomes an insight or a justified dead letter: no crash, no hang.

Mutated messages take the real way: written as a Kafka record batch and read from it, decoded, redacted, judged by the real
pack, inserted into a real ClickHouse. Only the broker is left out; what would be produced is recorded. The seed is in the
test's name; VOXPOP_FUZZ_SEED=S repeats a run, VOXPOP_FUZZ_MESSAGES=N sets its length (`make fuzz`: 10,000).
"""

import dataclasses
import json
import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.consumer.fetcher import ConsumerRecord

from schemas.events import InvalidMessage, Reason, decode_event
from schemas.insights import Insight
from tests.fuzz.mutate import Mutant, mutants
from tests.fuzz.record_batch import written_and_read
from workers.analyze.judge import Judge
from workers.analyze.sentences import split_clauses
from workers.embedded.clickhouse import embedded_clickhouse
from workers.pipeline import BlockProcessor
from workers.settings import ClickHouseSettings, Settings, WorkerSettings
from workers.store.connect import connect
from workers.store.migrate import migrate
from workers.store.query import Reader
from workers.store.rows import INSIGHT_COLUMNS, as_columns
from workers.store.server_clock import ServerClock
from workers.store.write import Writer
from workers.stream.blocks import Block, Lease, Message, now_s
from workers.stream.consume import _message
from workers.stream.deadletters import from_message
from workers.stream.header_names import accept_any_header_name
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.worker import build_judge

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # the same in all processes of a run: so must the tests' names be
SEED = int(os.environ.get("VOXPOP_FUZZ_SEED") or random.Random(RUN).randrange(10**6))
MESSAGES = int(os.environ.get("VOXPOP_FUZZ_MESSAGES") or 1_000)
BLOCK_MESSAGES = 128
MESSAGE_CPU_S = 3.0  # the longest text takes a tenth of it; what is quadratic takes minutes
BLOCK_CPU_S = 100.0
TOPIC = "voxpop.reviews"


class Hangs(BaseException):
    """No Exception: whatever one text does is caught and answered on the way, and this must not be."""


@contextmanager
def at_most(cpu_s: float, made_by: object) -> Iterator[None]:
    """Raises `Hangs`, from inside whatever runs, once this process has computed for `cpu_s` seconds. A busy machine does
    not matter, and unlike a thread's timer it reaches a regular expression that goes on and on."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hangs(f"more than {cpu_s} s of computing: {made_by}")

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Recorder(AcknowledgedProducer):
    """Stands where the broker would."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    def send_all(self, messages: object, *, timeout_s: float = 60.0) -> dict[object, int]:  # type: ignore[override]
        self.sent += messages  # type: ignore[operator]
        return {}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = build_judge(Settings())
    yield judge
    judge.close()


@dataclasses.dataclass(frozen=True)
class Way:
    """All that a worker's block thread has, and where its output can be looked at."""

    processor: BlockProcessor
    reader: Reader
    recorder: Recorder


@pytest.fixture(scope="module")
def way(judge: Judge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with embedded_clickhouse(tmp_path_factory.mktemp("fuzz")) as server:
        # nearly everything here is bad, on purpose
        worker = WorkerSettings(bad_run_limit=10**9, bad_share_limit=1.0)
        configured = Settings(clickhouse=ClickHouseSettings(port=server.port), worker=worker)
        migrate(configured)
        with connect(configured.clickhouse) as client:
            reader, writer = Reader(client, configured.clickhouse), Writer(client, configured.clickhouse)
            clock, recorder = ServerClock(client, configured.clickhouse, now_s), Recorder()
            yield Way(BlockProcessor(configured, judge, reader, writer, recorder, clock, b"salt"), reader, recorder)


def taken(mutant: Mutant) -> Message:
    """The message as the worker's consumer gives it."""
    accept_any_header_name()
    record = written_and_read(mutant)
    key, value = record.key, record.value
    given = (TOPIC, 0, 0, record.offset, record.timestamp, 0, key, value, record.headers, None, 0, 0, 0)
    return _message(ConsumerRecord(*given))


def judged_alone(judge: Judge, message: Message) -> Reason | None:
    """What decoding says of a message: its dead letter's reason, or None for a valid event."""
    try:
        split_clauses(judge.disguise(decode_event(message.value)).text)
    except InvalidMessage as invalid:
        return invalid.reason
    return None


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", [SEED])
def test_every_message_becomes_an_insight_or_a_justified_dead_letter(seed: int, way: Way, judge: Judge) -> None:
    print(f"repeat with: VOXPOP_FUZZ_SEED={seed} VOXPOP_FUZZ_MESSAGES={MESSAGES}")
    made = list(mutants(seed, MESSAGES))
    expected: dict[int, Reason | None] = {}
    messages: dict[int, Message] = {}
    for mutant in made:
        with at_most(MESSAGE_CPU_S, mutant):
            messages[mutant.number] = message = taken(mutant)
            expected[mutant.number] = judged_alone(judge, message)
    for first in range(0, MESSAGES, BLOCK_MESSAGES):
        some = [messages[mutant.number] for mutant in made[first : first + BLOCK_MESSAGES]]
        block = Block(TOPIC, "fuzz", 0, first, first + len(some), tuple(some), lease=Lease(declared_at=now_s()))
        with at_most(BLOCK_CPU_S, made[first : first + BLOCK_MESSAGES]):
            way.processor.process([block])
    check(way, messages, expected, made)


def check(way: Way, messages: dict[int, Message], expected: dict[int, Reason | None], made: Sequence[Mutant]) -> None:
    letters = {}
    for outgoing in (each for each in way.recorder.sent if each.topic == "voxpop.deadletters"):
        letter = from_message(Message(0, outgoing.key, outgoing.value, tuple(outgoing.headers)))
        letters[letter.position.offset] = letter.reason
        original = messages[letter.position.offset]
        assert (letter.key, letter.value, letter.headers) == (original.key, original.value, original.headers)
        written_and_read(Mutant(0, letter.value, letter.key, [(n.encode(), v) for n, v in outgoing.headers]))
    assert letters == {number: reason for number, reason in expected.items() if reason}, (
        "a dead letter is not justified"
    )

    insights = {}
    for outgoing in (each for each in way.recorder.sent if each.topic == "voxpop.insights"):
        insight = Insight.model_validate(json.loads(outgoing.value or b""))
        insights[insight.offset] = insight
        assert all(insight.text[a.evidence.start : a.evidence.end].strip() for a in insight.aspects), made[
            insight.offset
        ]
    rows = as_columns(INSIGHT_COLUMNS[3:10], [insights[offset] for offset in sorted(insights)])
    names = ", ".join(column.name for column in INSIGHT_COLUMNS[3:10])
    stored = way.reader.select(f"SELECT {names} FROM insights WHERE topic_id = 'fuzz' ORDER BY offset").result_rows
    replaced = {insight.offset for insight in insights.values()} - {row[0] for row in stored}
    assert [tuple(row) for row in stored] == [row for row in zip(*rows, strict=True) if row[0] not in replaced]
    stored_letters = way.reader.dead_letters(limit=None)
    assert {each.offset: Reason(each.reason) for each in stored_letters if each.topic_id == "fuzz"} == letters
    for each in stored_letters:
        original = messages[each.offset]
        assert (each.key, each.value, tuple(each.headers)) == (original.key, original.value, original.headers)

    # What is neither was a resend, or a version that a later message replaced: its event is known all the same.
    known = {tuple(row) for row in way.reader.select("SELECT source, event_id FROM event_keys").result_rows}
    for number in (messages.keys() - letters.keys() - insights.keys()) | replaced:
        event = way.processor._judge.disguise(decode_event(messages[number].value))
        assert (event.source, event.event_id) in known, made[number]
    assert len(insights) > 0.3 * len(messages), "the mutants are too wild to test what comes after decoding"


BITS = ("a@b", ".", " at ", "u/", "0", "+34 ", "\n", "\u202e", "\u0301", "@", "-", "arroba", " ", "x", "¿", "😍")
odd_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300) | st.lists(
    st.sampled_from(BITS), min_size=1
).map("".join)


@settings(deadline=None, max_examples=150)
@given(text=odd_texts, title=st.none() | odd_texts)
def test_any_text_under_any_title_is_judged_with_its_evidence_inside(
    judge: Judge, text: str, title: str | None
) -> None:
    event = {
        "id": "1",
        "kind": "post",
        "source": "s",
        "product": "p",
        "text": text,
        "created_at": "2026-11-02T10:00:00Z",
    }
    value = json.dumps(event | {"title": title and title[:500]}).encode()
    with at_most(MESSAGE_CPU_S, repr(text)):
        try:
            safe = judge.disguise(decode_event(value))
        except InvalidMessage as invalid:
            assert (invalid.reason, text.strip()) == (Reason.OUT_OF_RANGE, "")  # noqa: PT017
            return
        (analysis,) = judge.judge_events([safe])
    assert analysis is not None
    assert analysis.text == safe.text
    assert all(analysis.text[a.evidence.start : a.evidence.end].strip() for a in analysis.aspects)


def test_a_message_that_hangs_is_caught() -> None:
    import re

    with pytest.raises(Hangs), at_most(0.2, "a known bad pattern"):
        re.match(r"(a+)+$", "a" * 60 + "!")
