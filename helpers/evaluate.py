"""Scores, their uncertainty and the baseline: what chapter 02 develops, for all others.

tests/helpers/test_evaluate.py holds chapter 02's own versions equal to these.
"""

from collections.abc import Callable

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union


def macro_f1(truth: np.ndarray, answers: np.ndarray) -> float:
    """Mean over the classes of F1 = 2 x right / (true + answered).

    Equal to sklearn.metrics.f1_score(average="macro"), and quick enough for a
    bootstrap: a class that is neither true nor answered does not count.

    Args:
        truth: labels of any kind, (orders,).
        answers: likewise.

    """
    labels, codes = np.unique(np.concatenate([truth, answers]), return_inverse=True)
    true, answered = codes[: len(truth)], codes[len(truth) :]
    right = np.bincount(true[true == answered], minlength=len(labels))
    return float(np.mean(2 * right / np.bincount(codes, minlength=len(labels))))


def bootstrap(
    score: Callable[[np.ndarray], float],
    count: int,
    draws: int = 500,
) -> tuple[float, float]:
    """95 % confidence interval of a score by resampling (Efron 1979, percentiles).

    Args:
        score: the score of the orders at these places, int (count,); for two models,
            the difference of their scores on the same places.
        count: how many orders there are.
        draws: how often count orders are drawn with replacement.

    Returns:
        The 2.5th and the 97.5th percentile of the scores.

    """
    rng = np.random.default_rng(0)
    scores = [score(rng.integers(0, count, count)) for _ in range(draws)]
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)


def tfidf_features() -> FeatureUnion:
    """TF-IDF of words and pairs of words, and of pieces of 2 to 5 characters."""
    words = TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True, min_df=2
    )
    pieces = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3
    )
    return make_union(words, pieces)


def tfidf_baseline() -> Pipeline:
    """The course's baseline for cleaned texts: TF-IDF and logistic regression, C=3."""
    return make_pipeline(tfidf_features(), LogisticRegression(C=3, max_iter=2000))
