"""What chapter 02 develops: networks that route orders, their training and export."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.start import SEED, pin_keras, silent_stderr

with silent_stderr():  # some builds of TensorFlow greet with a page of log lines
    import keras
    import tensorflow as tf
    from keras import layers

from helpers.data import CSV_SHA256, locked, sha256
from helpers.errors import InputError
from helpers.onnx_lstm import onnx_bytes
from helpers.prepare import LENGTH, Vocabulary, load_orders, split_by_time
from helpers.router import TASKS
from helpers.tables import CREWS

pin_keras()
tf.get_logger().setLevel("ERROR")  # importing TensorFlow in a notebook sets INFO

# When an answer is acted on; chosen on the validation orders, models trained on train
# (three seeds). electrician: the threshold follows from the costs of chapter 03; of the
# 7 % of orders between it and the minimum, only one in four needs an electrician. crew:
# below the minimum, fewer than half of the answers are right; 84 % are above it.
POLICY = {"electrician": {"threshold": 0.2, "minimum": 0.6}, "crew": {"minimum": 0.6}}
UNITS, EPOCHS, BATCH = 64, {"electrician": 3, "crew": 6}, 32


def build_lstm(
    words: int, outputs: int, length: int | None = LENGTH, mask: bool = True
) -> keras.Sequential:
    """The article's network: Embedding, LSTM(64), Dense(64, relu), Dense(outputs).

    Args:
        words: size of the vocabulary, padding and unknown included.
        outputs: 1 for a yes-or-no question (sigmoid), else one a class (softmax).
        length: tokens a row, or None for any.
        mask: whether padding (0) is skipped; False for rows without padding.

    Returns:
        Not compiled; word numbers, int32, (batch, length) in, probabilities, float32,
        (batch, outputs) out.

    Source: Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000.

    """
    return keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            layers.Embedding(words, UNITS, mask_zero=mask),
            layers.LSTM(UNITS),
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax"),
        ]
    )


def compile_model(model: keras.Model, outputs: int) -> keras.Model:
    """Adam (Kingma & Ba 2015) on cross-entropy; no XLA, for equal digits everywhere."""
    loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
    model.compile("adam", loss, jit_compile=False)
    return model


def restart(model: keras.Model) -> None:
    """New random weights, and the optimiser as it began; quicker than a new model.

    Call keras.utils.set_random_seed before, as for a new model.
    """
    model.set_weights(keras.models.clone_model(model).get_weights())
    rate = float(model.optimizer.learning_rate)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate


def targets(orders: pd.DataFrame, task: str) -> np.ndarray:
    """Class numbers of labelled orders, int64, (orders,), in the order of TASKS[task].

    Raises:
        InputError: an unknown task.

    """
    if task not in TASKS:
        raise InputError(f"No task {task!r}. There are {', '.join(TASKS)}.")
    if task == "electrician":
        return orders["electrician"].to_numpy(np.int64)
    return orders["crew"].map(CREWS.index).to_numpy(np.int64)


def train_lstm(task: str, train: pd.DataFrame) -> tuple[keras.Model, Vocabulary]:
    """Train the article's network for the number of epochs that chapter 02 found.

    Returns:
        The Keras model (rows of LENGTH word numbers in) and its Vocabulary.

    Raises:
        InputError: an unknown task.

    """
    y = targets(train, task)
    vocabulary = Vocabulary.fit(train["clean"])
    outputs = 1 if task == "electrician" else len(TASKS[task])
    model = compile_model(build_lstm(len(vocabulary), outputs), outputs)
    keras.utils.set_random_seed(SEED)
    restart(model)  # as chapter 02 does, so that both give the same weights
    x = vocabulary.encode(train["clean"])
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS[task], verbose=0)
    return model, vocabulary


def without_padding(model: keras.Model) -> keras.Model:
    """The same weights in a network that takes rows of any length, without padding.

    A masked LSTM keeps its state over padding, so both give the same answer.
    """
    words, outputs = model.layers[0].input_dim, model.output_shape[-1]
    twin = build_lstm(words, outputs, length=None, mask=False)
    twin(np.zeros((1, 1), np.int32))
    twin.set_weights(model.get_weights())
    return twin


def save_model(
    model: keras.Model,
    vocabulary: Vocabulary,
    labels: list[str],
    folder: Path | str,
    *,
    minimum: float = 0.5,
    threshold: float | None = None,
    **facts: object,
) -> Path:
    """Save a network as a folder that helpers.Router loads; all of it or nothing.

    Args:
        model: a network from build_lstm.
        vocabulary: the one it was trained with.
        labels: names of its classes, in order.
        folder: where to; an older model there is replaced.
        minimum: probability of a label from which no person needs to look.
        threshold: for two labels, the probability from which the second one is given;
            None gives the more probable one.
        facts: anything else to keep in model.json, for example scores.

    Raises:
        InputError: a number outside 0..1, or a threshold without two labels.

    """
    if not 0 <= minimum <= 1 or not 0 <= (threshold or 0) <= 1:
        raise InputError(f"{minimum=} and {threshold=} must be within 0 and 1.")
    if threshold is not None and len(labels) != 2:
        raise InputError(f"A threshold is for two labels; there are {len(labels)}.")
    folder = Path(folder)
    options = {"dir": folder.parent, "prefix": ".saving-"}
    options["ignore_cleanup_errors"] = True  # a reader may hold a file of the old model
    with locked(folder), tempfile.TemporaryDirectory(**options) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        _export(model, new)
        card = {
            "labels": labels,
            "threshold": threshold,
            "minimum": minimum,
            "words": vocabulary.words,
            "network_sha256": sha256(new / "network.onnx"),
            "data_sha256": CSV_SHA256,
            **facts,
        }
        (new / "model.json").write_text(json.dumps(card, indent=1), "utf-8")
        _replace(folder, new)
    return folder


def _export(model: keras.Model, folder: Path) -> None:
    """Write network.keras, for study, and network.onnx, for use."""
    model.save(folder / "network.keras")
    (folder / "network.onnx").write_bytes(onnx_bytes(model))


def _replace(folder: Path, new: Path) -> None:
    """Put the new folder where the old one is; if that fails, the old one stays."""
    old = new.with_name(f"{new.name}-old")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise


def export_saved_model(model: keras.Model, vocabulary: Vocabulary, folder: str) -> None:
    """Write a TensorFlow SavedModel that takes raw texts and normalises them itself.

    For comparison with the fast path; TextVectorization cannot be exported to ONNX.
    """

    def standardise(texts):
        texts = tf.strings.regex_replace(tf.strings.lower(texts, "utf-8"), "'", "")
        texts = tf.strings.regex_replace(texts, r"\b([a-z])/([a-z])\b", r"\1\2")
        return tf.strings.regex_replace(texts, r"[^\pL\pN]+", " ")

    numbers = layers.TextVectorization(
        standardize=standardise,
        output_sequence_length=LENGTH,
        vocabulary=vocabulary.words,
    )
    text_in = keras.Sequential([keras.Input((), dtype="string"), numbers, model])
    with silent_stderr():
        text_in.export(folder, verbose=False)


def train_router(name: str, folder: Path) -> Path:
    """Build the course's model of that name from the orders before the test period."""
    print(f"Training the model {name!r}, once, for some seconds ...", flush=True)
    split = split_by_time(load_orders())
    model, vocabulary = train_lstm(name, pd.concat([split.train, split.valid]))
    return save_model(model, vocabulary, TASKS[name], folder, seed=SEED, **POLICY[name])
