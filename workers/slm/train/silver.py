"""Weak ("silver") labels: rules that name intents and urgency where no person did. The card says that they are rules.

A head that learns from them reads more than the rules do, since it sees what such texts mean, but it cannot be judged by
them: their dev figures tell how well the rules were learnt, no more.
"""

import re

_QUESTION = re.compile(
    r"\?|¿|^\W*(?:how|what|when|where|why|who|which|can|could|does|do|is|are|will|any(?:one|body)|"
    r"c[oó]mo|qu[eé]|cu[aá]ndo|d[oó]nde|por ?qu[eé]|qui[eé]n|cu[aá]l|alguien|se puede|hay|como|quando|onde|quem|"
    r"comment|quand|pourquoi|o[uù]|wie|wann|wo|warum|kann)\b[^.!]*\?",
    re.I | re.S,
)
_SUGGESTION = re.compile(
    r"\b(?:should|ought to|would be (?:nice|great|good|better|helpful)|i wish|please (?:add|bring|make|fix|consider|let)|"
    r"needs? to (?:be|have|add|fix)|could (?:use|improve|add)|why not|consider|suggest|recommend(?:ation)? (?:that|to)|"
    r"if only|hope (?:you|they) (?:add|fix|bring)|deber[ií]an?|estar[ií]a (?:bien|genial|bueno)|"
    r"ser[ií]a (?:bueno|genial|mejor)|"
    r"ojal[aá]|sugiero|sugerencia|por favor (?:a[ñn]adan|pongan|agreguen|arreglen)|podr[ií]an|har[ií]a falta|falta que|"
    r"propongo|deveriam|seria bom|devrait|il faudrait|dovrebbero|sollten?)\b",
    re.I,
)
_URGENT = re.compile(
    r"\b(?:asap|urgent\w*|emergency|right now|immediately|stranded|stuck (?:at|in|on)|help me|need help|please help|"
    r"someone (?:please )?(?:help|call|answer)|on hold for|still waiting|missed my|fire|smoke|burn(?:ed|t|ing)?|overheat\w*|"
    r"dangerous|injur\w+|stolen|fraud\w*|hacked|unauthori[sz]ed|charged (?:me )?twice|lost (?:my )?(?:bag|bags|luggage)|"
    r"cancel+ed|urgente\w*|emergencia|ahora mismo|cuanto antes|ya mismo|ayuda|socorro|tirad[oa]s? en|atrapad[oa]s?|fuego|"
    r"humo|quem\w+|peligro\w*|herid[oa]|robad[oa]|robaron|fraude|hackead[oa]|cobrado dos veces|perdid[oa] (?:mi )?maleta|"
    r"cancelad[oa]|sin dinero|responded|contesten|respondan|ajuda|urgence|aiuto|hilfe|dringend)\b",
    re.I,
)


def intents(text: str, sentiment: str) -> frozenset[str]:
    """The intents that the rules name for a text whose sentiment is known."""
    named = {
        "complaint": sentiment == "negative",
        "praise": sentiment == "positive",
        "question": bool(_QUESTION.search(text)),
        "suggestion": bool(_SUGGESTION.search(text)),
    }
    return frozenset(name for name, fires in named.items() if fires)


def urgent(text: str, sentiment: str) -> bool:
    """Whether the rules call for an answer soon."""
    return sentiment != "positive" and bool(_URGENT.search(text))
