"""Sentences in a digest's style, composed of what texts say most often: every word on a thing is some text's own.

An opening on the whole, praise, a caveat, a verdict. Each cites the texts that say what it says. What is named is told by
how many texts say something of it; nothing is generated.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from workers.analyze.content import stem
from workers.analyze.opinion_words import GENERAL
from workers.analyze.phrases import Phrases
from workers.analyze.topics import MOST_SAID, OPEN_TEXTS, Group, Topic

PRAISED: Final = 4  # things at most
PRAISED_A_SENTENCE: Final = 4
BLAMED: Final = 2
NEWS_TEXTS: Final = 2  # that say the same of a thing, for it to be news
AGREEING: Final = 2  # texts that say so, for a verdict: one author's love is not "well liked"
HIGHLY: Final = 0.5  # of all authors would have it again


@dataclass(frozen=True)
class Draft:
    """A sentence, and the texts it rests on by their index. `frame` stands before it and is no claim of the texts."""

    text: str
    citations: tuple[int, ...]
    frame: str = ""

    @property
    def shown(self) -> str:
        return f"{self.frame} {self.text[0].lower()}{self.text[1:]}" if self.frame else self.text


def compose(group: Group, phrases: Phrases, known: Collection[str] | None = None) -> list[Draft]:
    """The sentences, in their order; none when the texts agree on nothing. `known` are the stems of the window before:
    a thing that is none of them is said to be new. None when there was no window before."""
    news, group = _news(group, phrases, known) if known is not None else ([], group)
    liked = len(group.content) >= len(group.discontent)
    praise, blame = _praise(group, phrases), _blame(group, phrases, caveat=liked)
    opinions = [*_opening(group, phrases), *praise, *blame] if liked else [*blame, *praise]
    said = (*opinions[:1], *news, *opinions[1:], *_verdict(group, phrases))
    return [replace(draft, text=as_sentence(draft.text)) for draft in said]


def as_sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}" + ("" if text[-1] in ".!?…" else ".")


def _news(group: Group, phrases: Phrases, known: Collection[str]) -> tuple[list[Draft], Group]:
    """What several texts say of a thing that nobody spoke of before, and the group without that thing."""
    for topic in group.topics:
        for polarity in (-1, 1):
            if stem(topic.noun) not in known and len(topic.texts(polarity)) >= NEWS_TEXTS:
                words = topic.words(polarity)
                draft = Draft(phrases.on(topic.noun, words, certain=True), topic.who(polarity, words), phrases.news)
                return [draft], replace(group, topics=tuple(other for other in group.topics if other is not topic))
    return [], group


def _opening(group: Group, phrases: Phrases) -> list[Draft]:
    whole = group.whole
    ranked = whole.words(1, most=len(whole.said.get(1, {})))
    general = next((word for word in ranked if word in GENERAL), "")
    words = [word for word in ranked if word != general][:MOST_SAID]
    if not words and not (general and group.subject):
        words, general = ([general], "") if general else ([], "")
    if not words and not general:
        return []
    return [
        Draft(phrases.opening(group.subject, general, words), whole.who(1, [*words, *([general] if general else [])]))
    ]


def _praise(group: Group, phrases: Phrases) -> list[Draft]:
    praised = [t for t in group.topics if t.texts(1) and len(t.texts(1)) >= len(t.texts(-1))][:PRAISED]
    drafts = []
    for first in range(0, len(praised), PRAISED_A_SENTENCE):
        some = praised[first : first + PRAISED_A_SENTENCE]
        parts = [phrases.on(topic.noun, topic.words(1), certain=True) for topic in some]
        drafts.append(Draft(phrases.parts(parts), _who(some, 1)))
    return drafts


def _blame(group: Group, phrases: Phrases, *, caveat: bool) -> list[Draft]:
    """What is said against it; not as certain where as many praise the thing."""
    blamed = [t for t in (group.whole, *group.topics) if t.texts(-1)]
    blamed = sorted(blamed, key=lambda t: (-len(t.texts(-1)), not t.noun))[:BLAMED]
    if not blamed:
        return _open_to_taste(group, phrases) if caveat else []
    parts = [
        phrases.on(topic.noun, topic.words(-1), certain=len(topic.texts(-1)) > max(1, len(topic.texts(1))))
        for topic in blamed
    ]
    return [Draft(phrases.caveat(parts) if caveat else phrases.parts(parts), _who(blamed, -1))]


def _open_to_taste(group: Group, phrases: Phrases) -> list[Draft]:
    for topic in (group.whole, *group.topics):
        if words := topic.words(0, most=1, at_least=OPEN_TEXTS):
            return [Draft(phrases.caveat([phrases.on(topic.noun, words, certain=False)]), topic.who(0, words))]
    return []


def _verdict(group: Group, phrases: Phrases) -> list[Draft]:
    """Whether it is recommended, or at least liked, when most authors are of one mind and some say so in so many
    words."""
    texts = len(group.texts)
    endorsing, refusing = group.endorsing(), group.refusing()
    fond = sorted({*endorsing, *group.fond()})
    if 2 * len(group.content) > texts and len(endorsing) >= AGREEING:
        highly = len(fond) >= HIGHLY * texts
        return [Draft(phrases.verdict(group.subject, recommended=True, highly=highly), tuple(endorsing))]
    if 2 * len(group.content) > texts and len(fond) >= AGREEING:
        return [Draft(phrases.liked(group.subject), tuple(fond))]
    if 2 * len(group.discontent) > texts and len(refusing) >= AGREEING:
        return [Draft(phrases.verdict(group.subject, recommended=False, highly=False), tuple(refusing))]
    return []


def _who(topics: Sequence[Topic], polarity: int) -> tuple[int, ...]:
    return tuple(sorted({text for topic in topics for text in topic.who(polarity, topic.words(polarity))}))
