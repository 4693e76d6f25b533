"""Self-checks of the exercises of chapter 03."""

from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, exercise, expect


@exercise("03.1")  # Search your threshold
def _best_threshold(answer: Callable) -> None:
    rng = np.random.default_rng(3)
    p = rng.random(400).round(3)
    y = (rng.random(400) < p).astype(int)
    for nothing, missed in [(1, 1), (250, 1000), (1000, 10), (1, 0)]:
        costs = [
            nothing * ((y == 0) & (p >= t)).sum() + missed * ((y == 1) & (p < t)).sum()
            for t in np.arange(101) / 100
        ]
        case = (
            f"the costs {nothing} and {missed}, searched on 400 orders (break-even is "
            f"{nothing / (nothing + missed):.2f}; so few orders may say otherwise),"
        )
        wanted = float(np.argmin(costs) / 100)
        expect(answer, y, p, nothing, missed, case=case, wanted=wanted)


@exercise("03.2")  # Two kinds of doubt
def _decide(answer: Callable) -> None:
    labels = ["engine", "lube", "hydraulic"]
    for row, minimum, lead, wanted in [
        ([0.9, 0.05, 0.05], 0.5, 0.35, "engine"),
        ([0.5, 0.45, 0.05], 0.5, 0.35, "planner"),
        ([0.1, 0.3, 0.6], 0.5, 0.35, "planner"),
        ([0.2, 0.2, 0.6], 0.5, 0.35, "hydraulic"),
        ([0.6, 0.2, 0.2], 0.7, 0.0, "planner"),
        ([0.5, 0.25, 0.25], 0.5, 0.25, "engine"),
    ]:
        case = f"probabilities {[row]} of {labels}, minimum {minimum} and lead {lead}"
        rows = np.array([row])
        expect(answer, rows, labels, minimum, lead, case=case, wanted=[wanted])
    two = np.array([[0.9, 0.05, 0.05], [0.4, 0.3, 0.3]])
    wanted = ["engine", "planner"]
    expect(answer, two, labels, 0.5, 0.1, case="two rows at once", wanted=wanted)


@exercise("03.3")  # Which word decides?
def _deciding_word(answer: Callable) -> None:
    def probability_of(text: str) -> float:
        words = text.split()
        for_it = 0.6 * ("lights" in words) + 0.2 * ("cab" in words)
        return 0.15 + for_it - 0.1 * ("leak" in words)

    for text, wanted in [
        ("replace cab lights now", "lights"),
        ("cab door", "cab"),
        ("lights", "lights"),
        ("leak in cab", "cab"),
    ]:
        expect(answer, probability_of, text, case=repr(text), wanted=wanted)
    for text, why in [
        ("oil leak", "no word lowers it"),
        ("lights lights", "one of the two words may go without loss"),
    ]:
        got = answer(probability_of, text)
        if got is not None:
            raise NotYet(f"For {text!r} the answer is None ({why}); yours is {got!r}.")
