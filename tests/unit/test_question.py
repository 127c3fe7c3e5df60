"""What a question asks about: its product, whatever its case and accents, and the words that are left."""

import pytest

from workers.analyze.question import MOST_CHARS, checked, read_question
from workers.errors import UsageError

PRODUCTS = ("Acme X200", "Acme X300", "Tizón y Maíz", "Garza Air", "Garza")


@pytest.mark.parametrize(
    ("text", "products"),
    [
        ("why are people returning the X200?", ("Acme X200",)),
        ("¿Por qué devuelven el ACME x200 y el acme x300?", ("Acme X200", "Acme X300")),
        ("¿Hay que esperar en tizon y maiz?", ("Tizón y Maíz",)),
        ("Why are Garza Air's delays so long?", ("Garza Air",)),
        ("Is Garza, unlike Garza Air, on time?", ("Garza", "Garza Air")),
        ("Is the Acme any good?", ()),
        ("The X2000 is another one", ()),
    ],
)
def test_a_product_is_told_by_its_name_or_by_its_model(text: str, products: tuple[str, ...]) -> None:
    assert read_question(text, PRODUCTS).products == products


def test_a_model_that_two_products_share_names_neither() -> None:
    assert read_question("is the S1 good?", ["Pelusa S1", "Zelko S1"]).products == ()


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Why are people returning the X200?", "returning"),
        ("¿Qué dicen de la batería del Acme X200?", "batería"),
        ("How well does it pick up pet hair?", "pick pet hair"),
    ],
)
def test_what_it_asks_with_is_not_what_it_asks_about(text: str, about: str) -> None:
    assert read_question(text, PRODUCTS).about == about


@pytest.mark.parametrize(("text", "why"), [("", "empty"), (" \n\t", "empty"), ("¿?…", "empty"), ("x" * 201, "201")])
def test_what_is_no_question_is_one_line_that_says_why(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as error:
        checked(text)
    assert "\n" not in str(error.value)


def test_a_question_becomes_one_line() -> None:
    assert checked("  why \n is\tit\u202e slow? ") == "why is it slow?"
    assert len(checked("x" * MOST_CHARS)) == MOST_CHARS
