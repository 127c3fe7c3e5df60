"""Access tokens: asked for once in their life, the client's secret where it belongs, a clear word when there is none."""

import pytest
from pydantic import SecretStr, ValidationError

from tests.token_endpoint import TokenEndpoint
from workers.settings import KafkaSettings
from workers.stream.oauth import ClientCredentials, NoToken

SECRET = "s3cret: with/odd+signs"


def credentials(url: str, **changes: object) -> ClientCredentials:
    given = {"sasl_username": "a client", "sasl_password": SecretStr(SECRET), "sasl_oauth_token_url": url} | changes
    return ClientCredentials(
        KafkaSettings.model_validate({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"} | given)
    )


@pytest.fixture
def known(tokens: TokenEndpoint) -> TokenEndpoint:
    tokens.knows("a client", SECRET)
    return tokens


def test_a_token_is_asked_for_once_in_its_life(known: TokenEndpoint) -> None:
    asking = credentials(known.url, sasl_oauth_scope="kafka")
    first = asking.token()
    assert asking.token() == first
    assert known.asked == [{"grant_type": ["client_credentials"], "scope": ["kafka"]}]


def test_a_token_that_is_over_is_asked_for_anew(known: TokenEndpoint) -> None:
    known.life_s = 0
    asking = credentials(known.url)
    asking.token()
    asking.token()
    assert known.given == 2


@pytest.mark.parametrize("answer", [b"", b"[]", b"no json", b"{}", b'{"access_token": "t", "expires_in": "soon"}'])
def test_an_answer_without_a_token_is_said(known: TokenEndpoint, answer: bytes) -> None:
    known.answer = answer
    with pytest.raises(NoToken, match=r"answers with no access_token; set VOXPOP_KAFKA__SASL_OAUTH_TOKEN_URL"):
        credentials(known.url).token()


def test_who_is_refused_and_who_finds_nobody_is_told_without_the_secret(known: TokenEndpoint) -> None:
    for url, user, said in (
        (known.url, "another", "gives no token (it answers 401)"),
        ("http://127.0.0.1:9/token", "a client", "does not answer"),
    ):
        with pytest.raises(NoToken) as told:
            credentials(url, sasl_username=user).token()
        assert said in str(told.value)
        assert SECRET not in str(told.value)


@pytest.mark.parametrize("url", ["http://idp.example/token", "ftp://idp.example", "http://127.0.0.1.example/"])
def test_the_secret_goes_nowhere_in_the_clear(url: str) -> None:
    with pytest.raises(ValidationError, match="the client's secret is sent there"):
        credentials(url)


def test_the_endpoint_has_to_be_named() -> None:
    with pytest.raises(ValidationError, match="needs sasl_oauth_token_url"):
        credentials("", sasl_oauth_token_url=None)
