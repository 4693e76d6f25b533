"""Training and saving a network, also by two processes at once."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import (
    CREWS,
    ModelError,
    Router,
    load_orders,
    load_router,
    lstm,
    router,
)
from helpers.lstm import (
    build_lstm,
    compile_model,
    export_saved_model,
    restart,
    save_model,
    without_padding,
)

TEXTS = ["oil leak lh", "lights u/s", "replace bucket tooth", "a/c hot"]


def folders(parent):
    return sorted(path.name for path in parent.iterdir() if path.is_dir())


def test_mask_makes_padding_harmless(small):
    model, vocabulary = small
    short = without_padding(model)
    for text in TEXTS:
        padded = model(vocabulary.encode([text])).numpy()
        length = len(text.split())
        exact = short(vocabulary.encode([text], length)).numpy()
        assert np.abs(padded - exact).max() < 1e-5


def test_restart_equals_a_new_beginning(small):
    _, vocabulary = small
    x = np.random.default_rng(0).integers(1, len(vocabulary), (64, 12)).astype("int32")
    y = np.arange(64) % 2
    model = compile_model(build_lstm(len(vocabulary), 1), 1)
    losses = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        restart(model)
        losses.append(model.fit(x, y, epochs=2, verbose=0).history["loss"])
    assert losses[0] == losses[1]
    assert int(model.optimizer.iterations) == 4
    assert np.isclose(float(model.optimizer.learning_rate), 1e-3)


def test_saved_model_answers_like_the_network(small, saved):
    model, vocabulary = small
    orders = load_orders()
    router = Router(saved)
    mine = router.probabilities(orders["text"].tolist())
    theirs = model(vocabulary.encode(orders["clean"])).numpy()
    assert mine.shape == (5126, 8) and mine.dtype == np.float32
    assert np.abs(mine - theirs).max() < 1e-5
    assert np.allclose(mine.sum(1), 1, atol=1e-5)
    one = [router.probabilities(text) for text in orders["text"][:50]]
    assert np.abs(np.array(one) - mine[:50]).max() < 1e-6
    assert router.card["note"] == "a test"


def test_saved_model_of_tensorflow_answers_like_the_router(small, saved, tmp_path):
    model, vocabulary = small
    export_saved_model(model, vocabulary, str(tmp_path / "tf"))
    texts = load_orders()["text"].tolist()[:600] + ["Größe L/H u/s"]
    loaded = tf.saved_model.load(str(tmp_path / "tf"))
    theirs = loaded.serve(tf.constant(texts)).numpy()
    assert np.abs(Router(saved).probabilities(texts) - theirs).max() < 1e-5


def processes(program, *arguments, **environment):
    """Start two processes with the same program and wait for both."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [
        subprocess.Popen(command, env=os.environ | environment, **pipes)
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    return [out for out, _ in outputs]


def test_two_processes_save_and_load_the_same_model(saved, tmp_path):
    program = """if True:
        import sys, keras, numpy as np
        from helpers import CREWS, Router, Vocabulary, lstm
        source, target = sys.argv[1:]
        model = keras.saving.load_model(source + "/network.keras")
        words = Vocabulary(Router(source).card["words"])
        lstm._export = lambda model, folder: (folder / "network.onnx").write_bytes(
            open(source + "/network.onnx", "rb").read() + np.random.bytes(8))
        lstm.Router = Router
        for n in range(60):
            lstm.save_model(model, words, CREWS, target)
            try:
                Router(target)
            except Exception as error:
                # the bytes added above are refused by ONNX, after the checksum
                assert "does not belong" not in str(error), error
                assert "No such file" not in str(error), error
    """
    processes(program, saved, tmp_path / "both" / "crew")
    assert folders(tmp_path / "both") == ["crew"]


def test_two_notebooks_train_the_missing_model_once(tmp_path):
    program = """if True:
        import helpers
        from helpers import lstm
        lstm.train_lstm, real = (
            lambda task, train: real(task, train[:300]), lstm.train_lstm)
        print(helpers.load_router("electrician").route("oil leak").label)
    """
    outputs = processes(program, COURSE_STATE=str(tmp_path))
    assert "".join(outputs).count("Training the model") == 1
    assert folders(tmp_path / "models") == ["electrician"]


def test_saving_is_all_or_nothing(small, saved, monkeypatch):
    model, vocabulary = small
    before = (saved / "model.json").read_bytes()

    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(lstm, "sha256", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(model, vocabulary, CREWS, saved)
    assert (saved / "model.json").read_bytes() == before
    assert folders(saved.parent) == ["crew"]


def test_a_failed_replacement_keeps_the_old_model(small, saved, monkeypatch):
    model, vocabulary = small
    before = (saved / "model.json").read_bytes()
    real = lstm.os.replace

    def fail(source, target):
        if str(target) == str(saved) and not str(source).endswith("-old"):
            raise PermissionError(13, "locked")
        real(source, target)

    monkeypatch.setattr(lstm.os, "replace", fail)
    with pytest.raises(PermissionError):
        save_model(model, vocabulary, CREWS, saved)
    assert (saved / "model.json").read_bytes() == before
    assert folders(saved.parent) == ["crew"]


def test_model_that_cannot_be_saved(monkeypatch, tmp_path):
    def full(name, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(router, "MODELS", tmp_path)
    monkeypatch.setattr(lstm, "train_router", full)
    with pytest.raises(ModelError, match="cannot be saved to .*No space left"):
        load_router("crew")
