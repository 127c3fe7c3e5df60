"""Handles and profile links of people, told apart from those of the company that the text is about."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache


def _words(listed: str) -> tuple[str, ...]:
    return tuple(listed.split())


_BRAND_AFFIXES = _words(
    """official oficial the get go team hello ask care cares help ayuda support soporte assist service servicio atencion
    clientes cliente customer news noticias info app apps hq tv store tienda shop online global world intl us usa uk gb es
    esp espana mx mexico ar argentina co colombia cl chile pe peru br brasil latam de fr it eu europe inc corp group grupo
    air airline airlines airways mobile bank banco hotel hotels food games labs tech audio sport sports motors energy"""
)
# After an @ these are prose: "see you @home".
_PROSE = frozenset(_words("home work school night noon the my all least last first casa las los same this that a an"))
_AMOUNT = re.compile(r"\d+(?:am|pm|a|p|h|hs|hrs|k|x|fps|g?hz|mhz|usd|eur|[gm]b|px|[cm]?m|th|st|nd|rd)?$", re.I)
_HANDLE = re.compile(r"(?<!@)@(?P<name>\w{2,}(?:[.-][a-z0-9_]\w*)*)")
_REDDIT = re.compile(r"(?<![\w/.])/?u/(?P<name>[A-Za-z0-9_-]{3,20})(?![\w/])")
_PROFILE = re.compile(
    r"""(?<![\w.-])(?:(?:www|m|mobile|[a-z]{2})\.)?
    (?:instagram\.com(?:/stories)?|twitter\.com|x\.com|facebook\.com(?:/people)?|fb\.com|fb\.me|tiktok\.com|threads\.(?:net|com)
    |github\.com|gitlab\.com|twitch\.tv|t\.me|telegram\.me|medium\.com|snapchat\.com/add|linkedin\.com/(?:in|pub)
    |youtube\.com(?:/(?:user|c)|(?=/@))|reddit\.com/(?:user|u)|bsky\.app/profile|pinterest\.[a-z]{2,3}|vk\.com|wattpad\.com/user)
    /(?P<name>@?[\w.%-]*\w)(?P<rest>[/?\#][^\s<>"')\]\ufdd0-\ufdef]*)?""",
    re.I | re.X,
)
_NOT_PEOPLE = frozenset(
    _words(
        """p reel reels tv explore hashtag search i intent home watch share sharer sharer.php groups pages events marketplace
        photo photos photo.php story.php permalink.php messages notifications settings about privacy tos legal help s r c
        joinchat jobs company school directory topics trending features pricing orgs apps business ads blog channel login
        signup tag tags video videos live music discover"""
    )
)
_CUED_HANDLE = re.compile(
    r"(?<!\w)(?:ig|insta(?:gram)?|twitter|snap(?:chat)?|telegram|tiktok|discord|skype)\s{0,2}[:=]\s{0,2}"
    r"(?P<name>(?=[A-Za-z.]*[0-9_.])[A-Za-z0-9_][\w.]{2,28}\w)",
    re.I,
)


def name_key(name: str) -> str:
    """Letters and digits only, without accents or case: how names are compared."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in decomposed if char.isalnum())


@lru_cache(maxsize=4096)
def brands_of(product: str) -> frozenset[str]:
    """The keys under which a product's company may appear: its whole name and each run of its words of 4 letters or more."""
    words = [key for key in map(name_key, re.split(r"[^\w&'’]+|_", product)) if key][:24]
    runs = {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
    return frozenset({run for run in runs if len(run) >= 4 and not run.isdigit()} | {"".join(words)} - {""})


# A company's own handles stand in most texts that are sent to it: they are compared once. People's are not remembered.
_COMPANIES: set[tuple[str, frozenset[str]]] = set()
_MOST_COMPANIES = 16_384


def _is_company(name: str, brands: frozenset[str]) -> bool:
    known = (name, brands) in _COMPANIES
    if not known and _resembles(name, brands):
        if len(_COMPANIES) < _MOST_COMPANIES:
            _COMPANIES.add((name, brands))
        return True
    return known


def _resembles(name: str, brands: frozenset[str]) -> bool:
    """Whether a name is a brand's, but for at most two of what companies put before and behind theirs."""
    candidates = {name_key(name)}
    for _ in range(3):
        if not candidates.isdisjoint(brands):
            return True
        shorter = {key[len(affix) :] for key in candidates for affix in _BRAND_AFFIXES if key.startswith(affix)}
        candidates = shorter | {
            key[: -len(affix)] for key in candidates for affix in _BRAND_AFFIXES if key.endswith(affix)
        }
    return False


def _is_person(match: re.Match[str], brands: frozenset[str], *, glued: bool) -> bool:
    """`glued`: it follows a letter or a digit without a space."""
    name = match["name"]
    first = re.split(r"[.-]", name, maxsplit=1)[0]
    if first.lower() in _PROSE or _AMOUNT.match(name) or not (any(map(str.isalpha, name)) or name.isdigit()):
        return name.isdigit() and len(name) > 4
    if glued and (len(name) < 4 or not name[0].isalpha()):
        return False
    tail = name[len(first) :]
    if _is_company(first, brands) and not any(char.isdigit() or char == "_" for char in tail):
        return False
    return not _is_company(name, brands)


def _people(text: str, brands: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Handles of people. What is glued to one of them stands alone: in a chain of them all are found at once, where one
    more a pass would take time quadratic in its length."""
    last_end = 0
    for match in _HANDLE.finditer(text):
        glued = match.start() > last_end and text[match.start() - 1].isalnum()
        if _is_person(match, brands, glued=glued):
            last_end = match.end()
            yield match.span()


def handles(text: str, brands: frozenset[str]) -> Iterator[tuple[int, int]]:
    if "/" in text:
        for match in _PROFILE.finditer(text):
            name = match["name"].removeprefix("@")
            rest = (match["rest"] or "").rstrip(".,;:!?")
            listed = name.lower() in _NOT_PEOPLE or (name.lower() == "profile.php" and "id=" not in rest)
            if not listed and not _is_company(name, brands):
                yield match.start("name"), match.end("name") + len(rest)
        yield from (match.span() for match in _REDDIT.finditer(text) if not _is_company(match["name"], brands))
    if "@" in text:
        yield from _people(text, brands)
    if ":" in text or "=" in text:
        yield from (
            match.span("name") for match in _CUED_HANDLE.finditer(text) if not _is_company(match["name"], brands)
        )
