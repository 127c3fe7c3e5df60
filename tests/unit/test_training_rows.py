"""What of a user's file is learnt from, what it is measured on, and what is refused in one line that says why."""

import gzip
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from workers.analyze.judge import Request
from workers.commands.train_rows import TrainingSet, prepared
from workers.errors import UsageError
from workers.slm.encoder import Encoded, Encoder
from workers.slm.vectors import embedded
from workers.stream.labelled_file import LabelledColumns, LabelledFile, read_labelled


def rows(count: int, labels: Sequence[str] = ("a", "b")) -> list[tuple[str, str]]:
    return [(f"text number {n}", labels[n % len(labels)]) for n in range(count)]


def csv(path: Path, lines: Sequence[tuple[str, str]], head: str = "text,label") -> Path:
    path.write_text("\n".join([head, *(f'"{text}","{label}"' for text, label in lines)]) + "\n")
    return path


def read(path: Path, separator: str | None = None, **columns: str) -> LabelledFile:
    return read_labelled(path, LabelledColumns(separator=separator, **columns), may_be_none=separator is not None)


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sets(file: LabelledFile, holdout: LabelledFile | float = 0.2, **options: object) -> TrainingSet:
    chosen: dict[str, object] = {"kind": "softmax", "wanted": None, "redact": lambda text: text, "seed": 0}
    return prepared(file, holdout, **(chosen | options))  # type: ignore[arg-type]


# --- the file -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.jsonl", "rows.jsonl.gz", "rows.tsv"])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    lines = rows(20)
    if "jsonl" in name:
        text = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in lines)
    else:
        tab = "\t" if "tsv" in name else ","
        text = "\n".join(tab.join(line) for line in [("text", "label"), *lines]) + "\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert [(row.text, row.labels) for row in read(path).rows] == [(text, (label,)) for text, label in lines]


def test_a_separator_or_a_list_gives_several_labels_or_none(tmp_path: Path) -> None:
    path = csv(tmp_path / "rows.csv", [("both", "a| b"), ("none", ""), *rows(20)])
    assert [row.labels for row in read(path, "|").rows[:2]] == [("a", "b"), ()]
    lists = tmp_path / "rows.jsonl"
    lists.write_text("".join(json.dumps({"text": f"t{n}", "label": ["a", "b"]}) + "\n" for n in range(20)))
    assert read(lists).rows[0].labels == ("a", "b")


def test_a_title_is_the_first_line_of_the_text_as_the_worker_shows_it_to_the_model(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("head,text,label\n" + "Loud,It hums,a\n,It works,b\n" * 10)
    assert [row.text for row in read(path, title="head").rows[:2]] == ["Loud\nIt hums", "It works"]
    assert Request("It hums", "Loud").seen == "Loud\nIt hums"
    assert "no column 'title'; it has: head, text, label (say --title-column)" in refusal(
        lambda: read(path, title="title")
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (rows(19), "has 19 rows; training needs 20"),
        (rows(20_001), "more than 20,000 rows"),
        ([*rows(20), (" ", "a")], "row 21: the text is empty"),
        ([*rows(20), ("fine", "")], "row 21: no label"),
        ([*rows(20), ("x" * 20_001, "a")], "row 21: the text has more than 20,000 characters"),
        ([*rows(20), ("fine", "y" * 65)], "row 21: a label is one short line"),
        ([(f"t{n}", f"label {n}") for n in range(101)], "more than 100 labels"),
    ],
)
def test_a_file_that_cannot_be_learnt_from_is_refused(tmp_path: Path, lines: list[tuple[str, str]], said: str) -> None:
    path = csv(tmp_path / "rows.csv", lines)
    assert said in refusal(lambda: read(path))


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = csv(tmp_path / "rows.csv", rows(20), head="body,topic")
    assert refusal(lambda: read(path)) == f"{path} has no column 'text'; it has: body, topic (say --text-column)"
    assert "no column 'label'; it has: body, topic" in refusal(lambda: read(path, text="body"))
    assert len(read(path, text="body", label="topic").rows) == 20
    assert "is not a file" in refusal(lambda: read(tmp_path / "absent.csv"))


# --- what is learnt from it ---------------------------------------------------------------------------------------------


def test_training_and_holdout_share_no_text_and_hold_all(tmp_path: Path) -> None:
    made = sets(read(csv(tmp_path / "rows.csv", rows(100))))
    assert (len(made.train.texts), len(made.holdout.texts)) == (80, 20)
    assert set(made.train.texts).isdisjoint(made.holdout.texts)
    assert made.holdout.gold.sum(axis=0).tolist() == [10, 10]


