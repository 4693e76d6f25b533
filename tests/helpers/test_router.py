"""The router: raw text in, probabilities and a decision out, and what may go wrong."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from helpers import (
    CREWS,
    InputError,
    ModelError,
    Router,
    load_orders,
    load_router,
    lstm,
    router,
)
from helpers.lstm import save_model, targets


def with_probabilities(saved, monkeypatch, probabilities, **policy):
    """A router whose network gives these probabilities, with this policy."""
    made = Router(saved)
    made.labels = ["no electrician", "electrician"][: len(probabilities)]
    made.minimum, made.threshold = policy.get("minimum", 0.5), policy.get("threshold")
    monkeypatch.setattr(
        made, "_run", lambda rows: np.array([probabilities], np.float32)
    )
    return made


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


def test_threshold_follows_from_the_costs_of_chapter_03():

    from strict_nbval import ROOT

    text = (ROOT / "notebooks" / "03_inference.ipynb").read_text(encoding="utf-8")
    nothing, missed = (
        float(re.search(rf"{name} = (\d+)", text)[1])
        for name in ("COST_FOR_NOTHING", "COST_MISSED")
    )
    break_even = nothing / (nothing + missed)
    assert lstm.POLICY["electrician"]["threshold"] == break_even


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


def test_unknown_names(monkeypatch, tmp_path):
    monkeypatch.setattr(router, "MODELS", tmp_path)
    with pytest.raises(
        InputError, match="No model 'plumber'. There are electrician, crew"
    ):
        load_router("plumber")
    assert not list(tmp_path.iterdir())  # no lock, no folder is left behind
    with pytest.raises(InputError, match="No task 'plumber'"):
        targets(load_orders().dropna(), "plumber")


def test_damaged_folder_is_not_silently_used(saved, monkeypatch):
    shutil.copytree(saved, saved.parent / "models" / "crew")
    monkeypatch.setattr(router, "MODELS", saved.parent / "models")
    (saved.parent / "models" / "crew" / "network.onnx").write_bytes(b"")
    with pytest.raises(ModelError):
        load_router("crew")
