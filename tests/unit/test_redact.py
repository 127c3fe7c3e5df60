import hashlib
import hmac
import re
import string

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from workers.analyze.redact import (
    PLACEHOLDERS,
    REGIONS,
    Redacted,
    Redactor,
    author_pseudonym,
    emails,
    handles,
    redact_identifier,
    redact_url,
)
from workers.analyze.redact.folding import folded_copy

REDACTOR = Redactor()


def redact(text: str, product: str = "") -> str:
    return REDACTOR.redact(text, product=product).text


# --- what goes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "nora@example.com",
        "NORA.VEGA+shop@Mail.Example.CO.UK",
        "nora123456789@example.com",
        "no\u200bra@exam\u200bple.com",
        "ｎｏｒａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "nora&#64;example.com",
        "nora&#x40;example&period;com",
        "nora&amp;#64;example.com",
        "nora%40example.com",
        "nora@[192.0.2.7]",
        '"nora vega"@example.com',
        "nora @ gmail.com",
        "nora@hotmail",
        "nora arroba gmail punto com",
        "nora.vega arroba empresa punto com punto mx",
        "nora (at) example (dot) com",
        "nora[at]example[dot]com",
        "NORA AT EXAMPLE DOT COM",
        "nora at gmail.com",
        "nora_at_gmail.com",
        "noraarrobagmail.com",
    ],
)
def test_an_email_address_goes_however_it_is_written(text: str) -> None:
    assert redact(text) == "[EMAIL]"
    assert redact(f"Please write to {text}, thanks") == "Please write to [EMAIL], thanks"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mailto:nora@example.com?subject=hi", "mailto:[EMAIL]?subject=hi"),
        ("https://shop.example/?mail=nora@example.com&x=1", "https://shop.example/?mail=[EMAIL]&x=1"),
        ("(a@x.es),b@y.org!", "([EMAIL]),[EMAIL]!"),
        ("😡nora@example.com😡", "😡[EMAIL]😡"),
        ("'nora@example.com'", "'[EMAIL]'"),
        ("nora@example.com...", "[EMAIL]..."),
        ("mi correo es nora@ empresa . com", "mi correo es [EMAIL]"),
    ],
)
def test_what_stands_around_an_email_address_stays(text: str, left: str) -> None:
    assert redact(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "+34 612 345 678",
        "0034 612 345 678",
        "612345678",
        "612 34 56 78",
        "612.345.678",
        "612-345-678",
        "612\u00a0345\u00a0678",
        "612\u200b345\u200b678",
        "６１２３４５６７８",
        "٦١٢٣٤٥٦٧٨",
        "6️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣",
        "6 1 2 3 4 5 6 7 8",
        "612&nbsp;345&nbsp;678",
        "(201) 555-0123",
        "201.555.0123",
        "1-800-555-0123",
        "+1 (201) 555-0123 ext. 12",
        "07400 123456",
        "+44 (0)20 7946 0958",
        "55 1234 5678",
        "011 15-2345-6789",
        "11 2345-6789",
    ],
)
def test_a_phone_number_goes_however_it_is_written(text: str) -> None:
    assert redact(text) == "[PHONE]"
    assert redact(f"😡 {text} 😡, y 3 más") == "😡 [PHONE] 😡, y 3 más"


