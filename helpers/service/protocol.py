"""OpenAI's protocol: what requests may hold, and the shapes of answers and events.

Field names and event order follow the types of the openai package. At the top level,
unknown fields are refused, so that a misspelled option does not silently do nothing.
"""

import base64
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import accumulate, count
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from starlette.responses import JSONResponse

from helpers.gpt import NAME as GPT
from helpers.gpt import TOP, Step
from helpers.service.errors import bad_request
from helpers.service.prompt import Answer, Ask

Json = dict[str, Any]
Steps = AsyncIterator[tuple[int, Step]]  # number of the answer, and its next token
MAX_NAMES = 64  # in an object whose every name is checked
MAX_ANSWERS = 8  # to one request
_IDS = random.Random()  # of its own: the notebooks seed the common one
Stop = Annotated[str, Field(min_length=1, max_length=100)]
Top = Annotated[int | None, Field(ge=0, le=TOP)]  # so many of the likeliest tokens
ONLY_LIKELIEST = {  # what does no harm to a model that always says what is likeliest
    **{"temperature": 0.0, "top_p": 1.0, "n": 1, "stop": []},
    **{"logprobs": False, "top_logprobs": 0, "include": []},
}


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
    store: bool | None = None  # nothing is written down
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    _few = model_validator(mode="before")(_few)


class Generation(Request):
    """What all requests for text have."""

    stream: bool | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)

    def check(self, samples: bool) -> None:
        """Refuse options without effect; samples: whether the model draws its tokens.

        Raises:
            ServiceError: 400, naming the option and what to do.

        """
        if getattr(self, "top_logprobs", None) and self.top is None:
            raise bad_request(
                "top_logprobs needs logprobs: true; with responses, include: "
                '["message.output_text.logprobs"].',
                "invalid_request",
                "top_logprobs",
            )
        for name, harmless in {} if samples else ONLY_LIKELIEST.items():
            value = getattr(self, name, None)
            if value is not None and (type(value), value) != (type(harmless), harmless):
                raise bad_request(
                    f"{self.model:.80} always gives its likeliest answer: {name} would "
                    f"have no effect. Leave it out, or ask {GPT}.",
                    "unsupported_parameter",
                    name,
                )

    def options(self) -> Json:
        """What an Ask takes as it is; left out where OpenAI's default holds."""
        found = {"temperature": self.temperature, "top_p": self.top_p}
        return {name: value for name, value in found.items() if value is not None}


class Choosing(Generation):
    """What completions and chat completions have on top of that."""

    n: int | None = Field(None, ge=1, le=MAX_ANSWERS)
    seed: int | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4, fail_fast=True)] | None = (
        None
    )
    max_tokens: int | None = Field(None, ge=1)
    stream_options: Annotated[dict[str, bool] | None, BeforeValidator(_few)] = None

    def options(self) -> Json:
        """The same, with seed and stop strings."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or ()
        return {**super().options(), "seed": self.seed, "stop": tuple(stop)}

    def several(self, ask: Ask) -> list[Ask]:
        """The n answers to one prompt."""
        return [replace(ask, choice=number) for number in range(self.n or 1)]

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the count of tokens."""
        return bool((self.stream_options or {}).get("include_usage"))


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


