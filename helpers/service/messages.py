"""Messages of a conversation, and the form that an answer is asked for in."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from helpers.service.fields import TEXT_ONLY, TOOLS

MAX_MESSAGES = 4096
Json = dict[str, Any]


def _text(content: Any) -> Any:
    """The text of a message, whose content may come in parts."""
    if not isinstance(content, list):
        return content
    return "\n".join(map(_text_of_part, content))


def _text_of_part(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get("refusal" if kind == "refusal" else "text") if kind else None
    if kind in ("text", "input_text", "output_text", "refusal"):
        if isinstance(text, str):
            return text
        raise ValueError(f"A part of the type {kind} has no text.")
    raise ValueError(f"{TEXT_ONLY} A part has the type {kind!r:.40}.")


def _no_tools(value: Any) -> None:
    """Refuse what only a call of a tool brings; empty is nothing."""
    if value:
        raise ValueError(TOOLS)


def _no_tool_role(role: Any) -> Any:
    if role in ("tool", "function"):
        raise ValueError(TOOLS)
    return role


def _only_messages(kind: Any) -> Any:
    if kind not in (None, "message"):
        raise ValueError(f"Only messages are understood, not {kind!r:.40}. {TOOLS}")
    return None


class Message(BaseModel):
    """One message of a conversation; what the service wrote may come back as it is."""

    type: Annotated[None, BeforeValidator(_only_messages)] = None
    role: Annotated[
        Literal["system", "developer", "user", "assistant"],
        BeforeValidator(_no_tool_role),
    ]
    content: Annotated[str | None, BeforeValidator(_text)] = None
    refusal: str | None = None
    tool_calls: Annotated[None, BeforeValidator(_no_tools)] = None
    function_call: Annotated[None, BeforeValidator(_no_tools)] = None

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


def _no_json_mode(kind: Any) -> Any:
    if kind == "json_object":
        raise ValueError(
            "There is no JSON mode (json_object): send a JSON schema, as a format of "
            "the type json_schema. parse() of the openai package makes one."
        )
    return kind


class JsonSchema(BaseModel):
    """The json_schema of a response format."""

    schema_: Json | None = Field(None, alias="schema")


class Format(JsonSchema):
    """response_format of chat completions, or text.format of responses."""

    type: Annotated[Literal["text", "json_schema"], BeforeValidator(_no_json_mode)]
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
