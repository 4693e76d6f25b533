"""Speed of exact explanations, as ratios: python -m pytest -n 0 tests/benchmarks -s.

The two sides alternate in short rounds; see test_speed.py.
"""

import warnings

import keras
import numpy as np
import pytest
from test_speed import ratio

from helpers import LENGTH, Vocabulary, load_router, median_seconds
from helpers.explain import subsets
from helpers.router import MODELS

NOTE = "replace leaking hydraulic hose on left bucket cylinder"  # eight words


@pytest.fixture(scope="module")
def router():
    return load_router("crew")


def test_eight_words_against_the_same_subsets_through_predict(router):
    network = keras.saving.load_model(MODELS / "crew" / "network.keras")
    words = NOTE.split()
    sizes, weights = subsets(len(words))
    places = [row for size in sizes for row in size.tolist()]
    texts = [" ".join(words[place] for place in row) for row in places]
    rows = Vocabulary(router.card["words"]).encode(texts, LENGTH)
    rows[0, 0] = 1  # no word is read as one unknown word

    def predict_some():
        """One subset a call, for 8 of the 256: all of them take half a minute."""
        return [network.predict(row[None], verbose=0)[0] for row in rows[::32]]

    def predict_at_once():
        return weights @ network.predict(rows, verbose=0).astype(float)

    def fast():
        return router.explain(NOTE).values

    np.testing.assert_allclose(predict_at_once(), fast(), atol=1e-5)
    seconds = min(median_seconds(fast, 50) for _ in range(5))
    print(f"\neight words: {seconds * 1e3:.2f} ms, the best of five medians")
    batched, *_ = ratio((predict_at_once, 1), (fast, 30), rounds=9)
    print(f"all subsets in one model.predict: {batched:.0f} times as long")
    found = ratio((predict_some, 1), (fast, 30), rounds=5)
    times, low, high = (32 * value for value in found)
    print(f"one model.predict a subset: {times:,.0f} times ({low:,.0f} to {high:,.0f})")
    assert times >= 50


def test_faster_than_the_text_explainer_of_shap_and_exact(router):
    """shap's default for texts is the partition explainer: Owen values."""
    with warnings.catch_warnings(action="ignore"):
        shap = pytest.importorskip("shap")
    masker = shap.maskers.Text(r"\W+")  # hides a word behind "...", which is no word
    default = shap.Explainer(
        lambda texts: router.probabilities([str(text) for text in texts]), masker
    )
    exact = router.explain(NOTE).values

    def by_shap():
        return default([NOTE], silent=True).values[0]

    def fast():
        return router.explain(NOTE).values

    gap = np.abs(by_shap() - exact).max()
    total = router.probabilities(NOTE) - router.probabilities("")
    ours = np.abs(exact.sum(0) - total).max()
    print(f"\nshap's default differs from the exact values by {gap:.2f}; ours add up")
    print(f"within {ours:.0e}")
    times, low, high = ratio((by_shap, 3), (fast, 30), rounds=9)
    print(f"shap's default takes {times:.1f} times as long ({low:.1f} to {high:.1f})")
    assert ours < 1e-5 and gap > ours and times > 1
