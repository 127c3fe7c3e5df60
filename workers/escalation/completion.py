"""Of an endpoint's answer what is read: the one message, and the tokens that it says it took."""

import json
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.escalation.endpoint import Unusable

Tokens = Annotated[int, Field(ge=0, le=1_000_000)]


class Completion(NamedTuple):
    """What was said, and its tokens; None where the endpoint does not say."""

    said: str
    prompt_tokens: int | None
    answer_tokens: int | None


class _Envelope(BaseModel):
    """Endpoints add much of their own."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Message(_Envelope):
    content: str


class _Choice(_Envelope):
    message: _Message


class _Usage(_Envelope):
    prompt_tokens: Tokens
    completion_tokens: Tokens


class _Completion(_Envelope):
    choices: list[_Choice] = Field(min_length=1, max_length=1)
    usage: _Usage | None = None


def read_completion(body: bytes) -> Completion:
    """Raises `Unusable`: not_json, wrong_form."""
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        raise Unusable("not_json" if error.errors()[0]["type"] == "json_invalid" else "wrong_form") from None
    said, usage = completion.choices[0].message.content, completion.usage
    if usage is None:
        return Completion(said, None, None)
    return Completion(said, usage.prompt_tokens, usage.completion_tokens)


def read_object(said: str, keys: set[str]) -> dict[str, Any]:
    """The JSON object that was said, with these keys and no other, each once. Raises `Unusable`: not_json, wrong_form."""
    try:
        found = json.loads(said, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError):
        raise Unusable("not_json") from None
    if not isinstance(found, dict) or set(found) != keys:
        raise Unusable("wrong_form")
    return found


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found
