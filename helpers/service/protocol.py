"""OpenAI's protocol: what requests may hold, and the shapes of answers and events.

Field names and event order follow the types of the openai package. At the top level,
unknown fields are refused, so that a misspelled option does not silently do nothing.
"""

import base64
import json
import secrets
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from starlette.responses import JSONResponse

from helpers.service.prompt import Answer, Ask

Json = dict[str, Any]
MAX_NAMES = 64  # in an object whose every name is checked


def _few(value: Any) -> Any:
    """Refuse a crowd of names at once: an error for each would take much memory."""
    if isinstance(value, dict) and len(value) > MAX_NAMES:
        raise ValueError(f"{len(value)} fields; the limit is {MAX_NAMES}")
    return value


class JsonResponse(JSONResponse):
    """JSON in ASCII, like the events: it can carry half a surrogate pair, too."""

    def render(self, content: Any) -> bytes:
        """Encode."""
        return json.dumps(content).encode()


class Request(BaseModel):
    """What every request has; harmless fields are accepted without effect."""

    model_config = ConfigDict(extra="forbid", strict=True)
    model: str = Field(max_length=200)
    user: str | None = None
    metadata: Annotated[dict[str, str] | None, BeforeValidator(_few)] = None
    seed: int | None = None
    store: bool | None = None  # nothing is written down
    temperature: Literal[0] | None = None  # the answer is always the most likely one
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    _few = model_validator(mode="before")(_few)


