"""The LSTM of chapter 02 behind LitServe with batches, as its documentation shows.

python tests/benchmarks/lstm_litserve.py --port N --call keras|onnx
"""

import argparse

import litserve
from lstm_server import predictor


class Lstm(litserve.LitAPI):
    """Texts in batches of up to 32; the label in the answer."""

    call = "keras"

    def setup(self, device: str) -> None:
        """Load the network, in the process that answers."""
        self.predictor, self.labels = predictor(self.call)

    def decode_request(self, request: dict) -> str:
        """The text."""
        return request["input"]

    def predict(self, texts: list[str]) -> list[int]:
        """Places of the most likely labels."""
        return self.predictor(texts).argmax(axis=1).tolist()

    def encode_response(self, output: int) -> dict:
        """The label."""
        return {"crew": self.labels[output]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--call", choices=("keras", "onnx"))
    options = parser.parse_args()
    api = Lstm(max_batch_size=32, batch_timeout=0.002)
    api.call = options.call
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=options.port,
        log_level="error",
        generate_client_file=False,
    )
