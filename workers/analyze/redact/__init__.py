"""Personal data goes out of a text before anything else sees it.

What goes: e-mail addresses (also spelled out), phone numbers, payment cards, IBANs and announced bank accounts, national
ids, IP addresses, handles and profile links of people. What stays: prices, dates, model numbers, order and tracking
references, hashtags, and the handles of the company the text is about. Names and postal addresses are not looked for.

Three rules decide the close calls:

- A run of 12 to 19 digits that passes the Luhn check is a card, whatever it is called; one that fails it stays unless it is
  a valid phone, id or account, or a word such as "card", "account" or "passport" announces it. Inside an URL only what
  begins like a card of the large networks counts, because long numbers there are post ids.
- Digits without a leading + are a phone when they are a valid number of one of the regions, written as people of that region
  write it, or when a word such as "tel", "call" or "móvil" announces them. After "order", "pedido", "tracking", "ref" or "#"
  they are a reference and stay.
- A handle is the company's when it is the product's name, or a run of whole words of it, with nothing around it but words
  from `_BRAND_AFFIXES` ("@AmericanAir" for "American", "@AmazonHelp" for "Amazon Echo"); anything else left over, as in
  "@unitedfan_john", makes it a person's.

The search runs over a folded copy of the text (invisible characters out, other scripts' digits and full-width forms to
ASCII, HTML entities resolved) that remembers where each character came from, so what is kept stays as it was written.
"""

from workers.analyze.redact.identifiers import author_pseudonym, redact_identifier, redact_url
from workers.analyze.redact.placeholders import PLACEHOLDERS, Redacted, Redaction
from workers.analyze.redact.redactor import REGIONS, Redactor

__all__ = [
    "PLACEHOLDERS",
    "REGIONS",
    "Redacted",
    "Redaction",
    "Redactor",
    "author_pseudonym",
    "redact_identifier",
    "redact_url",
]
