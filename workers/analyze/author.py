"""A generator as the author of a summary. It is told what to do once; what it says is checked like any sentence."""

from collections.abc import Sequence
from typing import Final

from workers.analyze.sentences import split_sentences
from workers.slm.generator import Generator

SYSTEM: Final = (
    "You write short summaries of customer reviews. Say in three to five plain sentences, in the third person, what most"
    " customers say about the product: first what they like, then what they do not like, then whether they recommend it."
)
NEW_TOKENS: Final = 96
TEXT_TOKENS: Final = 900  # of all texts of a summary together, each cut to an equal share of it


class GeneratingAuthor:
    """Writes summaries with a decoder pack of this name and version."""

    def __init__(self, generator: Generator, pack: str, version: str) -> None:
        self._generator, self.pack, self.version = generator, pack, version
        self._task = generator.shape.tasks.get("digest")
        self.prompt = self._task.system if self._task else SYSTEM

    def write(self, texts: Sequence[str], language: str) -> list[str]:
        """The sentences it says of the texts, as it says them; a last one that was cut off is left out."""
        (answer,) = self._generator.answers(self.prompt, [self.asked(texts)], NEW_TOKENS)
        sentences = [span.of(answer) for span in split_sentences(answer)]
        return sentences if not sentences or sentences[-1][-1] in ".!?…" else sentences[:-1]

    def asked(self, texts: Sequence[str]) -> str:
        """What the generator is told of the texts; untrained, also what to do with them."""
        share = max(16, (self._task.text_tokens if self._task else TEXT_TOKENS) // len(texts))
        lines = "\n".join(f"- {self._cut(text, share)}" for text in texts)
        return lines if self._task else f"Reviews:\n{lines}\n\nSummary of the reviews:"

    def _cut(self, text: str, tokens: int) -> str:
        line = " ".join(text.split())
        while len(self._generator.tokens(line)) > tokens:
            line = line[: int(len(line) * 0.9)]
        return line
