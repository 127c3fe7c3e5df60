"""An evaluation: read, let the pack and its rivals answer the same texts, and score them together."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.taxonomy import SENTIMENTS
from workers.analyze.redact import Redactor
from workers.errors import UsageError
from workers.evaluate.answers import ASPECTS, Answers, head_labels, pack_answers, several_labels
from workers.evaluate.aspects import aspect_answers, aspect_texts
from workers.evaluate.labelled import Columns, LabelledTexts, Reader, parse_label_map
from workers.evaluate.metrics import Labels
from workers.evaluate.reasoned import least_sure, reasoned
from workers.evaluate.report import Mistake, Reasoning, Report, scored, scored_slices
from workers.evaluate.rivals import MODULES, Contest, Unfit, rival_answers
from workers.evaluate.slices import slices
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.slm.packs import Pack
from workers.slm.reasoning import Budget

MOST_MISTAKES = 20
_NOT_ITS_OWN = re.compile(r"https?:?\S*|@\w+|\[[A-Z]+\]")  # links, handles and placeholders: they differ between copies

Said = Callable[[str], None]


@dataclass(frozen=True)
class EvalRequest:
    """What the command line asked for. `label_column` None takes `label`, or `aspects` for the head of that name.
    `budgets`: how long the settings' generator thinks about so many of the texts that the pack is least sure of."""

    files: tuple[Path, ...]
    head: str = "sentiment"
    text_column: str = "text"
    label_column: str | None = None
    language_column: str | None = None
    label_map: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    train: Path | None = None
    limit: int | None = None
    budgets: tuple[Budget, ...] = ()
    uncertain: int = 100

    def columns(self, labels: Sequence[str], default: str) -> Columns:
        """Raises `UsageError` for a `--map-label` that fits no label."""
        mapped = parse_label_map(self.label_map, labels)
        return Columns(self.text_column, self.label_column or default, self.language_column, mapped)


def run_eval(request: EvalRequest, settings: Settings, said: Said) -> Report:
    """Raises `UsageError` for what cannot be read or asked, `PackError` when the pack cannot be built."""
    if unknown := [name for name in request.against if name not in MODULES]:
        raise UsageError(f"--against {unknown[0]!r} is not known; take some of {','.join(MODULES)}")
    if request.budgets and (request.head == ASPECTS or settings.model.generator is None):
        raise UsageError("--reason needs a generator pack and a head of the texts; name one: --generator NAME")
    privacy = settings.privacy
    redactor = Redactor(regions=privacy.phone_regions, public_handles=privacy.public_handles)
    model = settings.model
    pack = ensure_pack(model.pack, settings.packs_dir, settings.cache_dir, choice=model.base_source, progress=said)
    evaluate = _aspects if request.head == ASPECTS else _head
    return evaluate(request, pack, settings, redactor, said)


def _head(request: EvalRequest, pack: Pack, settings: Settings, redactor: Redactor, said: Said) -> Report:
    labels = head_labels(pack, request.head)
    several = several_labels(pack, request.head)
    columns = request.columns(several or labels, "label")
    found = Reader(columns, redactor, request.limit).labelled(request.files, labels, request.head, several)
    train = None
    if request.train:
        learnt = Reader(columns, redactor).labelled([request.train], labels, request.head, several)
        train = without(learnt, found.texts)
        if held_out := len(learnt.texts) - len(train.texts):
            said(f"left out of {request.train}, because they are evaluated: {held_out:,}")
    said(f"{pack.name} answers {len(found.texts):,} texts")
    answers = [pack_answers(pack, request.head, found.texts, settings.model.replicas)]
    contest = Contest(settings, request.head, found.texts, labels, train, said)
    left_out = {}
    for name in dict.fromkeys(request.against):
        try:
            answers.append(rival_answers(name, contest))
        except Unfit as unfit:
            left_out[name] = str(unfit)
    outcomes = np.stack([_one_label(found.gold, each.said, len(labels)) for each in answers], axis=1)
    return Report(
        head=request.head,
        pack=(pack.name, pack.version),
        files=tuple(path.name for path in request.files),
        labels=labels,
        n=len(found.texts),
        contestants=tuple(scored(answers, outcomes, found.gold)),
        slices=scored_slices(slices(found.texts, found.languages), outcomes),
        left_out=left_out,
        mistakes=_mistakes(found, answers[0], labels),
        reasoning=_reasoning(request, settings, found, answers[0], labels, said) if request.budgets else None,
    )


