"""workorder-gpt behind the protocol: it writes a record, token by token.

It reads one text, the last user message or the prompt, and nothing else: no
instructions, no earlier messages, and of a long text the first 64 tokens. With a JSON
schema of its four fields it draws only tokens that continue such a record; without one,
any. As with OpenAI, temperature and top_p are 1 unless the request says otherwise: for
the likeliest record, send temperature 0. Nothing but the room in the model, 128 tokens
with the text, limits max_tokens where the request has none.
"""

from typing import Any

from helpers.errors import InputError
from helpers.gpt import CONTEXT, FIELDS, NAME, WorkorderGPT
from helpers.service.backends.schema import fields_of
from helpers.service.generation import Generation, Prompt
from helpers.service.http_errors import bad_request, overloaded

MAX_RUNNING = 64  # generations at a time; more are refused


class GptModel:
    """workorder-gpt as the service offers it."""

    name = NAME

    def __init__(self, model: WorkorderGPT):
        """Serve a trained model."""
        self.model, self.running = model, 0

    async def answer(self, prompt: Prompt) -> Generation:
        """Begin a record of the text; each token is computed when it is asked for.

        The same seed gives the same text; without one, each answer is another.

        Raises:
            ServiceError: 400 for a text, a schema or messages it cannot use, 503 if
                it writes too many already.

        """
        if prompt.instructions.strip() or len(prompt.turns) > 1:
            raise bad_request(
                f"{NAME} reads one order and nothing else: no instructions, no earlier "
                "messages. Send the order's text alone.",
                "unsupported_messages",
                prompt.place,
            )
        if prompt.schema is not None:
            _check(prompt.schema)
        if self.running >= MAX_RUNNING:
            raise overloaded(f"{MAX_RUNNING} records are being written already.")
        try:
            steps = self.model.generate(
                prompt.text,
                max_tokens=prompt.max_tokens or CONTEXT,
                temperature=prompt.temperature,
                top_p=prompt.top_p,
                stop=prompt.stop,
                seed=None if prompt.seed is None else prompt.seed % 2**63,
                grammar=prompt.schema is not None,
            )
            read = len(self.model.tokenizer.encode_text(prompt.text))
        except InputError as error:
            raise bad_request(str(error), "unusable_text", prompt.place) from error
        self.running += 1
        return Generation(steps, read, close=self._ended)

    def _ended(self) -> None:
        """Written to its end, or its client has left."""
        self.running -= 1


def _check(schema: dict[str, Any]) -> None:
    """Raise a ServiceError (400) unless the schema asks for exactly what it writes."""
    fields, plain = fields_of(schema), {"type", "title", "description"}
    for name in sorted({*fields, *FIELDS}):
        what = fields.get(name, {}) if name in FIELDS else {}
        if what.get("type") != "string" or not what.keys() <= plain:
            raise bad_request(
                f"{NAME} fills exactly the fields {', '.join(FIELDS)}, each a string "
                "without an enum or other limits. The schema differs in "
                f"{name!r:.80}; check values when they arrive.",
                "unsupported_schema",
                name[:80],
            )