class ChatRequest(Choosing):
    """Body of POST /v1/chat/completions."""

    messages: list[Message] = Field(min_length=1, max_length=4096)
    response_format: ChatFormat | None = None
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: Top = None

    @property
    def top(self) -> int | None:
        """So many likely tokens are shown with each; None: no log probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def ask(self) -> Ask:
        """The request, independent of the endpoint."""
        form = self.response_format
        schema = None
        if form and form.type == "json_schema":
            schema = form.json_schema.schema_ if form.json_schema else {}
        limit = self.max_completion_tokens or self.max_tokens
        said = _said("", self.messages)
        return Ask(*said, schema, limit, place="messages", **self.options())

    def asks(self) -> list[Ask]:
        """One for each answer."""
        return self.several(self.ask())


class CompletionRequest(Choosing):
    """Body of POST /v1/completions: each prompt is a user message without others."""

    prompt: str | Annotated[list[str], Field(min_length=1, fail_fast=True)]
    logprobs: Top = None

    @property
    def top(self) -> int | None:
        """So many likely tokens are shown with each; None: no log probabilities."""
        return self.logprobs

    def asks(self) -> list[Ask]:
        """One for each answer.

        Raises:
            ServiceError: 400, too many in all.

        """
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if len(prompts) * (self.n or 1) > MAX_ANSWERS:
            raise bad_request(
                f"{len(prompts)} prompts with n={self.n or 1}: a request gets at most "
                f"{MAX_ANSWERS} answers.",
                "invalid_request",
                "prompt",
            )
        options = {"place": "prompt", "max_tokens": self.max_tokens, **self.options()}
        asks = [Ask("", (("user", prompt),), **options) for prompt in prompts]
        return [one for ask in asks for one in self.several(ask)]


class TextFormat(BaseModel):
    """text.format of responses."""

    type: Literal["text", "json_schema"]
    schema_: Json | None = Field(None, alias="schema")


class TextOptions(BaseModel):
    """The field text of responses."""

    format: TextFormat | None = None


class ResponsesRequest(Generation):
    """Body of POST /v1/responses."""

    input: str | Annotated[list[Message], Field(fail_fast=True)]
    instructions: str | None = None
    text: TextOptions | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    include: list[Literal["message.output_text.logprobs"]] | None = Field(
        None, max_length=1
    )
    top_logprobs: Top = None

    @property
    def top(self) -> int | None:
        """So many likely tokens are shown with each; None: no log probabilities."""
        return (self.top_logprobs or 0) if self.include else None

    def ask(self) -> Ask:
        """The request, independent of the endpoint."""
        messages = self.input
        if isinstance(messages, str):
            messages = [Message(role="user", content=messages)]
        form = self.text.format if self.text else None
        schema = (form.schema_ or {}) if form and form.type == "json_schema" else None
        said = _said(self.instructions or "", messages)
        return Ask(*said, schema, self.max_output_tokens, **self.options())

    def asks(self) -> list[Ask]:
        """One: this endpoint gives one answer."""
        return [self.ask()]


class EmbeddingsRequest(Request):
    """Body of POST /v1/embeddings."""

    input: str | Annotated[list[str], Field(fail_fast=True)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1)


def _said(
    instructions: str, messages: list[Message]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """All instructions as one text, and the turns."""
    system = [instructions] if instructions else []
    turns = []
    for message in messages:
        if message.role in ("system", "developer"):
            system.append(message.text())
        else:
            turns.append((message.role, message.text()))
    return "\n".join(system), tuple(turns)


def new_id(kind: str) -> str:
    """A fresh identifier such as "resp_1f0c..."; unique, but no secret."""
    return f"{kind}_{_IDS.getrandbits(96):024x}"


def event(data: Json, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def _usage(answers: Sequence[Answer], written: int | None = None) -> Json:
    read = sum(answer.input_tokens for answer in answers)
    if written is None:
        written = sum(len(answer.steps) for answer in answers)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _head(model: str, number: str, kind: str) -> Json:
    made = int(time.time())
    return {"id": new_id(number), "object": kind, "created": made, "model": model}


def _logprobs(steps: Sequence[Step], top: int | None) -> list[Json]:
    """Tokens with their log probabilities, as chat and responses show them."""

    def one(token: str, logprob: float) -> Json:
        whole = "\ufffd" not in token  # else part of a letter: bytes unknown here
        sent = list(token.encode()) if whole else None
        return {"token": token, "bytes": sent, "logprob": logprob}

    return [
        {
            **one(step.token, step.logprob),
            "top_logprobs": [one(*likely) for likely in step.top[:top]],
        }
        for step in steps
        if top is not None
    ]


# --- completions


def completion(body: CompletionRequest, answers: Sequence[Answer]) -> Json:
    """A text_completion object."""
    return {
        **_head(body.model, "cmpl", "text_completion"),
        "choices": [
            _completion_choice(number, answer.steps, body.top)
            for number, answer in enumerate(answers)
        ],
        "usage": _usage(answers),
    }


async def completion_events(
    body: CompletionRequest, answers: Sequence[Answer], steps: Steps
) -> AsyncIterator[bytes]:
    """The chunks of a streamed completion."""
    head = _head(body.model, "cmpl", "text_completion")
    offsets, written = [0] * len(answers), 0
    async for number, step in steps:
        choice = _completion_choice(number, [step], body.top, offsets[number])
        yield event({**head, "choices": [choice]})
        offsets[number] += len(step.token)
        written += 1
    if body.wants_usage:
        yield event({**head, "choices": [], "usage": _usage(answers, written)})
    yield b"data: [DONE]\n\n"


def _completion_choice(
    number: int, steps: Sequence[Step], top: int | None, offset: int = 0
) -> Json:
    """Some steps of one answer; offset: characters of it that came before."""
    tokens = [step.token for step in steps]
    logprobs = {
        "tokens": tokens,
        "token_logprobs": [step.logprob for step in steps],
        "top_logprobs": [
            {**dict(reversed(step.top[:top])), step.token: step.logprob}
            for step in steps
        ],
        "text_offset": list(accumulate(map(len, tokens[:-1]), initial=offset)),
    }
    return {
        "index": number,
        "text": "".join(tokens),
        "logprobs": None if top is None else logprobs,
        "finish_reason": steps[-1].finish or None,
    }


# --- chat completions


def chat(body: ChatRequest, answers: Sequence[Answer]) -> Json:
    """A chat.completion object."""
    choices = []
    for number, answer in enumerate(answers):
        text, refused = answer.text, answer.refused
        message = {"role": "assistant", "content": None if refused else text}
        choice = {
            "index": number,
            "message": {**message, "refusal": text if refused else None},
            "logprobs": _chat_logprobs(answer.steps, body.top, refused),
            "finish_reason": answer.steps[-1].finish,
        }
        choices.append(choice)
    return {
        **_head(body.model, "chatcmpl", "chat.completion"),
        "choices": choices,
        "usage": _usage(answers),
    }


async def chat_events(
    body: ChatRequest, answers: Sequence[Answer], steps: Steps
) -> AsyncIterator[bytes]:
    """The chunks of a streamed chat completion."""
    head = _head(body.model, "chatcmpl", "chat.completion.chunk")

    def chunk(number: int, delta: Json, finish: str = "", **more: Any) -> bytes:
        choice = {"index": number, "delta": delta, "finish_reason": finish or None}
        return event({**head, "choices": [choice | more]})

    for number, _ in enumerate(answers):
        yield chunk(number, {"role": "assistant", "content": ""})
    written = 0
    async for number, step in steps:
        refused = answers[number].refused
        found = _chat_logprobs([step], body.top, refused)
        kind = "refusal" if refused else "content"
        yield chunk(number, {kind: step.token}, logprobs=found)
        if step.finish:
            yield chunk(number, {}, step.finish)
        written += 1
    if body.wants_usage:
        yield event({**head, "choices": [], "usage": _usage(answers, written)})
    yield b"data: [DONE]\n\n"


def _chat_logprobs(steps: Sequence[Step], top: int | None, refused: bool) -> Any:
    found = _logprobs(steps, top)
    parts = {"content": None, "refusal": found} if refused else {"content": found}
    return None if top is None else {"refusal": None, **parts}


# --- responses


def response(
    body: ResponsesRequest, answers: Sequence[Answer], number: str = "", item: str = ""
) -> Json:
    """A complete response object; number and item: its id, and its message's."""
    (answer,) = answers
    cut = answer.steps[-1].finish == "length"
    message = {
        "id": item or new_id("msg"),
        "type": "message",
        "role": "assistant",
        "status": "incomplete" if cut else "completed",
        "content": [_part(answer, body.top)],
    }
    said = len(answer.steps)
    return {
        **_response_head(body.model, number or new_id("resp")),
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


async def response_events(
    body: ResponsesRequest, answers: Sequence[Answer], steps: Steps
) -> AsyncIterator[bytes]:
    """The events of a streamed response, in OpenAI's order."""
    (answer,) = answers
    number, item = new_id("resp"), new_id("msg")
    sequence = count()

    def send(name: str, **data: Any) -> bytes:
        name = f"response.{name}"
        return event({"type": name, "sequence_number": next(sequence), **data}, name)

    begun = {**_response_head(body.model, number), "status": "in_progress"}
    begun["output"] = []
    message = {"id": item, "type": "message", "role": "assistant", "content": []}
    place = {"item_id": item, "output_index": 0, "content_index": 0}
    kind = "refusal" if answer.refused else "output_text"
    part = _part(replace(answer, steps=()), body.top)
    yield send("created", response=begun)
    yield send("in_progress", response=begun)
    started = {**message, "status": "in_progress"}
    yield send("output_item.added", output_index=0, item=started)
    yield send("content_part.added", **place, part=part)
    said = []
    async for _, step in steps:
        said.append(step)
        extra = {} if answer.refused else {"logprobs": _logprobs([step], body.top)}
        yield send(f"{kind}.delta", **place, delta=step.token, **extra)
    whole = response(body, [replace(answer, steps=said)], number, item)
    (message,) = whole["output"]
    (part,) = message["content"]
    ended = {
        name: part[name] for name in ("text", "logprobs", "refusal") if name in part
    }
    yield send(f"{kind}.done", **place, **ended)
    yield send("content_part.done", **place, part=part)
    yield send("output_item.done", output_index=0, item=message)
    yield send(whole["status"], response=whole)


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


def _part(answer: Answer, top: int | None) -> Json:
    if answer.refused:
        return {"type": "refusal", "refusal": answer.text}
    return {
        "type": "output_text",
        "text": answer.text,
        "annotations": [],
        "logprobs": _logprobs(answer.steps, top),
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
