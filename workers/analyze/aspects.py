"""Which aspects a text speaks of, where, and how: what any finder must answer, and the one that fits a pack."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.insights import AspectMention
from schemas.taxonomy import Taxonomy
from workers.analyze.aspects_by_attention import AttentionFinder
from workers.analyze.aspects_by_likeness import LikenessFinder
from workers.analyze.sentences import Span
from workers.slm.encoder import Encoder, TokenStates
from workers.slm.errors import PackError
from workers.slm.heads import Heads


class AspectFinder(Protocol):
    """Finds aspects in one encoder pass: `read_all` runs beside it, in its threads; `mentions` makes words of it."""

    def learn(self, names: Sequence[str]) -> None:
        """Embed names that will be asked for and are not known yet. Before `read_all`, and not in the encoder's threads."""

    def read_all(
        self,
        texts: Sequence[str],
        tokens: Sequence[TokenStates],
        spans: Sequence[Sequence[tuple[int, int]]],
        names: Sequence[str] | None,
    ) -> Sequence[Any]:
        """What `mentions` needs of each text, as the encoder saw it, and its token states. `spans` are its clauses, in
        characters of the text; `names` are the aspects asked for, None for the taxonomy's."""

    def mentions(
        self, names: Sequence[str] | None, clauses: Sequence[Span], reading: Any, whole: NDArray[np.float32]
    ) -> tuple[AspectMention, ...]:
        """For `names`, one mention each, in their order. For None, the taxonomy's aspects that the clauses mention, in the
        order of the text. `whole` (3,) are the whole text's sentiment probabilities."""


def aspect_finder(taxonomy: Taxonomy, encoder: Encoder, heads: Heads, pack: str) -> AspectFinder:
    """The finder that the pack's heads were trained for. Raises `PackError` when there is none."""
    if heads.attention is not None:
        return AttentionFinder(taxonomy, encoder, heads.attention, heads.topics)
    if heads.likeness is not None:
        return LikenessFinder(taxonomy, encoder, heads, heads.likeness)
    raise PackError(f"the pack {pack} has no heads for aspects; take another pack")
