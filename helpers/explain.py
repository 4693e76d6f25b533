"""Why a model said that: exact Shapley values of the words of a short text.

The game: the players are the words that the network reads, and a subset of them is
worth what the network answers to the text of these words alone, in their order. The
network reads helpers.LENGTH words at most, 12, so all subsets can be asked: 256 for a
note of eight words, and never more than 4,096. Nothing is sampled or approximated.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np

GROUPS = 10  # of neighbours, in explain_groups: at most 1,024 texts are asked


class Explanation(NamedTuple):
    """What each word adds to each label's probability, starting from base.

    words: as the network reads them, (words,); further words are not read.
    values: (words, labels); base + values.sum(0) is the model's answer.
    base: the answer to a text without any word, (labels,).
    """

    words: list[str]
    values: np.ndarray
    base: np.ndarray


@lru_cache(maxsize=16)
def subsets(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """All subsets of so many words, and how much each counts for each word.

    Returns:
        For each size, the places of the words in each subset, int (subsets, size); and
        weights, (words, all subsets): Shapley values are weights @ worths. A subset
        with a word counts 1 / (count * C(count - 1, the others in it)) for that word,
        one without it -1 / (count * C(count - 1, size)).

    """
    sizes, weights = [], np.zeros((count, 0))
    for size in range(count + 1):
        places = np.array(list(combinations(range(count), size)), np.int64)
        inside = np.zeros((len(places), count), bool)
        np.put_along_axis(inside, places, True, 1)
        for_it = 1 / (count * comb(count - 1, size - 1)) if size else 0
        against = 1 / (count * comb(count - 1, size)) if size < count else 0
        weights = np.hstack([weights, np.where(inside, for_it, -against).T])
        sizes.append(places)
    return sizes, weights


def explain(
    run: Callable[[np.ndarray], np.ndarray], numbers: list[int], words: list[str]
) -> Explanation:
    """Exact Shapley values of the words of one text, for every label at once.

    Args:
        run: the network: rows of equal length in, (rows, labels) out.
        numbers: a number for each word; for no word at all, that of an unknown one.
        words: the same words as text.

    Source: Shapley 1953, A Value for n-Person Games; for models: Lundberg & Lee 2017,
    A Unified Approach to Interpreting Model Predictions.

    """
    sizes, weights = subsets(len(words))
    read = np.array(numbers, np.int32)
    rows = [np.ones((1, 1), np.int32)]  # no word is read as one unknown word
    rows += [read[places] for places in sizes[1:]]
    worths = np.concatenate([run(part) for part in rows]).astype(float)
    return Explanation(words, weights @ worths, worths[0])


def explain_groups(
    run: Callable[[list[list[str]]], np.ndarray], words: list[str]
) -> Explanation:
    """What each word adds to each label's probability, for a text of any length.

    A text of more than 10 words is cut into 10 groups of neighbours, for which the
    values are exact as well: they are the players then.

    Args:
        run: the model: texts cut into words in, (texts, labels) out.
        words: of the text, in their order.

    """
    count = min(len(words), GROUPS)
    cut = np.array_split(np.array(words, object), count) if words else []
    parts = [[], [], *map(list, cut)]  # explain() asks row [1] for a text without words

    def of(rows: np.ndarray) -> np.ndarray:
        return run([[word for n in row for word in parts[n]] for row in rows])

    return explain(of, list(range(2, count + 2)), [" ".join(part) for part in cut])
