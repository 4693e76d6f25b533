"""The fast path of chapter 03: raw text in, probabilities out, without TensorFlow.

A saved model is a folder with three files: network.onnx (the network on word numbers),
model.json (vocabulary, labels, threshold and minimum) and network.keras (for study).
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.data import STATE, locked
from helpers.errors import InputError, ModelError
from helpers.explain import Explanation, explain
from helpers.prepare import LENGTH, check_text, normalise
from helpers.secure import verify_model
from helpers.tables import CREWS

MODELS = STATE / "models"
TASKS = {"electrician": ["no electrician", "electrician"], "crew": CREWS}
BATCH = 512


class Decision(NamedTuple):
    """Where one order goes: a label, its probability, and why.

    to_planner: the label is only a proposal; a person decides. reason says which rule
    applied.
    """

    label: str
    probability: float
    to_planner: bool
    reason: str


def read_files(
    folder: Path, file: str = "network.onnx", tries: int = 3
) -> tuple[dict, bytes]:
    """The card and the network of one training; another process may replace them."""
    try:
        content = (folder / "model.json").read_bytes()
        card = json.loads(content)
        network = (folder / file).read_bytes()
        if hashlib.sha256(network).hexdigest() != card["network_sha256"]:
            raise ValueError(f"{file} does not belong to model.json")
        verify_model(folder, content)  # the very bytes that are used
        return card, network
    except (OSError, ValueError, KeyError, TypeError, ModelError):
        if tries == 1:
            raise
        time.sleep(0.2)
        return read_files(folder, file, tries - 1)


class Router:
    """A trained network with its vocabulary: text in, probabilities out.

    minimum and threshold are stored with the model; see route. card has all it says.
    """

    def __init__(self, folder: Path | str):
        """Load a saved model.

        Raises:
            ModelError: a file is missing, damaged, from another training, or not
                signed by the plant (see helpers.secure).

        """
        import onnxruntime  # only where a model is used

        folder = Path(folder)
        try:
            self.card, network = read_files(folder)
            self.labels = list(self.card["labels"])
            self.minimum = float(self.card.get("minimum", 0.5))
            self.threshold = self.card.get("threshold")
            index = {word: n for n, word in enumerate(self.card["words"], start=2)}
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(network, options)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The model in {folder} cannot be loaded: {error}. "
                "Delete that folder; the next call trains it anew."
            ) from error
        self._input = self._session.get_inputs()[0].name

        @lru_cache(maxsize=50_000)
        def numbers(chunk: str) -> tuple[int, ...]:
            """Word numbers of text without white space: typed words repeat a lot."""
            return tuple(index.get(word, 1) for word in normalise(chunk).split())

        self.encode_piece = numbers

    def encode(self, text: str) -> list[int]:
        """Word numbers of one raw text; a text without any word is one unknown word.

        Raises:
            InputError: not a string, or longer than 1,000 characters.

        """
        numbers: list[int] = []
        for chunk in check_text(text).split():
            numbers += self.encode_piece(chunk)
        return numbers[:LENGTH] or [1]

    def probabilities(self, texts: str | Sequence[str]) -> np.ndarray:
        """Probability of each label for one raw text or many.

        Texts are grouped by their number of words, so no padding and no mask is needed.

        Returns:
            float32 (float64 of an NgramRouter), (labels,) for one text,
            (texts, labels) for a sequence.

        Raises:
            InputError: neither a string nor a sequence of strings, or a text too long.

        """
        if isinstance(texts, str):
            return self._run([self.encode(texts)])[0]
        if isinstance(texts, bytes) or not isinstance(texts, Iterable):
            raise InputError(
                f"Give one text or a list, not {type(texts).__name__}: {texts!r:.60}."
            )
        return self._many(list(texts))

    def _many(self, texts: list[str]) -> np.ndarray:
        """Probability of each label for many raw texts: (texts, labels)."""
        return self._of_rows([self.encode(text) for text in texts])

    def _of_rows(self, rows: list[list[int]]) -> np.ndarray:
        """Probabilities for word numbers of texts of any length: (texts, labels)."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        numbers = np.fromiter(chain.from_iterable(rows), np.int32)
        return self.probabilities_of(numbers, np.cumsum(lengths) - lengths, lengths)

    def probabilities_of(
        self, numbers: np.ndarray, starts: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        """Probability of each label for many encoded texts: float32, (texts, labels).

        Args:
            numbers: word numbers of all texts, int32, in one row.
            starts: where each text begins in it.
            lengths: how many words each text has, at least 1.

        """
        result = np.empty((len(lengths), len(self.labels)), np.float32)
        for length in np.unique(lengths):
            where = np.flatnonzero(lengths == length)
            for begin in range(0, len(where), BATCH):
                part = where[begin : begin + BATCH]
                result[part] = self._run(
                    numbers[starts[part, None] + np.arange(length)]
                )
        return result

    def _run(self, rows: list[list[int]] | np.ndarray) -> np.ndarray:
        """Network output for rows of equal length: float32, (rows, labels)."""
        output = self._session.run(None, {self._input: np.asarray(rows, np.int32)})[0]
        if output.shape[1] == 1:  # saved before onnx_lstm: p(second label) only
            output = np.concatenate([1 - output, output], axis=1)
        return output

    def route(self, text: str) -> Decision:
        """The label of one raw order, and whether the planner should look at it.

        With a threshold (two labels) the second label is given from that probability
        on, without one the most likely label. An order is sent without a person if its
        label is at least as probable as the minimum. Both are compared with rounded
        probabilities, so that what is printed is what was decided on.

        Raises:
            InputError: not a string, or longer than 1,000 characters.

        """
        numbers = self.encode(text)
        probabilities = self._run([numbers])[0].astype(float).round(2)
        best = int(probabilities.argmax())
        if self.threshold is not None:
            best = int(probabilities[1] >= self.threshold)
        label, probability = self.labels[best], float(probabilities[best])
        unknown, unsure = max(numbers) == 1, probability < self.minimum
        if unknown:
            reason = "no word the network knows"
        elif unsure:
            reason = f"below the minimum of {self.minimum:.2f}"
        elif self.threshold is not None and best == 0:
            reason = f"{self.labels[1]} below the threshold of {self.threshold:.2f}"
        else:
            reason = f"at least the minimum of {self.minimum:.2f}"
        return Decision(label, probability, unknown or unsure, reason)

    def explain(self, text: str) -> Explanation:
        """What each word of one raw order adds to each label's probability, exactly.

        A note of eight words takes 1 or 2 ms, one of twelve, the most that the network
        reads, some 30 ms. See helpers.explain for the game and its sources.

        Raises:
            InputError: not a string, or longer than 1,000 characters.

        """
        numbers = self.encode(text)
        return explain(self._run, numbers, normalise(text).split()[:LENGTH])


def load_router(name: str) -> Router:
    """Load the course's model "electrician" or "crew"; train it first if it is missing.

    Training takes some seconds, says so, and leaves the model in data/models/. Two
    notebooks may ask at the same time: one trains, the other waits and loads.

    Raises:
        InputError: no such model.
        ModelError: the folder is damaged, or the model cannot be saved.

    """
    folder = MODELS / name
    card = folder / "model.json"
    if name not in TASKS and not card.exists():
        raise InputError(f"No model {name!r}. There are {', '.join(TASKS)}.")
    try:
        if not card.exists():
            with locked(folder):
                if not card.exists():
                    from helpers.lstm import train_router  # imports Keras

                    train_router(name, folder)
        return Router(folder)
    except OSError as error:
        raise ModelError(
            f"The model cannot be saved to {folder}: {error.strerror or error}. "
            "Make the folder writable and try again."
        ) from error
