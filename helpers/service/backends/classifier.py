"""The reader's own trained model behind the protocol.

It classifies the last user message. Without a schema it answers with a label. With a
JSON schema it fills: a string whose enum holds its labels, a number named confidence,
and a number named like a label (its probability). Below its minimum: "unsure". A model
that can explain itself also fills a list named why: what each word adds to the number
named confidence, from the number named base (see helpers.explain).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from helpers.errors import InputError
from helpers.explain import Explanation
from helpers.router import Router, load_router
from helpers.service.backends.batching import Batcher, Predict
from helpers.service.backends.schema import UNSURE, cannot_fill, fields_of, resolve
from helpers.service.generation import Generation, Prompt, tokenize
from helpers.service.http_errors import ServiceError, bad_request

WORD = {"word", "value"}  # what an entry of the field why holds


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
        explain: Callable[[str], Explanation] | None = None,
    ):
        """Serve predict under a name.

        Args:
            name: its name in /v1/models.
            predict: takes a list of texts, returns probabilities, (texts, labels).
            labels: names of the columns.
            check: called with each text first; raises InputError for one it cannot use.
            minimum: smallest probability at which it gives a label.
            batcher: how texts are batched; by default up to 32 at once.
            explain: what each word of a text adds, as Router.explain.

        """
        if not name or not 0 <= minimum <= 1:
            raise InputError(f"{name=} must not be empty, {minimum=} within 0 and 1.")
        self.name, self.labels, self.minimum = name, list(labels), minimum
        self.batcher = batcher or Batcher(predict)
        self._check = check
        self._explainer = None
        if explain:
            one_by_one = {"size": 1, "queue": 64}  # 12 words take long
            self._explainer = Batcher(lambda some: [*map(explain, some)], **one_by_one)
        self._enums = [sorted(self.labels), sorted([*self.labels, UNSURE])]

    async def answer(self, prompt: Prompt) -> Generation:
        """Probabilities for the last user message, in the form that was asked for.

        Raises:
            ServiceError: 400 for a text or a schema it cannot use, 503 if too busy.

        """
        text = prompt.text
        if self._check:
            try:
                self._check(text)
            except InputError as error:
                raise bad_request(str(error), "unusable_text", prompt.place) from error
        fields = self._fields(prompt.schema) if prompt.schema is not None else {}
        probabilities = self._probabilities(await self.batcher.submit(text))
        best = self.labels[int(probabilities.argmax())]
        whole = best if probabilities.max() >= self.minimum else UNSURE
        if fields:
            rounded = probabilities.round(4).tolist()
            values = dict(zip(self.labels, rounded, strict=True))
            values["confidence"] = max(rounded)
            if not all(fields.get(name, True) for name in ("why", "base")):
                values = await self._why(text, int(probabilities.argmax())) | values
            for name, enum in fields.items():
                if enum:  # without "unsure" in it, always the best
                    values[name] = whole if whole in enum else best
            whole = json.dumps({name: values[name] for name in fields})
        return Generation.whole(whole, len(tokenize(text)), prompt)

    async def _why(self, text: str, label: int) -> dict[str, Any]:
        """The fields why and base, for one label; 503 if too many wait already."""
        found = await self._explainer.submit(text)
        each = zip(found.words, found.values[:, label].round(4).tolist(), strict=True)
        why = [{"word": word, "value": value} for word, value in each]
        return {"why": why, "base": round(float(found.base[label]), 4)}

    def _probabilities(self, row: Any) -> np.ndarray:
        """One for each label, (labels,); else the model has an error: 500."""
        found = np.asarray(row, float)
        if found.shape != (len(self.labels),) or not np.isfinite(found).all():
            what = f"{found.tolist()!r:.80}, not {len(self.labels)} probabilities"
            message = f"The model {self.name} returned {what}."
            raise ServiceError(500, message, "model_error", kind="server_error")
        return found

    def _number(self, name: str, what: dict[str, Any]) -> bool:
        known = ["confidence", *self.labels] + ["base"] * bool(self._explainer)
        return what.get("type") == "number" and name in known

    def _why_field(self, name: str, what: Any, schema: dict[str, Any]) -> bool:
        """Whether a field is the list why, of objects with word and value."""
        inside = resolve(what.get("items"), schema).get("properties")
        is_list = isinstance(inside, dict) and inside.keys() == WORD
        return bool(self._explainer) and name == "why" and is_list

    def _fields(self, schema: dict[str, Any]) -> dict[str, list[str] | None]:
        """Each field's enum, or None for a number."""
        fields: dict[str, list[str] | None] = {}
        for name, what in fields_of(schema).items():
            allowed = what.get("enum")
            few = isinstance(allowed, list) and len(allowed) <= len(self.labels) + 1
            if few and sorted(map(str, allowed)) in self._enums:
                fields[name] = allowed
            elif self._number(name, what) or self._why_field(name, what, schema):
                fields[name] = None
            else:
                can = f"a string whose enum holds {self.labels} (and maybe {UNSURE!r})"
                can += ", a number named confidence, and numbers named like its labels"
                if self._explainer:
                    can += ", a list named why of objects with word and value"
                    can += ", and a number named base"
                raise cannot_fill(self.name, name, can)
        return fields


def classifier_of(router: str) -> Classifier:
    """The network of chapter 02 with this router's name; trained if it is missing."""
    return _served(f"{router}-lstm", load_router(router))


def plant_classifier(folder: Path) -> Classifier:
    """A model of chapter 14 by its folder, under the folder's name, with its minimum.

    Raises:
        ModelError: the folder holds no such model, or it is damaged.

    """
    from helpers.plant.saving import load_model

    return _served(folder.resolve().name, load_model(folder))


def _served(name: str, loaded: Router) -> Classifier:
    return Classifier(
        name,
        loaded.probabilities,
        loaded.labels,
        check=loaded.encode,
        explain=loaded.explain,
        minimum=loaded.minimum,
    )