def test_texts_that_redact_to_the_same_count_once_and_contradictions_not_at_all(tmp_path: Path) -> None:
    lines = [("call 1", "a"), ("call 2", "a"), ("torn", "a"), ("torn", "b"), *rows(40)]
    made = sets(read(csv(tmp_path / "rows.csv", lines)), redact=lambda text: re.sub(r"^call \d", "call N", text))
    texts = [*made.train.texts, *made.holdout.texts]
    assert texts.count("call N") == 1
    assert "torn" not in texts
    assert len(texts) == len(set(texts))
    told = " ".join(made.warnings)
    assert re.search("2 rows of .* repeat the text of another", told)
    assert re.search("1 texts of .* bear different labels", told)


def test_a_text_of_the_holdout_file_is_not_learnt_from(tmp_path: Path) -> None:
    holdout = read_labelled(csv(tmp_path / "held.csv", rows(10)), LabelledColumns(), fewest=1)
    made = sets(read(csv(tmp_path / "rows.csv", rows(60))), holdout)
    assert (len(made.train.texts), len(made.holdout.texts)) == (50, 10)
    assert "10 texts are in the training file and in the holdout" in " ".join(made.warnings)


def test_little_data_is_said_to_be_little(tmp_path: Path) -> None:
    told = " ".join(sets(read(csv(tmp_path / "rows.csv", [*rows(40), ("one", "rare"), ("two", "rare")]))).warnings)
    assert "the label 'rare' has 2 texts to learn from" in told
    assert "no holdout text bears the label 'rare'" in told
    assert "the holdout has 8 texts" in told


def test_labels_that_cannot_be_learnt_are_refused(tmp_path: Path) -> None:
    one = read(csv(tmp_path / "one.csv", rows(20, ("a",))))
    assert "one label only, 'a'" in refusal(lambda: sets(one))
    single = read(csv(tmp_path / "single.csv", [*rows(20), ("alone", "rare")]))
    assert "the label 'rare' has 1 texts to learn from and needs two" in refusal(lambda: sets(single))
    nearly = read(csv(tmp_path / "nearly.csv", [*rows(20, ("a",)), ("none", "")]), "|")
    assert "nearly every text bears the label 'a'" in refusal(lambda: sets(nearly, kind="sigmoid"))
    same = read(csv(tmp_path / "same.csv", [("the same", "a")] * 10 + [(f"b{n}", "b") for n in range(10)]))
    assert "the label 'a' has 1 texts" in refusal(lambda: sets(same))
    other = read(csv(tmp_path / "other.csv", rows(20)))
    assert "this head has x, y" in refusal(lambda: sets(other, wanted=("x", "y")))
    strange = read_labelled(csv(tmp_path / "held.csv", rows(10, ("z",))), LabelledColumns(), fewest=1)
    assert "has the label 'z', which" in refusal(lambda: sets(other, strange))


# --- embeddings that were made before -----------------------------------------------------------------------------------


class CountingEncoder:
    """Stands in for the encoder: the cache is what is tried. A text's vector is its length."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __enter__(self) -> "CountingEncoder":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def encode(self, texts: list[str]) -> Encoded:
        self.asked += texts
        vectors = np.array([[len(text), 1] for text in texts], np.float32)
        return Encoded(vectors, [], np.zeros(len(texts), np.int32))


def test_a_text_is_embedded_once_an_encoder_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    encoder = CountingEncoder()

    def vectors(texts: list[str], encoder_hash: str = "one", most: int = 100) -> list[float]:
        def opened() -> Encoder:
            return encoder  # type: ignore[return-value]

        return embedded(texts, encoder_hash, opened, tmp_path, most=most)[:, 0].tolist()  # type: ignore[no-any-return]

    assert vectors(["a", "bb", "a"]) == [1, 2, 1]
    assert vectors(["bb", "ccc"]) == [2, 3]
    assert [encoder.asked.count(text) for text in ("bb", "ccc")] == [1, 1]
    assert vectors(["a"], "other") == [1]
    before = encoder.asked.count("a")
    assert vectors(["bb"], most=1) == [2]
    assert vectors(["bb", "a"]) == [2, 1]
    assert (encoder.asked.count("bb"), encoder.asked.count("a")) == (1, before + 1)
