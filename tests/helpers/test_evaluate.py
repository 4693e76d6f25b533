"""Scores and intervals: equal to scikit-learn, and wide enough."""

import ast
import json
import re

import numpy as np
import pytest
from sklearn.metrics import f1_score
from strict_nbval import ROOT

from helpers import load_orders
from helpers.evaluate import bootstrap, macro_f1, tfidf_baseline


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 8, 30])
def test_macro_f1_equals_scikit_learn(seed, classes):
    truth, answers = np.random.default_rng(seed).integers(0, classes, (2, 40))
    names = np.array([f"crew {n}" for n in range(classes)])
    wanted = f1_score(truth, answers, average="macro")
    assert macro_f1(truth, answers) == pytest.approx(wanted)
    assert macro_f1(names[truth], names[answers]) == pytest.approx(wanted)


def test_bootstrap_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0

    def share_right(pick):
        return right[pick].mean()

    for _ in range(200):
        right = rng.random(300) < 0.8
        low, high = bootstrap(share_right, 300, draws=200)
        covered += low <= 0.8 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_bootstrap_of_a_difference_is_paired():
    one = np.random.default_rng(0).random(500) < 0.7
    low, high = bootstrap(lambda pick: one[pick].mean() - one[pick].mean(), 500)
    assert (low, high) == (0, 0)


def test_the_baseline_learns():
    texts = ["light us", "lights out", "oil leak", "leaking hose"] * 5
    model = tfidf_baseline().fit(texts, ["electrical", "electrical", "oil", "oil"] * 5)
    assert list(model.predict(["oil hose", "light"])) == ["oil", "electrical"]


@pytest.fixture(scope="module")
def chapter_02():
    """The scores and the baseline of chapter 02, as its cells define them."""
    wanted = {"macro_f1", "bootstrap", "baseline"}
    wanted |= {"word_features", "piece_features", "features"}
    path = ROOT / "notebooks" / "02_lstm_training.ipynb"
    space = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            for node in ast.parse("".join(cell["source"])).body:
                imports = re.match(r"(import numpy|from sklearn)", ast.unparse(node))
                if imports or getattr(node, "name", None) in wanted:
                    exec(compile(ast.Module([node], []), path.name, "exec"), space)
    return space


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_chapter_02_equal_these(chapter_02, seed):
    truth, answers = np.random.default_rng(seed).integers(0, 8, (2, 40))
    truth[truth == 3] = 4
    answers[answers == 3] = 5  # a class that is neither true nor answered
    assert chapter_02["macro_f1"](truth, answers) == pytest.approx(
        macro_f1(truth, answers), abs=1e-12
    )
    right = truth == answers
    mine = chapter_02["bootstrap"](lambda pick: right[pick].mean(), 40)
    assert tuple(mine) == bootstrap(lambda pick: right[pick].mean(), 40)


def test_baseline_of_chapter_02_equals_this(chapter_02):
    texts = load_orders()["clean"][:300]
    labels = texts.str.contains("leak")
    mine = chapter_02["baseline"](chapter_02["features"]()).fit(texts, labels)
    theirs = tfidf_baseline().fit(texts, labels)
    assert np.array_equal(mine.predict_proba(texts), theirs.predict_proba(texts))
