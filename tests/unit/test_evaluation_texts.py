"""Labelled files are read strictly and redacted at once; what cannot be asked is one line that says what to do."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from workers.analyze.redact import Redactor
from workers.errors import UsageError
from workers.evaluate.aspects import Asked, AspectTexts, aspect_texts
from workers.evaluate.labelled import Columns, LabelledTexts, Reader, parse_label_map
from workers.evaluate.rivals import Contest, Unfit, rival_answers
from workers.evaluate.run import EvalRequest, run_eval, without
from workers.evaluate.slices import slices
from workers.settings import Settings

SENTIMENT = ("negative", "neutral", "positive")


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, limit: int | None = None, **columns: object) -> LabelledTexts:
    reader = Reader(Columns(**columns), Redactor(), limit)  # type: ignore[arg-type]
    return reader.labelled([path], SENTIMENT, "sentiment")


# --- reading -----------------------------------------------------------------------------------------------------------


def test_csv_and_gzipped_json_lines_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,stars,tongue\nFine thing,1,en-GB\nBad thing,0,es_MX\n")
    rows = [{"review": "Fine thing", "stars": 1, "tongue": "EN"}, {"review": "Bad thing", "stars": 0.0, "tongue": "es"}]
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    mapped = {"0": "negative", "1": "positive"}
    for name in ("a.csv", "b.jsonl.gz"):
        found = read(tmp_path / name, text="review", label="stars", language="tongue", mapped=mapped)
        assert found.texts == ["Fine thing", "Bad thing"]
        assert found.gold.tolist() == [2, 0]
        assert found.languages == ["en", "es"]


def test_a_text_is_redacted_as_it_is_read(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "f.jsonl", {"text": "Write to ana.ruiz@example.com, it broke", "label": "negative"})
    assert read(path).texts == ["Write to [EMAIL], it broke"]


def test_the_limit_takes_the_first_rows_of_each_file(tmp_path: Path) -> None:
    rows = [{"text": f"Text {number}", "label": "neutral"} for number in range(5)]
    a, b = jsonl(tmp_path / "a.jsonl", *rows), jsonl(tmp_path / "b.jsonl", *rows)
    found = Reader(Columns(), Redactor(), 2).labelled([a, b], SENTIMENT, "sentiment")
    assert found.texts == ["Text 0", "Text 1", "Text 0", "Text 1"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"text": "Fine", "label": "great"},
            r"row 2 .* no label 'great'; it has negative, neutral, positive.*--map-label",
        ),
        ({"text": "Fine", "label": 3}, r"no label '3'.*--map-label 3="),
        ({"text": "Fine", "label": True}, "no label 'true'"),
        ({"text": "Fine", "label": "ask ana.ruiz@example.com"}, r"no label 'ask \[EMAIL\]'"),
        (
            {"text": "Fine", "Label": "neutral"},
            r"no label in the column 'label' \(it has: text, Label\).*--label-column",
        ),
        (
            {"tweet": "Fine", "label": "neutral"},
            r"no text in the column 'text' \(it has: tweet, label\).*--text-column",
        ),
        ({"text": "  ", "label": "neutral"}, "no text in the column"),
        ({"text": "x" * 20_001, "label": "neutral"}, "more than 20,000 characters"),
        (["text"], "is no row of fields"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: object, says: str) -> None:
    path = jsonl(tmp_path / "f.jsonl", {"text": "Good", "label": "positive"}, row)
    with pytest.raises(UsageError, match=says) as raised:
        read(path)
    assert "row 2 of" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_language_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "f.jsonl", {"text": "Good", "label": "positive"})
    with pytest.raises(UsageError, match="no language in the column 'lang'"):
        read(path, language="lang")


def test_a_file_that_is_missing_or_empty_or_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("text,label\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "Good", "label": "positive"}\n' * 99)[:40])
    for name, says in {"none.csv": "not a file", "empty.csv": "no rows", "cut.jsonl.gz": "is it complete"}.items():
        with pytest.raises(UsageError, match=says):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("argument", "says"),
    [("0", "not of the form 0=negative"), ("=negative", "not of the form"), ("0=bad", "no label 'bad'; take one of")],
)
def test_a_label_map_must_lead_to_a_label_of_the_head(argument: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_label_map([argument], SENTIMENT)


def test_a_label_of_the_file_may_hold_an_equals_sign() -> None:
    assert parse_label_map(["a=b=neutral", "0=negative"], SENTIMENT) == {"a=b": "neutral", "0": "negative"}


# --- slices ------------------------------------------------------------------------------------------------------------


def test_rare_languages_are_told_together_and_every_text_is_in_one_slice_of_each_kind() -> None:
    texts = ["x" * chars for chars in (1, 80, 81, 280, 281, 1_000, 1_001)] * 10
    languages = ["es"] * 40 + ["en"] * 25 + ["fr"] * 3 + ["pt"] * 2
    found = {(part.by, part.name): int(part.inside.sum()) for part in slices(texts, languages)}
    assert found == {
        ("language", "es"): 40,
        ("language", "en"): 25,
        ("language", "others"): 5,
        ("length", "1–80 characters"): 20,
        ("length", "81–280 characters"): 20,
        ("length", "281–1,000 characters"): 20,
        ("length", "over 1,000 characters"): 10,
    }
    for by in ("language", "length"):
        assert (np.sum([part.inside for part in slices(texts, languages) if part.by == by], axis=0) == 1).all()


def test_a_language_that_the_file_does_not_name_is_detected() -> None:
    texts = ["La batería no dura nada y el precio es muy alto"] * 20 + [
        "The battery is bad and the price too high"
    ] * 20
    assert [(p.name, int(p.inside.sum())) for p in slices(texts, [""] * 40) if p.by == "language"] == [
        ("es", 20),
        ("en", 20),
    ]


# --- rivals ------------------------------------------------------------------------------------------------------------


def contest(train: LabelledTexts | None = None, labels: tuple[str, ...] = SENTIMENT) -> Contest:
    return Contest(Settings(), "sentiment", ["It broke", "Lovely thing"], labels, train, lambda _: None)


def learnt(*pairs: tuple[str, int]) -> LabelledTexts:
    texts, gold = zip(*pairs, strict=True)
    return LabelledTexts(list(texts), np.array(gold), [""] * len(pairs))


@pytest.mark.parametrize("name", ["tfidf", "minilm"])
def test_a_rival_that_learns_asks_for_texts_to_learn_from(name: str) -> None:
    pytest.importorskip("sklearn", reason="the extra train is not installed")
    with pytest.raises(Unfit, match="--train FILE"):
        rival_answers(name, contest())
    with pytest.raises(Unfit, match="one label only"):
        rival_answers(name, contest(learnt(("Good", 2), ("Fine", 2))))


def test_tfidf_learns_words_and_gives_the_labels_of_the_head_even_when_training_lacks_one() -> None:
    pytest.importorskip("sklearn", reason="the extra train is not installed")
    train = learnt(*[("it broke again", 0), ("broke on day one", 0), ("lovely thing", 2), ("a lovely gift", 2)] * 5)
    answers = rival_answers("tfidf", contest(train))
    assert answers.said.tolist() == [0, 2]
    assert answers.raw is not None
    assert (answers.raw > 0.5).all()
    assert answers.docs_per_s > 0


def test_vader_judges_sentiment_in_any_order_of_labels_and_nothing_else() -> None:
    pytest.importorskip("vaderSentiment", reason="the extra eval is not installed")
    texts = ["I love it, wonderful!", "It is a box.", "Horrible, I hate it."]
    turned = Contest(Settings(), "sentiment", texts, ("positive", "negative", "neutral"), None, lambda _: None)
    answers = rival_answers("vader", turned)
    assert answers.said.tolist() == [0, 2, 1]
    assert answers.confidence is None
    with pytest.raises(Unfit, match="--head sentiment"):
        rival_answers("vader", contest(labels=("anger", "joy")))


def test_a_rival_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "workers.evaluate.rivals.vader", raising=False)
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(Unfit, match=r"vaderSentiment is missing; run: pip install -e '\.\[eval\]'"):
        rival_answers("vader", contest())


def test_nobody_learns_from_a_text_that_is_evaluated() -> None:
    train = learnt(("It BROKE @someone https://t.co/abc", 0), ("It works", 2), ("it broke!", 0))
    kept = without(train, ["It broke @other http://x.example/1"])
    assert (kept.texts, kept.gold.tolist(), kept.languages) == (["It works"], [2], [""])


def test_an_unknown_rival_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--against 'bert' is not known; take some of vader,tfidf,minilm,smollm2"):
        run_eval(EvalRequest((tmp_path / "f.csv",), against=("vader", "bert")), Settings(), lambda _: None)


# --- aspects -----------------------------------------------------------------------------------------------------------


def aspects(path: Path) -> AspectTexts:
    return aspect_texts([path], Reader(Columns(label="aspects"), Redactor()), "aspects")


def test_aspects_read_in_both_spellings_and_conflicts_are_left_out(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "f.jsonl",
        {"text": "Food good, staff rude", "aspects": [{"category": "food", "polarity": "positive"}]},
        {"text": "Mixed", "aspects": [{"category": "food", "polarity": "conflict"}]},
        {
            "text": "Room and price",
            "aspects": [
                {"aspect": "room", "sentiment": "negative"},
                {"aspect": "price", "sentiment": "neutral"},
                {"aspect": "view", "sentiment": "conflict"},
            ],
        },
    )
    found = aspects(path)
    assert found.texts == ["Food good, staff rude", "Room and price"]
    assert found.asked == [Asked(("food",), (2,)), Asked(("room", "price"), (0, 1))]
    outcomes = found.outcomes(np.array([2, 0, 2]), 3)
    assert outcomes.shape == (2, 3, 3)
    assert outcomes[0].nonzero() == ([2], [2])
    assert outcomes[1].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("food", "no list of aspects in the column 'aspects'"),
        (["food"], "needs category"),
        ([{"category": "food"}], "needs category"),
        ([{"category": "food", "polarity": "meh"}], "an aspect has no label 'meh'; it has negative, neutral, positive"),
    ],
)
def test_aspects_that_cannot_be_used_are_told(tmp_path: Path, value: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        aspects(jsonl(tmp_path / "f.jsonl", {"text": "Food", "aspects": value}))


def test_a_file_without_any_aspect_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no text has an aspect"):
        aspects(jsonl(tmp_path / "f.jsonl", {"text": "Food", "aspects": []}))
