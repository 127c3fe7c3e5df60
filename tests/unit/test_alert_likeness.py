"""Near-identical texts are told from merely similar ones."""

from workers.alerting.likeness import ALIKE_BITS, largest_group, simhash

CLAIM = "Do not buy this lamp, the seller took my money and the parcel never came, see the link in my profile"


def bits_apart(one: str, other: str) -> int:
    first, second = simhash(one), simhash(other)
    assert first is not None
    assert second is not None
    return (first ^ second).bit_count()


def test_case_spacing_and_signs_make_no_difference() -> None:
    assert simhash(CLAIM.upper().replace(",", " ;  ")) == simhash(CLAIM)


def test_a_word_more_is_nearly_the_same_and_another_text_is_not() -> None:
    assert bits_apart(CLAIM, f"{CLAIM} !!! @shop") <= ALIKE_BITS
    other = "The lamp came within a day, the light is warm, and the seller answered my question about the bulb at once"
    assert bits_apart(CLAIM, other) > 2 * ALIKE_BITS


def test_a_text_of_a_few_words_tells_nothing() -> None:
    assert simhash("Great lamp, thank you!") is None
    assert simhash("") is None


def test_the_largest_group_is_found_among_others() -> None:
    texts = [
        "the first of all texts here is about nothing in particular at all",
        *(f"{CLAIM} {mark}" for mark in ("#1", "#2", "!", "")),
        *["I have waited three weeks for an answer and still nobody has called me back"] * 2,
    ]
    hashes = [found for text in texts if (found := simhash(text)) is not None]
    assert largest_group(hashes) == [1, 2, 3, 4]
    assert largest_group([]) == []
