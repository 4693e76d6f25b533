"""Fields of OpenAI's requests that no model here uses: which values are accepted.

A known field is accepted wherever ignoring it changes nothing, and refused where it
would change something, with what to do instead. An unknown field is refused, so that a
misspelled option does not silently do nothing. tests/service/test_fields.py holds this
file to the parameters of the openai package.
"""

from difflib import get_close_matches
from typing import Any

from pydantic.fields import FieldInfo

from helpers.service.http_errors import bad_request

# These change no answer of a model that does not reason, call tools, or keep anything.
REASONING = ("reasoning", "reasoning_effort", "verbosity", "prediction")
CALLING = ("parallel_tool_calls", "max_tool_calls", "image")
CACHING = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")
KEEPING = ("store", "metadata", "user", "safety_identifier", "access_programs")
SERVING = ("service_tier", "truncation", "stream_options", "background_options")
IGNORED = frozenset(REASONING + CALLING + CACHING + KEEPING + SERVING)
TOOLS = (
    "This service calls no tools or functions: leave them out. For an answer in a "
    "fixed form, send a JSON schema (response_format, or text.format in responses)."
)
TEXT_ONLY = "This service reads and writes text only."
KEEPS_NOTHING = "This service keeps nothing: send the whole conversation each time."
LOGPROBS = "Only /v1/completions gives log probabilities (logprobs: 0 to 5)."
ONE_ANSWER = "A request gets one answer: for several, send several."
INCLUDED = f"Nothing but text is there to be included. {LOGPROBS}"
PENALTIES = "These models know no penalties and no bias for tokens."

# These may be null, or have a value that changes nothing; else there is a sentence.
NEUTRAL: dict[str, tuple[tuple[Any, ...], str]] = {
    "tools": (([],), TOOLS),
    "tool_choice": (("none", "auto"), TOOLS),
    "functions": (([],), TOOLS),
    "function_call": (("none", "auto"), TOOLS),
    "web_search_options": ((), "This service searches nothing."),
    "audio": ((), TEXT_ONLY),
    "modalities": ((["text"],), TEXT_ONLY),
    "moderation": ((), "This service moderates nothing."),
    "frequency_penalty": ((0,), PENALTIES),
    "presence_penalty": ((0,), PENALTIES),
    "logit_bias": ((), PENALTIES),
    "logprobs": ((False,), LOGPROBS),
    "top_logprobs": ((0,), LOGPROBS),
    "n": ((1,), ONE_ANSWER),
    "best_of": ((1,), ONE_ANSWER),
    "echo": ((False,), "The prompt is not repeated: put it in front yourself."),
    "suffix": (("",), "These models only continue a text; they fill no gap in it."),
    "include": (([], ["reasoning.encrypted_content"]), INCLUDED),
    "background": ((False,), "This service answers at once, not in the background."),
    "conversation": ((), KEEPS_NOTHING),
    "previous_response_id": ((), KEEPS_NOTHING),
    "prompt": ((), "This service stores no prompts: send the text in input."),
    "context_management": (([],), KEEPS_NOTHING),
}


def acting(values: dict[str, Any], used: dict[str, FieldInfo]) -> dict[str, Any]:
    """The fields of a request that act.

    Args:
        values: the request as it came; null is as good as left out.
        used: the fields that this endpoint uses.

    Raises:
        ServiceError: 400 for an unknown field, or one that would change something.

    """
    kept = {}
    for name, value in values.items():
        if name in used:
            if value is not None or used[name].is_required():
                kept[name] = value
        elif name in NEUTRAL:
            if not _changes_nothing(name, value, values):
                message = f"{name} is not supported here. {NEUTRAL[name][1]}"
                raise bad_request(message, "unsupported_parameter", name)
        elif name not in IGNORED:
            close = get_close_matches(name[:80], [*used, *IGNORED, *NEUTRAL], 1)
            hint = f"Did you mean {close[0]}?" if close else "Leave it out."
            message = f"There is no parameter {name!r:.80}. {hint}"
            raise bad_request(message, "unknown_parameter", name[:200])
    return kept


def _changes_nothing(name: str, value: Any, values: dict[str, Any]) -> bool:
    """Whether a field of NEUTRAL may be ignored at this value, beside the others."""
    if name in ("tools", "functions"):  # with "none", they are not to be called
        if "none" in (values.get("tool_choice"), values.get("function_call")):
            return True
    elif name == "logit_bias" and isinstance(value, dict):
        return not any(value.values())
    return value is None or any(
        value == other and isinstance(value, bool) == isinstance(other, bool)
        for other in NEUTRAL[name][0]
    )
