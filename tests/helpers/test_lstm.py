"""Networks by hand against Keras, and the path from a trained network to the router."""

import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import (
    CREWS,
    InputError,
    ModelError,
    Router,
    Vocabulary,
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
    targets,
    without_padding,
)

TEXTS = ["oil leak lh", "lights u/s", "replace bucket tooth", "a/c hot"]


@pytest.fixture(scope="module")
def small():
    """A small trained network on real orders, saved as a folder would be."""
    orders = load_orders().dropna(subset="crew")[:400]
    vocabulary = Vocabulary.fit(orders["clean"])
    keras.utils.set_random_seed(1)
    model = compile_model(build_lstm(len(vocabulary), 8), 8)
    model.fit(vocabulary.encode(orders["clean"]), targets(orders, "crew"), verbose=0)
    return model, vocabulary


@pytest.fixture
def saved(small, tmp_path):
    model, vocabulary = small
    return save_model(model, vocabulary, CREWS, tmp_path / "crew", note="a test")


def folders(parent):
    return sorted(path.name for path in parent.iterdir() if path.is_dir())


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


def test_a_process_that_has_never_seen_the_notebook(saved):
    program = (
        "import sys; from helpers import Router\n"
        f"r = Router({str(saved)!r}); p = r.probabilities('oil leak')\n"
        "print(p.shape, 'tensorflow' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert run.stdout.strip() == "(8,) False", run.stderr


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "Give one text or a list, not NoneType"),
        (42, "Give one text or a list, not int: 42"),
        (b"oil", "Give one text or a list, not bytes"),
        (["oil", None], "A work order is a string, not NoneType"),
        ([["oil"]], "A work order is a string, not list"),
        ([float("nan")], "A work order is a string, not float: nan"),
        ("x" * 1001, r"1,001 characters .* the limit is 1,000"),
    ],
)
def test_bad_input_of_the_router(saved, bad, message):
    with pytest.raises(InputError, match=message):
        Router(saved).probabilities(bad)


@pytest.mark.parametrize("bad", [None, 42, b"oil", ["oil leak"]])
def test_bad_input_of_route(saved, bad):
    with pytest.raises(InputError, match="A work order is a string, not"):
        Router(saved).route(bad)


@pytest.mark.parametrize("text", ["", "   ", "???", "💡", "\x00", "zzz" * 300])
def test_text_without_a_known_word_goes_to_the_planner(saved, text):
    decision = Router(saved).route(text)
    assert decision.to_planner and decision.reason == "no word the network knows"
    assert 0 <= decision.probability <= 1


def test_more_words_than_the_network_reads(saved):
    router = Router(saved)
    assert len(router.encode("oil " * 100)) == 12
    assert np.isfinite(router.probabilities("oil " * 100)).all()


def test_empty_list_and_other_sequences(saved):
    router = Router(saved)
    assert router.probabilities([]).shape == (0, 8)
    series = load_orders()["text"][:3]
    expected = router.probabilities(series.tolist())
    assert np.array_equal(router.probabilities(series), expected)
    assert np.array_equal(router.probabilities(np.array(series)), expected)
    assert np.array_equal(router.probabilities(tuple(series)), expected)


def with_probabilities(saved, monkeypatch, probabilities, **policy):
    """A router whose network gives these probabilities, with this policy."""
    made = Router(saved)
    made.labels = ["no electrician", "electrician"][: len(probabilities)]
    made.minimum, made.threshold = policy.get("minimum", 0.5), policy.get("threshold")
    monkeypatch.setattr(
        made, "_run", lambda rows: np.array([probabilities], np.float32)
    )
    return made


