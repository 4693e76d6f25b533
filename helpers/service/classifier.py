"""The reader's own trained model behind the protocol.

It classifies the last user message. Without a schema it answers with a label. With a
JSON schema it fills: a string whose enum holds its labels, a number named confidence,
and a number named like a label (its probability). Below its minimum: "unsure".
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.errors import InputError
from helpers.router import load_router
from helpers.service.batching import Batcher, Predict
from helpers.service.errors import ServiceError, bad_request
from helpers.service.prompt import MAX_FIELDS, UNSURE, Answer, Ask, pieces, resolve


class Classifier:
    """A trained classifier with a name in /v1/models; it belongs to one service."""

    def __init__(
        self,
        name: str,
        predict: Predict,
        labels: Sequence[str],
        *,
        check: Any = None,
        minimum: float = 0.5,
        batcher: Batcher | None = None,
    ):
        """Serve predict under a name.

        Args:
            name: its name in /v1/models.
            predict: takes a list of texts, returns probabilities, (texts, labels).
            labels: names of the columns.
            check: called with each text first; raises InputError for one it cannot use.
            minimum: smallest probability at which it gives a label.
            batcher: how texts are batched; by default up to 32 at once.

        """
        if not name or not 0 <= minimum <= 1:
            raise InputError(f"{name=} must not be empty, {minimum=} within 0 and 1.")
        self.name, self.labels, self.minimum = name, list(labels), minimum
        self.batcher = batcher or Batcher(predict)
        self._check = check
        self._enums = [sorted(self.labels), sorted([*self.labels, UNSURE])]

    async def answer(self, ask: Ask) -> Answer:
        """Probabilities for the last user message, in the form that was asked for.

        Raises:
            ServiceError: 400 for a text or a schema it cannot use, 503 if too busy.

        """
        text = ask.text
        if self._check:
            try:
                self._check(text)
            except InputError as error:
                raise bad_request(str(error), "unusable_text", ask.place) from error
        fields = self._fields(ask.schema) if ask.schema is not None else None
        chances = self._probabilities(await self.batcher.submit(text))
        best = int(chances.argmax())
        sure = float(chances[best])
        label = self.labels[best] if sure >= self.minimum else UNSURE
        if fields is None:
            whole = label
        else:
            values = {"confidence": round(sure, 4)}
            values |= {
                n: round(float(c), 4) for n, c in zip(self.labels, chances, strict=True)
            }
            whole = json.dumps(
                {
                    name: self._pick(what, label, best) if what else values[name]
                    for name, what in fields.items()
                }
            )
        return Answer.whole(whole, len(pieces(text)), ask.max_tokens)

    def _probabilities(self, row: Any) -> np.ndarray:
        """One for each label, (labels,); else the model has an error: 500."""
        chances = np.asarray(row, float)
        if chances.shape != (len(self.labels),) or not np.isfinite(chances).all():
            raise ServiceError(
                500,
                f"The model {self.name} returned {chances.tolist()!r:.80}, not "
                f"{len(self.labels)} probabilities. Tell who runs this service.",
                "model_error",
                kind="server_error",
            )
        return chances

    def _pick(self, allowed: list[str], label: str, best: int) -> str:
        """A label that the enum allows: without "unsure" in it, always the best."""
        return label if label in allowed else self.labels[best]

    def _fields(self, schema: dict[str, Any]) -> dict[str, list[str] | None]:
        """Each field's enum, or None for a number."""
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not 1 <= len(properties) <= MAX_FIELDS:
            raise bad_request(
                f"The JSON schema must have 1 to {MAX_FIELDS} properties.",
                "unsupported_schema",
            )
        fields: dict[str, list[str] | None] = {}
        for name, what in properties.items():
            what = resolve(what, schema)
            allowed = what.get("enum")
            few = isinstance(allowed, list) and len(allowed) <= len(self.labels) + 1
            if few and sorted(map(str, allowed)) in self._enums:
                fields[name] = allowed
            elif what.get("type") == "number" and name in ("confidence", *self.labels):
                fields[name] = None
            else:
                raise bad_request(
                    f"{self.name} cannot fill the field {name!r:.80}. It fills a "
                    f"string whose enum holds {self.labels} (and maybe {UNSURE!r}), a "
                    "number named confidence, and numbers named like its labels.",
                    "unsupported_schema",
                    name[:80],
                )
        return fields


def classifier_of(router: str) -> Classifier:
    """A network of chapter 02 by its router's name; "crew" is served as "crew-lstm".

    Args:
        router: "crew" or "electrician"; trained first if it is missing.

    """
    loaded = load_router(router)
    return Classifier(
        f"{router}-lstm", loaded.probabilities, loaded.labels, check=loaded.encode
    )
