"""`voxpop eval --reason` with a real generator: the texts that the pack is least sure of, what is thought, what it costs."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Voxpop
from workers.settings import load_settings
from workers.slm.packs import CARD, load_pack
from workers.slm.reasoning import Budget, label_shares, think

PACK = "smollm2-135m-instruct"
ROWS = [
    {"text": "I love it, the best phone I ever had!", "label": "positive"},
    {"text": "Awful. It broke on the first day and nobody helps.", "label": "negative"},
    {"text": "Well, it is a phone, I suppose, sort of fine or not", "label": "neutral"},
    {"text": "Delivered on Tuesday at nine", "label": "neutral"},
    {"text": "Not bad, not good, and the battery is what it is", "label": "neutral"},
]


@pytest.fixture(scope="module")
def pack() -> Path:
    path = load_settings().packs_dir / PACK
    if not (path / CARD).is_file():
        pytest.skip(f"the pack {PACK} (93 MB to fetch) is not built; it is there after: voxpop packs build {PACK}")
    return path


def test_the_uncertain_texts_are_thought_about_and_the_cost_is_told(pack: Path, voxpop: Voxpop, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    arguments = ["eval", str(labelled), "--reason", "0,8-12", "--generator", PACK, "--uncertain", "3"]
    done = voxpop(*arguments, "--json", timeout_s=240)
    assert done.returncode == 0, done.stderr
    reasoning = json.loads(done.stdout)["reasoning"]
    assert reasoning["n"] == 3
    none, some = reasoning["budgets"]
    assert none["tokens_a_text"] == 0
    assert 8 <= some["tokens_a_text"] <= 12
    assert some["seconds_a_text"] > 0
    assert [sum(map(sum, each["confusion"])) for each in (reasoning["pack"], none, some)] == [3, 3, 3]
    assert "lead_of_the_pack" in some


def test_a_text_is_thought_about_and_judged_alike_whatever_its_company(pack: Path) -> None:
    with load_pack(pack).generator(2) as generator:
        prompts = [
            generator.conversation([("system", "Say what you think."), ("user", row["text"])]) for row in ROWS[:3]
        ]
        together = think(generator, prompts, Budget(8, 12))
        alone = [think(generator, [prompt], Budget(8, 12))[0] for prompt in prompts]
        assert all(8 <= len(thought) <= 12 for thought in together)
        assert together == alone
        shares = label_shares(generator, prompts, ("negative", "neutral", "positive"))
        for prompt, row in zip(prompts, shares, strict=True):
            by_itself = label_shares(generator, [prompt], ("negative", "neutral", "positive"))[0]
            assert row == pytest.approx(by_itself, abs=1e-4)


def test_wrong_use_is_one_line(voxpop: Voxpop, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text(json.dumps(ROWS[0]) + "\n")
    for arguments, says in (
        (["--reason", "8"], "--generator NAME"),
        (["--reason", "some", "--generator", PACK], "'some' is no budget of thinking tokens"),
    ):
        done = voxpop("eval", str(labelled), *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
