"""What the aspect sets say, in the words of the taxonomy: categories, terms of laptop reviews, reasons of complaint."""

import re

MAMS = ("food", "staff", "miscellaneous", "place", "menu", "service", "price", "ambience")
RESTAURANTS = ("food", "service", "price", "ambience")

# Why people complain of airlines -> aspect of the taxonomy.
REASONS = {
    "Late Flight": "punctuality",
    "Cancelled Flight": "punctuality",
    "Lost Luggage": "baggage",
    "Damaged Luggage": "baggage",
    "Customer Service Issue": "customer_service",
    "Flight Booking Problems": "booking",
    "Flight Attendant Complaints": "staff",
    "longlines": "waiting_time",
}

# Words of a term that name an aspect of the taxonomy. The first that fits counts.
TERMS = {
    "battery": r"batter|charg|power supply|power adapter",
    "display": r"screen|display|resolution|monitor|brightness",
    "sound": r"sound|speaker|audio|volume|microphone",
    "camera": r"camera|webcam|photo|picture",
    "connectivity": r"wi-?fi|wireless|bluetooth|internet|network|connect",
    "price": r"price|cost|value|money|\$|cheap|expensive",
    "customer_service": r"service|support|tech guy|customer",
    "software": r"software|os\b|windows|operating system|program|app\b|apps\b|vista|update|browser",
    "performance": r"speed|performance|fast|processor|runs|memory|ram\b|boot|graphics|cpu",
    "ease_of_use": r"\buse\b|usability|set ?up|interface|install|navigat",
    "design": r"design|look|weight|size|color|portab|style|slim|light",
    "quality": r"quality|build|built|construct|material|finish",
    "delivery": r"shipping|deliver|shipment",
    "packaging": r"packag|\bbox\b",
    "returns": r"warrant|refund|return|replacement",
    "durability": r"durab|last(?:s|ed|ing)?\b|broke|longevity|reliab",
}
_TERMS = {name: re.compile(pattern, re.I) for name, pattern in TERMS.items()}
# In running text only words that hardly mean anything else.
PLAIN = {
    "battery": re.compile(r"\bbatter(?:y|ies)\b", re.I),
    "display": re.compile(r"\b(?:screen|display|resolution)\b", re.I),
    "sound": re.compile(r"\b(?:sound|speakers?|audio)\b", re.I),
    "camera": re.compile(r"\b(?:camera|photos)\b", re.I),
    "connectivity": re.compile(r"\b(?:wi-?fi|bluetooth)\b", re.I),
    "price": re.compile(r"\b(?:price[ds]?|expensive|for the money|affordable)\b", re.I),
    "ease_of_use": re.compile(r"\b(?:easy to (?:use|set ?up|install|navigate)|user friendly|simple to)\b", re.I),
    "durability": re.compile(r"\b(?:durable|stopped working|broke|sturdy)\b", re.I),
    "delivery": re.compile(r"\b(?:shipping|delivery|delivered)\b", re.I),
}
# Of what texts about meals, flights and gadgets surely do not speak.
FOREIGN = {
    "meals": ("battery", "display", "camera", "connectivity", "software", "baggage", "performance", "returns", "room"),
    "flights": ("battery", "display", "camera", "sound", "ambience", "location", "packaging", "durability", "design"),
    "gadgets": ("food", "room", "ambience", "baggage", "punctuality", "staff", "cleanliness", "location", "booking"),
}


def aspect_of_term(term: str) -> str | None:
    """The taxonomy's aspect that a term names, if any."""
    return next((name for name, pattern in _TERMS.items() if pattern.search(term)), None)


def aspects_named(text: str) -> list[str]:
    """The aspects whose own words stand in `text`."""
    return [name for name, pattern in PLAIN.items() if pattern.search(text)]
