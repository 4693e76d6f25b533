"""What the notebooks develop by hand, against Keras, TensorFlow and the helpers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import load_orders


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def notebook_functions(name, *wanted):
    """Functions as a notebook defines them: the notebook itself is tested."""
    import ast

    from strict_nbval import ROOT

    cells = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))["cells"]
    space = {"np": np, "keras": keras}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        body = [n for n in tree.body if getattr(n, "name", None) in wanted]
        exec(compile(ast.Module(body, []), name, "exec"), space)
    assert all(function in space for function in wanted)
    return [space[function] for function in wanted]


@pytest.mark.parametrize("units", [1, 5, 64])
def test_lstm_cell_of_the_notebook_equals_keras(units):
    _, lstm = notebook_functions("02_lstm_training.ipynb", "sigmoid", "lstm")
    keras.utils.set_random_seed(units)
    layer = keras.layers.LSTM(units, return_sequences=True)
    x = np.random.default_rng(units).normal(size=(1, 9, 7)).astype("float32")
    theirs = layer(x).numpy()[0]
    assert np.abs(lstm(x[0], *layer.get_weights()) - theirs).max() < 1e-5


def test_gradients_of_the_notebook_equal_tensorflow():
    """forward_backward of chapter 02, on random data, against a GradientTape."""
    names = ("sigmoid", "cross_entropy", "forward_backward")
    *_, forward_backward = notebook_functions("02_lstm_training.ipynb", *names)
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(50, 4)), rng.integers(0, 2, 50).astype(float)
    W1, b1 = rng.normal(size=(4, 3)), rng.normal(size=3)
    W2, b2 = rng.normal(size=(3, 1)), rng.normal(size=1)
    forward_backward.__globals__.update(W1=W1, b1=b1, W2=W2, b2=b2)
    loss, mine = forward_backward(x, y)
    variables = [tf.Variable(v) for v in (W1, b1, W2, b2)]
    with tf.GradientTape() as tape:
        hidden = tf.nn.relu(x @ variables[0] + variables[1])
        p = tf.sigmoid(hidden @ variables[2] + variables[3])[:, 0]
        theirs = -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))
    gradients = tape.gradient(theirs, variables)
    assert np.isclose(loss, theirs)
    assert max(np.abs(a - b).max() for a, b in zip(mine, gradients)) < 1e-10


def test_normalise_of_the_notebook_equals_the_helper():
    import re

    from helpers import normalise

    mine, repair = notebook_functions(
        "01_preprocessing.ipynb", "normalise", "repair_quotes"
    )
    mine.__globals__["re"] = re
    orders = load_orders()
    assert [mine(text) for text in orders["text"]] == orders["clean"].tolist()
    from helpers.prepare import repair_quotes

    broken = ['Blown \\o\\" ring.."', "plain", '\\static\\""']
    assert list(map(repair, broken)) == list(map(repair_quotes, broken))
    assert all(normalise(t) == mine(t) for t in ["A/C", "Größe L/H", ""])


def test_macro_f1_of_the_notebook_equals_scikit_learn():
    from sklearn.metrics import f1_score

    (macro_f1,) = notebook_functions("02_lstm_training.ipynb", "macro_f1")
    rng = np.random.default_rng(2)
    for classes in (2, 8):
        truth = np.r_[np.arange(classes), rng.integers(0, classes, 300)]
        answers = rng.permutation(truth)
        wanted = f1_score(truth, answers, average="macro")
        assert np.isclose(macro_f1(truth, answers), wanted)
