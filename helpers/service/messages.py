"""Messages of a conversation, and the form that an answer is asked for in."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from helpers.service.fields import TEXT_ONLY, TOOLS

MAX_MESSAGES = 4096
Json = dict[str, Any]


def _text(content: Any) -> Any:
    """The text of a message, whose content may come in parts."""
    parts = isinstance(content, list)
    return "\n".join(map(_text_of_part, content)) if parts else content


def _text_of_part(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get("refusal" if kind == "refusal" else "text") if kind else None
    if kind in ("text", "input_text", "output_text", "refusal"):
        if isinstance(text, str):
            return text
        raise ValueError(f"A part of the type {kind} has no text.")
    raise ValueError(f"{TEXT_ONLY} A part has the type {kind!r:.40}.")


def _refuse(wrong: Callable[[Any], bool], message: str) -> BeforeValidator:
    """Refuse some values of a field, with a sentence."""

    def check(value: Any) -> Any:
        if wrong(value):
            raise ValueError(message)
        return value

    return BeforeValidator(check)


def _no_message(kind: Any) -> bool:
    return kind not in (None, "message")


Role = Literal["system", "developer", "user", "assistant"]
ONLY_MESSAGES = f"Only messages are understood. {TOOLS}"
NO_JSON_MODE = (
    "There is no JSON mode (json_object): send a JSON schema, as a format of the type "
    "json_schema. parse() of the openai package makes one."
)


class Message(BaseModel):
    """One message of a conversation; what the service wrote may come back as it is."""

    type: Annotated[Any, _refuse(_no_message, ONLY_MESSAGES)] = None
    role: Annotated[Role, _refuse(lambda role: role in ("tool", "function"), TOOLS)]
    content: Annotated[str | None, BeforeValidator(_text)] = None
    refusal: str | None = None
    tool_calls: Annotated[Any, _refuse(bool, TOOLS)] = None
    function_call: Annotated[Any, _refuse(bool, TOOLS)] = None

    @model_validator(mode="after")
    def _not_silent(self) -> "Message":
        if self.content is None and self.role != "assistant":
            raise ValueError(f"A message of the {self.role} needs a content.")
        return self

    @property
    def text(self) -> str:
        """What was said, if only why nothing was."""
        return self.content or self.refusal or ""


def as_messages(given: Any) -> Any:
    """Messages of responses: a text is the user's; a model's reasoning is left out."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise ValueError("The input must be a text or a list of messages.")
    return [
        one
        for one in given
        if not (isinstance(one, dict) and one.get("type") == "reasoning")
    ]


Messages = Annotated[list[Message], Field(max_length=MAX_MESSAGES, fail_fast=True)]


def conversation(
    instructions: str, messages: Iterable[Message]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """All instructions as one text, and the turns."""
    system, turns = [instructions] if instructions else [], []
    for message in messages:
        if message.role in ("system", "developer"):
            system.append(message.text)
        else:
            turns.append((message.role, message.text))
    return "\n".join(system), tuple(turns)


class JsonSchema(BaseModel):
    """The json_schema of a response format."""

    schema_: Json | None = Field(None, alias="schema")


class Format(JsonSchema):
    """response_format of chat completions, or text.format of responses."""

    type: Annotated[
        Literal["text", "json_schema"],
        _refuse(lambda kind: kind == "json_object", NO_JSON_MODE),
    ]
    json_schema: JsonSchema | None = None

    @property
    def asked(self) -> Json | None:
        """The schema; None: any text will do."""
        if self.type == "text":
            return None
        return (self.json_schema or self).schema_ or {}


class TextOptions(BaseModel):
    """The field text of responses."""

    format: Format | None = None
