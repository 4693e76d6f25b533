"""Training and saving a network, also by two processes at once."""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

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
    promptable,
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
from helpers.start import pin_keras

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


def test_two_savings_and_a_reader_at_the_same_time(small, saved, monkeypatch):
    """Threads lock each other out as processes do."""
    model, vocabulary = small
    network = (saved / "network.onnx").read_bytes()
    target = saved.parent / "both" / "crew"

    def export(model, folder):  # every time another network, quickly
        (folder / "network.onnx").write_bytes(network + os.urandom(8))

    def slow_replace(source, target):
        real_replace(source, target)
        time.sleep(0.001)  # long enough for the other one to come between

    def save():
        for _ in range(40):
            save_model(model, vocabulary, CREWS, target)

    real_replace = os.replace
    monkeypatch.setattr(lstm, "_export", export)
    monkeypatch.setattr(lstm.os, "replace", slow_replace)
    save_model(model, vocabulary, CREWS, target)
    with ThreadPoolExecutor() as pool:
        savings = [pool.submit(save) for _ in range(2)]
        while not all(saving.done() for saving in savings):
            router.read_files(target, tries=8)  # card and network belong together
        assert [saving.result() for saving in savings] == [None, None]
    assert folders(target.parent) == ["crew"]


def test_two_notebooks_make_the_missing_model_once(saved, tmp_path):
    program = f"""if True:
        import shutil, sys, time, types
        from helpers import load_router
        def train_router(name, folder):
            print("Training")
            time.sleep(1)
            shutil.copytree({str(saved)!r}, folder)
        sys.modules["helpers.lstm"] = types.SimpleNamespace(train_router=train_router)
        load_router("crew")
    """
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | {"COURSE_STATE": str(tmp_path / "state")},
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert b"".join(printed).split() == [b"Training"]
    assert folders(tmp_path / "state" / "models") == ["crew"]


def test_two_notebooks_fit_the_promptable_model_once(tmp_path, monkeypatch):
    ready = promptable.load_promptable()  # fitted here if it is missing
    fitted = []

    def fit(folder):
        fitted.append(folder)
        time.sleep(0.3)
        folder.mkdir(exist_ok=True)
        shutil.copy(promptable.FOLDER / "axes.npz", folder)

    monkeypatch.setattr(promptable, "_save", fit)
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(promptable.load_promptable, [tmp_path / "model"] * 2))
    assert len(fitted) == 1
    vectors = [model.embed(["oil leak"]).tolist() for model in (*both, ready)]
    assert vectors[0] == vectors[1] == vectors[2]


def test_keras_imported_before_helpers_is_set_right():
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_epsilon(0.5)
    keras.config.set_image_data_format("channels_first")
    pin_keras()
    assert keras.config.floatx() == keras.config.dtype_policy().name == "float32"
    assert keras.config.epsilon() == 1e-7
    assert keras.config.image_data_format() == "channels_last"


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
