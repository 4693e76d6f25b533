"""Deliberate misbehaviour, for teaching: only in a service started with faults=True.

A request asks for it in the header x-teach-fault, all of an owner's with
Service.misbehave(owner, fault). "server_error:2" spoils the first two attempts of a
request only; the openai client numbers its attempts in x-stainless-retry-count.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from helpers.gpt import Step
from helpers.service.generation import Generation
from helpers.service.http_errors import ServiceError, bad_request

HEADER = "x-teach-fault"
SECONDS = {"slow": 2.0, "distant": 0.2}  # an overloaded server; one far away
ERRORS = {  # status, message, code, type
    "rate_limit": (429, "Rate limit reached", "rate_limit_exceeded", "requests"),
    "quota": (429, "Quota exceeded", "insufficient_quota", "insufficient_quota"),
    "server_error": (500, "The server had an error", None, "server_error"),
}
FAULTS = (*ERRORS, *SECONDS, "malformed_json", "truncated", "refusal", "dropped_stream")


def requested(headers: Mapping[str, str], of_owner: str | None, allowed: bool) -> str:
    """Name of the fault that this request gets, or "".

    Raises:
        ServiceError: 400 for an unknown fault, or a service not started for faults.

    """
    asked = headers.get(HEADER) or of_owner or ""
    if not asked:
        return ""
    if not allowed:
        message = "This service was not started with faults=True."
        raise bad_request(message, "no_teaching_faults")
    name, _, times = asked.partition(":")
    if name not in FAULTS or not (times.isdecimal() or not times):
        message = f"No fault {asked!r:.40}; there are {', '.join(FAULTS)}."
        raise bad_request(message, "no_such_fault")
    tries = headers.get("x-stainless-retry-count", "0")
    if times and tries.isdecimal() and int(tries[:4]) >= int(times[:4]):
        return ""
    return name


async def before(fault: str) -> None:
    """Let the faults happen that come before any answer."""
    if fault in ERRORS:
        status, message, code, kind = ERRORS[fault]
        wait = {"retry-after": "1"} if fault == "rate_limit" else {}
        message += " (a fault for teaching)."
        raise ServiceError(status, message, code, kind=kind, headers=wait)
    if fault in SECONDS:
        await asyncio.sleep(SECONDS[fault])


def inject(answer: Generation, fault: str) -> Generation:
    """The answer with a fault in it, computed to its end for that; or as it is."""
    if fault == "refusal":
        step = Step("I cannot help with this order.", 0.0, (), "stop")
        return Generation((step,), answer.input_tokens, refused=True)
    if fault not in ("malformed_json", "truncated"):
        return answer
    steps = list(answer.steps)
    *half, last = steps[: max(1, len(steps) // 2)]
    if fault == "truncated":
        steps = [*half, last._replace(finish="length")]
    else:
        last = last._replace(finish="")
        steps = [*half, last, Step("}} ,", 0.0, (), steps[-1].finish)]
    return replace(answer, steps=steps)


async def drop(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The first half of the events; then the connection breaks."""
    found = [event async for event in events]
    for event in found[: len(found) // 2]:
        yield event
    raise RuntimeError("Dropped: a fault for teaching.")
