"""Write a trained network of chapter 02 as an ONNX file of eight operators.

What Keras exports for the same network has three times as many; chapter 10 counts them.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def onnx_bytes(model: "keras.Model") -> bytes:
    """The network as an ONNX file: int32 (rows, words) in, float32 (rows, labels) out.

    Rows hold word numbers without padding, so there is no mask. A network with a single
    output (a sigmoid) gives two probabilities: softmax of (0, z) is (1 - p, p) with
    p = sigmoid(z).

    Args:
        model: a trained network from lstm.build_lstm.

    Source: operators LSTM, Gather, Gemm and Softmax in the ONNX specification.

    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    stored = _stored(*model.get_weights())
    nodes = [
        helper.make_node("Transpose", ["numbers"], ["by_word"]),
        helper.make_node("Gather", ["embedding", "by_word"], ["x"]),
        helper.make_node(
            "LSTM", ["x", "W", "R", "B"], ["", "h"], hidden_size=stored["R"].shape[2]
        ),
        helper.make_node("Squeeze", ["h", "first"], ["state"]),
        helper.make_node("Gemm", ["state", "W1", "b1"], ["z1"]),
        helper.make_node("Relu", ["z1"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "W2", "b2"], ["z2"]),
        helper.make_node("Softmax", ["z2"], ["probabilities"]),
    ]
    ends = [
        ("numbers", TensorProto.INT32, ["rows", "words"]),
        ("probabilities", TensorProto.FLOAT, ["rows", len(stored["b2"])]),
    ]
    numbers, probabilities = (helper.make_tensor_value_info(*end) for end in ends)
    tensors = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "router", [numbers], [probabilities], tensors)
    versions = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 9}
    file = helper.make_model(graph, **versions)
    onnx.checker.check_model(file, full_check=True)
    return file.SerializeToString()


def _stored(embedding, w, u, b, w1, b1, w2, b2) -> dict[str, np.ndarray]:
    """Weights by name, in the order in which ONNX expects them."""
    if w2.shape[1] == 1:
        w2, b2 = np.pad(w2, ((0, 0), (1, 0))), np.pad(b2, (1, 0))
    weights = {
        "embedding": embedding,
        "W": _gates(w).T[None],
        "R": _gates(u).T[None],
        "B": np.concatenate([_gates(b), np.zeros_like(b)])[None],
        **{"W1": w1, "b1": b1, "W2": w2, "b2": b2},
        "first": np.array([0]),
    }
    return {name: np.ascontiguousarray(value) for name, value in weights.items()}


def _gates(weights: np.ndarray) -> np.ndarray:
    """Keras keeps the gates as input, forget, cell, output; ONNX as i, o, f, c."""
    i, f, c, o = np.split(weights, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)
