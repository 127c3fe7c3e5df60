"""A text without digits near each other is not searched for most ids: none of those may be without them."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.analyze.redact import Redactor, ids

DENSE = [shape.pattern for shape in ids._SHAPES if shape.dense] + [
    pattern for _, pattern in ids._ANNOUNCED if pattern not in (ids._SECURITY_CODE, ids._ANNOUNCED_IP)
]


@pytest.mark.parametrize("pattern", DENSE, ids=range(len(DENSE)))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_what_is_left_out_without_near_digits_has_them(pattern: re.Pattern[str], data: st.DataObject) -> None:
    text = data.draw(st.from_regex(pattern))
    assert ids._DENSE.search(text)


@pytest.mark.parametrize("pattern", [ids._SECURITY_CODE, ids._ANNOUNCED_IP], ids=["security code", "ip"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_what_is_announced_without_near_digits_is_looked_for(pattern: re.Pattern[str], data: st.DataObject) -> None:
    text = data.draw(st.from_regex(pattern))
    digits = sum(char in "0123456789" for char in text)
    sparse = [looked_for for _, looked_for in ids._announced_sparsely(text, digits)]
    assert pattern in sparse or (pattern is ids._ANNOUNCED_IP and digits < 5)


@pytest.mark.parametrize(
    ("text", "placeholder"),
    [
        ("codice fiscale RSSMRA85T10A562S, 1 2", "[ID]"),
        ("my ip is 10.0.0.1 and it 5x a day", "[IP]"),
        ("3 cards, cvv: 123, paid 7 times", "[CARD]"),
        ("GB82 WEST 1234 5698 7654 32", "[IBAN]"),
    ],
)
def test_the_others_are_found_all_the_same(text: str, placeholder: str) -> None:
    assert placeholder in Redactor().redact(text).text
