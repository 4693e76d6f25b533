"""The shape and the events of /v1/responses, OpenAI's newer endpoint for text."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from helpers.service.generation import Generation
from helpers.service.messages import Json
from helpers.service.requests import ResponsesRequest
from helpers.service.responses import Steps, event, new_id


def response(
    body: ResponsesRequest,
    answers: Sequence[Generation],
    response_id: str = "",
    message_id: str = "",
) -> Json:
    """A complete response object."""
    (answer,) = answers
    cut = answer.steps[-1].finish == "length"
    message = {
        "id": message_id or new_id("msg"),
        "type": "message",
        "role": "assistant",
        "status": "incomplete" if cut else "completed",
        "content": [_part(answer)],
    }
    written = len(answer.steps)
    return {
        **_response_head(body.model, response_id or new_id("resp")),
        "status": message["status"],
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [message],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + written,
        },
    }


async def response_events(
    body: ResponsesRequest, answers: Sequence[Generation], steps: Steps
) -> AsyncIterator[bytes]:
    """The events of a streamed response, in OpenAI's order."""
    (answer,) = answers
    response_id, message_id = new_id("resp"), new_id("msg")
    sequence = count()

    def send(name: str, **data: Any) -> bytes:
        name = f"response.{name}"
        return event({"type": name, "sequence_number": next(sequence), **data}, name)

    begun = {**_response_head(body.model, response_id), "status": "in_progress"}
    begun["output"] = []
    message = {"id": message_id, "type": "message", "role": "assistant", "content": []}
    place = {"item_id": message_id, "output_index": 0, "content_index": 0}
    kind = "refusal" if answer.refused else "output_text"
    part = _part(replace(answer, steps=()))
    yield send("created", response=begun)
    yield send("in_progress", response=begun)
    started = {**message, "status": "in_progress"}
    yield send("output_item.added", output_index=0, item=started)
    yield send("content_part.added", **place, part=part)
    written = []
    async for _, step in steps:
        written.append(step)
        extra = {} if answer.refused else {"logprobs": []}
        yield send(f"{kind}.delta", **place, delta=step.token, **extra)
    whole = response(body, [replace(answer, steps=written)], response_id, message_id)
    (message,) = whole["output"]
    (part,) = message["content"]
    ended = {name: part[name] for name in part if name not in ("type", "annotations")}
    yield send(f"{kind}.done", **place, **ended)
    yield send("content_part.done", **place, part=part)
    yield send("output_item.done", output_index=0, item=message)
    yield send(whole["status"], response=whole)


def _response_head(model: str, response_id: str) -> Json:
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "store": False,
    }


def _part(answer: Generation) -> Json:
    if answer.refused:
        return {"type": "refusal", "refusal": answer.text}
    return {
        "type": "output_text",
        "text": answer.text,
        "annotations": [],
        "logprobs": [],
    }
