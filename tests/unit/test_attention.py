"""What the aspect attention promises: shares that add up, the formula of its definition, and answers for empty texts."""

import numpy as np
import pytest

from workers.slm.attention import PREFIX, AspectAttention, AttentionCard, Reading
from workers.slm.errors import PackError

WIDTH, HEADS, SIZE, HIDDEN, ASKED, TOKENS = 8, 2, 3, 5, 4, 6


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    inner = HEADS * SIZE
    shapes = {"query": (inner, WIDTH), "key": (inner, WIDTH), "value": (inner, WIDTH)}
    shapes |= {"hidden": (HIDDEN, 2 * inner + HEADS), "last": (4, HIDDEN)}
    found = {f"{PREFIX}{name}.weight": random.normal(size=shape) for name, shape in shapes.items()}
    found |= {f"{PREFIX}{name}.bias": random.normal(size=shape[0]) for name, shape in shapes.items()}
    return found | {f"{PREFIX}nothing": random.normal(size=(HEADS, SIZE))}


def attention(**card: float) -> AspectAttention:
    return AspectAttention.read(tensors(), AttentionCard(heads=HEADS, **card))


def literal(states: np.ndarray, asked: np.ndarray) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """The definition, one aspect and one head at a time, with exact error functions."""
    from math import erf

    w = {name.removeprefix(PREFIX): tensor for name, tensor in tensors().items()}
    answers = []
    for description in asked:
        query = w["query.weight"] @ description + w["query.bias"]
        found, nothing, looked = [], [], np.zeros(len(states))
        for head in range(HEADS):
            part = slice(head * SIZE, (head + 1) * SIZE)
            keys = states @ w["key.weight"][part].T + w["key.bias"][part]
            values = states @ w["value.weight"][part].T + w["value.bias"][part]
            scores = np.exp(np.array([w["nothing"][head] @ query[part], *(keys @ query[part])]) / np.sqrt(SIZE))
            shares = scores / scores.sum()
            found.append(shares[1:] @ values)
            nothing.append(shares[0])
            looked += shares[1:] / HEADS
        x = w["hidden.weight"] @ np.concatenate([*found, query, nothing]) + w["hidden.bias"]
        gelu = np.array([v * 0.5 * (1 + erf(v / np.sqrt(2))) for v in x])
        logits = w["last.weight"] @ gelu + w["last.bias"]
        polarity = np.exp(logits[1:]) / np.exp(logits[1:]).sum()
        answers.append((logits[0], polarity, looked))
    return answers


def asked_and_states() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.normal(size=(ASKED, WIDTH)).astype(np.float32), random.normal(size=(TOKENS, WIDTH)).astype(np.float32)


def test_the_answers_are_those_of_the_definition() -> None:
    asked, states = asked_and_states()
    model = attention()
    reading = model.ask(states, model.queries(asked))
    for i, (presence, polarity, looked) in enumerate(literal(states, asked)):
        assert reading.presence[i] == pytest.approx(presence, abs=1e-4)
        assert reading.polarity[i] == pytest.approx(polarity, abs=1e-4)
        assert reading.looked[i] == pytest.approx(looked, abs=1e-4)


def test_an_aspects_answer_does_not_depend_on_what_else_is_asked() -> None:
    asked, states = asked_and_states()
    model = attention()
    together = model.ask(states, model.queries(asked))
    alone = [model.ask(states, model.queries(asked[i : i + 1])) for i in range(ASKED)]
    assert together.polarity == pytest.approx(np.concatenate([a.polarity for a in alone]), abs=1e-5)
    assert together.presence == pytest.approx(np.concatenate([a.presence for a in alone]), abs=1e-5)


def test_a_text_without_tokens_gets_an_answer_of_nothing_seen() -> None:
    asked, _ = asked_and_states()
    model = attention()
    reading: Reading = model.ask(np.zeros((0, WIDTH), np.float32), model.queries(asked))
    assert np.isfinite(reading.polarity).all()
    assert reading.looked.shape == (ASKED, 0)


def test_a_hotter_temperature_makes_the_answers_less_sure_and_no_other() -> None:
    asked, states = asked_and_states()
    cold = attention().ask(states, attention().queries(asked))
    hot = attention(polarity_temperature=3.0).ask(states, attention().queries(asked))
    assert hot.polarity.argmax(axis=1).tolist() == cold.polarity.argmax(axis=1).tolist()
    assert (hot.polarity.max(axis=1) < cold.polarity.max(axis=1)).all()
    assert hot.presence == pytest.approx(cold.presence)


def test_weights_of_other_heads_are_refused() -> None:
    with pytest.raises(PackError, match="heads"):
        AspectAttention.read(tensors(), AttentionCard(heads=HEADS + 1))