@pytest.mark.parametrize("cue", ["llámame al", "Tel:", "call me at", "my WhatsApp is", "móvil", "phone no."])
def test_a_word_announces_a_number_too_short_to_know(cue: str) -> None:
    assert redact(f"{cue} 555 1234 today") == f"{cue} [PHONE] today"


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\u00a01111\u202f1111\u20091111",
        "4111\n1111\n1111\n1111",
        "3782 822463 10005",
        "378282246310005",
        "5555 5555 5555 4444",
        "6304000000000000",
    ],
)
def test_a_card_goes(text: str) -> None:
    assert redact(text) == "[CARD]"
    assert redact(f"x{text}y") == "x[CARD]y"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ES91 2100 0418 4502 0005 1332 gracias", "[IBAN] gracias"),
        ("es91-2100-0418-4502-0005-1332", "[IBAN]"),
        ("GB29NWBK60161331926819.", "[IBAN]."),
        ("DE89 3704 0044 0532 0130 00", "[IBAN]"),
        ("2100 0418 45 0200051332", "[ACCOUNT]"),
        ("21000418450200051332", "[ACCOUNT]"),
        ("routing 021000021, account number: 1234567890", "routing [ACCOUNT], account number: [ACCOUNT]"),
        ("mi cuenta bancaria es 12345678901", "mi cuenta bancaria es [ACCOUNT]"),
        ("my card 1234 5678 9012 3456, cvv 123", "my card [CARD], cvv [CARD]"),
        ("CVV: 123", "CVV: [CARD]"),
    ],
)
def test_a_bank_account_goes(text: str, left: str) -> None:
    assert redact(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("12345678Z", "[ID]"),
        ("12.345.678-z", "[ID]"),
        ("X1234567L", "[ID]"),
        ("K0867756N", "[ID]"),
        ("123-45-6789", "[ID]"),
        ("SSN 123456789", "SSN [ID]"),
        ("PEGJ850315HJCRRN07", "[ID]"),
        ("GODE561231GR8", "[ID]"),
        ("20-12345678-6", "[ID]"),
        ("12.345.678-5", "[ID]"),
        ("529.982.247-25", "[ID]"),
        ("52998224725", "[ID]"),
        ("RSSMRA85T10A562S", "[ID]"),
        ("AB 12 34 56 C", "[ID]"),
        ("DNI 30.123.456", "DNI [ID]"),
        ("mi cédula es 1.023.456.789", "mi cédula es [ID]"),
        ("passport number AB1234567", "passport number [ID]"),
        ("mi pasaporte es XDA123456", "mi pasaporte es [ID]"),
        ("driver's license: D1234567", "driver's license: [ID]"),
    ],
)
def test_a_national_id_goes(text: str, left: str) -> None:
    assert redact(text) == left


@pytest.mark.parametrize("text", ["192.0.2.10", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "2001:db8::8a2e:370:7334"])
def test_an_ip_address_goes(text: str) -> None:
    assert redact(f"banned from {text} today") == "banned from [IP] today"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("@nora_vega", "[HANDLE]"),
        ("@nora.vega, look", "[HANDLE], look"),
        ("gracias@noravega", "gracias[HANDLE]"),
        ("u/nora_vega said", "[HANDLE] said"),
        ("ig: nora_vega88", "ig: [HANDLE]"),
        ("https://www.instagram.com/nora.vega/?hl=es", "https://www.instagram.com/[HANDLE]"),
        ("x.com/noravega/status/123456789.", "x.com/[HANDLE]."),
        ("https://www.linkedin.com/in/nora-vega-123/", "https://www.linkedin.com/in/[HANDLE]"),
        ("https://www.facebook.com/profile.php?id=100012345", "https://www.facebook.com/[HANDLE]"),
        ("reddit.com/user/noravega", "reddit.com/user/[HANDLE]"),
        ("https://www.tiktok.com/@noravega/video/1", "https://www.tiktok.com/[HANDLE]"),
        ("https://wa.me/34612345678", "https://wa.me/[PHONE]"),
    ],
)
def test_a_persons_handle_or_profile_goes(text: str, left: str) -> None:
    assert redact(text, "Northwind") == left


@pytest.mark.parametrize(
    ("handle", "product"),
    [
        ("@VirginAmerica", "Virgin America"),
        ("@USAirways", "US Airways"),
        ("@usairways", "US Airways"),
        ("@AmericanAir", "American"),
        ("@united", "United"),
        ("@united's", "United"),
        ("@DeltaAssist", "Delta"),
        ("@AmazonHelp", "Amazon Echo Show, 7 inch"),
        ("@Movistar_es", "Movistar"),
        ("@ElCorteIngles", "El Corte Inglés"),
        ("@McDonalds", "McDonald's"),
        ("@hpsupport", "HP"),
        ("https://x.com/VirginAmerica/status/1", "Virgin America"),
    ],
)
def test_the_companys_own_handle_stays(handle: str, product: str) -> None:
    assert redact(f"{handle} why?", product) == f"{handle} why?"


