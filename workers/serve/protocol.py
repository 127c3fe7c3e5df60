"""The part of OpenAI's chat completions that is served, as types. What is not served is refused, never passed over.

https://platform.openai.com/docs/api-reference/chat
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

MOST_MESSAGES = 64
MOST_LABELS = 64
Word = Annotated[str, Field(min_length=1, max_length=64)]


class Refused(Exception):
    """An answer in OpenAI's shape that is no completion: HTTP status, `type`, `code` and the sentence."""

    def __init__(
        self, status: int, kind: str, code: str, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status, self.kind, self.code, self.sentence, self.headers = status, kind, code, sentence, headers

    def document(self, param: str | None = None) -> dict[str, Any]:
        return {"error": {"message": self.sentence, "type": self.kind, "param": param, "code": self.code}}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextPart(_Asked):
    type: Literal["text"]
    text: str


class Message(_Asked):
    role: Literal["system", "user", "assistant"]
    content: str | tuple[TextPart, ...]
    name: str | None = None

    @property
    def words(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class Labels(BaseModel):
    """The values that a property may have. `title` and `description` are for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["string"] = "string"
    enum: tuple[Word, ...] = Field(min_length=1, max_length=MOST_LABELS)
    title: str = ""
    description: str = ""

    @field_validator("enum")
    @classmethod
    def _each_once(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands there twice")
        return labels


class LabelSchema(BaseModel):
    """The JSON Schemas that an answer can be held to: an object whose properties are enums of strings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["object"]
    properties: dict[Word, Labels] = Field(min_length=1, max_length=8)
    required: tuple[Word, ...] = ()
    additional_properties: Literal[False] = Field(default=False, alias="additionalProperties")
    title: str = ""
    description: str = ""

    @model_validator(mode="after")
    def _of_its_properties(self) -> Self:
        if unknown := set(self.required) - self.properties.keys():
            raise ValueError(f"required names {sorted(unknown)[0]}, which is no property")
        return self

    @property
    def labels(self) -> dict[str, Sequence[str]]:
        return {name: labels.enum for name, labels in self.properties.items()}


class NamedSchema(_Asked):
    name: Word
    schema_: LabelSchema = Field(alias="schema")
    strict: bool | None = None
    description: str = ""


class ResponseFormat(_Asked):
    type: Literal["text", "json_schema"]
    json_schema: NamedSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is to be given with the type json_schema, and only then")
        return self


class StreamOptions(_Asked):
    include_usage: bool = False


class ChatRequest(_Asked):
    """What may be asked. Options that would change nothing here are taken at their default alone."""

    model: str
    messages: tuple[Message, ...] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None
    n: Literal[1] = 1
    top_p: Literal[1] = 1
    frequency_penalty: Literal[0] = 0
    presence_penalty: Literal[0] = 0
    logprobs: Literal[False] = False

    @field_validator("stop")
    @classmethod
    def _few_and_not_empty(cls, stop: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        marks = (stop,) if isinstance(stop, str) else stop or ()
        if len(marks) > 4 or not all(0 < len(mark) <= 64 for mark in marks):
            raise ValueError("give at most four, of 1 to 64 characters")
        return stop

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    @property
    def labels(self) -> dict[str, Sequence[str]] | None:
        """The closed lists that the answer is chosen from, if it is."""
        asked = self.response_format and self.response_format.json_schema
        return asked.schema_.labels if asked else None


def read_request(body: bytes) -> ChatRequest:
    """Raises `Refused` that names what is wrong first, never what was sent."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        sentence = f"{where}: {first['msg']}" if where else "the body is not JSON that can be read"
        raise Refused(400, "invalid_request_error", "invalid_value", sentence) from None


def event(document: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