class Part(BaseModel):
    """A part of a message; only text is understood."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class Message(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], Field(fail_fast=True)]

    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class JsonSchema(BaseModel):
    """The json_schema of a response format."""

    name: str | None = None
    schema_: Json = Field(alias="schema")


class ChatFormat(BaseModel):
    """response_format of chat completions."""

    type: Literal["text", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatRequest(Request):
    """Body of POST /v1/chat/completions."""

    messages: list[Message] = Field(min_length=1, max_length=4096)
    stream: bool | None = None
    stream_options: Annotated[dict[str, bool] | None, BeforeValidator(_few)] = None
    response_format: ChatFormat | None = None
    n: Literal[1] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)

    def ask(self) -> Ask:
        """The request, independent of the endpoint."""
        form = self.response_format
        schema = None
        if form and form.type == "json_schema":
            schema = form.json_schema.schema_ if form.json_schema else {}
        limit = self.max_completion_tokens or self.max_tokens
        return _ask("", self.messages, schema, limit)


class TextFormat(BaseModel):
    """text.format of responses."""

    type: Literal["text", "json_schema"]
    schema_: Json | None = Field(None, alias="schema")


class TextOptions(BaseModel):
    """The field text of responses."""

    format: TextFormat | None = None


class ResponsesRequest(Request):
    """Body of POST /v1/responses."""

    input: str | Annotated[list[Message], Field(fail_fast=True)]
    instructions: str | None = None
    stream: bool | None = None
    text: TextOptions | None = None
    max_output_tokens: int | None = Field(None, ge=1)

    def ask(self) -> Ask:
        """The request, independent of the endpoint."""
        messages = self.input
        if isinstance(messages, str):
            messages = [Message(role="user", content=messages)]
        form = self.text.format if self.text else None
        schema = (form.schema_ or {}) if form and form.type == "json_schema" else None
        return _ask(self.instructions or "", messages, schema, self.max_output_tokens)


class EmbeddingsRequest(Request):
    """Body of POST /v1/embeddings."""

    input: str | Annotated[list[str], Field(fail_fast=True)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1)


def _ask(
    instructions: str, messages: list[Message], schema: Json | None, limit: int | None
) -> Ask:
    system = [instructions] if instructions else []
    turns = []
    for message in messages:
        if message.role in ("system", "developer"):
            system.append(message.text())
        else:
            turns.append((message.role, message.text()))
    return Ask("\n".join(system), tuple(turns), schema, limit)


def new_id(kind: str) -> str:
    """A fresh identifier such as "resp_1f0c..."."""
    return f"{kind}_{secrets.token_hex(12)}"


def event(data: Json, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


# --- chat completions


def chat(model: str, answer: Answer) -> Json:
    """A chat.completion object."""
    content = None if answer.refusal else answer.text
    message = {"role": "assistant", "content": content, "refusal": answer.refusal}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish,
    }
    return {
        **_chat_head(model, "chat.completion"),
        "choices": [choice],
        "usage": _chat_usage(answer),
    }


def chat_events(model: str, answer: Answer, with_usage: bool) -> Iterator[bytes]:
    """The chunks of a streamed chat completion."""
    head = _chat_head(model, "chat.completion.chunk")

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**head, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    if answer.refusal:
        yield chunk({"refusal": answer.refusal})
    else:
        for piece in answer.pieces:
            yield chunk({"content": piece})
    yield chunk({}, answer.finish)
    if with_usage:
        yield event({**head, "choices": [], "usage": _chat_usage(answer)})
    yield b"data: [DONE]\n\n"


def _chat_head(model: str, kind: str) -> Json:
    made = int(time.time())
    return {"id": new_id("chatcmpl"), "object": kind, "created": made, "model": model}


def _chat_usage(answer: Answer) -> Json:
    said = len(answer.pieces)
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": said,
        "total_tokens": answer.input_tokens + said,
    }


# --- responses


def response(model: str, answer: Answer, number: str = "", item: str = "") -> Json:
    """A complete response object."""
    cut = answer.finish == "length"
    message = {
        "id": item or new_id("msg"),
        "type": "message",
        "role": "assistant",
        "status": "incomplete" if cut else "completed",
        "content": [_part(answer)],
    }
    said = len(answer.pieces)
    return {
        **_response_head(model, number or new_id("resp")),
        "status": message["status"],
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [message],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + said,
        },
    }


def response_events(model: str, answer: Answer) -> Iterator[bytes]:
    """The events of a streamed response, in OpenAI's order."""
    number, item = new_id("resp"), new_id("msg")
    whole = response(model, answer, number, item)
    message = whole["output"][0]
    begun = {**_response_head(model, number), "status": "in_progress", "output": []}
    place = {"item_id": item, "output_index": 0, "content_index": 0}
    kind = "refusal" if answer.refusal else "output_text"
    part = message["content"][0]
    text = answer.refusal or answer.text
    extra: Json = {} if answer.refusal else {"logprobs": []}
    empty = {**part, "refusal" if answer.refusal else "text": ""}
    started = {**message, "status": "in_progress", "content": []}
    steps: list[tuple[str, Json]] = [
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
        ("output_item.added", {"output_index": 0, "item": started}),
        ("content_part.added", {**place, "part": empty}),
    ]
    for piece in (answer.refusal,) if answer.refusal else answer.pieces:
        steps.append((f"{kind}.delta", {**place, "delta": piece, **extra}))
    ended = {"refusal": text} if answer.refusal else {"text": text, **extra}
    steps += [
        (f"{kind}.done", {**place, **ended}),
        ("content_part.done", {**place, "part": part}),
        ("output_item.done", {"output_index": 0, "item": message}),
        (whole["status"], {"response": whole}),
    ]
    for sequence, (name, data) in enumerate(steps):
        name = f"response.{name}"
        yield event({"type": name, "sequence_number": sequence, **data}, name)


def _response_head(model: str, number: str) -> Json:
    return {
        "id": number,
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "store": False,
    }


def _part(answer: Answer) -> Json:
    if answer.refusal:
        return {"type": "refusal", "refusal": answer.refusal}
    return {
        "type": "output_text",
        "text": answer.text,
        "annotations": [],
        "logprobs": [],
    }


# --- embeddings and models


def embeddings(model: str, vectors: np.ndarray, as_base64: bool, tokens: int) -> Json:
    """A list of embeddings; base64 holds little-endian float32, as OpenAI sends it."""
    vectors = vectors.astype("<f4")

    def encode(vector: np.ndarray) -> str | list[float]:
        if as_base64:
            return base64.b64encode(vector.tobytes()).decode()
        return vector.tolist()

    data = [
        {"object": "embedding", "index": number, "embedding": encode(vector)}
        for number, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def model_card(name: str, created: int) -> Json:
    """One entry of /v1/models."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "this-course",
    }
