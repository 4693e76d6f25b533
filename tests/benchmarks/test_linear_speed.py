"""The deployed linear model against scikit-learn's own pipeline, as ratios.

python -m pytest -n 0 tests/benchmarks/test_linear_speed.py -s. Rounds alternate; see
test_speed.py.
"""

import time

import numpy as np
import pytest
from test_speed import NOTE, ratio

from helpers import load_orders
from helpers.evaluate import tfidf_baseline
from helpers.plant.ngrams import NgramRouter
from helpers.plant.saving import save_ngrams
from helpers.plant.words import tokens


@pytest.fixture(scope="module")
def orders():
    return load_orders().dropna(subset="crew")


@pytest.fixture(scope="module")
def pipeline(orders):
    return tfidf_baseline().fit(clean(orders["text"]), orders["crew"])


@pytest.fixture(scope="module")
def router(pipeline, tmp_path_factory):
    last = pipeline[-1]
    folder, layers = tmp_path_factory.mktemp("m") / "crew", [last.coef_.T]
    layers.append(last.intercept_)
    labels = list(last.classes_)
    return NgramRouter(save_ngrams(folder, pipeline[0], layers, labels, minimum=0.5))


def clean(texts):
    return [" ".join(tokens(text)) for text in texts]


def test_one_note(router, pipeline):
    def slow():
        return pipeline.predict_proba(clean([NOTE]))[0]

    def fast():
        return router.probabilities(NOTE)

    assert np.abs(slow() - fast()).max() < 1e-6
    times, low, high = ratio((slow, 30), (fast, 500), rounds=15)
    print(f"\none note: {times:.0f} times scikit-learn ({low:.0f} to {high:.0f})")
    assert times >= 20


def test_bulk(router, pipeline, orders):
    texts = orders["text"].tolist()

    def slow():
        return pipeline.predict_proba(clean(texts))

    def fast():
        return router.probabilities(texts)

    assert np.abs(slow() - fast()).max() < 1e-6
    times, low, high = ratio((slow, 1), (fast, 1), rounds=9)
    print(f"\nin bulk: {times:.1f} times scikit-learn ({low:.1f} to {high:.1f})")
    assert times >= 3


def test_a_million(router, pipeline, orders):
    """Ten rounds of 100,000 texts, each two real notes; scikit-learn gets 5,000 each.

    The ratio is that of texts per second.
    """
    rng, notes = np.random.default_rng(0), orders["text"].to_numpy()
    seconds, ratios = 0.0, []
    for _ in range(10):
        drawn = rng.choice(notes, (2, 100_000)).tolist()
        texts = [f"{first} {second}" for first, second in zip(*drawn)]
        start = time.perf_counter()
        fast = router.probabilities(texts)
        middle = time.perf_counter()
        slow = pipeline.predict_proba(clean(texts[:5000]))
        end = time.perf_counter()
        assert np.abs(slow - fast[:5000]).max() < 1e-6
        seconds += middle - start
        ratios.append((end - middle) * 20 / (middle - start))
    times = float(np.median(ratios))
    print(f"\na million: {seconds:.0f} s, {times:.1f} times scikit-learn")
    assert times >= 2
