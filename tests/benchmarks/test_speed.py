"""Speed of the fast path, as ratios within one run: python -m pytest tests/benchmarks.

Absolute times depend on the machine; the ratio of two ways, measured side by side,
hardly does. pytest-benchmark measures both and prints the table.
"""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import Vocabulary, load_orders, load_router, median_seconds, normalise
from helpers.lstm import export_saved_model
from helpers.router import MODELS

NOTE = "LH VDO temp reading high"
medians: dict[str, float] = {}  # what the benchmarks of this run have measured


def median_of(name, call, repeats):
    """The median that a benchmark noted; measured here if that did not run."""
    if name not in medians:
        gc.disable()  # as --benchmark-disable-gc does
        medians[name] = median_seconds(call, repeats)
        gc.enable()
    return medians[name]


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


@pytest.fixture(scope="module")
def many():
    """102,520 real texts: every order twenty times, in an order that is not sorted."""
    texts = np.array(load_orders()["text"].tolist() * 20, object)
    return np.random.default_rng(0).permutation(texts).tolist()


@pytest.fixture(scope="module")
def predict(router, network):
    vocabulary = Vocabulary(router.card["words"])

    def call():
        return network.predict(vocabulary.encode([normalise(NOTE)]), verbose=0)[0, 0]

    return call


@pytest.fixture(scope="module")
def serve(saved_model, many):
    def call():
        parts = [
            saved_model.serve(tf.constant(many[start : start + 1024])).numpy()
            for start in range(0, len(many), 1024)
        ]
        return np.concatenate(parts)[:, 0]

    return call


def test_one_with_predict(benchmark, router, predict):
    answer = benchmark.pedantic(predict, rounds=50, warmup_rounds=3)
    assert abs(answer - router.probabilities(NOTE)[1]) < 1e-5
    medians["predict"] = benchmark.stats.stats.median


def test_one_with_the_fast_path(benchmark, router):
    answer = benchmark.pedantic(
        router.probabilities, (NOTE,), rounds=2000, warmup_rounds=100
    )
    assert 0.5 < answer[1] < 1
    medians["fast path"] = benchmark.stats.stats.median


def test_one_raw_string_is_a_thousand_times_faster(router, predict):
    fast = median_of("fast path", lambda: router.probabilities(NOTE), 2000)
    ratio = median_of("predict", predict, 50) / fast
    print(f"\none raw string: fast path {ratio:,.0f} times as fast as model.predict")
    assert ratio >= 1000


def test_bulk_with_saved_model(benchmark, serve):
    benchmark.pedantic(serve, rounds=5, warmup_rounds=1)
    medians["saved model"] = benchmark.stats.stats.median


def test_bulk_with_the_fast_path(benchmark, router, serve, many):
    answers = benchmark.pedantic(
        router.probabilities, (many,), rounds=7, warmup_rounds=1
    )
    assert np.abs(answers[:, 1] - serve()).max() < 1e-5
    medians["bulk"] = benchmark.stats.stats.median


def test_bulk_is_at_least_twice_as_fast(router, serve, many):
    bulk = median_of("bulk", lambda: router.probabilities(many), 7)
    ratio = median_of("saved model", serve, 5) / bulk
    rate = len(many) / bulk
    print(f"\nin bulk: {ratio:.1f} times a SavedModel; {rate:,.0f} texts a second here")
    assert ratio >= 2
