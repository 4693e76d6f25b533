"""Scores and intervals: equal to scikit-learn, and wide enough."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from helpers.evaluate import bootstrap, macro_f1, tfidf_baseline


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 8, 30])
def test_macro_f1_equals_scikit_learn(seed, classes):
    truth, answers = np.random.default_rng(seed).integers(0, classes, (2, 40))
    names = np.array([f"crew {n}" for n in range(classes)])
    wanted = f1_score(truth, answers, average="macro")
    assert macro_f1(truth, answers) == pytest.approx(wanted)
    assert macro_f1(names[truth], names[answers]) == pytest.approx(wanted)


def test_bootstrap_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0

    def share_right(pick):
        return right[pick].mean()

    for _ in range(200):
        right = rng.random(300) < 0.8
        low, high = bootstrap(share_right, 300, draws=200)
        covered += low <= 0.8 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_bootstrap_of_a_difference_is_paired():
    one = np.random.default_rng(0).random(500) < 0.7
    low, high = bootstrap(lambda pick: one[pick].mean() - one[pick].mean(), 500)
    assert (low, high) == (0, 0)


def test_the_baseline_learns():
    texts = ["light us", "lights out", "oil leak", "leaking hose"] * 5
    model = tfidf_baseline().fit(texts, ["electrical", "electrical", "oil", "oil"] * 5)
    assert list(model.predict(["oil hose", "light"])) == ["oil", "electrical"]