@pytest.mark.parametrize(
    ("handle", "product"),
    [
        ("@unitedfan_john", "United"),
        ("@john_united", "United"),
        ("@johnamerican", "American"),
        ("@american.girl88", "American"),
        ("@HPjohn", "HP"),
        ("@virg", "Virgin America"),
        ("@us", "US Airways"),
        ("@SomeOther", "Delta"),
    ],
)
def test_a_handle_that_only_resembles_the_company_goes(handle: str, product: str) -> None:
    assert redact(f"{handle} why?", product) == "[HANDLE] why?"


def test_a_companys_names_are_remembered_and_peoples_are_not() -> None:
    assert REDACTOR.redact("@zelkocares ask @juana_perez77", product="Zelko P4").text == "@zelkocares ask [HANDLE]"
    remembered = {name for name, _ in handles._COMPANIES}
    assert "zelkocares" in remembered
    assert "juana_perez77" not in remembered


def test_a_listed_public_handle_stays() -> None:
    assert Redactor(public_handles=["@JetBlue"]).redact("@jetblue @nora", product="Delta").text == "@jetblue [HANDLE]"


def test_several_kinds_in_one_text_are_all_told() -> None:
    text = "nora@example.com, +34 612 345 678 or @nora; DNI 12345678Z, card 4111 1111 1111 1111, nora@example.org"
    redacted = REDACTOR.redact(text)
    assert redacted.text == "[EMAIL], [PHONE] or [HANDLE]; DNI [ID], card [CARD], [EMAIL]"
    assert redacted.counts == {"email": 2, "phone": 1, "handle": 1, "national_id": 1, "card": 1}


# --- what stays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "It costs $1,299.99, not 1.299,99 € nor $4155552671",
        "on 2024-01-15 at 10:30, el 15/01/2024 a las 10:30:45, 18 11 2011 at 9:00",
        "from 1998-2003 and in 2015 2016 2017",
        "99.9% of 1,000,000 users, 1.000.000 de visitas, 612 000 000 people, 612345678 € or 612345678 views",
        "order 123456789 and order #4155552671 and pedido nº 612345678",
        "order 112-3456789-1234567, tracking 794644790132, 1Z999AA10123456784",
        "localizador X7Y8Z9, booking ABC123, ISBN 9780306406157",
        'iPhone 15 Pro, WH-1000XM5, UN55TU8000FXZA 55", 512GB/16GB, 1920x1080 @60fps, 25000000mAh',
        "flights AA1234 and BA 2490, gate 12, seats 23A 24B",
        "meet @ 5pm or @5pm or @ the gate, see you @home, 2@$5",
        "firmware 10.0.1.12 after v9.8.7.6",
        "#fail #2024 🙄 <3 10/10",
        "10 9 8 7 6 5 4 3 2 1 and 3.141592653",
        "30/60/90/120/150/180 days, 2/3 of them in (2016) 388.201",
        "https://t.co/X4tDY84dBH https://twitter.com/i/status/569123456789012345 https://t.example/569123456789012341",
        "read r/spain and n/a and 24/7",
        "I was at amazon.com yesterday, look at google dot com",
        "the account manager of 2019 charged my card 3 times, call 911",
        "std::vector at 10:20:30",
    ],
)
def test_facts_stay(text: str) -> None:
    assert redact(text) == text


def test_a_long_number_is_a_card_only_when_it_passes_the_check() -> None:
    assert redact("code 411111111111111 1111 a") != "code [CARD] a"
    assert redact("parcel 4111111111111112") == "parcel 4111111111111112"
    assert redact("parcel 0000000000000000") == "parcel 0000000000000000"


# --- whatever is written around it -----------------------------------------------------------------------------------

words = st.text(alphabet=string.ascii_letters + "áéíóúñüç ¿?!.,;:()[]'\"-\n😡🙄\u200b\u00a0", max_size=30)
noise = st.text(max_size=20)


def digits_of(text: str) -> str:
    return re.sub(r"\D", "", text)


