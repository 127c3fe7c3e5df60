"""What a group of texts speaks of, and how: opinions gathered by thing, with the texts that hold each."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from workers.analyze.content import stem
from workers.analyze.opinion_words import GENERAL
from workers.analyze.opinions import ENTITY, Opinion, nouns_of, one_form, opinions_of, words_of

MOST_SAID: Final = 2  # words on a thing in one sentence
NO_VERDICTS: Final[Mapping[str, Collection[int]]] = {"endorsing": (), "fond": (), "refusing": ()}
OPEN_TEXTS: Final = 2  # texts that must agree on a word that is neither praise nor blame ("small")


@dataclass
class Topic:
    """A thing and what is said of it: polarity -> word -> the texts that say it."""

    noun: str
    said: dict[int, dict[str, set[int]]] = field(default_factory=dict)

    def add(self, opinion: Opinion) -> None:
        self.said.setdefault(opinion.polarity, {}).setdefault(opinion.said, set()).add(opinion.text)

    def texts(self, polarity: int) -> set[int]:
        """The texts that say something of this polarity."""
        return set().union(*self.said.get(polarity, {}).values())

    def words(self, polarity: int, most: int = MOST_SAID, at_least: int = 1) -> list[str]:
        """What is said most, by at least so many texts, of equals what comes first in the alphabet; of words that say
        no more than that it is good, one."""
        said = self.said.get(polarity, {})
        ranked = [w for w in sorted(said, key=lambda w: (-len(said[w]), w)) if len(said[w]) >= at_least]
        general = [word for word in ranked if word in GENERAL]
        return [word for word in ranked if word not in general[1:]][:most]

    def who(self, polarity: int, words: Sequence[str]) -> tuple[int, ...]:
        """The texts that say any of these words."""
        return tuple(sorted(set().union(*(self.said[polarity][word] for word in words))))


@dataclass(frozen=True)
class Group:
    """Texts on one product. `leanings` has the sentiment of each: -1, 0 or 1. `subject` is the word they use for the product
    ("place", "sandals") or empty; `used` says how many texts have a noun."""

    texts: Sequence[str]
    leanings: Sequence[int]
    subject: str
    whole: Topic
    topics: tuple[Topic, ...]
    used: dict[str, int]
    verdicts: Mapping[str, Collection[int]]

    @property
    def content(self) -> list[int]:
        """The texts whose author is content."""
        return [i for i, leaning in enumerate(self.leanings) if leaning > 0]

    @property
    def discontent(self) -> list[int]:
        return [i for i, leaning in enumerate(self.leanings) if leaning < 0]

    def endorsing(self) -> list[int]:
        """The texts of content authors that say they would have it again."""
        return [i for i in self.content if i in self.verdicts["endorsing"]]

    def fond(self) -> list[int]:
        """The texts of content authors that love it or know none better."""
        return [i for i in self.content if i in self.verdicts["fond"]]

    def refusing(self) -> list[int]:
        """The texts of discontent authors that would not."""
        return [i for i in self.discontent if i in self.verdicts["refusing"]]


def group_of(
    texts: Sequence[str],
    leanings: Sequence[int],
    told: Collection[tuple[int, str, int]] = frozenset(),
    verdicts: Mapping[str, Collection[int]] = NO_VERDICTS,
) -> Group:
    """What these texts, of one language, speak of: things by how many texts say something of them. `told` holds (text,
    stem, polarity) where a text tells plainly what it thinks of a thing: an adjective that says otherwise is left out."""
    words = [words_of(text) for text in texts]
    used = nouns_of(words)
    forms = one_form(used)
    subject = _subject_of(words, used, forms)
    by_noun: dict[str, Topic] = {}
    for opinion in opinions_of(texts, forms):
        if (opinion.text, stem(opinion.noun), -opinion.polarity) in told:
            continue
        noun = ENTITY if opinion.noun == subject else opinion.noun
        by_noun.setdefault(noun, Topic(noun)).add(opinion)
    whole = by_noun.pop(ENTITY, Topic(ENTITY))
    topics = sorted(by_noun.values(), key=lambda t: (-len(t.texts(1) | t.texts(-1)), -used[t.noun], t.noun))
    return Group(texts, leanings, subject, whole, tuple(topics), used, verdicts)


def _subject_of(words: Sequence[Sequence[str]], used: dict[str, int], forms: dict[str, str]) -> str:
    """The noun that texts point at ("this place", "estos zapatos"): by how many do so, and how many have it."""
    pointed: Counter[str] = Counter()
    for text in words:
        pairs = pairwise(text)
        pointed.update(
            {forms[b] for a, b in pairs if a in ("this", "these", "este", "esta", "estos", "estas") and b in forms}
        )
    if not pointed:
        return ""
    return max(pointed, key=lambda noun: (2 * pointed[noun] + used[noun], noun))
