"""OpenAI's protocol, the other way: the shapes of answers, and of streamed chunks.

Field names and the order of events follow the types of the openai package.
"""

import base64
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from starlette.responses import JSONResponse

from helpers.gpt import Step
from helpers.service.generation import Generation
from helpers.service.messages import Json
from helpers.service.requests import ChatRequest, CompletionRequest

Steps = AsyncIterator[tuple[int, Step]]  # number of the answer, and its next token
_RNG = random.Random()  # of its own: the notebooks seed the common one


class JsonResponse(JSONResponse):
    """JSON in ASCII, like the events: it can carry half a surrogate pair, too."""

    def render(self, content: Any) -> bytes:
        """Encode."""
        return json.dumps(content).encode()


def new_id(prefix: str) -> str:
    """A fresh identifier such as "resp_1f0c..."; unique, but no secret."""
    return f"{prefix}_{_RNG.getrandbits(96):024x}"


def event(data: Json, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def _usage(answers: Sequence[Generation], written: int | None = None) -> Json:
    read = sum(answer.input_tokens for answer in answers)
    if written is None:
        written = sum(len(answer.steps) for answer in answers)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _head(model: str, id_prefix: str, kind: str) -> Json:
    made = int(time.time())
    return {"id": new_id(id_prefix), "object": kind, "created": made, "model": model}


# --- completions


def completion(body: CompletionRequest, answers: Sequence[Generation]) -> Json:
    """A text_completion object."""
    return {
        **_head(body.model, "cmpl", "text_completion"),
        "choices": [
            _completion_choice(number, answer.steps, body.logprobs)
            for number, answer in enumerate(answers)
        ],
        "usage": _usage(answers),
    }


async def completion_events(
    body: CompletionRequest, answers: Sequence[Generation], steps: Steps
) -> AsyncIterator[bytes]:
    """The chunks of a streamed completion."""
    head = _head(body.model, "cmpl", "text_completion")
    offsets, written = [0] * len(answers), 0
    async for number, step in steps:
        choice = _completion_choice(number, [step], body.logprobs, offsets[number])
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


def chat(body: ChatRequest, answers: Sequence[Generation]) -> Json:
    """A chat.completion object."""
    choices = []
    for number, answer in enumerate(answers):
        text, refused = answer.text, answer.refused
        message = {"role": "assistant", "content": None if refused else text}
        choice = {
            "index": number,
            "message": {**message, "refusal": text if refused else None},
            "logprobs": None,
            "finish_reason": answer.steps[-1].finish,
        }
        choices.append(choice)
    return {
        **_head(body.model, "chatcmpl", "chat.completion"),
        "choices": choices,
        "usage": _usage(answers),
    }


async def chat_events(
    body: ChatRequest, answers: Sequence[Generation], steps: Steps
) -> AsyncIterator[bytes]:
    """The chunks of a streamed chat completion."""
    head = _head(body.model, "chatcmpl", "chat.completion.chunk")

    def chunk(number: int, delta: Json, finish: str = "") -> bytes:
        choice = {"index": number, "delta": delta, "finish_reason": finish or None}
        return event({**head, "choices": [choice]})

    for number, _ in enumerate(answers):
        yield chunk(number, {"role": "assistant", "content": ""})
    written = 0
    async for number, step in steps:
        kind = "refusal" if answers[number].refused else "content"
        yield chunk(number, {kind: step.token})
        if step.finish:
            yield chunk(number, {}, step.finish)
        written += 1
    if body.wants_usage:
        yield event({**head, "choices": [], "usage": _usage(answers, written)})
    yield b"data: [DONE]\n\n"


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
