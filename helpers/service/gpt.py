"""workorder-gpt behind the protocol: it writes a record, token by token.

It reads one text, the last user message or the prompt, and nothing else: no
instructions, no earlier messages, and of a long text the first 64 tokens. With a JSON
schema of its four fields it draws only tokens that continue such a record; without one,
any. As with OpenAI, temperature and top_p are 1 unless the request says otherwise: for
the likeliest record, send temperature 0. Nothing but the room in the model, 128 tokens
with the text, limits max_tokens where the request has none.
"""

from collections.abc import Iterator
from typing import Any

from helpers.errors import InputError
from helpers.gpt import CONTEXT, FIELDS, NAME, Step, WorkorderGPT
from helpers.service.errors import bad_request, overloaded
from helpers.service.prompt import Answer, Ask, resolve

MAX_RUNNING = 64  # answers being written in this process; more are refused


class Running:
    """The steps of one answer; it counts as running until nobody holds it any more."""

    count = 0

    def __init__(self, steps: Iterator[Step]):
        """Begin to count."""
        self._steps = steps
        Running.count += 1

    def __iter__(self) -> Iterator[Step]:
        """Itself."""
        return self

    def __next__(self) -> Step:
        """Compute the next token."""
        return next(self._steps)

    def __del__(self) -> None:
        """Written, or its client has left: also if it was never begun."""
        Running.count -= 1


class GptModel:
    """workorder-gpt as the service offers it."""

    name = NAME
    samples = True

    def __init__(self, model: WorkorderGPT):
        """Serve a trained model."""
        self.model = model

    async def answer(self, ask: Ask) -> Answer:
        """Begin a record of the text; each token is computed when it is asked for.

        The same seed gives the same text; without one, each answer is another. Of n
        answers, the first has the seed itself.

        Raises:
            ServiceError: 400 for a text, a schema or messages it cannot use, 503 if
                it writes too many answers already.

        """
        if ask.instructions.strip() or len(ask.turns) > 1:
            raise bad_request(
                f"{NAME} reads one order and nothing else: no instructions, no earlier "
                "messages. Send the order's text alone.",
                "unsupported_messages",
                ask.place,
            )
        if ask.schema is not None:
            _check(ask.schema)
        if Running.count >= MAX_RUNNING:
            raise overloaded(f"{MAX_RUNNING} records are being written already.")
        seed = None if ask.seed is None else ask.seed % 2**63 + ask.choice * 2**64
        try:
            steps = self.model.generate(
                ask.text,
                max_tokens=ask.max_tokens or CONTEXT,
                temperature=ask.temperature,
                top_p=ask.top_p,
                stop=ask.stop,
                seed=seed,
                grammar=ask.schema is not None,
            )
            read = len(self.model.tokeniser.encode_text(ask.text))
        except InputError as error:
            raise bad_request(str(error), "unusable_text", ask.place) from error
        read = 0 if ask.choice else read  # n answers, read once
        return Answer(Running(steps), read)


def _check(schema: dict[str, Any]) -> None:
    """Raise a ServiceError (400) unless the schema asks for exactly what it writes."""
    properties = schema.get("properties")
    asked = set(properties) if isinstance(properties, dict) else set()
    wrong = sorted(asked ^ set(FIELDS))
    for name in FIELDS if not wrong else ():
        what = resolve(properties[name], schema)
        known = what.keys() <= {"type", "title", "description"}
        if what.get("type") != "string" or not known:
            wrong.append(name)
    if wrong:
        raise bad_request(
            f"{NAME} fills exactly the fields {', '.join(FIELDS)}, each a string "
            "without an enum or other limits. The schema differs in "
            f"{wrong[0]!r:.80}; check values when they arrive.",
            "unsupported_schema",
            wrong[0][:80],
        )
