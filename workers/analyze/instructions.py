"""Texts that give orders to the machine that reads them, instead of telling of a product.

Texts are data: no part of Voxpop does what a text says. What is told here keeps such texts from being quoted or counted in a
digest, where people would read them. Only signs that a product review has no use for are taken: "avoid this shop" or
"don't buy it" speak to people.
"""

import base64
import binascii
import re
import unicodedata

# Orders at the beginning of a sentence: elsewhere the same verbs tell of what somebody did.
_START = r"(?:^|[.!?:;,\n\r>)\]\"'*-]\s*|\b(?:please|and|then|now|just|por favor|y|ahora|assistant|asistente)\b:?\s+)"
_OVERRIDE = (
    r"\b(?:ignore|disregard|forget|override|bypass|discard|ignor[ae]r?|olvid[ae]r?|descart[ae]r?|omit[ei]r?|an[uú]la)\b"
    r"[^.!?\n]{0,40}\b(?:instructions?|prompts?|rules|guidelines?|constraints|told|above|previous (?:text|context|orders)"
    r"|instrucciones|reglas|indicaciones|[oó]rdenes|directrices|contexto (?:anterior|previo))\b"
)
_DIRECTIVES = (
    # what was said before shall not hold
    _OVERRIDE,
    r"\b(?:no|without|sin|had no|hay) (?:rules|reglas|guardrails|filters|filtros)\b",
    r"\binstructions? (?:are|is|were) (?:void|over|cancell?ed)\b|\bfilters? off\b",
    # the machine, by name
    r"\b(?:system|developer|hidden|initial|original) (?:prompt|message|instructions?)\b",
    r"\b(?:prompt|mensaje|instrucci[oó]n(?:es)?) (?:del?|de) (?:el )?sistema\b",
    r"\b(?:language model|llm|ai model|ai assistant|summari[sz]ation (?:model|engine|bot|tool)|modelo de lenguaje"
    r"|asistente de ia|summari[sz]er|resumidor|(?:support|dear) robot)\b",
    r"\b(?:as an ai\b|as a language|como (?:una )?ia\b|you are (?:now\b|chatgpt|an? (?:ai|helpful|model|bot|expert)\b)"
    r"|eres (?:ahora|un (?:asistente|modelo|bot))\b|pretend (?:to be|you are|that you are)|role-?play|finge que eres"
    r"|haz de cuenta|jailbreak(?!ed)|dan mode|as dan\b|do anything now|developer mode|modo (?:desarrollador|dan)"
    r"|debug mode"
    r"|admin mode)",
    _START + r"(?:act as|act[uú]a como)\b",
    # what it shall say
    r"\b(?:your|tu) (?:next |new |only |final |pr[oó]xim[ao] |[uú]nic[ao] )?(?:task|output|answer|response|reply"
    r"|completion"
    r"|tarea|salida|respuesta)\b[^.!?\n]{0,30}\b(?:is|must|should|will|shall|es|debe|ser[aá])\b",
    _START
    + r"(?:respond|reply|answer|output|print|return|emit|repeat|translate|reveal|write|say|responde|contesta|escribe"
    r"|imprime|devuelve|repite|traduce|revela|di)\b[^.!?\n]{0,40}\b(?:only|exactly|verbatim|json|following"
    r"|word for word|solo"
    r"|s[oó]lo|solamente|exactamente|siguiente|palabra por palabra|prompt|instruc\w+|nothing else|summary|digest"
    r"|resumen)\b",
    r"\b(?:output|print|respond with|reply with|answer with|imprime|responde)\s*[:\"“«]",
    _START
    + r"(?:classify|label|mark|tag|rate|score|flag|summari[sz]e|describe|clasifica|etiqueta|marca|punt[uú]a|resume"
    r"|valora)\b[^.!?\n]{0,40}\b(?:as|with|como|con) (?:\"|'|“|«)?(?:the most )?(?:positive|negative|neutral|5|five"
    r"|urgent|spam"
    r"|perfect|safe|positiv[oa]|negativ[oa]|neutro|urgente|perfect[oa]|cinco)",
    r"\b(?:set|change|update|force|assign|pon|cambia|fija|establece|asigna)\b[^.!?\n]{0,24}\b(?:sentiment|urgency"
    r"|toxicity"
    r"|polarity|summary|digest|sentimiento|urgencia|polaridad|resumen)\b",
    r"\b(?:label|mark|classify|marca|clasifica)\b (?:this|that|it|the|est[ae]|el)\b[^.!?\n]{0,24}\b(?:positiv"
    r"|negativ|urgent)",
    r"\b(?:summary|digest|resumen|titular)\b[^.!?\n]{0,20}\b(?:must|should|shall|has to|may now|needs to|debe"
    r"|tiene que|ha de|is ['\"])",
    r"\b(?:in|en) (?:your|tu) (?:summary|digest|output|resumen|salida)\b|\bin the digest\b|\breviews were a test\b"
    r"|\b(?:ñas|opiniones) (?:anteriores eran|cuentan como)\b",
    # the shapes of prompts and tools
    r"<\|?/?(?:im_start|im_end|system|user|assistant|inst|tool|review|endoftext|eot_id|start_header_id|script)\b[^>]*\|?>"
    r"|\[/?(?:INST|SYS|SYSTEM|TOOL)\]|<<\s*/?SYS\s*>>",
    r"(?:^|[\n\r])\W{0,6}(?:system|assistant|user|human|developer|tool|function|observation|sistema|asistente|usuario"
    r"|herramienta|instructions?|instrucciones|new (?:task|instructions?)|nueva tarea)\b\s*(?:\([^)]*\)\s*)?(?:de ia\s*)?"
    r"(?:output\s*)?[:>\]]",
    r"[\"'](?:role|tool_calls?|tool_result|function_call|tool_name|finish_reason|sentiment)[\"']\s*:",
    r"\b(?:sentiment|sentimiento)\s*=",
    r"^\s*(?:#{2,}|-{3,}|={3,}|`{3,})\s*(?:end|begin|new|system|instructions?|fin|inicio|tool|output)\b",
    r"\b(?:begin|end|inicio|fin) (?:of )?(?:del? )?(?:the |los? |las? )?(?:reviews?|texts|input|data|system|instructions?"
    r"|[nñ]as|textos|datos|instrucciones)\b\W*(?:\n|$)",
    r"\b(?:decode|base64|rot13|decodifica|descifra)\b|\b(?:run|execute|ejecuta)\b[^.!?\n]{0,30}\b(?:command|code"
    r"|sql|comando|c[oó]digo)\b",
    r"\b(?:drop table|select \* from|rm -rf|import os|os\.system)",
)
_DIRECTIVE = re.compile("|".join(f"(?:{pattern})" for pattern in _DIRECTIVES), re.I | re.M)
_DISGUISED = re.compile(_OVERRIDE, re.I)
_ENCODED = re.compile(
    r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{24,}={0,2}(?![A-Za-z0-9+/=])|(?:\\x[0-9a-f]{2}){6,}"
    r"|(?:%[0-9a-f]{2}){6,}|(?:[0-9a-f]{2}\s?){16,}",
    re.I,
)
_LEET = str.maketrans("013457@$", "oieastas")
_HIDDEN = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad\u202a-\u202e\U000e0000-\U000e007f]")


