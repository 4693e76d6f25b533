"""Save a trained model as a folder, and load one, whichever kind it is."""

import json
import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.data import locked, sha256
from helpers.errors import ModelError
from helpers.explain import Explanation, explain_groups
from helpers.plant.ngrams import WEIGHTS, NgramRouter
from helpers.plant.words import tokens
from helpers.prepare import check_text
from helpers.router import Router

if TYPE_CHECKING:
    from sklearn.pipeline import FeatureUnion


class LstmRouter(Router):
    """The router of chapter 03 for texts of any language and length."""

    def __init__(self, folder: Path | str):
        """Load a model that helpers.lstm.save_model saved with kind and length."""
        super().__init__(folder)
        index = {word: n for n, word in enumerate(self.card["words"], start=2)}
        self._numbers = lambda words: [index.get(word, 1) for word in words]
        self.encode_piece = lru_cache(50_000)(
            lambda chunk: tuple(self._numbers(tokens(chunk)))
        )

    def encode(self, text: str) -> list[int]:
        """Word numbers of one raw text; see Router.encode."""
        chunks = check_text(text).split()
        numbers = [number for chunk in chunks for number in self.encode_piece(chunk)]
        return numbers[: self.card["length"]] or [1]

    def explain(self, text: str) -> Explanation:
        """What each word adds to each label's probability; see explain_groups."""
        words = tokens(check_text(text))[: self.card["length"]]
        return explain_groups(
            lambda texts: self._of_rows([self._numbers(t) or [1] for t in texts]), words
        )


def load_model(folder: Path | str) -> Router:
    """The model in a folder of chapter 14.

    Raises:
        ModelError: a file is missing, damaged, or not signed by the plant.

    """
    try:
        card = json.loads((Path(folder) / "model.json").read_bytes())
        kind = {"ngrams": NgramRouter, "lstm": LstmRouter}[card["kind"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder} holds no model of chapter 14: {error!r}. Give the folder with "
            "model.json that the chapter made, or run it again."
        ) from error
    return kind(folder)


def save_ngrams(
    folder: Path,
    features: "FeatureUnion",
    layers: Sequence[np.ndarray],
    labels: list[str],
    *,
    minimum: float,
    **facts: object,
) -> Path:
    """Save what NgramRouter loads; an older model in the folder is replaced.

    Args:
        folder: where to.
        features: fitted, helpers.evaluate.tfidf_features.
        layers: weights (features, n) and bias (n,) that lead to the labels, or to a
            hidden layer with relu, and then those of a second layer. For two labels
            one column is enough: that of the second.
        labels: names of the classes, in order.
        minimum: probability from which no person needs to look.
        facts: anything else to keep in model.json.

    Returns:
        The folder.

    Raises:
        OSError: the folder cannot be written.

    """
    parts = [part for _, part in features.transformer_list]
    names = json.dumps([part.get_feature_names_out().tolist() for part in parts])
    w0, b0, *more = (np.asarray(layer, np.float32) for layer in layers)
    w1, b1 = more or (np.empty((0, 0), np.float32),) * 2
    arrays = {"w0": w0, "b0": b0, "w1": w1, "b1": b1}
    arrays["idf"] = np.concatenate([part.idf_ for part in parts])
    arrays["features"] = np.frombuffer(names.encode(), np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), tempfile.TemporaryDirectory(dir=folder) as temporary:
        new = Path(temporary)
        np.savez(new / WEIGHTS, **arrays)
        card = {"kind": "ngrams", "labels": labels, "minimum": minimum}
        card |= {"network_sha256": sha256(new / WEIGHTS), **facts}
        (new / "model.json").write_text(json.dumps(card, indent=1), "utf-8")
        for name in (WEIGHTS, "model.json"):
            os.replace(new / name, folder / name)
    return folder