@pytest.mark.parametrize(
    ("p", "label", "to_planner", "reason"),
    [
        (0.05, "no electrician", False, "electrician below the threshold of 0.20"),
        (0.19, "no electrician", False, "electrician below the threshold of 0.20"),
        (0.2, "electrician", True, "below the minimum of 0.60"),
        (0.58, "electrician", True, "below the minimum of 0.60"),
        (0.596, "electrician", False, "at least the minimum of 0.60"),  # printed as 0.6
        (0.99, "electrician", False, "at least the minimum of 0.60"),
    ],
)
def test_route_with_a_threshold(saved, monkeypatch, p, label, to_planner, reason):
    policy = lstm.POLICY["electrician"]
    made = with_probabilities(saved, monkeypatch, [1 - p, p], **policy)
    shown = round(p if label == "electrician" else 1 - p, 2)
    assert made.route("oil leak") == (label, shown, to_planner, reason)


@pytest.mark.parametrize(
    ("p", "to_planner", "reason"),
    [
        (0.74, True, "below the minimum of 0.75"),
        (0.75, False, "at least the minimum of 0.75"),
    ],
)
def test_route_without_a_threshold(saved, monkeypatch, p, to_planner, reason):
    made = with_probabilities(saved, monkeypatch, [p, 1 - p], minimum=0.75)
    assert made.route("oil leak") == ("no electrician", p, to_planner, reason)


def test_a_threshold_above_the_minimum_still_asks_the_planner(saved, monkeypatch):
    policy = {"threshold": 0.9, "minimum": 0.6}
    made = with_probabilities(saved, monkeypatch, [0.45, 0.55], **policy)
    assert made.route("oil leak")[:3] == ("no electrician", 0.45, True)


def test_policy_is_saved_with_the_model(small, tmp_path):
    model, vocabulary = small
    path = tmp_path / "crew"
    made = Router(save_model(model, vocabulary, CREWS, path, minimum=0.7))
    assert (made.minimum, made.threshold) == (0.7, None)
    for bad in ({"minimum": 1.1}, {"threshold": -0.1}, {"threshold": 0.2}):
        with pytest.raises(InputError, match="within 0 and 1|is for two labels"):
            save_model(model, vocabulary, CREWS, path, **bad)


def test_a_model_saved_by_an_earlier_version_has_the_usual_minimum(saved):
    card = json.loads((saved / "model.json").read_text(encoding="utf-8"))
    del card["minimum"], card["threshold"]
    (saved / "model.json").write_text(json.dumps(card), encoding="utf-8")
    assert (Router(saved).minimum, Router(saved).threshold) == (0.5, None)


def test_the_course_models_carry_their_policy():
    for name, policy in lstm.POLICY.items():
        made = load_router(name)
        assert made.minimum == policy["minimum"]
        assert made.threshold == policy.get("threshold")
    decision = load_router("electrician").route("LH")  # says which side, not which crew
    assert decision.to_planner and decision.reason == "below the minimum of 0.60"


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


@pytest.mark.parametrize("file", ["network.onnx", "model.json"])
def test_missing_file_of_a_model(saved, file):
    (saved / file).unlink()
    with pytest.raises(ModelError, match="Delete that folder; the next call trains"):
        Router(saved)


def test_network_of_another_training(saved):
    with open(saved / "network.onnx", "ab") as file:
        file.write(b"more")
    with pytest.raises(ModelError, match="network.onnx does not belong to model.json"):
        Router(saved)


def test_damaged_card(saved):
    (saved / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Router(saved)


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


def test_unknown_names():
    with pytest.raises(
        InputError, match="No model 'plumber'. There are electrician, crew"
    ):
        load_router("plumber")
    with pytest.raises(InputError, match="No task 'plumber'"):
        targets(load_orders().dropna(), "plumber")


def test_damaged_folder_is_not_silently_used(saved, monkeypatch):
    shutil.copytree(saved, saved.parent / "models" / "crew")
    monkeypatch.setattr(router, "MODELS", saved.parent / "models")
    (saved.parent / "models" / "crew" / "network.onnx").write_bytes(b"")
    with pytest.raises(ModelError):
        load_router("crew")