def _aspects(request: EvalRequest, pack: Pack, settings: Settings, redactor: Redactor, said: Said) -> Report:
    columns = request.columns(SENTIMENTS, "aspects")
    found = aspect_texts(request.files, Reader(columns, redactor, request.limit), columns.label)
    said(f"{pack.name} judges {len(found.gold):,} aspects of {len(found.texts):,} texts")
    answers, labels = aspect_answers(found, pack.name, settings)
    outcomes = found.outcomes(answers.said, len(labels))[:, None]
    return Report(
        head=ASPECTS,
        pack=(pack.name, pack.version),
        files=tuple(path.name for path in request.files),
        labels=labels,
        n=len(found.gold),
        contestants=tuple(scored([answers], outcomes, found.gold)),
        slices=scored_slices(slices(found.texts, found.languages), outcomes),
        left_out=dict.fromkeys(request.against, "it judges no aspects; take another --head"),
    )


def _reasoning(
    request: EvalRequest,
    settings: Settings,
    found: LabelledTexts,
    answers: Answers,
    labels: Sequence[str],
    said: Said,
) -> Reasoning:
    """The generator of the settings on the texts that the pack is least sure of, beside the pack itself."""
    model, chosen = settings.model, least_sure(answers, request.uncertain)
    name = model.generator or ""
    pack = ensure_pack(name, settings.packs_dir, settings.cache_dir, choice=model.base_source, progress=said)
    with pack.generator(model.replicas) as generator:
        texts = [found.texts[i] for i in chosen.tolist()]
        thought = reasoned(generator, pack.name, request.head, texts, labels, request.budgets, said)
    gold, own = found.gold[chosen], answers.of(chosen)
    contest = [own, *(each.answers for each in thought)]
    outcomes = np.stack([_one_label(gold, each.said, len(labels)) for each in contest], axis=1)
    return Reasoning(
        n=len(chosen),
        confidence=float(np.max(own.confidence)) if own.confidence is not None else 1.0,
        contestants=tuple(scored(contest, outcomes, gold)),
        tokens=tuple(each.tokens for each in thought),
        seconds=tuple(each.seconds for each in thought),
    )


def without(train: LabelledTexts, texts: Sequence[str]) -> LabelledTexts:
    """`train` without the texts that are to be evaluated, however their links, handles, marks and case differ."""
    evaluated = {_words(text) for text in texts}
    kept = [i for i, text in enumerate(train.texts) if _words(text) not in evaluated]
    return LabelledTexts([train.texts[i] for i in kept], train.gold[kept], [train.languages[i] for i in kept])


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", _NOT_ITS_OWN.sub(" ", text).lower()))


def _one_label(gold: Labels, said: Labels, labels: int) -> NDArray[np.int8]:
    """What each text adds to the confusion matrix: (n, labels, labels), a single 1 each."""
    outcomes = np.zeros((len(gold), labels, labels), np.int8)
    outcomes[np.arange(len(gold)), gold, said] = 1
    return outcomes


def _mistakes(found: LabelledTexts, answers: Answers, labels: Sequence[str]) -> tuple[Mistake, ...]:
    """The pack's wrong answers that it was surest of."""
    confidence = answers.confidence
    if confidence is None:
        return ()
    wrong = np.flatnonzero(answers.said != found.gold)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_MISTAKES].tolist()
    return tuple(
        Mistake(found.texts[i], labels[found.gold[i]], labels[answers.said[i]], float(confidence[i])) for i in surest
    )