def survives(number: str, text: str) -> bool:
    """Whether six digits in a row of `number` are still there, whatever stands between them."""
    digits, left = digits_of(number), digits_of(text)
    return any(digits[i : i + 6] in left for i in range(len(digits) - 5))


def with_luhn(payload: str) -> str:
    total = sum(sum(divmod(int(digit) * (2 - i % 2), 10)) for i, digit in enumerate(reversed(payload)))
    return payload + str(-total % 10)


def grouped(number: str, separator: str) -> str:
    return separator.join(number[i : i + 4] for i in range(0, len(number), 4))


cards = st.builds(
    grouped,
    st.text(alphabet=string.digits, min_size=11, max_size=18).map(with_luhn).filter(lambda card: len(set(card)) > 1),
    st.sampled_from(["", " ", "-", "\u00a0", ".", " - "]),
)


def spanish_iban(account: str) -> str:
    check = 98 - int(account + "142800") % 97
    return f"ES{check:02d}{account}"


ibans = st.builds(
    grouped,
    st.text(alphabet=string.digits, min_size=20, max_size=20).map(spanish_iban),
    st.sampled_from(["", " ", "-"]),
)
phones = st.sampled_from(
    [
        phonenumbers.format_number(number, form)
        for region in REGIONS
        for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)
        if (number := phonenumbers.example_number_for_type(region, kind))
        for form in (
            PhoneNumberFormat.NATIONAL,
            PhoneNumberFormat.INTERNATIONAL,
            PhoneNumberFormat.E164,
            PhoneNumberFormat.RFC3966,
        )
    ]
)


PIECES = st.sampled_from(
    str.split(
        """@ @home @united jo x.y b.com gmail gmail.com yahoo.es yahoo arroba [at] (a) _at_ dot punto com es mail: correo:
        E-MAIL maıl: @[1.2.3.4] " ' / = & . - + 12 é 漢"""
    )
) | st.sampled_from([" ", "  ", "\n", "@ ", " @", " at ", "at", ". "])


@given(st.lists(PIECES, max_size=12).map("".join))
@example('"jo y"@b.com')
@example("jo@[1.2.3.4]")
@example("jo @ Gma\u0131l")
@example("correo: jo @ x.y")
@example("E-MAIL: jo @ x.y")
@example("ma\u0131l: jo @ x.y")
def test_what_is_looked_for_at_first_hides_no_address(text: str) -> None:
    """Most patterns are tried only on a text that has what every match of theirs has."""
    written = (emails._EMAIL, emails._EMAIL_ODD, emails._EMAIL_LOOSE)
    found = {emails._trim_quotes(text, *match.span()) for pattern in written for match in pattern.finditer(text)}
    found |= {match.span("address") for match in emails._EMAIL_CUE.finditer(text) if "@" in text}
    found |= {match.span() for pattern in emails._EMAIL_SPOKEN for match in pattern.finditer(text)}
    assert {*emails.emails(text)} == found


@given(words, st.emails(), words)
@example("", "a/b=@ex.com", "")
def test_no_email_survives(before: str, email: str, after: str) -> None:
    left = redact(f"{before} {email} {after}")
    assert email not in left
    assert "@" not in left


@given(words, phones, words)
def test_no_phone_survives(before: str, phone: str, after: str) -> None:
    # "order" before it or "km" after it would rightly make it no phone: a word and a comma keep them apart.
    assert not survives(phone, redact(f"{before} hola {phone}, {after}"))


# In an URL only the numbers of the large networks count as cards: the others are ids of posts.
@given(words.filter(lambda text: "www." not in text.lower()), cards, words)
def test_no_card_survives(before: str, card: str, after: str) -> None:
    assert not survives(card, redact(f"{before}{card}{after}"))


@given(words, ibans, words)
def test_no_iban_survives(before: str, iban: str, after: str) -> None:
    assert not survives(iban, redact(f"{before} {iban} {after}"))


