"""Self-checks of the exercises of chapter 14."""

from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect


@exercise("14.1")  # A minimum from your costs
def _best_minimum(answer: Callable) -> None:
    rng = np.random.default_rng(14)
    p = rng.random(300).round(3)
    right = rng.random(300) < p
    for wrong, look in [(250, 25), (100, 50), (1000, 1), (10, 100)]:
        costs = [
            np.where(p < m, look, np.where(right, 0, wrong)).sum()
            for m in np.arange(21) / 20
        ]
        wanted = float(20 - np.argmin(costs[::-1])) / 20
        case = f"300 orders, an error at {wrong} and a look at {look},"
        expect(answer, p, right, wrong, look, case=case, wanted=wanted)
    few, all_right = np.array([0.4, 0.9]), np.array([True, True])
    case = "two orders, both right (0.40 is the highest minimum that lets both go),"
    expect(answer, few, all_right, 250, 25, case=case, wanted=0.4)
    both_wrong = np.array([False, False])
    case = "two orders, both wrong (a look is cheaper; of equals the highest),"
    expect(answer, few, both_wrong, 250, 25, case=case, wanted=1.0)


@exercise("14.2")  # Unsure first
def _least_sure(answer: Callable) -> None:
    for rows, count, wanted, why in [
        ([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4]], 2, [1, 2], "the lead is what counts"),
        (
            [[0.45, 0.05, 0.5], [0.4, 0.3, 0.3], [0.8, 0.1, 0.1]],
            2,
            [0, 1],
            "the first row has the smallest lead, but not the smallest maximum",
        ),
        ([[0.7, 0.3], [0.3, 0.7], [0.5, 0.5]], 3, [2, 0, 1], "equals keep their order"),
        ([[0.2, 0.8]], 1, [0], "one order"),
        ([[0.75, 0.25], [0.5, 0.5]] * 12, 3, [1, 3, 5], "equals keep their order"),
    ]:
        case = f"p = {rows} and count {count} ({why})"
        got = ask(answer, np.array(rows), count, case=case)
        if [int(place) for place in np.ravel(got)] != wanted:
            raise NotYet(f"For {case} the answer is {wanted}; yours is {got!r:.60}.")


@exercise("14.3")  # When to stop labelling
def _enough_labels(answer: Callable) -> None:
    curve = {0: 25.0, 40: 20.0, 80: 17.0, 120: 16.5, 160: 16.375}
    for label, a_year, wanted, why in [
        (2, 500, 120, "the step to 160 saves 62.50 and costs 80"),
        (2, 100, 80, "the step to 120 saves 50 and costs 80"),
        (0.1, 5000, 160, "every step pays"),
        (100, 500, 0, "no step pays"),
    ]:
        case = f"the curve {curve}, {label} a label and {a_year} orders a year ({why})"
        expect(answer, dict(curve), label, a_year, case=case, wanted=wanted)
    rising = {0: 25.0, 40: 26.0, 80: 10.0}
    case = f"the curve {rising}, 1 a label and 100 orders a year (the first step loses)"
    expect(answer, rising, 1, 100, case=case, wanted=0)
    case = f"the curve {curve}, 2 a label and 640 orders a year (the last step costs "
    case += "as much as it saves: it is still taken)"
    expect(answer, dict(curve), 2, 640, case=case, wanted=160)
