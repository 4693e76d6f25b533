"""From the bytes of a body to a checked request, or an error in plain words."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from helpers.service.fields import acting
from helpers.service.http_errors import ServiceError, bad_request

Body = TypeVar("Body", bound=BaseModel)
EXPECTED = {  # by the beginning of pydantic's type of error
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}
LIMITS = {  # by the whole type; the names in braces are pydantic's
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "may have {max_length} characters",
    "string_unicode": "holds half a character (a lone surrogate)",
    "too_short": "must not be empty",
    "too_long": "may have {max_length} entries",
}
KINDS = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}


def read_body(kind: type[Body], body: bytes, encoding: str = "") -> Body:
    """A request of a kind, whatever the Content-Type says.

    Args:
        kind: one of helpers.service.requests.
        body: JSON in UTF-8, or in UTF-16 or -32 with the usual beginning.
        encoding: the header Content-Encoding; a compressed body is not understood.

    Raises:
        ServiceError: 400, saying what is wrong and where.

    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        message = f"The body must be UTF-8 JSON; {_not_json(body, encoding, error)}."
        raise bad_request(message, "invalid_request") from None
    if not isinstance(values, dict):
        message = f"The body must be a JSON object, not {_kind(values)}."
        raise bad_request(message, "invalid_request")
    try:
        return kind.model_validate(acting(values, kind.model_fields))
    except ValidationError as error:
        raise _explained(error.errors(include_url=False)[0]) from None


def _not_json(body: bytes, encoding: str, error: Exception) -> str:
    """What it is instead; nothing of it is quoted."""
    if encoding not in ("", "identity") or body[:2] == b"\x1f\x8b":
        return "it is compressed: send it as it is, without Content-Encoding"
    if not body.strip():
        return "it is empty"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is in another encoding (Latin-1?)"
    if isinstance(error, json.JSONDecodeError):
        return f"at character {error.pos}: {error.msg}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it holds a number that is too long"


def _explained(first: ErrorDetails) -> ServiceError:
    """The first thing that pydantic found, without its jargon."""
    where = ".".join(map(str, first["loc"]))[:200]
    kind, context = first["type"], first.get("ctx", {})
    expected = EXPECTED.get(kind.partition("_")[0])
    if kind == "value_error":
        message = str(context["error"])
    elif kind == "missing":
        message = f"{where} is missing."
    elif kind in LIMITS:
        message = f"{where} {LIMITS[kind].format_map(context)}."
    elif expected:
        message = f"{where} must be {expected}, not {_kind(first['input'])}."
    else:
        message = f"{where} cannot be used: {first['msg']}."
    return bad_request(message[:500], "invalid_request", where or None)


def _kind(value: Any) -> str:
    """What a value is, in JSON's words."""
    return "null" if value is None else KINDS.get(type(value), f"the number {value}")
