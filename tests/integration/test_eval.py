"""`voxpop eval` on the sample stream with its gold labels: from a file at the shell to figures that can be checked."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.events import InvalidMessage, decode_event
from schemas.samples import gold_labels, sample_messages
from workers.evaluate.rivals import Contest
from workers.evaluate.rivals.smollm2 import BASE, answer
from workers.settings import load_settings

Voxpop = Callable[..., subprocess.CompletedProcess[str]]
ROWS = 200
MARKS = {"negative": 0, "neutral": 1, "positive": 2}
MAPPED = [word for name, mark in MARKS.items() for word in ("--map-label", f"{mark}={name}")]


def rows() -> list[dict[str, Any]]:
    """The sample's events as a user may keep labelled texts: a mark for the sentiment, aspects with theirs."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    gold = gold_labels()
    for message in sample_messages():
        try:
            event = decode_event(message.value)
        except InvalidMessage:
            continue
        label = gold[event.source, event.id]
        aspects = [{"aspect": name, "sentiment": sentiment} for name, sentiment in label.aspects.items()]
        said = {"review": event.text, "mark": MARKS[label.sentiment], "tongue": label.language, "aspects": aspects}
        found[event.source, event.id] = said
    return list(found.values())


def write(path: Path, some: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in some))
    return str(path)


@pytest.fixture(scope="module")
def evaluated(voxpop: Voxpop, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, str]:
    """The document, the page and what was told on the way, of 200 texts beside two rivals."""
    pytest.importorskip("sklearn", reason="the extra train is not installed")
    directory = tmp_path_factory.mktemp("eval")
    labelled, train = write(directory / "labelled.jsonl", rows()[:ROWS]), write(directory / "train.jsonl", rows())
    columns = ["--text-column", "review", "--label-column", "mark", "--language-column", "tongue", *MAPPED]
    rivals = ["--against", "tfidf,tfidf", "--train", train]
    html = directory / "report.html"
    done = voxpop("eval", labelled, *columns, *rivals, "--json", "--html", str(html), timeout_s=240)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return json.loads(line), html.read_text(encoding="utf-8"), done.stderr


def test_figures_follow_from_the_confusion_matrix_and_lie_in_their_intervals(
    evaluated: tuple[dict[str, Any], str, str],
) -> None:
    document, _, _ = evaluated
    assert (document["head"], document["n"]) == ("sentiment", ROWS)
    assert document["labels"] == ["negative", "neutral", "positive"]
    for each in document["contestants"]:
        matrix = each["confusion"]
        assert sum(map(sum, matrix)) == ROWS
        right = sum(matrix[i][i] for i in range(3))
        assert each["accuracy"]["value"] == pytest.approx(100 * right / ROWS, abs=0.01)
        for measure in ("accuracy", "macro_f1", "macro_recall"):
            assert each[measure]["low"] < each[measure]["value"] < each[measure]["high"]
        assert each["docs_per_s"] > 0
    pack, rival = document["contestants"]
    assert pack["macro_recall"]["low"] > 100 / 3  # better than chance, for sure
    assert (rival["name"], "lead_of_the_pack" in rival) == ("TF-IDF + logistic regression", True)
    assert pack["calibration"]["ece_before"] > 0
    assert pack["calibration"]["ece_after"] > 0
    assert rival["calibration"]["ece_after"] is None


def test_slices_hold_every_text_once_by_language_and_once_by_length(evaluated: tuple[dict[str, Any], str, str]) -> None:
    document, _, _ = evaluated
    sizes = {by: [part["n"] for part in document["slices"] if part["by"] == by] for by in ("language", "length")}
    assert {by: sum(each) for by, each in sizes.items()} == {"language": ROWS, "length": ROWS}
    assert {"en", "es"} <= {part["name"] for part in document["slices"]}


def test_the_texts_evaluated_are_not_learnt_from(evaluated: tuple[dict[str, Any], str, str]) -> None:
    _, _, told = evaluated
    held_out = re.search(r"because they are evaluated: (\d+)", told)
    assert held_out
    assert int(held_out[1]) >= ROWS
    assert f"learns from {len(rows()) - int(held_out[1])} texts" in told


def test_the_page_shows_mistakes_without_personal_data(evaluated: tuple[dict[str, Any], str, str]) -> None:
    _, page, _ = evaluated
    assert page.count("<svg") == 4
    assert "The mistakes it was surest of" in page
    assert re.findall(r"[\w.]+@[\w.]+\.\w+", page) == []


