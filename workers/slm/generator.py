"""Prompts to text: a CTranslate2 decoder, one thread a replica, batches filled by tokens, always the likeliest next token.

What all prompts of a call begin with is read once (`static_prompt`) and its states are kept for the next call.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from ctranslate2 import GenerationResult  # type: ignore[attr-defined]  # re-exported from its extension
from ctranslate2 import Generator as Model  # type: ignore[attr-defined]  # re-exported from its extension
from numpy.typing import NDArray
from tokenizers import Tokenizer

from workers.settings import usable_cpus
from workers.slm.errors import PackError
from workers.slm.recipes import TaskLayout, TaskName

BATCH_TOKENS: Final = 2_048  # prompts of one batch, the longest times their number
SCORED_TOKENS: Final = 1_024  # the same where each token gives a number a word of the vocabulary: 200 MB
SAME_LENGTH: Final = 1.1  # prompts of a batch: what a longer one has beyond the shortest is read token by token
NO_REPEATED: Final = 5  # tokens in a row; small models go in circles


@dataclass(frozen=True)
class DecoderShape:
    """How a pack lays out a conversation; see `workers.slm.recipes.DecoderLayout`."""

    context_tokens: int
    turn_start: str
    turn_end: str
    tasks: Mapping[TaskName, TaskLayout] = field(default_factory=dict)


class Generator:
    """A CTranslate2 decoder with its tokenizer. Threads may share one; `close` (or `with`) frees it."""

    def __init__(
        self, model_dir: Path, tokenizer_file: Path, shape: DecoderShape, *, replicas: int | None = None
    ) -> None:
        """Load the model. `replicas` defaults to the CPUs this process may use."""
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self.shape = shape
        for token in (shape.turn_start, shape.turn_end):
            if self._tokenizer.token_to_id(token) is None:
                raise PackError(
                    f"the tokenizer has no token {token}; correct the recipe's decoder section and build again"
                )
        self.replicas = replicas or usable_cpus()
        self._model = Model(str(model_dir), inter_threads=self.replicas, intra_threads=1)
        self._marks = re.compile(r"<\|.*?\|>|" + "|".join(map(re.escape, (shape.turn_start, shape.turn_end))))

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text. What looks like a mark of the conversation is taken out: a text cannot begin a turn."""
        encoded: list[str] = self._tokenizer.encode(self._marks.sub(" ", text), add_special_tokens=False).tokens
        return encoded

    def beginning(self, text: str, tokens: int) -> str:
        """The text up to so many tokens."""
        ends = self._tokenizer.encode(text, add_special_tokens=False).offsets[:tokens]
        return text[: ends[-1][1]] if ends else ""

    def answers(self, system: str, asked: Sequence[str], new_tokens: int) -> list[str]:
        """What the model answers to each of `asked`, in order, in at most `new_tokens` tokens, `system` said first.
        What does not fit the context loses its end. The same input gives the same answer."""
        shared, closing = self._shared(system), self._closing()
        room = self._room(system, new_tokens)
        prompts = [[*self.tokens(text)[:room], *closing] for text in asked]
        return [self._said(written) for written in self._written(prompts, new_tokens, shared)]

    def prompt(self, system: str, asked: str, new_tokens: int) -> list[str]:
        """All the tokens that come before an answer of `answers`: what a training has to show the model, too."""
        return [*self._shared(system), *self.tokens(asked)[: self._room(system, new_tokens)], *self._closing()]

    def go_on(self, prompts: Sequence[Sequence[str]], new_tokens: int) -> list[list[str]]:
        """The likeliest tokens after each prompt, at most so many, up to the end of the turn."""
        return [list(each.sequences[0]) for each in self._written(prompts, new_tokens)]

    def next_shares(self, prompts: Sequence[Sequence[str]], among: Sequence[str]) -> NDArray[np.float64]:
        """How likely each of these tokens would come next after each prompt, if it had to be one of them: natural
        logarithms, (prompts, tokens)."""
        ids = [self._tokenizer.token_to_id(token) for token in among]
        logits = np.zeros((len(prompts), len(ids)))

        def score(batch: list[int]) -> None:
            # Not `generate_batch`: with prompts of several lengths, its logits are of the shortest one's end.
            words = np.asarray(self._model.forward_batch([list(prompts[i]) for i in batch]))
            for row, i in zip(words, batch, strict=True):
                logits[i] = row[len(prompts[i]) - 1, ids]

        with ThreadPoolExecutor(self.replicas) as threads:
            list(threads.map(score, _batches([len(prompt) for prompt in prompts], SCORED_TOKENS)))
        shares: NDArray[np.float64] = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return shares

    def conversation(self, turns: Iterable[tuple[str, str]]) -> list[str]:
        """The tokens of turns (who speaks, what is said), and of the beginning of the assistant's answer to them."""
        turn, end, line = self.shape.turn_start, self.shape.turn_end, self.tokens("\n")
        spoken = [[turn, *self.tokens(f"{role}\n{words}"), end, *line] for role, words in turns]
        return [token for each in spoken for token in each] + [turn, *self.tokens("assistant\n")]

    def continued(self, prompt: Sequence[str], new_tokens: int, temperature: float = 0.0) -> Iterator[int]:
        """The ids of what comes after a prompt, one by one, at most so many: always the likeliest at temperature 0, else
        drawn. Closing the iterator ends the work."""
        for step in self._model.generate_tokens(
            list(prompt),
            max_length=new_tokens,
            end_token=self.shape.turn_end,
            sampling_topk=0 if temperature else 1,
            sampling_temperature=temperature or 1.0,
            no_repeat_ngram_size=NO_REPEATED,
        ):
            yield step.token_id

    def log_probabilities(self, prompt: Sequence[str], continuations: Sequence[Sequence[str]]) -> list[float]:
        """How likely each of these would come after the prompt: natural logarithms, sums over its tokens."""
        scored = self._model.score_batch([[*prompt, *each] for each in continuations])
        return [float(sum(score.log_probs[len(prompt) - 1 :])) for score in scored]

    def ids(self, tokens: Sequence[str]) -> tuple[int, ...]:
        """The numbers of tokens of the vocabulary."""
        numbers = [self._tokenizer.token_to_id(token) for token in tokens]
        return tuple(number for number in numbers if number is not None)

    def text(self, ids: Sequence[int]) -> str:
        """What these tokens say."""
        said: str = self._tokenizer.decode(list(ids))
        return said

    def _said(self, written: GenerationResult) -> str:
        return self.text(written.sequences_ids[0]).strip()

    def _written(
        self, prompts: Sequence[Sequence[str]], new_tokens: int, shared: Sequence[str] | None = None
    ) -> list[GenerationResult]:
        """What the model goes on with after each prompt, in order. `shared` comes before every one of them."""
        batches = list(_batches([len(prompt) for prompt in prompts], BATCH_TOKENS))
        pending = [
            self._model.generate_batch(
                [list(prompts[i]) for i in batch],
                static_prompt=shared,
                cache_static_prompt=shared is not None,
                max_length=new_tokens,
                end_token=self.shape.turn_end,
                include_prompt_in_result=False,
                beam_size=1,
                sampling_topk=1,
                no_repeat_ngram_size=NO_REPEATED,
                asynchronous=True,
            )
            for batch in batches
        ]
        written: dict[int, GenerationResult] = {}
        for batch, results in zip(batches, pending, strict=True):
            written |= {i: result.result() for i, result in zip(batch, results, strict=True)}
        return [written[i] for i in range(len(prompts))]

    def close(self) -> None:
        """Free the model."""
        self._model.unload_model()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _shared(self, system: str) -> list[str]:
        turn, end = self.shape.turn_start, self.shape.turn_end
        return [turn, *self.tokens(f"system\n{system}"), end, *self.tokens("\n"), turn, *self.tokens("user\n")]

    def _room(self, system: str, new_tokens: int) -> int:
        """The tokens that are left for what is asked."""
        room = self.shape.context_tokens - len(self._shared(system)) - len(self._closing()) - new_tokens
        if room < 1:
            raise PackError(
                f"the system text and {new_tokens} new tokens leave no room in {self.shape.context_tokens} tokens"
            )
        return room

    def _closing(self) -> list[str]:
        turn, end = self.shape.turn_start, self.shape.turn_end
        return [end, *self.tokens("\n"), turn, *self.tokens("assistant\n")]


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices of prompts of similar length, the longest first, of at most so many tokens."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        longest = lengths[batch[0]] if batch else 0
        if batch and ((len(batch) + 1) * longest > most or longest > SAME_LENGTH * lengths[i]):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
