"""TF-IDF models, deployed: text in, probabilities out, without scikit-learn or Keras.

A saved model is a folder with two files: weights.npz (plain arrays, no pickle) and
model.json (labels, minimum and the SHA-256 of the weights). Each feature has a row of
weights; with a hidden layer the rows lead to it, without one straight to the labels.
"""

import io
import json
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from helpers.errors import ModelError
from helpers.explain import Explanation, explain_groups
from helpers.plant.words import tokens
from helpers.prepare import check_text
from helpers.router import Router, read_files

WEIGHTS = "weights.npz"
BATCH = 20_000  # texts at once, so that memory does not grow with their number


class NgramRouter(Router):
    """A TF-IDF model with the methods of Router; all words of a text are read.

    Equal to scikit-learn's pipeline: words and pairs of words, pieces of 2 to 5
    characters inside words, 1 + log(count), idf, each of the two blocks of length 1.
    """

    def __init__(self, folder: Path | str):
        """Load a saved model.

        Raises:
            ModelError: a file is missing, damaged, from another training, or not
                signed by the plant (see helpers.secure).

        """
        folder = Path(folder)
        try:
            self.card, content = read_files(folder, WEIGHTS)
            with np.load(io.BytesIO(content), allow_pickle=False) as saved:
                self._prepare(dict(saved))
            self.labels = list(self.card["labels"])
            self.minimum = float(self.card["minimum"])
            self.threshold = self.card.get("threshold")
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise ModelError(
                f"The model in {folder} cannot be loaded: {error}. "
                "Delete that folder and run the notebook again: it trains it anew."
            ) from error

    def _prepare(self, saved: dict[str, np.ndarray]) -> None:
        """Look-up tables; in _rows and _squares the two blocks stand side by side."""
        words, pieces = json.loads(bytes(saved["features"]).decode())
        self._layers = [saved[name].astype(float) for name in ("b0", "w1", "b1")]
        idf = saved["idf"][:, None]
        in_words = (np.arange(len(idf)) < len(words))[:, None]
        blocks = in_words, ~in_words
        self._rows = np.hstack([idf * saved["w0"] * block for block in blocks])
        self._squares = np.hstack([idf**2 * block for block in blocks])
        if len(idf) != len(words) + len(pieces):
            raise ValueError("features and weights do not fit together")
        self._known = {word: number for number, word in enumerate(words)}
        index = {piece: n for n, piece in enumerate(pieces, len(words))}
        self._words = lru_cache(50_000)(tokens)
        self._features = lru_cache(50_000)(partial(_features, self._known, index))

    def _cut(self, text: str) -> Iterable[str]:
        """The words of one raw text."""
        return chain.from_iterable(map(self._words, check_text(text).split()))

    def encode(self, text: str) -> list[int]:
        """Feature numbers of one raw text, from 2 on; [1] if nothing is known.

        Raises:
            InputError: not a string, or longer than 1,000 characters.

        """
        words = list(self._cut(text))
        found = [n for word in words for n in self._features(word)]
        for pair in map(" ".join, zip(words, words[1:], strict=False)):
            if pair in self._known:
                found.append(self._known[pair])
        return [number + 2 for number in found] or [1]

    def _many(self, texts: list[str]) -> np.ndarray:
        """Probability of each label for many raw texts: float64, (texts, labels)."""
        parts = [texts[n : n + BATCH] for n in range(0, len(texts), BATCH)]
        found = [self._of_words(map(self._cut, part)) for part in parts]
        return np.concatenate(found) if found else np.empty((0, len(self.labels)))

    def _of_words(self, texts: Iterable[Iterable[str]]) -> np.ndarray:
        """The same for texts that are cut into words."""
        return self._answers(*self._sums(self._counts(texts)))

    def _run(self, rows: list[list[int]]) -> np.ndarray:
        """Probabilities for rows of feature numbers: what one text needs."""
        sums, squares = [], []
        for row in rows:
            often = Counter(row) if row[0] > 1 else {}
            places = np.fromiter(often, np.int64, len(often)) - 2
            tf = 1 + np.log(np.fromiter(often.values(), float, len(often)))
            sums.append(tf @ self._rows[places])
            squares.append(tf**2 @ self._squares[places])
        return self._answers(np.array(sums), np.array(squares))

    def _counts(self, texts: Iterable[Iterable[str]]) -> sparse.csr_array:
        """How often each feature stands in each text: (texts, features).

        Texts hold words, words hold features: the product of two sparse tables.
        """
        index: dict[str, int] = {}
        number = index.setdefault
        rows = [[number(word, len(index)) for word in words] for words in texts]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        numbers = np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum())
        text = np.repeat(np.arange(len(rows)), lengths)
        same = np.flatnonzero(text[1:] == text[:-1])
        pairs, where = np.unique(
            numbers[same] * len(index) + numbers[same + 1], return_inverse=True
        )
        words = list(index)
        of_pairs = [
            self._known.get(f"{words[pair // len(index)]} {words[pair % len(index)]}")
            for pair in pairs.tolist()
        ]
        features = [self._features(word) for word in words]
        features += [() if found is None else (found,) for found in of_pairs]
        columns = np.concatenate([numbers, where + len(index)])
        held = _table(
            np.concatenate([text, text[same]]), columns, len(rows), len(features)
        )
        sizes = np.fromiter(map(len, features), np.int64, len(features))
        flat = np.fromiter(chain.from_iterable(features), np.int64, sizes.sum())
        of = np.repeat(np.arange(len(features)), sizes)
        return held @ _table(of, flat, len(features), len(self._rows))

    def _sums(self, counts: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
        """Weighted sums of 1 + log(count), and their squares, for each block."""
        counts.data = 1 + np.log(counts.data)
        sums = counts @ self._rows
        counts.data **= 2
        return sums, counts @ self._squares

    def _answers(self, sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Probabilities from the sums of the two blocks: (texts, labels)."""
        first, second = 1 / np.sqrt(np.where(squares == 0, 1, squares)).T[:, :, None]
        half = sums.shape[1] // 2
        bias, last, last_bias = self._layers
        z = sums[:, :half] * first + sums[:, half:] * second + bias
        if last.size:
            z = np.maximum(z, 0) @ last + last_bias
        if z.shape[1] == 1:
            z = np.hstack([np.zeros_like(z), z])
        odds = np.exp(z - z.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    def explain(self, text: str) -> Explanation:
        """What each word adds to each label's probability; see explain_groups."""
        return explain_groups(self._of_words, list(self._cut(text)))


def _features(known: dict[str, int], index: dict[str, int], word: str) -> list[int]:
    """Numbers of the known features in a word: itself, and pieces inside it."""
    found = [known[word]] if word in known else []
    padded = f" {word} "
    for size in range(2, 6):
        for start in range(max(1, len(padded) - size + 1)):
            number = index.get(padded[start : start + size])
            if number is not None:
                found.append(number)
        if len(padded) <= size:
            break
    return found


def _table(rows, columns, height: int, width: int) -> sparse.csr_array:
    """A sparse table of ones; a place that is named twice holds two."""
    ones = np.ones(len(rows))
    return sparse.csr_array((ones, (rows, columns)), shape=(height, width))
