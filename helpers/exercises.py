"""The self-checks of all exercises: each says what is wrong with an answer."""

from collections.abc import Callable

import numpy as np

from helpers.checks import NotYet, exercise
from helpers.prepare import normalise


def expect(got: object, wanted: object, case: str) -> None:
    """Raise NotYet unless an answer has the wanted value (numbers: within 1e-6)."""
    if got is None:
        raise NotYet("Your function returns None: replace the ... and end with return.")
    try:
        right = (
            abs(got - wanted) <= 1e-6 if isinstance(wanted, float) else got == wanted
        )
        right = bool(right)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise NotYet(f"For {case} the answer is {wanted!r}; yours is {got!r:.80}.")


@exercise("01.1", "How much of the exam was in the textbook?")
def _share_seen(answer: Callable) -> None:
    train = ["L/H LIGHTS U/S", "replace tooth", "replace tooth"]
    expect(answer(train, ["Replace tooth."]), 1.0, "a test text that was seen")
    expect(answer(train, ["swap bucket"]), 0.0, "a test text that was not seen")
    case = "two of four test texts seen, one of them twice"
    test = ["lh lights us", "Replace TOOTH", "engine hot", "no power"]
    expect(answer(train, test), 0.5, case)


@exercise("01.2", "Write out the shorthand")
def _normalise_more(answer: Callable) -> None:
    for text, wanted in {
        "Pump U/S": "pump unserviceable",
        "L/H lights u/s.": "lh lights unserviceable",
        "tell us when done": "tell us when done",
        "menu/settings lost": "menu settings lost",
        "RADIO(U/S)": "radio unserviceable",
    }.items():
        expect(answer(text), wanted, repr(text))
    text = "REPLACE LH BOOM,STICK HOSES."
    expect(answer(text), normalise(text), repr(text))


@exercise("01.3", "Count the unknown")
def _unknown_share(answer: Callable) -> None:
    known = {"replace", "bucket", "tooth"}
    expect(answer(["replace bucket", "tooth"], known), 0.0, "known words only")
    expect(answer(["replace qq", "bucket zz"], known), 0.5, "two of four words unknown")
    expect(answer([], known), 0.0, "no text at all")
    expect(
        answer(["qq", "replace bucket tooth"], known), 0.25, "texts of unequal length"
    )


@exercise("02.1", "A loss that survives certainty")
def _safe_cross_entropy(answer: Callable) -> None:
    expect(answer([1, 0], [0.5, 0.5]), float(np.log(2)), "truth 1, 0 and p 0.5, 0.5")
    expect(answer([1], [1.0]), float(-np.log(1 - 1e-7)), "truth 1 and p exactly 1")
    wanted = float(-np.log(1e-7) / 2)
    got = answer([0, 1], [1.0, 1.0])
    if not np.isclose(got, wanted, rtol=1e-3):
        raise NotYet(
            f"For truth 0, 1 and p 1, 1 the loss is {wanted:.4f}; yours is {got:.4f}."
        )


@exercise("02.2", "One step of gradient descent")
def _gradient_step(answer: Callable) -> None:
    random = np.random.default_rng(5)
    x, y = random.normal(size=(20, 3)), random.integers(0, 2, 20).astype(float)
    weights, bias = random.normal(size=3), 0.3
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - y
    given = weights.copy()
    result = answer(given, bias, x, y, 0.5)
    if not isinstance(result, tuple) or len(result) != 2:
        raise NotYet(f"Return two things, weights and bias; yours is {result!r:.60}.")
    if not np.array_equal(given, weights):
        raise NotYet("The weights that were given to your function have been changed.")
    if not np.allclose(result[0], weights - 0.5 * x.T @ error / 20):
        raise NotYet("The new weights are not old - rate * x.T @ (p - y) / n.")
    if not np.isclose(result[1], bias - 0.5 * error.mean()):
        raise NotYet("The weights are right; the bias is not old - rate * mean(p - y).")


@exercise("02.3", "Count the parameters")
def _count_parameters(answer: Callable) -> None:
    for words, units, outputs in [(776, 64, 1), (100, 8, 8), (5, 1, 1)]:
        lstm = 4 * units * (units + units + 1)
        dense = units * (units + 1) + outputs * (units + 1)
        case = f"{words} words, {units} units, {outputs} outputs"
        expect(answer(words, units, outputs), words * units + lstm + dense, case)


@exercise("02.4", "Early stopping")
def _kept_epoch(answer: Callable) -> None:
    for losses, patience, wanted in [
        ([0.5, 0.4, 0.3], 2, 3),
        ([0.5, 0.3, 0.4, 0.35, 0.1], 2, 2),
        ([0.5, 0.3, 0.4, 0.2, 0.25, 0.3], 2, 4),
        ([0.5], 1, 1),
    ]:
        expect(
            answer(losses, patience), wanted, f"losses {losses}, patience {patience}"
        )


@exercise("03.1", "Your costs, your threshold")
def _best_threshold(answer: Callable) -> None:
    random = np.random.default_rng(3)
    p = random.random(400).round(3)
    y = (random.random(400) < p).astype(int)
    for nothing, missed in [(1, 1), (250, 1000), (1000, 10), (1, 0)]:
        costs = [
            nothing * ((y == 0) & (p >= t)).sum() + missed * ((y == 1) & (p < t)).sum()
            for t in np.arange(101) / 100
        ]
        wanted = float(np.argmin(costs) / 100)
        expect(answer(y, p, nothing, missed), wanted, f"costs {nothing} and {missed}")


@exercise("03.2", "Two kinds of doubt")
def _decide(answer: Callable) -> None:
    labels = ["engine", "lube", "hydraulic"]
    rows = np.array(
        [[0.9, 0.05, 0.05], [0.5, 0.45, 0.05], [0.1, 0.3, 0.6], [0.2, 0.2, 0.6]]
    )
    result = answer(rows, labels, 0.5, 0.35)
    if result is not None and not isinstance(result, list):
        raise NotYet(f"Return a list, not {type(result).__name__}.")
    wanted = ["engine", "planner", "planner", "hydraulic"]
    expect(result, wanted, "minimum 0.5 and lead 0.35")
    expect(answer(rows, labels, 0.7, 0.0), ["engine"] + ["planner"] * 3, "minimum 0.7")


@exercise("03.3", "Which word decides?")
def _deciding_word(answer: Callable) -> None:
    def lights(text: str) -> float:
        words = text.split()
        return 0.1 + 0.6 * ("lights" in words) + 0.2 * ("cab" in words)

    expect(
        answer(lights, "replace cab lights now"), "lights", "'replace cab lights now'"
    )
    expect(answer(lights, "cab door"), "cab", "'cab door'")
    expect(answer(lights, "lights"), "lights", "a text of one word")
    if answer(lights, "oil leak") is not None:
        raise NotYet("For 'oil leak', where no word matters, the answer is None.")
