"""OpenAI's protocol, the other way: the shapes of answers, and of streamed chunks.

Field names and the order of events follow the types of the openai package.
"""

import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import accumulate, count
from typing import Any

import numpy as np
from starlette.responses import JSONResponse

from helpers.gpt import Step
from helpers.service.generation import Generation
from helpers.service.messages import Json
from helpers.service.requests import (
    ChatRequest,
    CompletionRequest,
    OlderRequest,
    ResponsesRequest,
)

STATUS = {"stop": "completed", "length": "incomplete"}  # by the last token
Steps = AsyncIterator[Step]
Shape = tuple[Callable, Callable]  # of an answer in one piece, and of its events


class JsonResponse(JSONResponse):
    """JSON in ASCII, like the events: it can carry half a surrogate pair, too."""

    def render(self, content: Any) -> bytes:
        """Encode."""
        return json.dumps(content).encode()


def new_id(prefix: str) -> str:
    """A fresh identifier such as "resp_1f0c..."; unique, but no secret."""
    return f"{prefix}_{secrets.token_hex(12)}"


def event(data: Json, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def _head(body: OlderRequest, kind: str) -> Json:
    made = int(time.time())
    return {"id": new_id("cmpl"), "object": kind, "created": made, "model": body.model}


def _usage(answer: Generation, written: int) -> Json:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": written,
        "total_tokens": answer.input_tokens + written,
    }


def _last(body: OlderRequest, head: Json, answer: Generation, written: int) -> bytes:
    """The end of a stream."""
    usage = {**head, "choices": [], "usage": _usage(answer, written)}
    before = event(usage) if body.stream_options.include_usage else b""
    return before + b"data: [DONE]\n\n"


# --- completions


def completion(body: CompletionRequest, answer: Generation) -> Json:
    """A text_completion object."""
    choice = _completion_choice(answer.steps, body.logprobs)
    usage = _usage(answer, len(answer.steps))
    return {**_head(body, "text_completion"), "choices": [choice], "usage": usage}


async def completion_events(
    body: CompletionRequest, answer: Generation, steps: Steps
) -> AsyncIterator[bytes]:
    """The chunks of a streamed completion."""
    head, offset, written = _head(body, "text_completion"), 0, 0
    async for step in steps:
        choice = _completion_choice([step], body.logprobs, offset)
        yield event({**head, "choices": [choice]})
        offset, written = offset + len(step.token), written + 1
    yield _last(body, head, answer, written)


def _completion_choice(steps: Sequence[Step], top: int | None, offset: int = 0) -> Json:
    """Some steps of an answer; offset: characters of it that came before."""
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
        "index": 0,
        "text": "".join(tokens),
        "logprobs": None if top is None else logprobs,
        "finish_reason": steps[-1].finish or None,
    }


# --- chat completions


def chat(body: ChatRequest, answer: Generation) -> Json:
    """A chat.completion object."""
    message = {"role": "assistant", "content": None, "refusal": None}
    message["refusal" if answer.refused else "content"] = answer.text
    finish = answer.steps[-1].finish
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    usage = _usage(answer, len(answer.steps))
    return {**_head(body, "chat.completion"), "choices": [choice], "usage": usage}


async def chat_events(
    body: ChatRequest, answer: Generation, steps: Steps
) -> AsyncIterator[bytes]:
    """The chunks of a streamed chat completion."""
    head, written = _head(body, "chat.completion.chunk"), 0

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**head, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    async for step in steps:
        yield chunk({"refusal" if answer.refused else "content": step.token})
        if step.finish:
            yield chunk({}, step.finish)
        written += 1
    yield _last(body, head, answer, written)


# --- responses, OpenAI's newer endpoint for text


def response(body: ResponsesRequest, answer: Generation) -> Json:
    """A response object; without any token yet, one in progress."""
    finish = answer.steps[-1].finish if answer.steps else ""
    status = STATUS.get(finish, "in_progress")
    text: Json = {"type": "output_text", "text": answer.text}
    text |= {"annotations": [], "logprobs": []}
    refusal = {"type": "refusal", "refusal": answer.text}
    message = {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [refusal if answer.refused else text],
    }
    cut = {"reason": "max_output_tokens"}
    read, written = answer.input_tokens, len(answer.steps)
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "model": body.model,
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "store": False,
        "status": status,
        "incomplete_details": cut if status == "incomplete" else None,
        "output": [message],
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
    }


async def response_events(
    body: ResponsesRequest, answer: Generation, steps: Steps
) -> AsyncIterator[bytes]:
    """The events of a streamed response, in OpenAI's order."""
    sequence = count()

    def send(name: str, **data: Any) -> bytes:
        name = f"response.{name}"
        return event({"type": name, "sequence_number": next(sequence), **data}, name)

    begun = response(body, replace(answer, steps=()))
    (message,) = begun["output"]
    (part,) = message["content"]
    begun |= {"output": [], "usage": None}
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    yield send("created", response=begun)
    yield send("in_progress", response=begun)
    yield send("output_item.added", output_index=0, item={**message, "content": []})
    yield send("content_part.added", **place, part=part)
    written, kind = [], part["type"]
    async for step in steps:
        written.append(step)
        extra = {} if answer.refused else {"logprobs": []}
        yield send(f"{kind}.delta", **place, delta=step.token, **extra)
    whole = response(body, replace(answer, steps=written))
    whole |= {name: begun[name] for name in ("id", "created_at")}
    (item,) = whole["output"]
    item["id"] = message["id"]
    (part,) = item["content"]
    ended = {name: part[name] for name in part if name not in ("type", "annotations")}
    yield send(f"{kind}.done", **place, **ended)
    yield send("content_part.done", **place, part=part)
    yield send("output_item.done", output_index=0, item=item)
    yield send(whole["status"], response=whole)


COMPLETION = completion, completion_events
CHAT = chat, chat_events
RESPONSE = response, response_events


# --- embeddings and models


def embeddings(model: str, vectors: np.ndarray, as_base64: bool, tokens: int) -> Json:
    """A list of embeddings; base64 holds little-endian float32, as OpenAI sends it."""
    data = []
    for number, vector in enumerate(vectors.astype("<f4")):
        text = base64.b64encode(vector.tobytes()).decode() if as_base64 else None
        row = {"object": "embedding", "index": number}
        data.append({**row, "embedding": text or vector.tolist()})
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def model_card(name: str, created: int) -> Json:
    """One entry of /v1/models."""
    card = {"id": name, "object": "model", "created": created}
    return {**card, "owned_by": "this-course"}
