"""The whole way: the embedded stack's rows, `voxpop escalate`, and a real `voxpop serve` as the endpoint."""

import http.client
import json
import sys
from collections.abc import Iterator

import pytest

from schemas.samples import sample_messages
from tests.integration.conftest import StartStack, Voxpop
from workers.embedded.process import ChildProcess, accepts_connections, free_port
from workers.settings import load_settings
from workers.slm.packs import CARD
from workers.stack import Stack
from workers.store.recount import RECOUNTS
from workers.stream.produce import Outgoing

PACK = "smollm2-135m-instruct"
CALLS = 6
KEPT = (
    "SELECT * EXCEPT (sentiment, sentiment_confidence, route, judged, lease_until) FROM insights"
    " ORDER BY topic, partition, offset"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ChildProcess, int]]:
    """`voxpop serve` with one answer at a time and nobody waiting, and its port."""
    packs = load_settings().packs_dir.resolve()
    if not (packs / PACK / CARD).is_file():
        pytest.skip(f"the pack {PACK} (93 MB to fetch) is not built; it is there after: voxpop packs build {PACK}")
    port = free_port("127.0.0.1")
    environment = {"VOXPOP_PACKS": str(packs), "VOXPOP_SERVE__AT_ONCE": "1", "VOXPOP_SERVE__WAITING": "0"}
    command = [sys.executable, "-m", "workers.cli", "serve", "--port", str(port)]
    log_file = tmp_path_factory.mktemp("serve") / "serve.log"
    with ChildProcess("the model", command, log_file=log_file, environment=environment) as process:
        process.wait_until(lambda: accepts_connections("127.0.0.1", port), 60)
        yield process, port


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, start_stack: StartStack) -> Iterator[Stack]:
    """A stack of its own with the first forty texts of the sample stream."""
    texts = [Outgoing(m.topic, m.key, m.value) for m in sample_messages() if m.expected_reason is None][:40]
    with start_stack(tmp_path_factory.mktemp("stack"), 1) as stack:
        stack.run_stream(texts)
        yield stack


def asked(port: int, **more: object) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    document = {"model": PACK, "messages": [{"role": "user", "content": "Tell me a long story."}], "max_tokens": 400}
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(document | more), headers)
    return connection


def test_a_reader_of_a_stream_who_goes_away_gives_its_turn_back(served: tuple[ChildProcess, int]) -> None:
    _, port = served
    stream = asked(port, stream=True)
    assert stream.getresponse().read(20).startswith(b"data: {")
    assert asked(port, max_tokens=1).getresponse().status == 429
    stream.close()
    for _ in range(1_000):
        if asked(port, max_tokens=1).getresponse().status == 200:
            return
    pytest.fail("the turn was never given back")


def test_rows_get_a_second_opinion_from_a_served_pack_within_the_budget(
    own: Stack, served: tuple[ChildProcess, int], voxpop: Voxpop
) -> None:
    process, port = served
    environment = {
        "VOXPOP_KAFKA__BOOTSTRAP_SERVERS": own.settings.kafka.bootstrap_servers,
        "VOXPOP_CLICKHOUSE__PORT": str(own.settings.clickhouse.port),
        "VOXPOP_ESCALATION__BASE_URL": f"http://127.0.0.1:{port}/v1",
        "VOXPOP_ESCALATION__MODEL": PACK,
        "VOXPOP_ESCALATION__CONFIDENCE_BELOW": "1",
        "VOXPOP_ESCALATION__LOOKBACK_DAYS": "3660",
        "VOXPOP_ESCALATION__CALLS_PER_HOUR": str(CALLS),
        "VOXPOP_ESCALATION__AT_ONCE": "1",
    }
    before = own.reader.select(KEPT).result_rows
    done = voxpop("escalate", "--once", "--json", environment=environment, timeout_s=200)
    assert done.returncode == 0, done.stderr
    tally = json.loads(done.stdout.splitlines()[-1])
    assert (tally["asked"], tally["applied"], tally["refused"], tally["failed"]) == (CALLS, CALLS, 0, 0)
    assert tally["held"]
    assert own.reader.select(KEPT).result_rows == before
    routes = dict(own.reader.select("SELECT route, count() FROM insights GROUP BY route").result_rows)
    assert routes == {"slm": len(before) - CALLS, "escalated": CALLS}
    same = (
        "SELECT count(), countIf(toString(i.sentiment) = e.answer), countIf(e.prompt_tokens > 50) FROM insights AS i"
        " INNER JOIN (SELECT * FROM escalations FINAL) AS e USING (source, event_id, content_hash)"
    )
    assert list(own.reader.select(same).result_rows) == [(CALLS, CALLS, CALLS)]
    for aggregate, recount in RECOUNTS.values():
        assert sorted(own.reader.select(aggregate).result_rows) == sorted(own.reader.select(recount).result_rows)
    process.kill()
    richer = environment | {"VOXPOP_ESCALATION__CALLS_PER_HOUR": str(CALLS + 2)}
    again = json.loads(voxpop("escalate", "--once", "--json", environment=richer, timeout_s=60).stdout.splitlines()[-1])
    assert (again["asked"], again["failed"], again["applied"], again["held"]) == (2, 2, 0, True)
    assert own.reader.select(KEPT).result_rows == before
