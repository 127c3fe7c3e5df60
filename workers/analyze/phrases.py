"""How English and Spanish say what `compose` has chosen. Parts and sentences come without a full stop."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from workers.analyze.opinion_words import ASSESSING_VERBS

_VERBS: Final = frozenset(ASSESSING_VERBS.values())
_STATES: Final = ("rot", "limpi", "suci", "frí", "defectuos", "sec")  # of which Spanish says estar


class Phrases(Protocol):
    """A language. `words` are adjectives, or verbs with their adverb; `subject` may be empty. `news` stands before what
    was not spoken of in the window before."""

    news: str

    def opening(self, subject: str, general: str, words: Sequence[str]) -> str:
        """On the whole: "this is a great place that is clean and cozy"."""

    def on(self, noun: str, words: Sequence[str], *, certain: bool) -> str:
        """On a thing: "the staff is friendly", and not certain: "the staff can be rude". No noun means the whole."""

    def parts(self, parts: Sequence[str]) -> str:
        """Parts as one sentence."""

    def caveat(self, parts: Sequence[str]) -> str:
        """What speaks against the sentences before."""

    def verdict(self, subject: str, *, recommended: bool, highly: bool) -> str:
        """Whether the authors would have it again."""

    def liked(self, subject: str) -> str:
        """That the authors like it; whether they would have it again they do not say."""


class English:
    """Digest sentences in English."""

    news = "New since the window before:"

    def opening(self, subject: str, general: str, words: Sequence[str]) -> str:
        plural = _is_plural(subject)
        if not subject or not general:
            return self.on(subject and f"{'these' if plural else 'this'} {subject}", words, certain=True)
        article = "" if plural else "an " if general[0] in "aeiou" else "a "
        whole = f"{'these are' if plural else 'this is'} {article}{general} {subject}"
        return f"{whole} that {_predicate(words, plural=plural)}" if words else whole

    def on(self, noun: str, words: Sequence[str], *, certain: bool) -> str:
        plural = _is_plural(noun)
        name = noun if noun.startswith(("this", "these")) else f"the {noun}" if noun else "it"
        return f"{name} {_predicate(words, plural=plural) if certain else _possibly(words)}"

    def parts(self, parts: Sequence[str]) -> str:
        return _listed(parts, "and")

    def caveat(self, parts: Sequence[str]) -> str:
        return f"however, {_listed(parts, 'and')}"

    def verdict(self, subject: str, *, recommended: bool, highly: bool) -> str:
        name = f"{'these' if _is_plural(subject) else 'this'} {subject}" if subject else "it"
        degree = "not recommended" if not recommended else "highly recommended" if highly else "recommended"
        return f"overall, {name} {'are' if _is_plural(subject) else 'is'} {degree}"

    def liked(self, subject: str) -> str:
        name = f"{'these' if _is_plural(subject) else 'this'} {subject}" if subject else "it"
        return f"overall, {name} {'are' if _is_plural(subject) else 'is'} well liked"


class Spanish:
    """Digest sentences in Spanish. `articles` has the article that the texts put before a noun."""

    news = "Nuevo respecto a la ventana anterior:"

    def __init__(self, articles: Mapping[str, str]) -> None:
        self._articles = articles

    def opening(self, subject: str, general: str, words: Sequence[str]) -> str:
        return self.on(subject, [*([general] if general else []), *words][:2], certain=True)

    def on(self, noun: str, words: Sequence[str], *, certain: bool) -> str:
        plural = _is_plural(noun) if noun else words[0].endswith("s")
        verbs = [word for word in words if word.split()[0] in _VERBS]
        adjectives = [word for word in words if word not in verbs]
        said = []
        if adjectives:
            said.append(f"{_copula(adjectives[0], plural=plural, certain=certain)} {_listed(adjectives, 'y')}")
        said += [verb if not plural else verb.replace(" ", "n ", 1) for verb in verbs]
        name = f"{self._article(noun, plural=plural)} {noun} " if noun else ""
        return f"{name}{_listed(said, 'y')}"

    def parts(self, parts: Sequence[str]) -> str:
        return _listed(parts, "y")

    def caveat(self, parts: Sequence[str]) -> str:
        return f"sin embargo, {_listed(parts, 'y')}"

    def verdict(self, subject: str, *, recommended: bool, highly: bool) -> str:
        return "en general, " + (
            "no se recomienda" if not recommended else "se recomienda mucho" if highly else "se recomienda"
        )

    def liked(self, subject: str) -> str:
        return "en general, gusta"

    def _article(self, noun: str, *, plural: bool) -> str:
        given = self._articles.get(noun, "")
        return given or (("las" if noun.endswith("as") else "los") if plural else "la" if noun.endswith("a") else "el")


def _is_plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))


def _predicate(words: Sequence[str], *, plural: bool) -> str:
    verbs = [word for word in words if word.split()[0] in _VERBS]
    adjectives = [word for word in words if word not in verbs]
    said = [f"{'are' if plural else 'is'} {_listed(adjectives, 'and')}"] if adjectives else []
    said += [_without_s(verb) if plural else verb for verb in verbs]
    return _listed(said, "and")


def _possibly(words: Sequence[str]) -> str:
    verbs = [_without_s(word) for word in words if word.split()[0] in _VERBS]
    adjectives = [word for word in words if word.split()[0] not in _VERBS]
    said = [f"be {_listed(adjectives, 'and')}"] if adjectives else []
    return f"can {_listed([*said, *verbs], 'and')}"


def _without_s(said: str) -> str:
    verb, rest = said.split(" ", 1)
    return f"{verb.removesuffix('s')} {rest}"


def _copula(adjective: str, *, plural: bool, certain: bool) -> str:
    if adjective.startswith(_STATES):
        return ("están" if plural else "está") if certain else ("pueden estar" if plural else "puede estar")
    return ("son" if plural else "es") if certain else ("pueden ser" if plural else "puede ser")


def _listed(parts: Sequence[str], conjunction: str) -> str:
    if len(parts) == 1:
        return parts[0]
    conjunction = "e" if conjunction == "y" and parts[-1].startswith(("i", "hi")) else conjunction
    return f"{', '.join(parts[:-1])} {conjunction} {parts[-1]}"