def addresses_machine(text: str) -> bool:
    """Whether a text gives orders to a machine, in plain words, in letters that only look so, spelt apart, or encoded."""
    plain = _HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    hidden = _HIDDEN.sub("", text) != text and any(ord(c) >= 0xE0000 for c in text)
    if hidden or _is_encoded(plain) or any(_DIRECTIVE.search(form) for form in (plain, _unaccented(plain))):
        return True
    disguised = (plain.translate(_LEET), _spelt_together(plain), plain[::-1], plain.translate(_ROT13))
    return any(_DISGUISED.search(form) for form in disguised)


def _spelt_together(text: str) -> str:
    """Words written letter by letter ("i g n o r e", "i.g.n.o.r.e") as words."""
    return re.sub(r"(?<!\w)(?:\w[ .\-_*]){3,}\w(?!\w)", lambda m: re.sub(r"[ .\-_*]", "", m.group()) + " ", text)


def _unaccented(text: str) -> str:
    """Without accents, and Cyrillic and Greek letters that look Latin as those."""
    folded = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return folded.translate(_LOOKALIKES)


def _is_encoded(text: str) -> bool:
    """Long runs of base64, hex or percent escapes: no review has a use for them. Numbers alone are none."""
    for match in _ENCODED.finditer(text):
        run = match.group()
        if run.strip("\\x%").isalpha() and (run.islower() or run.isupper() or run.istitle()):
            continue  # a very long word
        if run.replace(" ", "").isdigit():
            continue
        if run.startswith(("\\", "%")) or _decodes(run):
            return True
    return False


def _decodes(run: str) -> bool:
    compact = "".join(run.split())
    try:
        decoded = bytes.fromhex(compact)
    except ValueError:
        try:
            decoded = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
        except (binascii.Error, ValueError):
            return False
    return bool(decoded) and sum(32 <= byte < 127 for byte in decoded) > 0.9 * len(decoded)


_LOOKALIKES = str.maketrans("аеорсухіјѕԁցһӏոԛԝοαεικνρτυ", "aeopcyxijsdghlnqwoaeiknptu")
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_ROT13 = str.maketrans(_LOWER + _LOWER.upper(), _LOWER[13:] + _LOWER[:13] + (_LOWER[13:] + _LOWER[:13]).upper())
