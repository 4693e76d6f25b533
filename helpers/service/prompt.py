"""Read a request as a prompt for workorder-promptable, and answer it.

What the model takes from a request:

- labels: the enum of each field in the JSON schema; without a schema, the labels of the
  lines "- label: description" in the instructions;
- descriptions: those lines;
- examples: lines "text => label" in the instructions, and earlier pairs of a user and
  an assistant message;
- the text to classify: the last user message. Without instructions, that message is the
  whole prompt: its last line is the text, and the lines above are instructions.

A field named confidence gets the probability. A label "unsure" is given where no other
label reaches 0.5, or the number in its description ("- unsure: below 0.7", or 70 %).
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.gpt import Step
from helpers.promptable import NAME, Promptable, Task
from helpers.service.errors import bad_request

UNSURE = "unsure"
MAX_FIELDS, MAX_LABELS, MAX_LABEL, MAX_CHARACTERS = 20, 200, 200, 200_000
_PIECE = re.compile(r"\s*\w{1,4}|\s*[^\w\s]|\s+")
_NUMBER = re.compile(r"\d*\.?\d+")


@dataclass(frozen=True)
class Ask:
    """One request, whichever endpoint it came by."""

    instructions: str
    turns: tuple[tuple[str, str], ...]  # (role, text), role is user or assistant
    schema: dict[str, Any] | None = None
    max_tokens: int | None = None
    place: str = "input"  # the field that holds the text, for error messages
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    choice: int = 0  # which of the n answers to the same prompt

    @property
    def text(self) -> str:
        """The last user message.

        Raises:
            ServiceError: 400, the last message is not the user's.

        """
        if not self.turns or self.turns[-1][0] != "user":
            raise bad_request("The last message must be the user's.", "no_user_message")
        return self.turns[-1][1]


@dataclass(frozen=True)
class Answer:
    """What a model says; a lazy iterator of steps computes each token when asked."""

    steps: Iterable[Step]
    input_tokens: int
    refused: bool = False  # then the text says why

    @property
    def text(self) -> str:
        """The whole answer, of steps that are there already."""
        return "".join(step.token for step in self.steps)

    @classmethod
    def whole(cls, text: str, input_tokens: int, limit: int | None) -> "Answer":
        """A text that was thought out in one go, in pieces, up to a limit of them."""
        said = pieces(text) or [""]
        finish = "length" if limit and len(said) > limit else "stop"
        steps = [Step(piece, 0.0, ()) for piece in said[:limit]]
        steps[-1] = steps[-1]._replace(finish=finish)
        return cls(tuple(steps), input_tokens)


def pieces(text: str) -> list[str]:
    """Cut a text into tokens: up to four letters or one sign, with the space before."""
    return _PIECE.findall(text)


def answer(model: Promptable, ask: Ask) -> Answer:
    """Classify the last user message as the prompt asks.

    Raises:
        ServiceError: 400, saying what this model cannot do.

    """
    length = len(ask.instructions) + sum(len(text) for _, text in ask.turns)
    if length > MAX_CHARACTERS:
        raise bad_request(
            f"The prompt has {length:,} characters; the limit is {MAX_CHARACTERS:,}.",
            "context_length_exceeded",
        )
    instructions, text = ask.instructions, ask.text
    if not instructions.strip():
        instructions, _, text = text.rstrip().rpartition("\n")
    fields = {None: None} if ask.schema is None else _fields(ask.schema)
    described, shown = _read(instructions)
    shown += _pairs(ask.turns[:-1])
    filled: dict[str | None, Any] = dict.fromkeys(fields)
    surest = 1.0
    for name, labels in fields.items():
        if labels != "confidence":
            labels = tuple(described) if labels is None else labels
            filled[name], sure = _choose(model, text, name, labels, described, shown)
            surest = min(surest, sure)
    if fields.get("confidence") == "confidence":
        filled["confidence"] = round(surest, 4)
    whole = filled[None] if ask.schema is None else json.dumps(filled)
    prompt = [ask.instructions, *(text for _, text in ask.turns)]
    return Answer.whole(
        whole, sum(len(pieces(part)) for part in prompt), ask.max_tokens
    )


def _choose(
    model: Promptable,
    text: str,
    name: str | None,
    labels: Sequence[str],
    described: dict[str, str],
    shown: list[tuple[str, Any]],
) -> tuple[str, float]:
    """The label of one field and its probability."""
    real = tuple(dict.fromkeys(label for label in labels if label != UNSURE))
    if len(real) < 2 or len(real) > MAX_LABELS:
        raise bad_request(
            f"{NAME} classifies: it needs 2 to {MAX_LABELS} labels and was given "
            f"{len(real)}. Give them as an enum in a JSON schema, or as lines "
            "'- label: description' in the instructions. It cannot chat.",
            "no_labels",
        )
    if max(map(len, real)) > MAX_LABEL:
        raise bad_request(
            f"A label has more than {MAX_LABEL} characters. Say it in its description.",
            "label_too_long",
        )
    examples = []
    for example, said in shown:
        label = said.get(name) if isinstance(said, dict) else said
        if isinstance(label, str) and label in real:
            examples.append((example, label))
    descriptions = tuple(described.get(label, "") for label in real)
    chances = model.probabilities(text, Task(real, descriptions, tuple(examples)))
    best = int(chances.argmax())
    if UNSURE in labels:
        number = _NUMBER.search(described.get(UNSURE, ""))
        minimum = float(number[0]) if number else 0.5
        if chances[best] < (minimum if minimum <= 1 else minimum / 100):
            return UNSURE, float(chances[best])
    return real[best], float(chances[best])


def _read(instructions: str) -> tuple[dict[str, str], list[tuple[str, Any]]]:
    """Descriptions ("- label: description") and examples ("text => label")."""
    described, shown = {}, []
    for line in map(str.strip, instructions.splitlines()):
        if "=>" in line:
            text, _, label = line.partition("=>")
            shown.append((text.strip(), _decode(label)))
        elif line[:1] in ("-", "*") and ":" in line:
            label, _, description = line[1:].partition(":")
            described[label.strip()] = description.strip()
    return described, shown


def _pairs(turns: Sequence[tuple[str, str]]) -> list[tuple[str, Any]]:
    """Examples given as a user's text and the assistant's answer."""
    return [
        (text, _decode(said))
        for (role, text), (next_role, said) in zip(turns, turns[1:], strict=False)
        if (role, next_role) == ("user", "assistant")
    ]


def _decode(said: str) -> Any:
    """An answer in an example: JSON, or a bare label."""
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict | str) else said.strip()


def _fields(schema: dict[str, Any]) -> dict[str, Any]:
    """Fields of a JSON schema: a tuple of labels each, or "confidence".

    Raises:
        ServiceError: 400, naming a field that this model cannot fill.

    """
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise bad_request("The JSON schema has no properties.", "unsupported_schema")
    if len(properties) > MAX_FIELDS:
        raise bad_request(
            f"The JSON schema has {len(properties)} fields; the limit is {MAX_FIELDS}.",
            "unsupported_schema",
        )
    fields: dict[str, Any] = {}
    for name, what in properties.items():
        what = resolve(what, schema)
        labels = what.get("enum")
        if isinstance(labels, list) and all(isinstance(x, str) for x in labels):
            fields[name] = tuple(labels)
        elif name == "confidence" and what.get("type") == "number":
            fields[name] = "confidence"
        else:
            raise bad_request(
                f"{NAME} cannot fill the field {name!r:.80}. It fills strings with an "
                "enum, and a number named confidence.",
                "unsupported_schema",
                name[:80],
            )
    if all(labels == "confidence" for labels in fields.values()):
        raise bad_request("The schema has no field with an enum.", "unsupported_schema")
    return fields


def resolve(what: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Follow one "$ref" into "$defs", as pydantic writes it for an Enum class."""
    reference = what.get("$ref") if isinstance(what, dict) else None
    if isinstance(reference, str):
        defs = schema.get("$defs")
        name = reference.removeprefix("#/$defs/")
        what = defs.get(name) if isinstance(defs, dict) else None
    return what if isinstance(what, dict) else {}
