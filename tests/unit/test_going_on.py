"""A training goes on from what the repository carries; a second opinion on a tweet has not seen its label."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest

for needed in ("torch", "sklearn"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: pip install -e '.[train-encoder]'")

import torch  # noqa: E402 - the tests are skipped without it

from workers.settings import load_settings  # noqa: E402
from workers.slm.bert import Bert  # noqa: E402
from workers.slm.build import read_encoder  # noqa: E402
from workers.slm.e5s1 import read_e5s1  # noqa: E402
from workers.slm.packs import Pack  # noqa: E402
from workers.slm.recipes import load_recipe  # noqa: E402
from workers.slm.safetensors import read_safetensors  # noqa: E402
from workers.slm.sources import fetch_base  # noqa: E402
from workers.slm.train.finetune import average  # noqa: E402
from workers.slm.train.finetune import opinions as module  # noqa: E402
from workers.slm.train.finetune.export import head_tensors  # noqa: E402
from workers.slm.train.finetune.go_on import trained_of  # noqa: E402
from workers.slm.train.finetune.losses import LABEL, Losses  # noqa: E402
from workers.slm.train.finetune.network import Network  # noqa: E402
from workers.slm.train.finetune.opinions import _out_of_fold  # noqa: E402
from workers.slm.train.finetune.samples import Sample  # noqa: E402

PACK, FROZEN = "e5-small-multilingual", 3
INNER = f"encoder.layer.{FROZEN}.intermediate.dense.weight"


@pytest.fixture(scope="module")
def file() -> Path:
    return fetch_base(load_recipe(PACK).base, load_settings().cache_dir, "auto", lambda _: None)["weights"]


@pytest.fixture(scope="module")
def base(file: Path) -> Bert:
    return read_e5s1(file)


def test_the_heads_that_a_training_writes_are_those_it_went_on_from(base: Bert) -> None:
    bert, learnt = trained_of(PACK, base, 1.0)
    network = Network(bert, FROZEN)
    missing, unknown = network.load_state_dict(learnt, strict=False)
    assert not unknown
    assert all(name.startswith("layers.") for name in missing)
    written = head_tensors({name: tensor.numpy() for name, tensor in network.state_dict().items()}, base)
    stored = read_safetensors(load_recipe(PACK).heads_dir / "heads.safetensors")
    assert {name for name in stored if name not in written} <= {"reason.0.weight", "reason.0.bias"}
    for name, tensor in written.items():
        np.testing.assert_allclose(tensor, stored[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_share_of_the_trained_layers_is_kept_and_the_rest_is_the_base_s(base: Bert, file: Path) -> None:
    tuned = read_encoder(load_recipe(PACK), {"weights": file})
    for keep in (1.0, 0.75, 0.0):
        mixed = trained_of(PACK, base, keep)[0].tensor(INNER)
        np.testing.assert_allclose(mixed, keep * tuned.tensor(INNER) + (1 - keep) * base.tensor(INNER), atol=1e-6)
    assert np.abs(tuned.tensor(INNER) - base.tensor(INNER)).max() > 0.01


def test_the_second_opinion_on_a_text_does_not_know_its_label() -> None:
    """Of noise, with more columns than rows in a fold, a regression knows each label it was fitted on and no other."""
    dice = np.random.default_rng(0)
    vectors, gold = dice.standard_normal((300, 400)).astype(np.float32), dice.integers(0, 3, 300)
    vectors[150:], gold[150:] = vectors[:150], gold[:150]
    texts = [f"text {i % 150}" for i in range(300)]
    assert float((_out_of_fold(vectors, gold, texts).argmax(axis=1) == gold).mean()) < 0.5
    told = vectors.copy()
    told[:, :3] = 3 * np.eye(3)[gold]
    assert float((_out_of_fold(told, gold, texts).argmax(axis=1) == gold).mean()) > 0.8


def test_a_label_weighs_its_share_beside_a_second_opinion_and_all_where_there_is_none() -> None:
    samples = [Sample("a", "tweets", {"sentiment": 0}), Sample("b", "airline", {"sentiment": 2})]
    logits = {"sentiment": torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.5, 1.0]])}
    second = torch.tensor([[0.2, 0.7, 0.1], [float("nan")] * 3])
    alone = [float(Losses(samples).of_heads([i], {"sentiment": logits["sentiment"][i : i + 1]})) for i in (0, 1)]
    both = float(Losses(samples, second).of_heads([0, 1], logits))
    opinion = -float((torch.log_softmax(logits["sentiment"][0], 0) * second[0]).sum())
    assert both == pytest.approx((LABEL * alone[0] + (1 - LABEL) * opinion + alone[1]) / 2, rel=1e-5)


def test_tweets_alone_get_a_second_opinion_of_both_readers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    samples = [
        Sample(f"t {i}", ("xlmt_spanish", "airline", "long_xlmt_spanish")[i % 3], {"sentiment": i % 3})
        for i in range(90)
    ]
    own = (4 * np.eye(3)[dice.integers(0, 3, 30)]).astype(np.float32)
    monkeypatch.setattr(
        module, "_read", lambda texts, *_: (own, dice.standard_normal((len(texts), 5)).astype(np.float32))
    )
    monkeypatch.setattr(module, "_out_of_fold", lambda *_: np.tile(np.float32([0.0, 0.0, 2.0]), (30, 1)))
    found = module.opinions(samples, cast(Pack, None), tmp_path, tmp_path, 1).numpy()
    assert np.isnan(found).any(axis=1).tolist() == [i % 3 != 0 for i in range(90)]
    expected = np.exp(own / module.TEMPERATURE + module.BASE_WEIGHT * np.float32([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(found[::3], expected / expected.sum(axis=1, keepdims=True), rtol=1e-5)


def test_a_mean_begins_with_the_pack_and_takes_of_it_what_it_is_told(
    base: Bert, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bert, heads = trained_of(PACK, base, 1.0)
    network = Network(bert, FROZEN)
    network.load_state_dict(heads, strict=False)
    own = {name: tensor.clone() for name, tensor in network.named_parameters()}
    torch.save({name: tensor + 3 for name, tensor in own.items()}, tmp_path / "other.pt")
    words = [str(tmp_path / "other.pt"), "--pack", PACK, "--base", str(file), "--out", str(tmp_path / "mean.pt")]
    monkeypatch.setattr("sys.argv", ["average", *words, "--shares", "1", "2", "--of-first", "aspects.=1", "topic.=0.5"])
    average.main()
    mean = torch.load(tmp_path / "mean.pt", weights_only=True)
    for name, tensor in own.items():
        further = 0 if name.startswith("aspects.") else 1 if name.startswith("topic.") else 2
        torch.testing.assert_close(mean[name], tensor + further)