def test_people_get_tables_and_a_rival_that_does_not_fit_is_told(voxpop: Voxpop, tmp_path: Path) -> None:
    labelled = write(tmp_path / "labelled.jsonl", rows()[:40])
    columns = ["--text-column", "review", "--label-column", "mark", *MAPPED]
    done = voxpop("eval", labelled, *columns, "--against", "minilm", "--limit", "30", timeout_s=120)
    assert done.returncode == 0, done.stderr
    wanted = ("sentiment: 30 judgements of labelled.jsonl", "Macro F1", "→ negative", "calibration", "only when sure")
    assert [words for words in wanted if words not in done.stdout] == []
    assert "without minilm: it learns from labelled texts; give some: --train FILE" in done.stderr


def test_the_polarity_of_given_aspects_is_measured(voxpop: Voxpop, tmp_path: Path) -> None:
    some = [row for row in rows() if row["aspects"]][:60]
    labelled = write(tmp_path / "labelled.jsonl", some)
    arguments = ["--head", "aspects", "--text-column", "review", "--against", "vader", "--json"]
    done = voxpop("eval", labelled, *arguments, timeout_s=120)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (pack,) = document["contestants"]
    assert document["n"] == sum(len(row["aspects"]) for row in some) == sum(map(sum, pack["confusion"]))
    assert pack["accuracy"]["low"] > 100 / 3
    assert document["left_out"] == {"vader": "it judges no aspects; take another --head"}


def test_a_head_of_one_label_is_measured_with_none_for_the_texts_without(voxpop: Voxpop, tmp_path: Path) -> None:
    insult, plain = "You are a stupid worthless idiot, shut your mouth", "The parcel came on Tuesday"
    some = [{"text": insult, "label": "rude"}, {"text": plain, "label": "fine"}]
    labelled = write(tmp_path / "labelled.jsonl", some)
    mapped = ["--map-label", "rude=toxic", "--map-label", "fine=none"]
    done = voxpop("eval", labelled, "--head", "toxicity", *mapped, "--json", timeout_s=120)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["labels"] == ["none", "toxic"]
    assert document["contestants"][0]["confusion"] == [[1, 0], [0, 1]]


def test_smollm2_scores_every_text_alike_whatever_its_company() -> None:
    """Prompts of several lengths share a batch: padding must not move a text's answer."""
    settings = load_settings()
    if not (settings.cache_dir / "bases" / f"{BASE.sha256['weights']}-weights").is_file():
        pytest.skip("SmolLM2 (93 MB) is not in the cache; it is there after: voxpop eval … --against smollm2")
    texts = [
        "I hate it",
        "The shop opens at nine on Monday and closes at five",
        "I love this, it is the best ever made",
    ]

    def confidence(some: list[str]) -> list[float]:
        answers = answer(
            Contest(settings, "sentiment", some, ("negative", "neutral", "positive"), None, lambda _: None)
        )
        assert answers.raw is not None
        return answers.raw.tolist()

    assert confidence(texts) == pytest.approx([each for text in texts for each in confidence([text])], abs=1e-6)


def test_one_label_of_a_head_that_gives_several_is_judged_by_whether_a_text_has_it(
    voxpop: Voxpop, tmp_path: Path
) -> None:
    some = [
        {"text": "It broke after a day and nobody answers me. I want my money back!", "label": "complaint|question"},
        {"text": "Lo mejor que he comprado, me encanta.", "label": "praise"},
        {"text": "The box arrived on Tuesday.", "label": "none"},
        {"text": "It broke again, what a waste of money!", "label": " complaint "},
    ]
    done = voxpop("eval", write(tmp_path / "f.jsonl", some), "--head", "intents.complaint", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["labels"] == ["none", "complaint"]
    (pack,) = document["contestants"]
    assert [sum(row) for row in pack["confusion"]] == [2, 2]
    wrong = voxpop(
        "eval", write(tmp_path / "g.jsonl", [some[0] | {"label": "complaint|anger"}]), "--head", "intents.complaint"
    )
    assert wrong.returncode == 2
    assert "has no label 'anger'; it has complaint, praise" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--head", "intents"],
            "the head 'intents' gives any number of labels a text; --head takes one of them: intents.",
        ),
        (["--head", "mood"], "the head 'mood' is not of this pack"),
        (["--map-label", "0=awful"], "there is no label 'awful'; take one of negative, neutral, positive"),
        (["--label-column", "mark", "--text-column", "review"], "no label '0'"),
        (["--html", "nowhere/report.html"], "nowhere is no directory"),
        (["--pack", "no-such-pack"], "no-such-pack"),
    ],
)
def test_wrong_use_is_one_line(voxpop: Voxpop, tmp_path: Path, arguments: list[str], says: str) -> None:
    some = [{"review": "It broke", "mark": 0, "text": "It broke", "label": "negative"}]
    done = voxpop("eval", write(tmp_path / "f.jsonl", some), *arguments)
    assert (done.returncode, done.stdout) == (1 if "--pack" in arguments else 2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
