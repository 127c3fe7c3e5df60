"""The language of a text: py3langid's naive Bayes over byte n-grams, steadied by common words when the text is short.

py3langid gives a probability for each of its 118 languages. Product feedback is nearly always in one of a few, so the
answer is the best of `HOME` (renormalised over them) unless the text is plainly something else: another script, or a
language that the whole model is so sure of that the common words of `HOME` in it cannot outweigh that.
"""

import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

UNKNOWN: Final = "und"
"""ISO 639-2 for "undetermined": no words to judge, or no language clearly ahead."""

# Languages we expect, with the prior weight each gets. Spanish and English lead because "genial", "horrible" or "normal"
# alone are written in four languages, and those two are what is sent most.
HOME: Final = {"en": 1.2, "es": 1.2, "pt": 1.0, "fr": 1.0, "it": 1.0, "de": 1.0}

# How much one common word multiplies the probability of its language. Measured on XLM-T train: flat between 2 and 6.
_WORD_WEIGHT: Final = 3.0
# Below this probability the answer is UNKNOWN. Six languages: chance is 0.17.
_SURE: Final = 0.3
# A language outside HOME needs this probability among all 118, over at least this many characters of words.
_FOREIGN_SURE: Final = 0.9
_FOREIGN_CHARS: Final = 25
# Enough to decide, and it bounds the cost of a long review: the time goes with the characters looked at.
_MAX_CHARS: Final = 300

# Words that tell these languages apart in short texts: function words, and how people say good and bad. A word of two
# languages stands in both lists and then favours neither of the two.
_WORDS: Final = {
    "en": """the a an and or but not is are was were be been it its this that these those i you he she we they my your
        his her our their me him us them of to in on at for with from by as so if when what who how why which just very
        really too don't doesn't didn't isn't wasn't can't won't i'm it's have has had do does did will would can could
        no yes good great nice bad awful worst best better love hate works work product price thanks please ok okay
        awesome easy battery perfect excellent amazing terrible horrible useless five stars star cool wow meh haha
        nope""",
    "es": """el la los las un una unos unas y o pero no es son era fue ser está están estoy esta este esto estos estas
        eso esa yo tú él ella nosotros mi mis tu tus su sus me te se nos le les de del al a en con por para sin sobre
        que qué como cómo cuando donde si sí porque muy más menos ya también tampoco nada todo todos hay he ha han va
        voy vuelvo vuelva bueno buena buenos malo mala malos mal bien mejor peor genial excelente encanta funciona
        producto precio gracias perfecto perfecta horrible pésimo pésima recomiendo recomendable fatal mierda vaya cinco
        estrellas batería bateria poco mucho ok jaja jajaja jajajaja lujo normal regular""",
    "pt": """o a os as um uma uns umas e ou mas não nao é são era foi ser está estão estou esta este isto isso essa eu
        você voce ele ela nós meu minha meus seu sua me te se nos de do da dos das no na em com por para pra sem sobre
        que como quando onde se sim porque muito mais menos já também nada tudo tem bom boa ruim mal bem melhor pior
        ótimo ótima excelente adorei funciona produto preço obrigado obrigada perfeito perfeita horrível recomendo
        cinco estrelas bateria pouco kkk kkkk""",
    "fr": """le la les un une des et ou mais ne pas est sont était c'est être ce cette ces je tu il elle nous vous ils
        mon ma mes ton ta son sa ses me te se de du au aux à en dans avec par pour sans sur que qui quoi comme quand où
        si oui non très plus moins déjà aussi rien tout j'ai ai a ont bon bonne mauvais mal bien mieux pire génial
        excellent adore marche produit prix merci parfait horrible recommande nul étoiles batterie peu trop super""",
    "it": """il lo la i gli le un uno una e o ma non è sono era essere sta questo questa questi quello io tu lui lei noi
        mio mia miei tuo suo sua mi ti si ci di del della dei al alla da in nel con per senza su che chi come quando
        dove se sì perché molto più meno già anche niente tutto ho ha hanno buono buona cattivo male bene meglio peggio
        ottimo ottima eccellente adoro funziona prodotto prezzo grazie perfetto perfetta orribile consiglio cinque
        stelle batteria poco troppo""",
    "de": """der die das den dem ein eine einen einem und oder aber nicht kein keine ist sind war sein bin bist dies
        diese dieser ich du er sie es wir ihr mein meine dein mich mir dich sich uns von vom zu zum zur im in auf an
        mit für aus bei ohne über dass was wer wie wenn wo weil ja nein sehr mehr weniger schon auch nur noch nichts
        alles hab habe hat haben gut gute guter schlecht besser toll super schön danke produkt preis perfekt
        schrecklich empfehle fünf sterne akku wenig""",
}

