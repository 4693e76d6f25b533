"""The LSTM of chapter 02 behind our service, plain FastAPI and LitServe, side by side.

pytest tests/benchmarks/test_serving_speed.py -s; LitServe comes with
pip install -r tests/benchmarks/requirements.txt. 32 clients; every server is a process
of its own, short rounds alternate, and the others are paused while one is measured. Two
servers are compared within a round, and the median of these ratios is asserted, with
room for a busy machine, where a server of several processes gets several shares.

Through Keras, as chapter 02 leaves it, a call of the network is the larger part of the
work, and batches decide. Through ONNX (chapter 03) it is a tenth of what HTTP costs;
that comparison is printed, with what our keys, limits, checks and log cost.
"""

import sys
from contextlib import ExitStack
from importlib.util import find_spec

import pytest
from many_clients import Measured, measure, ratio, script

from helpers import load_orders, load_router

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="pausing needs POSIX signals"),
    pytest.mark.skipif(
        find_spec("litserve") is None,
        reason="pip install -r tests/benchmarks/requirements.txt",
    ),
]
ROUNDS, REQUESTS = 9, 640
SERVERS = {
    "ours": ("/v1/responses", lambda said: said["output"][0]["content"][0]["text"]),
    "plain": ("/predict", lambda said: said["crew"]),
    "litserve": ("/predict", lambda said: said["crew"]),
}
TITLES = {
    "ours": "our service, batches",
    "plain": "plain FastAPI, no batches",
    "litserve": "LitServe, batches",
}


def side_by_side(call: str) -> dict[str, Measured]:
    """All servers, measured in the same rounds."""
    texts = load_orders()["text"].sample(REQUESTS, random_state=0).tolist()
    router = load_router("crew")
    expected = [router.labels[row.argmax()] for row in router.probabilities(texts)]
    bodies = [{"model": "lstm", "input": text} for text in texts]
    with ExitStack() as stack:
        servers = {}
        for name, (path, said) in SERVERS.items():
            file, options = "lstm_litserve.py", ("--call", call)
            if name != "litserve":
                file, options = "lstm_server.py", (*options, "--server", name)
            server = script(file, path, said, *options, key="plant-benchmark")
            servers[f"{TITLES[name]}, {call}"] = stack.enter_context(server)
        measure(servers, bodies, expected, ROUNDS)
    return dict(zip(SERVERS, servers.values()))


def test_batches_pay_for_the_network_as_keras_runs_it():
    found = side_by_side("keras")
    to_plain = ratio(found["ours"], found["plain"])
    to_litserve = ratio(found["ours"], found["litserve"])
    p99 = ratio(found["plain"], found["ours"], 2)
    print(f"orders/s, ours to plain {to_plain:.2f}, to LitServe {to_litserve:.2f}")
    print(f"p99, plain to ours {p99:.2f}")
    assert to_plain >= 1.1 and to_litserve >= 0.6 and p99 >= 1.1


def test_through_onnx_it_is_no_slower_than_litserve():
    found = side_by_side("onnx")
    to_litserve = ratio(found["ours"], found["litserve"])
    print(f"orders/s, ours to LitServe {to_litserve:.2f}")
    assert to_litserve >= 0.6
