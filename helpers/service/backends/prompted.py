"""workorder-promptable behind the protocol: it is told its task in the prompt.

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
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from starlette.concurrency import run_in_threadpool

from helpers.promptable import NAME, Promptable, Task
from helpers.service.backends.schema import UNSURE, cannot_fill, fields_of
from helpers.service.generation import Generation, Prompt, tokenize
from helpers.service.http_errors import bad_request

MAX_LABELS, MAX_LABEL, MAX_CHARACTERS = 200, 200, 200_000
LONG = 20_000  # characters: a longer prompt is answered outside the event loop
_NUMBER = re.compile(r"\d*\.?\d+")


class PromptedModel:
    """workorder-promptable behind the protocol."""

    name = NAME

    def __init__(self, model: Promptable):
        """Serve a fitted model."""
        self.model = model

    async def answer(self, prompt: Prompt) -> Generation:
        """Classify the last user message as the prompt says."""
        texts = [prompt.instructions, *(text for _, text in prompt.turns)]
        if sum(map(len, [*texts, str(prompt.schema)])) > LONG:
            return await run_in_threadpool(answer, self.model, prompt)
        return answer(self.model, prompt)


@lru_cache(maxsize=8)  # the same prompt comes with every order
def _count(text: str) -> int:
    """Tokens of a text."""
    return len(tokenize(text))


def answer(model: Promptable, prompt: Prompt) -> Generation:
    """Classify the last user message as the prompt asks.

    Raises:
        ServiceError: 400, saying what this model cannot do.

    """
    parts = [prompt.instructions, *(text for _, text in prompt.turns)]
    length = sum(map(len, parts))
    if length > MAX_CHARACTERS:
        raise bad_request(
            f"The prompt has {length:,} characters; the limit is {MAX_CHARACTERS:,}.",
            "context_length_exceeded",
        )
    instructions, text = prompt.instructions, prompt.text
    if not instructions.strip():
        instructions, _, text = text.rstrip().rpartition("\n")
    fields = {None: None} if prompt.schema is None else _fields(prompt.schema)
    described, examples = _read(instructions)
    examples = [*examples, *_pairs(prompt.turns[:-1])]
    filled: dict[str | None, Any] = dict.fromkeys(fields)
    least_confidence = 1.0
    for name, labels in fields.items():
        if labels != "confidence":
            labels = tuple(described) if labels is None else labels
            filled[name], confidence = _choose(
                model, text, name, labels, described, examples
            )
            least_confidence = min(least_confidence, confidence)
    if fields.get("confidence") == "confidence":
        filled["confidence"] = round(least_confidence, 4)
    whole = filled[None] if prompt.schema is None else json.dumps(filled)
    read = sum(map(_count, parts))
    return Generation.whole(whole, read, prompt)


def _choose(
    model: Promptable,
    text: str,
    name: str | None,
    labels: Sequence[str],
    described: dict[str, str],
    examples: list[tuple[str, Any]],
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
    pairs = []
    for example, said in examples:
        label = said.get(name) if isinstance(said, dict) else said
        if isinstance(label, str) and label in real:
            pairs.append((example, label))
    descriptions = tuple(described.get(label, "") for label in real)
    task = Task(real, descriptions, tuple(pairs))
    probabilities = model.probabilities(text, task)
    best = int(probabilities.argmax())
    if UNSURE in labels:
        number = _NUMBER.search(described.get(UNSURE, ""))
        minimum = float(number[0]) if number else 0.5
        if probabilities[best] < (minimum if minimum <= 1 else minimum / 100):
            return UNSURE, float(probabilities[best])
    return real[best], float(probabilities[best])


@lru_cache(maxsize=8)
def _read(instructions: str) -> tuple[dict[str, str], list[tuple[str, Any]]]:
    """Descriptions ("- label: description") and examples ("text => label")."""
    described, examples = {}, []
    for line in map(str.strip, instructions.splitlines()):
        if "=>" in line:
            text, _, label = line.partition("=>")
            examples.append((text.strip(), _decode(label)))
        elif line[:1] in ("-", "*") and ":" in line:
            label, _, description = line[1:].partition(":")
            described[label.strip()] = description.strip()
    return described, examples


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
    fields: dict[str, Any] = {}
    for name, what in fields_of(schema).items():
        labels = what.get("enum")
        if isinstance(labels, list) and all(isinstance(x, str) for x in labels):
            fields[name] = tuple(labels)
        elif name == "confidence" and what.get("type") == "number":
            fields[name] = "confidence"
        else:
            can = "strings with an enum, and a number named confidence"
            raise cannot_fill(NAME, name, can)
    if all(labels == "confidence" for labels in fields.values()):
        raise bad_request("The schema has no field with an enum.", "unsupported_schema")
    return fields
