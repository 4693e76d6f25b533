"""The LSTM of chapter 02 behind our service or plain FastAPI, to be compared.

python tests/benchmarks/lstm_server.py --port N --server ours|plain --call keras|onnx
"""

import argparse
import gc
import signal
import threading

import numpy as np

from helpers.data import STATE
from helpers.prepare import Vocabulary, normalise
from helpers.router import load_router

NAME = "lstm"


def predictor(call: str):
    """Texts to probabilities; and the labels. Both calls are of the same network."""
    router = load_router("crew")
    if call == "onnx":
        return router.probabilities, router.labels
    from helpers.lstm import keras

    network = keras.models.load_model(STATE / "models" / "crew" / "network.keras")
    vocabulary = Vocabulary(router.card["words"])

    def predict(texts):
        numbers = vocabulary.encode([normalise(text) for text in texts])
        return np.asarray(network.predict_on_batch(numbers))

    predict(["warm up"])
    return predict, router.labels


def ours(call: str, port: int) -> None:
    """Registered in the course's service, with its dynamic batching."""
    from helpers.service import start
    from helpers.service.backends.classifier import Classifier
    from helpers.service.keys import Keys

    predict, labels = predictor(call)
    keys = Keys(per_minute=10_000_000, burst=1_000_000)
    keys.add("line-1", Keys.digest("plant-benchmark"))
    model = Classifier(NAME, predict, labels, minimum=0.0)
    with start(port, keys=keys, more=[model]):
        gc.collect()
        gc.freeze()  # as python -m helpers.service does
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        stopped.wait()


def plain(call: str, port: int) -> None:
    """A route of FastAPI that calls the network: no key, no check, no batches."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    predict, labels = predictor(call)
    app = FastAPI()

    class Order(BaseModel):
        input: str

    @app.post("/predict")
    def answer(order: Order) -> dict:
        return {"crew": labels[int(predict([order.input])[0].argmax())]}

    options = {"log_level": "error", "access_log": False, "timeout_keep_alive": 75}
    uvicorn.run(app, host="127.0.0.1", port=port, **options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server", choices=("ours", "plain"))
    parser.add_argument("--call", choices=("keras", "onnx"))
    options = parser.parse_args()
    {"ours": ours, "plain": plain}[options.server](options.call, options.port)
