"""Is an escalation endpoint worth asking? The sample stream's least sure texts, by the pack, by the endpoint, beside gold.

    VOXPOP_ESCALATION__BASE_URL=http://127.0.0.1:8090/v1 python -m workers.evaluate.second_opinions --texts 150

Asks as `voxpop escalate` does and notes nothing. Texts of which the pack is surer are left out, as escalation leaves them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from schemas.events import decode_event
from schemas.insights import Analysis
from schemas.samples import gold_labels, sample_messages
from workers.errors import UsageError
from workers.escalation.endpoint import CallFailed, Endpoint, Unusable
from workers.escalation.question import question, read_answer
from workers.settings import EscalationSettings, load_settings
from workers.worker import build_judge


class Opinion(NamedTuple):
    """What is said of a text: by a person, by the pack, by the endpoint (empty without a usable answer)."""

    gold: str
    pack: str
    endpoint: str


def least_sure(judged: Sequence[tuple[str, str, str, Analysis]], most: int) -> list[tuple[str, str, str, Analysis]]:
    """Of (gold, title, text, analysis) those whose sentiment the pack is least sure of, the least sure first."""
    return sorted(judged, key=lambda each: each[3].sentiment.confidence)[:most]


def figures(opinions: Sequence[Opinion]) -> dict[str, int]:
    """Counts: whose label is gold's, and what became of the labels that the endpoint would change."""
    changed = [o for o in opinions if o.endpoint not in ("", o.pack)]
    return {
        "texts": len(opinions),
        "pack_right": sum(o.pack == o.gold for o in opinions),
        "endpoint_right": sum(o.endpoint == o.gold for o in opinions),
        "unusable": sum(not o.endpoint for o in opinions),
        "changed": len(changed),
        "changed_to_right": sum(o.endpoint == o.gold for o in changed),
        "changed_from_right": sum(o.pack == o.gold for o in changed),
    }


def _judged() -> list[tuple[str, str, str, Analysis]]:
    gold = {key: label.sentiment for key, label in gold_labels().items()}
    events = [decode_event(m.value) for m in sample_messages() if m.expected_reason is None and m.value is not None]
    with closing(build_judge(load_settings())) as judge:
        safe = [judge.disguise(event) for event in {(e.source, e.id): e for e in events}.values()]
        analyses = judge.judge_events(safe)
    return [
        (gold[event.source, event.event_id], event.title, event.text, analysis)
        for event, analysis in zip(safe, analyses, strict=True)
        if analysis is not None
    ]


def _asked(endpoint: Endpoint, wish: EscalationSettings, title: str, text: str) -> str:
    try:
        return read_answer(endpoint.post(question(wish.model, title, text, wish.max_chars))).label
    except (CallFailed, Unusable):
        return ""


def main() -> None:
    """Prints the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=150, help="how many, the least sure")
    chosen, wish = parser.parse_args(), load_settings().escalation
    if wish.base_url is None:
        raise UsageError("no escalation endpoint is configured; set VOXPOP_ESCALATION__BASE_URL")
    endpoint = Endpoint(wish)
    opinions = [
        Opinion(gold, analysis.sentiment.label, _asked(endpoint, wish, title, text))
        for gold, title, text, analysis in least_sure(_judged(), chosen.texts)
    ]
    sys.stdout.write(json.dumps({"model": wish.model} | figures(opinions)) + "\n")


if __name__ == "__main__":
    main()
