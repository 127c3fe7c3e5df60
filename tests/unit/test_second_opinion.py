"""A second opinion brings its label alone: the rest of the insight, its score and the probabilities are the pack's."""

import ssl
import threading
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from itertools import product
from pathlib import Path

import pytest

from schemas.insights import Insight, Route, Sentiment
from tests.authority import Authority
from tests.lying_endpoint import Handler, LyingEndpoint
from workers.escalation.endpoint import CallFailed, Endpoint
from workers.escalation.question import LABELS, question
from workers.escalation.second_opinion import with_label
from workers.settings import EscalationSettings

SHARES = [(0.2, 0.3, 0.5), (0.45, 0.1, 0.45), (1.0, 0.0, 0.0), (0.33, 0.34, 0.33), (0.0, 0.5, 0.5), (0.5, 0.2, 0.3)]


def insight(shares: Sequence[float]) -> Insight:
    best = max(range(3), key=lambda place: shares[place])
    sentiment = Sentiment(label=LABELS[best], score=round(shares[2] - shares[0], 4), confidence=shares[best])
    moment = "2026-11-02T10:00:00Z"
    return Insight.model_validate(
        {"text": "So so", "language": "en", "sentiment": sentiment, "pack": "p", "pack_version": "1", "topic": "t"}
        | {"partition": 0, "offset": 1, "event_id": "e", "kind": "review", "source": "s", "product": "P"}
        | {"event_time": moment, "ingested_at": moment}
    )


@pytest.mark.parametrize(("shares", "label"), list(product(SHARES, LABELS)))
def test_the_confidence_is_what_the_pack_gives_the_new_label(shares: Sequence[float], label: str) -> None:
    before = insight(shares)
    after = with_label(before, label)  # type: ignore[arg-type]
    assert (after.sentiment.label, after.route) == (label, Route.ESCALATED)
    assert after.sentiment.confidence == pytest.approx(shares[LABELS.index(label)], abs=1e-4)
    assert after.sentiment.score == before.sentiment.score
    assert after.model_copy(update={"sentiment": before.sentiment, "route": before.route}) == before


def test_a_question_is_no_longer_than_it_may_be_and_is_of_the_text_alone() -> None:
    assert question("m", "Title", "x" * 10_000, 100).count(b"x") <= 100
    assert b"Title" in question("m", "Title", "text", 100)


@pytest.mark.parametrize(
    ("names", "trusted", "why"), [("127.0.0.1", True, ""), ("elsewhere", True, "tls"), ("127.0.0.1", False, "tls")]
)
def test_an_endpoint_is_asked_over_tls_only_when_its_certificate_is_its_own(
    tmp_path: Path, names: str, trusted: bool, why: str
) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate(names))
    endpoint = LyingEndpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"endpoint": endpoint}))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base_url = f"https://127.0.0.1:{server.server_address[1]}/v1"
    asking = Endpoint(
        EscalationSettings(base_url=base_url, ca_file=authority.ca_file if trusted else None, timeout_s=10)
    )
    try:
        if why:
            with pytest.raises(CallFailed, match=why):
                asking.post(question("m", "", "text", 100))
            assert endpoint.asked == []
        else:
            assert b"positive" in asking.post(question("m", "", "text", 100))
    finally:
        server.shutdown()
        server.server_close()