_NOT_LANGUAGE = re.compile(r"https?:?\S*|www\.\S+|\S+@\S+|@\w+|&#?\w+;|\[[A-Z]+\]|\bRT\b")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@lru_cache(maxsize=1)
def _word_languages() -> dict[str, tuple[str, ...]]:
    languages: dict[str, tuple[str, ...]] = {}
    for code, words in _WORDS.items():
        for word in words.split():
            languages[word] = (*languages.get(word, ()), code)
    return languages


class _Model:
    """py3langid's model: of every language its probability. Its own `rank` gives the same ones sorted, which took a third of
    the time."""

    def __init__(self) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        load: Any = LanguageIdentifier.from_model_file
        identifier = load(MODEL_FILE, norm_probs=True)
        self._probabilities: Callable[[str], NDArray[np.float32]] = identifier._decide
        codes: list[str] = identifier.nb_classes
        self._home = np.array([codes.index(code) for code in HOME])
        self._named = np.array([i for i, code in enumerate(codes) if len(code) == 2 and codes.index(code) == i])
        self._codes = [codes[i] for i in self._named]

    def __call__(self, text: str) -> tuple[str, float, list[float]]:
        """Of the languages with a code of two letters the likeliest and its probability; those of HOME's languages."""
        every = self._probabilities(text)
        named = every[self._named]
        best = int(named.argmax())
        return self._codes[best], float(named[best]), every[self._home].tolist()


_loading = threading.Lock()
_loaded: list[_Model] = []


def _model() -> _Model:
    """Read once per process (about a second) when a text first needs it."""
    with _loading:
        if not _loaded:
            _loaded.append(_Model())
    return _loaded[0]


def detect_language(text: str) -> tuple[str, float]:
    """The ISO 639-1 code of `text` and its probability in 0…1; ("und", p) when there is nothing to judge or p is too low.

    Addresses, handles, placeholders, hashtag marks, digits and emoji are left out of the judgement.
    """
    words = _WORD.findall(_NOT_LANGUAGE.sub(" ", text[:_MAX_CHARS]).replace("_", " "))
    if not words:
        return UNKNOWN, 0.0
    cleaned = " ".join(words)
    best, probability, at_home = _model()(cleaned)
    if _mostly_foreign_script(cleaned):
        return _sure_enough(best, probability)
    weights = _home_weights(cleaned, at_home)
    sure_foreign = probability >= max(_FOREIGN_SURE, *weights.values()) and len(cleaned) >= _FOREIGN_CHARS
    if best not in HOME and sure_foreign:
        return best, probability
    best = max(weights, key=weights.__getitem__)
    return _sure_enough(best, weights[best] / sum(weights.values()))


def _home_weights(cleaned: str, probabilities: Sequence[float]) -> dict[str, float]:
    """For each language of HOME its probability times its prior and one factor per common word. Never all zero."""
    known = _word_languages()
    weights = {c: max(p, 1e-12) * prior for (c, prior), p in zip(HOME.items(), probabilities, strict=True)}
    for word in known.keys() & cleaned.lower().replace("’", "'").split(" "):
        for code in known[word]:
            weights[code] *= _WORD_WEIGHT
    return weights


def _sure_enough(code: str, probability: float) -> tuple[str, float]:
    if probability < _SURE:
        return UNKNOWN, probability
    return code, probability


def _mostly_foreign_script(cleaned: str) -> bool:
    if cleaned.isascii():
        return False
    letters = [char for char in cleaned if char.isalpha()]
    latin = sum(char < "\u0250" or "LATIN" in unicodedata.name(char, "") for char in letters)
    return latin * 2 < len(letters)
