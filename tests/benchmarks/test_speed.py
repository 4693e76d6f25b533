"""Speed of the fast path, as ratios: python -m pytest -n 0 tests/benchmarks -s.

Absolute times depend on the machine, and on what else it does at that moment. So the
two sides alternate in short rounds, the ratio is taken within a round, and the median
of the ratios is asserted, with room for a slower or busier machine.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import Vocabulary, load_orders, load_router, median_seconds, normalise
from helpers.lstm import export_saved_model
from helpers.router import MODELS

NOTE = "LH VDO temp reading high"


def ratio(slow, fast, rounds):
    """Times that the fast side is faster: the median of short rounds, and the range.

    Args:
        slow: a call, and how often it is measured in a round.
        fast: the same for the other side.
        rounds: how many are counted, after one to warm up.

    """
    median_seconds(*slow), median_seconds(*fast)
    found = [median_seconds(*slow) / median_seconds(*fast) for _ in range(rounds)]
    return float(np.median(found)), min(found), max(found)


@pytest.fixture(scope="module")
def router():
    return load_router("electrician")


@pytest.fixture(scope="module")
def network(router):
    return keras.saving.load_model(MODELS / "electrician" / "network.keras")


@pytest.fixture(scope="module")
def saved_model(router, network, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("saved"))
    export_saved_model(network, Vocabulary(router.card["words"]), folder)
    return tf.saved_model.load(folder)


def test_one_raw_string_is_about_a_thousand_times_faster(router, network):
    vocabulary = Vocabulary(router.card["words"])

    def predict():
        return network.predict(vocabulary.encode([normalise(NOTE)]), verbose=0)[0, 0]

    def fast():
        return router.probabilities(NOTE)

    assert abs(predict() - fast()[1]) < 1e-5
    times, low, high = ratio((predict, 3), (fast, 300), rounds=21)
    print(f"\none note: {times:,.0f} times model.predict ({low:,.0f} to {high:,.0f})")
    assert times >= 800


def test_bulk_is_about_twice_as_fast(router, saved_model):
    """20,504 real texts: every order four times, in an order that is not sorted."""
    many = np.array(load_orders()["text"].tolist() * 4, object)
    many = np.random.default_rng(0).permutation(many).tolist()

    def serve():
        parts = [
            saved_model.serve(tf.constant(many[start : start + 1024])).numpy()
            for start in range(0, len(many), 1024)
        ]
        return np.concatenate(parts)[:, 0]

    def fast():
        return router.probabilities(many)

    assert np.abs(fast()[:, 1] - serve()).max() < 1e-5
    times, low, high = ratio((serve, 1), (fast, 1), rounds=11)
    print(f"\nin bulk: {times:.1f} times a SavedModel ({low:.1f} to {high:.1f})")
    assert times >= 1.5
