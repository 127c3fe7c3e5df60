"""The decoder in torch is the pack's, the rows of several prompts give each what it gets alone, and a training goes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reference.small_llama import ENTRIES, HEADS, KV_HEADS, logits, small_tensors
from workers.slm.adapter import AdapterCard, with_adapter
from workers.slm.gguf import Gguf
from workers.slm.safetensors import write_safetensors

for needed in ("torch", "transformers", "peft"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: pip install -e '.[train-generator]'")

import torch  # noqa: E402 - the tests are skipped without it

from workers.slm.train.generator import loop, network  # noqa: E402

BASE = Gguf(ENTRIES, small_tensors())
LOW = network.LowRank(rank=2, alpha=4.0, first_layer=1, dropout=0.0)
TOLD = [
    network.Told((1, 2, 3, 4), ((5, 0), (6, 7, 0))),
    network.Told((1, 9, 10), ((2, 0),)),
    network.Told((3, 3, 8, 1, 2), ((4, 4, 4, 0), (10, 0))),
]


def trained(seed: int = 3) -> Any:
    """A model with an adapter that says something."""
    torch.manual_seed(seed)
    model = network.with_low_rank(network.llama(BASE), LOW)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def test_the_model_says_what_the_formulas_say_of_the_file() -> None:
    ids = [1, 2, 5, 9, 3, 10, 7, 4, 6, 2]
    with torch.no_grad():
        found = network.llama(BASE)(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(found, logits(small_tensors(), ids), rtol=1e-3, atol=1e-3)


def test_the_adapter_merged_into_the_file_says_the_same(tmp_path: Path) -> None:
    model = trained()
    stored = network.trained_matrices(model, BASE)
    assert {name.split(".")[1] for name in stored} == {"1"}
    write_safetensors(tmp_path / "a.safetensors", stored)
    card = AdapterCard(base_sha256="0" * 64, rank=LOW.rank, alpha=LOW.alpha)
    merged = with_adapter(BASE, tmp_path / "a.safetensors", card)
    ids = [1, 2, 5, 9, 3, 10, 7, 4]
    with torch.no_grad():
        found = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(found, logits(merged.tensors, ids), rtol=2e-2, atol=2e-2)
    assert np.abs(found - logits(small_tensors(), ids)).max() > 0.2


@pytest.mark.parametrize("heads", [0, HEADS, KV_HEADS])
def test_the_order_of_rows_comes_back(heads: int) -> None:
    rows = np.random.default_rng(1).standard_normal((32, 5))
    assert np.array_equal(network.pairs(network.halves(rows, heads), heads), rows)
    assert heads == 0 or not np.array_equal(network.halves(rows, heads), rows)


def test_an_answer_in_company_is_as_likely_as_alone() -> None:
    model = trained()
    with torch.no_grad():
        together = network.answer_losses(model, network.row_of(TOLD))
        alone = [
            network.answer_losses(model, network.row_of([network.Told(told.prompt, (answer,))]))
            for told in TOLD
            for answer in told.answers
        ]
        plain = []
        for told in TOLD:
            for answer in told.answers:
                scores = model(torch.tensor([[*told.prompt, *answer]])).logits[0].log_softmax(-1)
                plain += [-float(scores[len(told.prompt) - 1 + i, token]) for i, token in enumerate(answer)]
    np.testing.assert_allclose(together.numpy(), torch.cat(alone).numpy(), rtol=1e-4)
    np.testing.assert_allclose(together.numpy(), plain, rtol=1e-4)


def test_rows_hold_every_prompt_once_and_no_more_tokens_than_they_may() -> None:
    rows = loop.packed(TOLD, [2, 0, 1], 15)
    assert rows == [[2], [0, 1]]
    assert loop.packed(TOLD, [0, 1, 2], 4) == [[0], [1], [2]]


def test_a_training_learns_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    plan = loop.Plan(minutes=0.03, rate=3e-2, row_tokens=20, report_s=0.05, measure_s=100.0)
    dev = {"headline": TOLD}
    first = loop.Trainer(trained(), TOLD, dev, plan, tmp_path)
    before = loop.dev_loss(first.model, TOLD, 20)
    first.run()
    assert loop.dev_loss(first.model, TOLD, 20) < before
    assert first.best < before
    second = loop.Trainer(trained(), TOLD, dev, plan, tmp_path)
    assert second.resume()
    assert (second.step, second.best) == (first.step, first.best)
    for name, tensor in network.weights_of(first.model).items():
        assert torch.equal(tensor, network.weights_of(second.model)[name])
    second.run()
    assert second.step == first.step, "its time was up"


def test_a_training_that_is_told_to_stop_ends_and_can_go_on(tmp_path: Path) -> None:
    plan = loop.Plan(minutes=60, row_tokens=20)
    first = loop.Trainer(trained(), TOLD, {"headline": TOLD}, plan, tmp_path)
    first.stop()
    first.run()
    again = loop.Trainer(trained(), TOLD, {"headline": TOLD}, plan, tmp_path)
    assert again.resume()
    assert not loop.Trainer(trained(), TOLD, {"headline": TOLD}, plan, tmp_path / "elsewhere").resume()
