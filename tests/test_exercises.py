"""Self-checks of exercises, and the reader's progress."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from helpers import CourseError, InputError, check, checks, normalise, progress
from helpers.checks import EXERCISES


@pytest.fixture(autouse=True)
def own_progress(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "STATE", tmp_path)
    return tmp_path / "progress.json"


def latest_best(losses, patience):
    """Early stopping that takes an equal loss for an improvement."""
    best = 1
    for epoch, loss in enumerate(losses, start=1):
        if loss <= losses[best - 1]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def without_every_occurrence(probability_of, text):
    """Occlusion that removes a word wherever it stands."""
    best, largest = None, 0.0
    for word in text.split():
        rest = " ".join(w for w in text.split() if w != word)
        if probability_of(text) - probability_of(rest) > largest:
            best, largest = word, probability_of(text) - probability_of(rest)
    return best


WRONG = {
    "01.1": [
        (lambda train, test: 0.5, "a test text that was seen"),
        (lambda train, test: len(set(train) & set(test)) / len(test), "was seen"),
        (
            lambda train, test: (
                len({normalise(t) for t in test} & {normalise(t) for t in train})
                / len({normalise(t) for t in test})
            ),
            "three times",
        ),
    ],
    "01.2": [
        (lambda text: text.lower(), "'Pump U/S'"),
        (
            lambda text: text.lower().replace("u/s", "unserviceable"),
            "'L/H lights u/s.'",
        ),
    ],
    "01.3": [
        (lambda texts, known: 1.0, "texts ['replace bucket'"),
        (lambda texts, known: sum(0 for _ in texts) / len(texts), "['replace qq', "),
        (
            lambda texts, known: (
                len({w for t in texts for w in t.split()} - known)
                / len({w for t in texts for w in t.split()})
            ),
            "['qq qq', ",
        ),
    ],
    "02.1": [
        (lambda y, p: 0.0, "truth [1, 0] and p [0.5, 0.5]"),
        (
            lambda y, p: (
                -np.mean(
                    np.array(y) * np.log(p) + (1 - np.array(y)) * np.log1p(-np.array(p))
                )
            ),
            "truth [1] and p [1.0]",
        ),
    ],
    "02.2": [
        (lambda w, b, x, y, r: w, "Return two things"),
        (lambda w, b, x, y, r: (w, b), "old - rate"),
    ],
    "02.3": [(lambda words, units, outputs: words * units, "776 words")],
    "02.4": [
        (lambda losses, patience: int(np.argmin(losses)) + 1, "patience 2"),
        (lambda losses, patience: len(losses), "[0.5, 0.3, 0.4, 0.35, 0.1]"),
        (latest_best, "[0.3, 0.3, 0.3, 0.1]"),
    ],
    "03.1": [
        (lambda y, p, a, b: 0.5, "costs"),
        (lambda y, p, a, b: a / (a + b), "costs"),
    ],
    "03.2": [
        (lambda p, labels, minimum, lead: labels, "[[0.9, 0.05, 0.05]]"),
        (
            lambda p, labels, minimum, lead: [
                labels[row.argmax()] if row.max() >= minimum else "planner"
                for row in np.array(p)
            ],
            "[[0.5, 0.45, 0.05]]",
        ),
        (
            lambda p, labels, minimum, lead: [
                labels[row.argmax()]
                if row.max() > minimum and row.max() - np.sort(row)[-2] > lead
                else "planner"
                for row in np.array(p)
            ],
            "[[0.5, 0.25, 0.25]]",
        ),
    ],
    "03.3": [
        (lambda f, text: text.split()[0], "replace cab lights now"),
        (
            lambda f, text: max(text.split(), key=lambda w: -f(text.replace(w, ""))),
            "'oil leak'",
        ),
        (without_every_occurrence, "'lights lights'"),
    ],
    "04.1": [
        (lambda pairs: [f"{t} -> {c}" for t, c in pairs], "one pair"),
        (lambda pairs: [f"{t} => {c}" for t, c in pairs], "a line break in a text"),
        (
            lambda pairs: [f"{' '.join(t.split())} => {c}" for t, c in pairs],
            "'=>' in a text",
        ),
        (lambda pairs: "oil leak => hydraulic", "Return a list of lines, not a str"),
    ],
    "04.2": [
        (lambda status, code: "retry", "insufficient_quota"),
        (lambda status, code: "stop" if status else "retry", "rate_limit_exceeded"),
        (
            lambda status, code: (
                "stop"
                if code == "insufficient_quota" or status in (401, 404)
                else "retry"
                if status is None or status == 429 or status >= 500
                else "planner"
            ),
            "status 600",
        ),
    ],
    "04.3": [
        (
            lambda n, fixed, own, out, a, b, c, off: (
                n * (fixed * a + own * a + out * c) / 1e6 * (1 - off)
            ),
            "two orders: the second cached",
        ),
        (
            lambda n, fixed, own, out, a, b, c, off: (
                (fixed * a + (n - 1) * fixed * b + n * (own * a + out * c)) / 1e6
            ),
            "half price",
        ),
        (
            lambda n, fixed, own, out, a, b, c, off: (
                (fixed * a + (n - 1) * fixed * b + n * (own * a + out * c))
                / 1e6
                * (1 - off)
            ),
            "no orders",
        ),
    ],
    "04.4": [
        (lambda text: re.sub(r"\d+", "[NUMBER]", text), "p4 pump"),
        (lambda text: re.sub(r"\b\d{7,8}\b", "[NUMBER]", text), "WO28167481"),
        (lambda text: re.sub(r"\d{7,8}", "[NUMBER]", text), "0812345678"),
    ],
}


def test_every_exercise_has_wrong_answers_here():
    assert sorted(WRONG) == sorted(EXERCISES)


@pytest.mark.parametrize("number", sorted(WRONG))
def test_wrong_answers_are_told_what_is_wrong(number, capsys, own_progress):
    for answer, message in WRONG[number]:
        assert check(number, answer) is False
        printed = capsys.readouterr().out
        assert printed.startswith(f"Exercise {number}: not yet. "), printed
        assert message in printed, printed
    assert not own_progress.exists()


@pytest.mark.parametrize("number", sorted(EXERCISES))
def test_stubs_crashes_and_nonsense(number, capsys):
    def stub(*args):
        answer = ...
        return answer

    def crash(*args):
        raise ZeroDivisionError("division by zero")

    for answer in (stub, crash, 42, "text", None, ...):
        assert check(number, answer) is False
    printed = capsys.readouterr().out
    assert "your code stopped with ZeroDivisionError" in printed
    assert printed.count("not started") == 2
    assert printed.count("replace the ... with your code") == 1


def test_unknown_exercise():
    with pytest.raises(InputError, match=r"No exercise '9.9'. There are 01.1, 01.2"):
        check("9.9", 1)


def share_seen(train, test):
    from helpers import normalise

    seen = {normalise(text) for text in train}
    return sum(normalise(text) in seen for text in test) / len(test)


def test_progress_is_kept(capsys, own_progress):
    assert progress()["solved"].sum() == 0
    assert check("01.1", share_seen, record=False)
    assert not own_progress.exists()
    assert check("01.1", share_seen) and check("01.1", share_seen)
    assert json.loads(own_progress.read_text()) == {"solved": ["01.1"]}
    assert progress().loc["01"].tolist() == [3, 1, "01.2, 01.3"]
    assert capsys.readouterr().out.count("Exercise 01.1: right.") == 3


def test_progress_survives_a_restart(own_progress):
    check("01.1", share_seen)
    program = "import helpers; print(helpers.progress()['solved'].tolist())"
    environment = os.environ | {"COURSE_STATE": str(own_progress.parent)}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert run.stdout.strip() == "[1, 0, 0, 0]", run.stderr


DAMAGED = ["", "{", "[]", '{"done": 1}', "null", '{"solved": null}', '{"solved": [1]}']


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_progress_file(own_progress, content):
    own_progress.write_text(content)
    with pytest.raises(CourseError, match="cannot be read .* Delete it to begin anew"):
        progress()
    assert own_progress.read_text() == content


def test_progress_that_cannot_be_written(own_progress, monkeypatch, capsys):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checks.os, "replace", refuse)
    with pytest.raises(CourseError, match=r"right, but .*Permission denied"):
        check("01.1", share_seen)
    assert "Exercise 01.1: right." in capsys.readouterr().out


def test_state_folder_is_made_when_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "STATE", tmp_path / "new" / "folder")
    assert check("01.1", share_seen)
    assert progress()["solved"].sum() == 1


def test_wrong_shapes_are_named(capsys):
    check("02.2", lambda w, b, x, y, r: (w[:2], b))
    assert "are (3,) and (); yours (2,) and ()" in capsys.readouterr().out


def test_numpy_answers_are_answers(capsys):
    def decide(probabilities, labels, minimum, lead):
        order = np.sort(probabilities, axis=1)
        sure = (order[:, -1] >= minimum) & (order[:, -1] - order[:, -2] >= lead)
        best = np.array(labels)[probabilities.argmax(1)]
        return np.where(sure, best, "planner")

    assert check("03.2", decide, record=False), capsys.readouterr().out
