"""The training set that `voxpop traces build` writes, and the data card beside it."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from workers.escalation.trace_journal import Journal
from workers.escalation.trace_question import CONCLUDE, SYSTEM
from workers.escalation.traces import Trace, TraceTally
from workers.slm.durable import replace_text

LIMITS = (
    "A model wrote the reasons: that its label agrees does not make them the reasons of whoever wrote the text.",
    "What the model finds hard is missing: texts on which it disagrees with gold or with itself are left out.",
    "Whether the reasons may be trained on is for the endpoint's terms to say, and for the texts those of their source.",
    "voxpop erase does not reach this file, nor its journal: remove an erased person's texts here by hand.",
)


def card_path(path: Path) -> Path:
    """Where the data card of a training set lies."""
    return path.with_name(path.name + ".card.yaml")


def write_set(path: Path, traces: Sequence[Trace], journal: Journal, tally: TraceTally, base_url: str) -> None:
    """Writes both anew, each at once."""
    model = journal.request["model"]
    rows = [
        {
            "text": trace.item.text,
            "reasoning": trace.reasoning,
            "label": trace.label,
            "agrees_with": "vote" if trace.item.gold is None else "gold",
            "model": model,
            "pack": trace.item.pack,
            "pack_version": trace.item.pack_version,
        }
        for trace in traces
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    replace_text(path, text)
    card = _card(path, text, traces, journal, tally, base_url)
    replace_text(card_path(path), yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120))


def _card(
    path: Path, text: str, traces: Sequence[Trace], journal: Journal, tally: TraceTally, base_url: str
) -> dict[str, Any]:
    answers, asked = journal.answers, dict(journal.request)
    packs = Counter(f"{item.pack} {item.pack_version}" for item in journal.items)
    return {
        "file": {"name": path.name, "sha256": hashlib.sha256(text.encode()).hexdigest(), "rows": len(traces)},
        "date": datetime.now(UTC).date(),
        "columns": {
            "text": "as stored, redacted",
            "reasoning": "the model's, checked: no order, no personal data, no number that the text has not",
            "label": "the model's, which agrees with gold or with most of its samples",
        },
        "labels": dict(sorted(Counter(trace.label for trace in traces).items())),
        "endpoint": {"host": urlsplit(base_url).hostname, "model": asked.pop("model")},
        "questions_sha256": hashlib.sha256((SYSTEM + CONCLUDE).encode()).hexdigest(),
        "asked": asked,
        "packs": dict(sorted(packs.items())),
        "counts": {
            "texts": len(journal.items),
            "kept": tally.kept,
            "disagreed_or_refused": tally.disagreed,
            "not_done": tally.left,
            "answers": len(answers),
            "answers_refused": dict(sorted(tally.refused.items())),
        },
        "took": {"tokens": sum(a.tokens for a in answers), "cost": round(sum(a.cost for a in answers), 6)},
        "limits": list(LIMITS),
    }
