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

import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import partial
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


def answer(model: Promptable, prompt: Prompt) -> Generation:
    """Classify the last user message as the prompt asks.

    Raises:
        ServiceError: 400, saying what this model cannot do.

    """
    parts = [prompt.instructions, *(text for _, text in prompt.turns)]
    if sum(map(len, parts)) > MAX_CHARACTERS:
        message = f"The prompt has more than {MAX_CHARACTERS:,} characters."
        raise bad_request(message, "context_length_exceeded")
    instructions, text = prompt.instructions, prompt.text
    if not instructions.strip():
        instructions, _, text = text.rstrip().rpartition("\n")
    described, examples = _read(instructions)
    examples = [*examples, *_pairs(prompt.turns[:-1])]
    choose = partial(_choose, model, text, described, examples)
    if prompt.schema is None:
        whole, _ = choose(None, described)
    else:
        fields = _fields(prompt.schema)
        chosen = {name: choose(name, fields[name]) for name in fields if fields[name]}
        least = round(min(confidence for _, confidence in chosen.values()), 4)
        filled = {name: chosen[name][0] if fields[name] else least for name in fields}
        whole = json.dumps(filled)
    tokens = sum(len(tokenize(part)) for part in parts)
    return Generation.whole(whole, tokens, prompt)


def _choose(
    model: Promptable,
    text: str,
    described: dict[str, str],
    examples: list[tuple[str, Any]],
    name: str | None,
    labels: Iterable[str],
) -> tuple[str, float]:
    """The label of one field and its probability."""
    real = tuple(dict.fromkeys(label for label in labels if label != UNSURE))
    if not 2 <= len(real) <= MAX_LABELS:
        raise bad_request(
            f"{NAME} classifies: it needs 2 to {MAX_LABELS} labels and was given "
            f"{len(real)}. Give them as an enum in a JSON schema, or as lines "
            "'- label: description' in the instructions. It cannot chat.",
            "no_labels",
        )
    if max(map(len, real)) > MAX_LABEL:
        message = f"A label has more than {MAX_LABEL} characters."
        raise bad_request(f"{message} Say it in its description.", "label_too_long")
    pairs = []
    for example, said in examples:
        label = said.get(name) if isinstance(said, dict) else said
        if isinstance(label, str) and label in real:
            pairs.append((example, label))
    descriptions = tuple(described.get(label, "") for label in real)
    probabilities = model.probabilities(text, Task(real, descriptions, tuple(pairs)))
    best = int(probabilities.argmax())
    label, confidence = real[best], float(probabilities[best])
    if UNSURE in labels:
        number = _NUMBER.search(described.get(UNSURE, ""))
        minimum = float(number[0]) if number else 0.5
        if confidence < (minimum if minimum <= 1 else minimum / 100):
            label = UNSURE
    return label, confidence


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
    """An answer in an example: a JSON object or string, or a bare label."""
    said = said.strip()
    if said[:1] in ("{", '"'):  # trying all would cost more than the answer
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(said)
    return said


def _fields(schema: dict[str, Any]) -> dict[str, tuple[str, ...] | None]:
    """The labels of each field of a JSON schema; None for the confidence.

    Raises:
        ServiceError: 400, naming a field that this model cannot fill.

    """
    fields: dict[str, tuple[str, ...] | None] = {}
    for name, what in fields_of(schema).items():
        labels = what.get("enum")
        texts = isinstance(labels, list) and all(isinstance(x, str) for x in labels)
        if texts and labels:
            fields[name] = tuple(labels)
        elif name == "confidence" and what.get("type") == "number":
            fields[name] = None
        else:
            can = "strings with an enum, and a number named confidence"
            raise cannot_fill(NAME, name, can)
    if not any(fields.values()):
        raise bad_request("The schema has no field with an enum.", "unsupported_schema")
    return fields
