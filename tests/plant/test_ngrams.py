"""TF-IDF models without scikit-learn: equal answers, and what may go wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from helpers import InputError, ModelError, load_orders
from helpers.evaluate import tfidf_baseline
from helpers.plant.ngrams import NgramRouter
from helpers.plant.saving import LstmRouter, load_model, save_ngrams
from helpers.plant.words import tokens
from helpers.secure import sign_model

CHINESE = [
    "更换轴承",
    "轴承异响 检查",
    "漏油",
    "液压管漏油",
    "更换油管",
    "电机不转 更换",
]
ODD = ["", "???", "zzqqxx", "a", "Löschanlage prüfen!", "oil oil oil leak", "更换轴承"]
ODD += [
    "Ｌｅａｋ ﬁlter",
    "leak\n\tat  hose",
    "💡 u/s",
    "x" * 1000,
    "oil " * 200,
    "ǅ İ ς",
]


def clean(texts):
    return [" ".join(tokens(text)) for text in texts]


def fitted(texts, labels):
    return tfidf_baseline().fit(clean(texts), labels)


def save(folder, model, **facts):
    last = model[-1]
    layers = [last.coef_.T, last.intercept_]
    labels = [str(label) for label in last.classes_]
    return save_ngrams(folder, model[0], layers, labels, minimum=0.6, **facts)


@pytest.fixture(scope="module")
def orders():
    return load_orders().dropna(subset="crew")[:1200]


@pytest.fixture(scope="module")
def crew(orders):
    return fitted(orders["text"], orders["crew"])


@pytest.fixture
def folder(crew, tmp_path):
    return save(tmp_path / "crew", crew, note="a test")


@pytest.mark.parametrize("task", ["crew", "electrician"])
def test_equal_to_scikit_learn(orders, task, tmp_path):
    labels = orders[task].astype(str)
    model = fitted(orders["text"][:1000], labels[:1000])
    router = NgramRouter(save(tmp_path / task, model))
    texts = [*orders["text"][900:], *ODD]
    wanted = model.predict_proba(clean(texts))
    assert np.abs(router.probabilities(texts) - wanted).max() < 1e-6
    one_by_one = np.array([router.probabilities(text) for text in texts])
    assert np.abs(one_by_one - wanted).max() < 1e-6


def test_equal_for_a_language_without_spaces(tmp_path):
    texts = CHINESE * 4
    model = fitted(texts, ["bearing", "bearing", "oil", "oil", "oil", "motor"] * 4)
    router = NgramRouter(save(tmp_path / "m", model))
    wanted = model.predict_proba(clean([*CHINESE, "轴承", *ODD]))
    got = router.probabilities([*CHINESE, "轴承", *ODD])
    assert np.abs(got - wanted).max() < 1e-6
    assert router.labels[got[0].argmax()] == "bearing"


def test_equal_to_a_network_with_a_hidden_layer(crew, orders, tmp_path):
    rng = np.random.default_rng(0)
    x = crew[0].transform(clean(orders["text"][:200]))
    layers = [rng.normal(size=size) for size in [(x.shape[1], 16), 16, (16, 3), 3]]
    z = np.maximum(x @ layers[0] + layers[1], 0) @ layers[2] + layers[3]
    odds = np.exp(z - z.max(1, keepdims=True))
    path = save_ngrams(tmp_path / "net", crew[0], layers, list("abc"), minimum=0.5)
    got = NgramRouter(path).probabilities(orders["text"][:200].tolist())
    assert np.abs(got - odds / odds.sum(1, keepdims=True)).max() < 1e-5


def test_many_texts_are_cut_into_parts(folder, orders, monkeypatch):
    router, texts = NgramRouter(folder), orders["text"].tolist()[:50]
    whole = router.probabilities(texts)
    monkeypatch.setattr("helpers.plant.ngrams.BATCH", 7)
    assert np.abs(router.probabilities(texts) - whole).max() < 1e-12
    assert router.probabilities([]).shape == (0, 8)


def test_methods_of_a_router(folder):
    router = load_model(folder)
    decision = router.route("oil leak on lh hyd hose")
    assert decision.label in router.labels and 0 <= decision.probability <= 1
    for text in ("", "???", "💡"):
        assert router.route(text).reason == "no word the network knows"
    assert router.route("zq").to_planner


def test_explanations_add_up_for_short_and_long_texts(folder):
    router = load_model(folder)
    for text in ("", "oil", "oil leak on hyd hose", "leak " * 30 + "pump oil hose"):
        found = router.explain(text)
        assert len(found.words) <= 10
        total = found.base + found.values.sum(0)
        assert np.abs(total - router.probabilities(text)).max() < 1e-6
    assert " ".join(found.words) == text


def adds_up(router, text):
    found = router.explain(text)
    total = found.base + found.values.sum(0)
    return np.abs(total - router.probabilities(text)).max() < 1e-6


def test_texts_that_grow_when_cut_into_words_are_explained(folder, tmp_path):
    """1,000 characters are allowed as typed; the words of them may be longer."""
    texts = CHINESE * 4
    model = fitted(texts, ["bearing", "bearing", "oil", "oil", "oil", "motor"] * 4)
    chinese = load_model(save(tmp_path / "m", model))
    assert adds_up(chinese, "更" * 400) and adds_up(chinese, "更换轴承" * 250)
    assert adds_up(load_model(folder), "ß" * 600 + " oil " + "ﬁ" * 300)
    with pytest.raises(InputError, match="1,001 characters"):
        chinese.explain("更" * 1001)


@pytest.mark.parametrize("bad", [None, 42, b"oil", ["oil", None], "x" * 1001])
def test_bad_input(folder, bad):
    with pytest.raises(InputError):
        NgramRouter(folder).probabilities(bad)


def test_neither_scikit_learn_nor_tensorflow_is_needed(folder):
    program = (
        "import sys; from helpers.plant.saving import load_model\n"
        f"p = load_model({str(folder)!r}).probabilities('oil leak')\n"
        "print(p.shape, [m for m in ('sklearn', 'keras', 'onnx') if m in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout.strip() == "(8,) []", run.stderr


def cut(folder):
    path = folder / "weights.npz"
    path.write_bytes(path.read_bytes()[:-100])


def no_weights(folder):
    (folder / "weights.npz").unlink()


def no_card(folder):
    (folder / "model.json").unlink()


def cut_card(folder):
    (folder / "model.json").write_text('{"kind": "ngrams"')


def other_kind(folder):
    (folder / "model.json").write_text('{"kind": "tree"}')


@pytest.mark.parametrize("damage", [cut, no_weights, no_card, cut_card, other_kind])
def test_a_damaged_folder_gets_a_clear_error(folder, damage):
    damage(folder)
    with pytest.raises(ModelError, match=r"crew.*(Delete that folder|Give the folder)"):
        load_model(folder)


def test_weights_that_would_run_code_are_refused(folder):
    """A pickle inside, with a checksum that fits: NumPy does not open it."""
    import hashlib

    path = folder / "weights.npz"
    arrays = dict(np.load(path)) | {"b0": np.array([print], object)}
    np.savez(path, **arrays)
    card = json.loads((folder / "model.json").read_text())
    card["network_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="allow_pickle"):
        load_model(folder)


def test_only_a_signed_model_where_the_plant_asks_for_it(folder, monkeypatch):
    from datetime import date

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    monkeypatch.setenv("COURSE_PUBLIC_KEY", public)
    with pytest.raises(ModelError, match="it has no signature"):
        load_model(folder)
    sign_model(folder, key, date(2099, 1, 1))
    assert load_model(folder).card["note"] == "a test"


def test_an_lstm_reads_more_words_and_other_languages(tmp_path):
    from helpers import Vocabulary
    from helpers.lstm import build_lstm, save_model

    texts = CHINESE * 4
    vocabulary = Vocabulary.fit(clean(texts))
    model = build_lstm(len(vocabulary), 3, length=20)
    facts = {"minimum": 0.5, "kind": "lstm", "length": 20}
    path = save_model(model, vocabulary, list("abc"), tmp_path / "m", **facts)
    router = load_model(path)
    assert isinstance(router, LstmRouter)
    x = vocabulary.encode(clean([CHINESE[5] * 4]), 20)
    assert (
        np.abs(router.probabilities(CHINESE[5] * 4) - model(x).numpy()[0]).max() < 1e-5
    )
    assert len(router.encode(CHINESE[5] * 9)) == 20
    assert len(router.explain(CHINESE[5]).words) == 4
    long = CHINESE[5] * 9  # more words than groups of words
    for text in ("", "???", CHINESE[5], long, "更" * 1000, "ß" * 600, "ﷺ" * 200):
        assert adds_up(router, text)
