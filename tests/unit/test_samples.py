"""What the sample stream promises to whoever streams it, counts it or shows it."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise

import phonenumbers
import pytest
import yaml
from stdnum import iban, luhn
from stdnum.es import dni

from schemas.events import KNOWN_FIELDS, Event, InvalidMessage, Reason, decode_event
from schemas.samples import GoldLabel, SampleMessage, gold_labels, sample_messages

# Why an event can be malformed; analysis_failed is the one reason that no message can carry by itself.
MESSAGE_REASONS = {reason.value for reason in Reason} - {Reason.ANALYSIS_FAILED.value}
PERSONAL = "personal_data"
# Texts that hold each kind, in a form whose check digits hold: a redactor that counts can be held to these.
PERSONAL_COUNTS = {"email": 11, "card": 5, "iban": 3, "national_id": 3, "phone": 15, "profile": 1}


@pytest.fixture(scope="module")
def messages() -> list[SampleMessage]:
    return list(sample_messages())


@pytest.fixture(scope="module")
def valid(messages: list[SampleMessage]) -> list[SampleMessage]:
    return [message for message in messages if message.expected_reason is None]


@pytest.fixture(scope="module")
def malformed(messages: list[SampleMessage]) -> list[SampleMessage]:
    return [message for message in messages if message.expected_reason is not None]


@pytest.fixture(scope="module")
def stream(valid: list[SampleMessage]) -> list[Event]:
    return [decode_event(message.value) for message in valid]


@pytest.fixture(scope="module")
def events(stream: list[Event]) -> dict[tuple[str, str], Event]:
    return {(event.source, event.id): event for event in stream}


@pytest.fixture(scope="module")
def gold() -> dict[tuple[str, str], GoldLabel]:
    return gold_labels()


def texts_with(trait: str, events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]) -> list[str]:
    return [events[key].text for key, label in gold.items() if trait in label.traits]


def test_counts_are_those_the_readme_states(
    valid: list[SampleMessage], malformed: list[SampleMessage], events: dict[tuple[str, str], Event]
) -> None:
    assert (len(valid), len(events), len(malformed)) == (471, 464, 24)
    readme = (files("schemas.samples") / "README.md").read_text(encoding="utf-8")
    assert "471 valid messages hold 464 distinct events" in readme
    assert "24 malformed messages" in readme
    for product, count in Counter(event.product for event in events.values()).items():
        assert re.search(rf"^\| {re.escape(product)} \|[^|]+\|[^|]+\| {count} \|", readme, re.MULTILINE), product
    for reason, count in Counter(message.expected_reason for message in malformed).items():
        assert f"{reason} {count}" in readme


def test_products_sectors_kinds_and_languages_are_varied(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    assert min(Counter(event.product for event in events.values()).values()) >= 25
    assert len({event.product for event in events.values()}) == 11
    languages = Counter(label.language for label in gold.values())
    assert languages["en"] / len(gold) > 0.45
    assert languages["es"] / len(gold) > 0.45
    assert languages["pt"] + languages["fr"] >= 5
    kinds = Counter(event.kind for event in events.values())
    assert 0.40 < kinds["post"] / len(events) < 0.50
    for product in {event.product for event in events.values()}:
        spoken = {gold[key].language for key, event in events.items() if event.product == product}
        assert spoken >= {"en", "es"}, product


def test_every_event_uses_the_contracts_fields_and_only_those(valid: list[SampleMessage]) -> None:
    documents = [json.loads(message.value or b"") for message in valid]
    assert all(document.keys() <= KNOWN_FIELDS for document in documents)
    assert {key for document in documents for key in document} == KNOWN_FIELDS
    for message, document in zip(valid, documents, strict=True):
        assert message.topic == ("voxpop.social" if document["kind"] == "post" else "voxpop.reviews")
        assert message.key in {None, document["product"].encode()}
    assert any(message.key is None for message in valid)


def test_times_lie_in_the_two_weeks_and_mostly_rise_with_a_few_late(stream: list[Event]) -> None:
    times = [event.created_at for event in stream]
    assert min(times) >= datetime(2026, 11, 2, tzinfo=UTC)
    assert max(times) < datetime(2026, 11, 16, tzinfo=UTC)
    backwards = sum(later < earlier for earlier, later in pairwise(times))
    assert 5 <= backwards <= 0.05 * len(times)


def test_an_id_returns_within_its_source_only_as_a_resend_of_the_same_bytes(valid: list[SampleMessage]) -> None:
    seen: dict[tuple[str, str], SampleMessage] = {}
    resends = 0
    for message in valid:
        document = json.loads(message.value or b"")
        first = seen.setdefault((document["source"], document["id"]), message)
        resends += first is not message
        assert message == first
    assert resends == 7
    assert len({identity for _, identity in seen}) == len(seen) - 1, "one id is shared by two sources"


def test_reposts_repeat_an_earlier_text_under_an_id_of_their_own(
    stream: list[Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    first: dict[str, tuple[str, str]] = {}
    reposts = set()
    for event in stream:
        key = (event.source, event.id)
        if first.setdefault(event.text, key) != key:
            reposts.add(key)
    assert reposts == {key for key, label in gold.items() if "repost" in label.traits}
    assert len(reposts) >= 12


def test_every_distinct_event_has_one_gold_label_with_known_names(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    lines = (files("schemas.samples") / "gold.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(gold)
    assert gold.keys() == events.keys()
    taxonomy = yaml.safe_load((files("schemas") / "taxonomy.yaml").read_text(encoding="utf-8"))
    known = {aspect["name"] for aspect in taxonomy["aspects"]}
    assert {name for label in gold.values() for name in label.aspects} == known, "every aspect is in the sample"
    sentiments = set(taxonomy["sentiments"])
    assert {label.sentiment for label in gold.values()} == sentiments
    assert {polarity for label in gold.values() for polarity in label.aspects.values()} <= sentiments


def test_a_language_that_the_producer_states_is_the_gold_one(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    stated = {key: event.language for key, event in events.items() if event.language is not None}
    assert 0.05 < len(stated) / len(events) < 0.25
    assert all(gold[key].language == language for key, language in stated.items())


def test_ratings_agree_with_the_gold_sentiment(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    for key, event in events.items():
        if event.rating is not None and event.rating <= 2:
            assert gold[key].sentiment == "negative", event.text[:80]
        if event.rating == 5:
            assert gold[key].sentiment == "positive", event.text[:80]


def test_mixed_texts_are_those_with_opposed_aspects(gold: dict[tuple[str, str], GoldLabel]) -> None:
    opposed = {key for key, label in gold.items() if {"positive", "negative"} <= set(label.aspects.values())}
    assert opposed == {key for key, label in gold.items() if "mixed" in label.traits}
    assert len(opposed) >= 60


def test_sarcasm_is_labelled_by_what_is_meant_in_both_languages(gold: dict[tuple[str, str], GoldLabel]) -> None:
    sarcastic = [label for label in gold.values() if "sarcasm" in label.traits]
    assert len(sarcastic) >= 15
    assert {label.language for label in sarcastic} >= {"en", "es"}
    assert all(label.sentiment == "negative" for label in sarcastic)


def test_lengths_go_from_one_emoji_to_a_text_of_nearly_six_thousand_characters(
    events: dict[tuple[str, str], Event],
) -> None:
    lengths = sorted(len(event.text) for event in events.values())
    assert sum(length <= 8 for length in lengths) >= 8
    assert sum(length > 1_200 for length in lengths) >= 12
    assert 5_500 <= lengths[-1] <= 6_500


def test_scripts_entities_newlines_emoji_and_orders_to_machines_are_there(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    everything = [event.text for event in events.values()]
    for pattern in (
        "[\u0590-\u06ff]",
        "[\u3040-\u30ff]",
        "[\u4e00-\u9fff]",
        "&amp;",
        r"&\w+;",
        "\n\n",
        "🔥",
        r"#\w+",
        "https://",
    ):
        assert any(re.search(pattern, text) for text in everything), pattern
    assert len(texts_with("instruction", events, gold)) >= 4
    assert len(texts_with("urgent", events, gold)) >= 15


def personal_kinds(text: str) -> set[str]:
    """The kinds of personal data in a text whose form and check digits hold."""
    kinds = set()
    if re.search(r"[\w.]+@(\w+\.)*example\.(com|org|net)\b", text):
        kinds.add("email")
    cards = re.findall(r"\b\d{4} \d{4} \d{4} \d{4}\b|\b\d{4} \d{6} \d{5}\b", text)
    if any(luhn.is_valid(card.replace(" ", "")) for card in cards):
        kinds.add("card")
    if any(iban.is_valid(match) for match in re.findall(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){4,8}", text)):
        kinds.add("iban")
    if any(dni.is_valid(match) for match in re.findall(r"\b\d{8}[A-Z]\b", text)):
        kinds.add("national_id")
    if any(list(phonenumbers.PhoneNumberMatcher(text, region)) for region in ("ES", "MX", "US")):
        kinds.add("phone")
    if re.search(r"https://social\.example/u/", text):
        kinds.add("profile")
    if re.search(r"(?<!\w)@\w*_?\w+", text):
        kinds.add("handle")
    return kinds


def test_personal_data_is_present_in_valid_forms_and_points_at_nobody(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    found = [personal_kinds(text) for text in texts_with(PERSONAL, events, gold)]
    assert len(found) >= 25
    assert all(found)
    counts = Counter(kind for kinds in found for kind in kinds)
    assert counts - Counter(handle=counts["handle"]) == Counter(PERSONAL_COUNTS)
    assert counts["handle"] >= 4
    for event in events.values():
        domains = re.findall(r"[\w.+-]+@([\w-]+\.[\w.-]*\w)", event.text)
        assert all(re.fullmatch(r"(\w+\.)*example\.(com|org|net)", domain) for domain in domains), event.text


def test_texts_without_the_trait_hold_no_personal_numbers(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    for key, label in gold.items():
        if PERSONAL not in label.traits:
            assert not personal_kinds(events[key].text) - {"handle"}, events[key].text


def test_the_headphones_go_wrong_half_way(
    stream: list[Event], events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    update = datetime(2026, 11, 9, 8, tzinfo=UTC)
    turn = next(i for i, e in enumerate(stream) if e.product == "Tavio Hush" and e.created_at >= update)
    assert 0.4 < turn / len(stream) < 0.6
    hush = {key: event for key, event in events.items() if event.product == "Tavio Hush"}
    before = [gold[key] for key, event in hush.items() if event.created_at < update]
    after = [gold[key] for key, event in hush.items() if event.created_at >= update]
    assert len(after) > 2 * len(before)
    assert sum(label.sentiment == "positive" for label in before) > 0.7 * len(before)
    assert sum(label.sentiment == "negative" for label in after) > 0.7 * len(after)
    blamed = Counter(name for label in after for name, polarity in label.aspects.items() if polarity == "negative")
    assert {name for name, _ in blamed.most_common(3)} == {"software", "connectivity", "battery"}
    assert {label.language for label in after} == {"en", "es"}


def test_the_internet_provider_gets_better(
    events: dict[tuple[str, str], Event], gold: dict[tuple[str, str], GoldLabel]
) -> None:
    score = {"negative": -1, "neutral": 0, "positive": 1}
    days: dict[str, list[int]] = {"start": [], "middle": [], "end": []}
    for key, event in events.items():
        if event.product == "Fibralta":
            part = "start" if event.created_at.day < 7 else "middle" if event.created_at.day < 12 else "end"
            days[part].append(score[gold[key].sentiment])
    start, middle, end = (sum(scores) / len(scores) for scores in days.values())
    assert start < -0.8 < middle < 0.5 < end


def test_every_malformed_message_is_refused_with_the_reason_it_is_sent_for(malformed: list[SampleMessage]) -> None:
    assert {message.expected_reason for message in malformed} == MESSAGE_REASONS
    for message in malformed:
        with pytest.raises(InvalidMessage) as refused:
            decode_event(message.value)
        assert refused.value.reason.value == message.expected_reason


def test_no_two_malformed_messages_are_the_same(malformed: list[SampleMessage]) -> None:
    assert len({message.value for message in malformed}) == len(malformed)


def test_malformed_messages_lie_between_good_ones_where_the_file_says(messages: list[SampleMessage]) -> None:
    lines = (files("schemas.samples") / "malformed.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(row["note"] for row in rows)
    positions = [index for index, message in enumerate(messages) if message.expected_reason is not None]
    assert positions == [row["after"] + 1 + earlier for earlier, row in enumerate(rows)]
    assert positions[0] > 0
    assert positions[-1] < len(messages) - 1
