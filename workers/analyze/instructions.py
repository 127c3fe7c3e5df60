"""Texts that give orders to the machine that reads them, instead of telling of a product.

Texts are data: no part of Voxpop does what a text says. What is told here keeps such texts from being quoted or counted in a
digest, where people would read them. Only signs that a product review has no use for are taken: "avoid this shop" or
"don't buy it" speak to people.
"""

import base64
import binascii
import re
import unicodedata

_DIRECTIVES = (
    # what was said before shall not hold
    r"(?:ignore|disregard|forget|override|bypass|discard|skip|drop|ignor[ae]r?|olvid[ae]r?|descart[ae]r?"
    r"|omit[ei]r?|salt[ae]te|an[uú]la"
    r"|no hagas caso)\b[^.!?\n]{0,40}\b(?:instructions?|prompts?|rules?|guidelines?|directions?|orders"
    r"|constraints|context|told|above"
    r"|previous|prior|earlier|instrucciones|reglas|indicaciones|[oó]rdenes|directrices|contexto"
    r"|anterior(?:es)?|previ[ao]s?)\b",
    # the machine, by name
    r"\b(?:system|developer|hidden|initial|original) (?:prompt|message|instructions?|note)\b",
    r"\b(?:prompt|mensaje|instrucci[oó]n(?:es)?) (?:del?|de) (?:el )?sistema\b",
    r"\b(?:language model|large model|llm|chatbot|ai model|ai assistant|ai summari[sz]er"
    r"|summari[sz]ation (?:model|engine|bot|tool)|modelo de"
    r" lenguaje|asistente(?: de ia| virtual)|resumidor|clasificador|classifier|summari[sz]er|annotator)\b",
    r"\b(?:as an ai|as a language|como (?:una )?ia\b|you are (?:now|chatgpt|an? (?:ai|assistant|helpful"
    r"|model|bot|expert|summar))|eres (?:ahora|un"
    r" (?:asistente|modelo|bot))|act as|pretend (?:to be|you|that you)|role-?play|act[uú]a como"
    r"|finge (?:ser|que)|haz de cuenta|jailbreak"
    r"|\bdan mode\b|do anything now|developer mode|modo (?:desarrollador|dan)|debug mode|admin mode|sudo)\b",
    # what it shall say
    r"\b(?:your|the|tu|el|la|su) (?:next |new |only |final |pr[oó]xim[ao] |[uú]nic[ao] )?(?:task|output"
    r"|answer|response|reply|completion|job"
    r"|tarea|salida|respuesta)\b[^.!?\n]{0,30}\b(?:is|must|should|will|shall|es|debe|ser[aá])\b",
    r"\b(?:respond|reply|answer|output|print|return|emit|say|write|repeat|translate|reveal|responde"
    r"|contesta|escribe|imprime|devuelve|repite"
    r"|traduce|revela|di)\b[^.!?\n]{0,24}(?:\bonly\b|\bexactly\b|\bverbatim\b|\bjson\b|\bfollowing\b"
    r"|\bs[oó]lo\b|\bsolamente\b|\bexactamente\b"
    r"|\bsiguiente\b|\bprompt\b|\binstruc|[:\"'“«`])",
    r"\b(?:classify|label|mark|tag|rate|score|flag|summari[sz]e|describe|clasifica|etiqueta|marca"
    r"|punt[uú]a|resume|valora)\b[^.!?\n]{0,40}\b(?:as|with"
    r"|como|con) (?:\"|'|“|«)?(?:positive|negative|neutral|5|five|urgent|spam|perfect|safe|positiv[oa]"
    r"|negativ[oa]|neutro|urgente|perfect[oa]|cinco)",
    r"\b(?:set|change|update|force|assign|pon|cambia|fija|establece|asigna)\b[^.!?\n]{0,24}\b(?:sentiment"
    r"|label|score|rating|urgency|toxicity|polarity"
    r"|summary|digest|sentimiento|etiqueta|puntuaci[oó]n|urgencia|polaridad|resumen)\b",
    r"\b(?:summary|digest|headline|label|sentiment|resumen|titular|etiqueta"
    r"|sentimiento)\b[^.!?\n]{0,20}\b(?:must|should|shall|has to|needs to|debe|tiene"
    r" que|ha de)\b",
    r"\b(?:in|en) (?:your|the|tu|el) (?:summary|digest|output|answer|resumen|respuesta|salida)\b",
    # the shapes of prompts and tools
    r"<\|?/?(?:im_start|im_end|system|user|assistant|s|inst|tool|endoftext|eot_id"
    r"|start_header_id)\b[^>]*\|?>|\[/?(?:INST|SYS|SYSTEM|TOOL)\]"
    r"|<<\s*/?SYS\s*>>",
    r"(?:^|[\n\r])\W{0,6}(?:system|assistant|user|human|developer|tool|function|sistema|asistente|usuario"
    r"|herramienta|instructions?|instrucciones|new"
    r" (?:task|instructions?)|nueva tarea)\b\s*(?:\([^)]*\)\s*)?[:>\]]",
    r"[\"']?(?:role|tool_call|tool_calls|tool_result|function_call|tool_name|finish_reason"
    r"|sentiment_label|observation)[\"']?\s*[:=]\s*[\"'{\[]",
    r"^\s*(?:#{2,}|-{3,}|={3,}|`{3,})\s*(?:end|begin|new|system|instructions?|fin|inicio|tool|output)\b",
    r"\b(?:begin|end|start|stop|inicio|fin) (?:of )?(?:del? )?(?:the |los? |las? )?(?:reviews?|texts?"
    r"|input|data|system|instructions?|rese[nñ]as|textos|datos"
    r"|instrucciones)\b\W*(?:\n|$|[A-Z])",
    r"\b(?:run|execute|eval|decode|base64|rot13|rot-13|decodifica|descifra"
    r"|ejecuta)\b[^.!?\n]{0,30}\b(?:this|following|command|code|string|text|it|sql|esto"
    r"|siguiente|comando|c[oó]digo|cadena|texto)\b",
    r"\b(?:drop table|select \* from|rm -rf|import os|os\.system|<script|curl https?:)",
)
_DIRECTIVE = re.compile("|".join(f"(?:{pattern})" for pattern in _DIRECTIVES), re.I | re.M)
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
    forms = (plain, plain.translate(_LEET), _spelt_together(plain), _reversed(plain), _unaccented(plain), _rot13(plain))
    return hidden or any(_DIRECTIVE.search(form) for form in forms) or _is_encoded(plain)


def _spelt_together(text: str) -> str:
    """Words written letter by letter ("i g n o r e", "i.g.n.o.r.e") as words."""
    return re.sub(r"(?<!\w)(?:\w[ .\-_*]){3,}\w(?!\w)", lambda m: re.sub(r"[ .\-_*]", "", m.group()) + " ", text)


def _reversed(text: str) -> str:
    return text[::-1]


def _unaccented(text: str) -> str:
    """Without accents, and Cyrillic and Greek letters that look Latin as those."""
    folded = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return folded.translate(_LOOKALIKES)


def _rot13(text: str) -> str:
    return text.translate(_ROT13) if len(text) < 2_000 else ""


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
