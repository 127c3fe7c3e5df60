"""What `voxpop summarize` promises: cited sentences in the order of the lines, bad lines named, nothing private kept."""

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Voxpop = Callable[..., subprocess.CompletedProcess[str]]
ENGLISH = [
    "Great sound and the battery is good.",
    "The sound is great but the battery is terrible.",
    "Love the sound. Comfortable headband. I would recommend it.",
    "The headband is comfortable and the sound is clear.",
]
SPANISH = [
    "La comida es rica y el servicio es muy amable.",
    "Comida rica, pero el servicio es lento. No volveremos.",
    "El servicio es amable y la comida muy buena. Lo recomiendo.",
    "El local es bonito y la comida está buena, repetiremos.",
]


def lines(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def summarized(voxpop: Voxpop, tmp_path: Path, rows: list[Any], *words: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "groups.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return voxpop("summarize", str(file), "--json", *words, timeout_s=120)


def test_a_summary_is_its_sentences_and_each_cites_texts_that_are_there(voxpop: Voxpop, tmp_path: Path) -> None:
    ran = summarized(voxpop, tmp_path, [{"id": "en", "reviews": ENGLISH}, {"id": "es", "reviews": SPANISH}])
    assert ran.returncode == 0, ran.stderr
    english, spanish = lines(ran)
    assert (english["id"], spanish["id"]) == ("en", "es")
    for answer in (english, spanish):
        assert answer["summary"] == " ".join(sentence["text"] for sentence in answer["sentences"])
        assert answer["method"] in ("abstractive", "extractive", "mixed")
        for sentence in answer["sentences"]:
            assert sentence["citations"]
            assert set(sentence["citations"]) <= set(range(4))
            assert 0.5 < sentence["support"] <= 1
    assert "the sound is great" in english["summary"].lower()
    assert "la comida es" in spanish["summary"].lower()


def test_bad_lines_are_named_by_their_number_and_the_others_are_answered(voxpop: Voxpop, tmp_path: Path) -> None:
    rows = [
        {"id": 1, "reviews": ENGLISH},
        "not json",
        {"id": 3},
        {"id": 4, "reviews": []},
        {"id": 5, "reviews": [1]},
        "[]",
    ]
    ran = summarized(voxpop, tmp_path, [*rows, {"id": 7, "reviews": ENGLISH}])
    answers = lines(ran)
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert [answer.get("line") for answer in answers] == [None, 2, 3, 4, 5, 6, None]
    assert [answer.get("id") for answer in answers] == [1, None, 3, 4, 5, None, 7]
    assert answers[0]["summary"] == answers[6]["summary"] != ""


def test_personal_data_is_redacted_before_anything_is_said(voxpop: Voxpop, tmp_path: Path) -> None:
    private = [f"{text} Write to ana.ruiz@example.com or call +34 612 345 678." for text in ENGLISH]
    ran = summarized(voxpop, tmp_path, [{"id": 1, "reviews": private}])
    assert ran.returncode == 0, ran.stderr
    assert lines(ran)[0]["sentences"]
    for secret in ("ana.ruiz", "612", "[EMAIL]", "[PHONE]"):
        assert secret not in ran.stdout


def test_the_same_lines_give_the_same_summaries(voxpop: Voxpop, tmp_path: Path) -> None:
    rows = [{"id": number, "reviews": ENGLISH[number:]} for number in range(3)]
    assert summarized(voxpop, tmp_path, rows).stdout == summarized(voxpop, tmp_path, rows).stdout


def test_a_file_that_is_not_there_is_wrong_use(voxpop: Voxpop) -> None:
    ran = voxpop("summarize", "nowhere.jsonl")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
