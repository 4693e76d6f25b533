"""Speed of workorder-gpt: python -m pytest tests/benchmarks/test_gpt_speed.py.

The key-value cache against reading the whole prefix again for each token, side by side,
at the width of the shipped model and at twice that: the narrower the network, the more
of a token's time is the fixed cost of calling NumPy, which no cache saves. The best of
many interleaved runs is taken, because other work on the machine only ever adds time.
Both use one thread (helpers/start.py), as a service that answers one request a thread
would.
"""

import time

import numpy as np
import pytest

from helpers import load_orders
from helpers.gpt import (
    Cache,
    Size,
    Tokenizer,
    build_gpt,
    from_keras,
    load_gpt,
    split_all,
)

TOKENS = 40
NOTE = "LH VDO temp reading high"


def random_model(width):
    """A model with random weights: they do not change the time."""
    tokenizer = Tokenizer.fit(split_all(load_orders())[0])
    return from_keras(build_gpt(len(tokenizer), Size(width)), tokenizer)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.parametrize(("width", "wanted"), [(Size().width, 4), (128, 5)])
def test_the_cache_is_faster_at_40_tokens(width, wanted):
    model = random_model(width)
    tokens = np.random.default_rng(0).integers(3, len(model.tokenizer), TOKENS).tolist()

    cache = Cache(model.size)
    model.logits(tokens[:-1], cache)

    def cached():
        cache.length = TOKENS - 1
        return model.logits(tokens[-1:], cache)[-1]

    def recomputed():
        return model.logits(tokens)[-1]

    assert np.abs(cached() - recomputed()).max() < 1e-4
    times = np.array([[seconds(cached), seconds(recomputed)] for _ in range(300)])
    quick, slow = 1 / times.min(axis=0)
    print(
        f"\nwidth {width}, token {TOKENS}: "
        f"cache {quick:,.0f}/s, recomputing {slow:,.0f}/s"
    )
    print(f"ratio {quick / slow:.1f}")
    assert quick >= wanted * slow


def test_a_record_takes_less_than_30_ms():
    model = load_gpt()
    steps = len(list(model.generate(NOTE, max_tokens=14)))
    times = [
        seconds(lambda: list(model.generate(NOTE, max_tokens=14))) for _ in range(50)
    ]
    print(f"\n{steps} tokens: median {1000 * np.median(times):.1f} ms")
    assert np.median(times) < 0.030
