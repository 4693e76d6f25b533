"""The shape and the events of /v1/responses, OpenAI's newer endpoint for text."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from typing import Any

from helpers.service.generation import Generation
from helpers.service.messages import Json
from helpers.service.requests import ResponsesRequest
from helpers.service.responses import Steps, event, new_id

STATUS = {"stop": "completed", "length": "incomplete"}  # by the last token


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
