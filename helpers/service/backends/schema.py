"""Read the JSON schema of a request, as far as the models here can fill one."""

from typing import Any

from helpers.service.http_errors import bad_request

UNSURE = "unsure"  # the label that a model gives instead of a guess, where it may
MAX_FIELDS = 20


def fields_of(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the schema says of each field of the object that it describes.

    Raises:
        ServiceError: 400, there are no fields, or too many.

    """
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not 1 <= len(properties) <= MAX_FIELDS:
        count = len(properties) if isinstance(properties, dict) else 0
        raise bad_request(
            f"The JSON schema has {count} properties; at least 1 is needed, and the "
            f"limit is {MAX_FIELDS}.",
            "unsupported_schema",
        )
    return {name: resolve(what, schema) for name, what in properties.items()}


def resolve(what: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Follow one "$ref" into "$defs", as pydantic writes it for an Enum class."""
    reference = what.get("$ref") if isinstance(what, dict) else None
    if isinstance(reference, str):
        defs = schema.get("$defs")
        name = reference.removeprefix("#/$defs/")
        what = defs.get(name) if isinstance(defs, dict) else None
    return what if isinstance(what, dict) else {}


def cannot_fill(model: str, name: str, can: str) -> Exception:
    """A 400 that says which field a model cannot fill, and what it can."""
    message = f"{model} cannot fill the field {name!r:.80}. It fills {can}."
    return bad_request(message, "unsupported_schema", name[:80])
