"""workorder-promptable: a small model that is told its task in the prompt.

Latent semantic analysis (Deerwester et al. 1990, J. Am. Soc. Inf. Sci. 41, 391-407)
over character n-grams: texts become vectors, learned from work orders without any
label. The labels come with each request, as names, descriptions and examples. It
classifies and embeds; it is not a language model and cannot chat.
"""

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from helpers.data import STATE, locked
from helpers.errors import CourseError, InputError, ModelError
from helpers.prepare import load_orders, normalise, split_by_time

NAME = "workorder-promptable"
FOLDER = STATE / "models" / NAME
DIMENSIONS = 256
SCALE = 16.0  # of the cosines before the softmax: chosen on the validation orders
DESCRIPTION_WEIGHT = 4.0  # a description counts like four examples; chosen likewise
MAX_CACHED = 32


class Task(NamedTuple):
    """What the prompt asks for: one label out of several.

    descriptions is as long as labels ("" where there is none); examples are pairs of a
    text and one of the labels.
    """

    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    examples: tuple[tuple[str, str], ...] = ()


def grams(text: str) -> Iterator[str]:
    """Character n-grams (3 and 4) inside words: analyzer="char_wb" of scikit-learn."""
    for word in text.split():
        word = f" {word} "
        for size in (3, 4):
            for start in range(max(1, len(word) - size + 1)):
                yield word[start : start + size]
            if len(word) <= size:
                break


class Promptable:
    """Vectors for texts, and labels for texts as a prompt describes them."""

    def __init__(self, vocabulary: Sequence[str], idf: np.ndarray, axes: np.ndarray):
        """Take what was fitted: n-grams, their idf (n,), the axes (n, dimensions)."""
        self._index = {gram: number for number, gram in enumerate(vocabulary)}
        self._idf = idf
        self._axes = axes
        self._cache: dict[bytes, np.ndarray] = {}  # by digest: it keeps no text
        self._lock = Lock()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors: float32, (texts, 256); zero where no n-gram is known."""
        vectors = np.zeros((len(texts), self._axes.shape[1]), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            counts = Counter(
                self._index[gram]
                for gram in grams(normalise(text))
                if gram in self._index
            )
            if counts:
                rows = np.fromiter(counts, np.int64, len(counts))
                often = np.fromiter(counts.values(), np.float32, len(counts))
                vector[:] = ((1 + np.log(often)) * self._idf[rows]) @ self._axes[rows]
        return _unit(vectors)

    def _label_vectors(self, task: Task) -> np.ndarray:
        """The same as _vectors_of, for the last 32 tasks without computing it again."""
        text = repr(task).encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(text).digest()
        with self._lock:
            vectors = self._cache.pop(digest, None)
        if vectors is None:  # not under the lock: a long task holds up nobody
            vectors = self._vectors_of(task)
        with self._lock:
            self._cache.pop(digest, None)
            self._cache[digest] = vectors  # the newest last
            if len(self._cache) > MAX_CACHED:
                del self._cache[next(iter(self._cache))]
        return vectors

    def _vectors_of(self, task: Task) -> np.ndarray:
        """One unit vector a label: its name and description, and its examples."""
        pairs = zip(task.labels, task.descriptions, strict=True)
        named = [f"{label.replace('_', ' ')} {text}" for label, text in pairs]
        weight = [DESCRIPTION_WEIGHT if text else 1.0 for text in task.descriptions]
        vectors = self.embed(named) * np.array(weight, np.float32)[:, None]
        place = {label: number for number, label in enumerate(task.labels)}
        shown = self.embed([text for text, _ in task.examples])
        for vector, (_, label) in zip(shown, task.examples, strict=True):
            vectors[place[label]] += vector
        return _unit(vectors)

    def probabilities(self, text: str, task: Task) -> np.ndarray:
        """Softmax of the cosines between the text and each label: float, (labels,).

        Raises:
            InputError: fewer than two labels, or an example with another label.

        """
        if len(set(task.labels)) < 2 or len(set(task.labels)) < len(task.labels):
            raise InputError(f"Give at least two different labels, not {task.labels}.")
        for _, label in task.examples:
            if label not in task.labels:
                raise InputError(
                    f"An example has the label {label!r}; the labels are {task.labels}."
                )
        cosines = self._label_vectors(task) @ self.embed([text])[0]
        odds = np.exp(SCALE * (cosines - cosines.max()).astype(float))
        return odds / odds.sum()


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, 1e-9)


def fit_promptable(texts: Sequence[str]) -> Promptable:
    """Learn n-grams and axes from cleaned texts; no label is used."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 4), min_df=3, sublinear_tf=True
    )
    table = tfidf.fit_transform(texts)
    size = min(DIMENSIONS, table.shape[1] - 1)  # few texts have few n-grams
    svd = TruncatedSVD(size, random_state=0, n_iter=4).fit(table)
    axes = np.ascontiguousarray(svd.components_.T, np.float32)
    return Promptable(
        tfidf.get_feature_names_out().tolist(), tfidf.idf_.astype(np.float32), axes
    )


def load_promptable(folder: Path = FOLDER) -> Promptable:
    """Load the course's promptable model; fit it first (seconds) if it is missing.

    It learns from the texts of all orders before the test period. The files hold plain
    arrays and JSON, no pickle: loading them runs no code.

    Raises:
        ModelError: the files are damaged or the folder is not writable.

    """
    try:
        if not (folder / "axes.npz").exists():
            with locked(folder):  # another notebook may be first
                if not (folder / "axes.npz").exists():
                    _save(folder)
        with np.load(folder / "axes.npz", allow_pickle=False) as saved:
            vocabulary = json.loads(bytes(saved["vocabulary"]).decode())
            return Promptable(vocabulary, saved["idf"], saved["axes"])
    except CourseError:
        raise
    except Exception as error:  # a damaged file raises many kinds, BadZipFile first
        raise ModelError(
            f"The model in {folder} cannot be loaded or saved: {error}. "
            "Delete that folder (or make it writable); the next call fits it anew."
        ) from error


def _save(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    orders = load_orders()
    before = orders["date"] < split_by_time(orders).test["date"].min()
    model = fit_promptable(sorted(set(orders.loc[before, "clean"])))
    words = np.frombuffer(json.dumps(list(model._index)).encode(), np.uint8)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
        file = Path(temporary) / "axes.npz"  # with the usual rights, for others to read
        np.savez(file, vocabulary=words, idf=model._idf, axes=model._axes)
        os.replace(file, folder / "axes.npz")