mixtures = st.lists(
    st.one_of(
        noise,
        words,
        phones,
        cards,
        ibans,
        st.emails(),
        st.from_regex(r"[@#+(]?\w{1,8}[.@/: -]", fullmatch=True),
        st.from_regex(r"[0-9 .-]{5,25}", fullmatch=True),
        st.sampled_from(
            [
                *PLACEHOLDERS.values(),
                "[EMA",
                "IL]",
                "DNI ",
                "tel ",
                "account ",
                "x.com/",
                "arroba ",
                " punto com",
                "&#64;",
            ]
        ),
    ),
    max_size=7,
).map("".join)


@settings(max_examples=400)
@given(mixtures)
@example("a@b.co nora@ empresa . com")
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = REDACTOR.redact(text, product="United")
    assert REDACTOR.redact(once.text, product="United") == Redacted(once.text, ())


@settings(max_examples=300)
@given(mixtures)
def test_spans_point_at_the_placeholders(text: str) -> None:
    redacted = REDACTOR.redact(text)
    end = 0
    for redaction in redacted.redactions:
        assert redaction.start >= end
        assert redacted.text[redaction.start : redaction.end] == PLACEHOLDERS[redaction.kind]
        end = redaction.end
    assert sum(redacted.counts.values()) == len(redacted.redactions)


@given(
    st.text(
        alphabet=st.characters(exclude_characters="@＠﹫&%/", exclude_categories=["Nd", "Nl", "No", "Cs", "Cn", "Co"])
    )
)
def test_a_text_without_digits_or_at_signs_is_untouched(text: str) -> None:
    assert REDACTOR.redact(text) == Redacted(text, ())


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "a@",
        "@ab ",
        "1 ",
        "61 ",
        "6 12345 ",
        "dot a ",
        "a at ",
        "::",
        "ES12 1234 ",
        "((",
        "\n",
        "a\u200b",
        "x.com/",
    ],
)
def test_twenty_thousand_hostile_characters_are_answered(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    assert redact(redact(text)) == redact(text)


# --- identifiers and links -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["569123456789012345", "4111111111111111", "612345678", "tweets-eu", "urn:uuid:1b-2", ""]
)
def test_an_identifier_made_of_digits_is_no_card(value: str) -> None:
    assert redact_identifier(value) == value


@pytest.mark.parametrize("value", ["nora@example.com", "mail:nora@example.com:7", "+34612345678", "https://x.com/nora"])
def test_an_identifier_with_personal_data_becomes_a_stable_hash(value: str) -> None:
    assert redact_identifier(value) == "h:" + hashlib.sha256(value.encode()).hexdigest()[:32]
    assert redact_identifier(value) != redact_identifier(value + "0")
    assert redact_identifier(redact_identifier(value)) == redact_identifier(value)


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("https://x.com/noravega/status/569123456789012345", "https://x.com/[HANDLE]"),
        (
            "https://x.com/VirginAmerica/status/569123456789012345",
            "https://x.com/VirginAmerica/status/569123456789012345",
        ),
        (
            "https://shop.example/review/612345678?u=nora%40example.com",
            "https://shop.example/review/612345678?u=[EMAIL]",
        ),
        ("shop.example/p/4111111111111111", "shop.example/p/4111111111111111"),
        ("https://wa.me/34612345678", "https://wa.me/[PHONE]"),
        ("https://shop.example/call?n=%2B34612345678", "https://shop.example/call?n=[PHONE]"),
    ],
)
def test_a_link_loses_its_people_and_keeps_its_page(url: str, left: str) -> None:
    assert redact_url(url, product="Virgin America") == left


def test_an_author_becomes_a_keyed_pseudonym() -> None:
    expected = hmac.new(b"salt", b"nora", hashlib.sha256).hexdigest()[:32]
    assert author_pseudonym("nora", b"salt") == expected
    assert author_pseudonym("nora", b"other") != expected
    assert author_pseudonym("", b"salt") == ""


def test_a_chain_of_glued_handles_is_redacted_at_once_however_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []

    def counted(text: str) -> tuple[str, list[int] | None]:
        passes.append(len(text))
        return folded_copy(text)

    monkeypatch.setattr("workers.analyze.redact.placeholders.folded_copy", counted)
    assert redact("@ไทย" * 500) == "[HANDLE]" * 500
    assert len(passes) == 2, "one that finds them all, one that finds nothing more"
