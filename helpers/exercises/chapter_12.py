"""Self-checks of the exercises of chapter 12."""

from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect, table


@exercise("12.1")  # The bearing's own frequencies
def _fault_frequencies(answer: Callable) -> None:
    for rollers, roller, pitch, shaft, angle, wanted in [
        (8, 0.235, 1.245, 25, 0, (81.124498, 118.875502)),
        (9, 7.94, 39.04, 1, 0, (3.584785, 5.415215)),
        (10, 1, 5, 30, 60, (135.0, 165.0)),
        (10, 1, 5, 30, 0, (120.0, 180.0)),
    ]:
        case = (
            f"{rollers} rollers of {roller} on {pitch}, shaft {shaft}, {angle} degrees"
        )
        got = ask(answer, rollers, roller, pitch, shaft, angle, case=case)
        if np.shape(got) != (2,):
            raise NotYet(f"For {case} return two frequencies; yours is {got!r:.80}.")
        for race, mine, right in zip(("outer", "inner"), got, wanted, strict=True):
            if not abs(mine - right) <= 1e-4:
                raise NotYet(
                    f"For {case} the {race} race gives {right:.3f} Hz; yours is "
                    f"{mine:.3f}."
                )


@exercise("12.2")  # Two in a row
def _hours_of_warning(answer: Callable) -> None:
    for scores, threshold, failure, wanted, case in [
        ([0.1, 0.6, 0.7, 0.9], 0.5, 130, 14.0, "a rise to the end"),
        ([0.9, 0.1, 0.9, 0.1], 0.5, 130, 0.0, "two high windows, not neighbours"),
        ([0.9, 0.9, 0.1, 0.1], 0.5, 130, 22.0, "an early pair"),
        ([0.1, 0.1, 0.2, 0.9], 0.5, 130, 0.0, "only the last window high"),
        ([0.5, 0.5, 0.1, 0.9], 0.5, 130, 22.0, "scores equal to the threshold"),
        ([0.9, 0.9, 0.9, 0.9], 0.5, 130, 22.0, "all windows high"),
    ]:
        hours = np.array([100, 108, 116, 124])
        given = hours, np.array(scores), threshold, failure
        case = (
            f"{case}: scores {scores} at hours 100, 108, 116 and 124, failure at 130,"
        )
        expect(answer, *given, case=case, wanted=wanted)


@exercise("12.3")  # The machine that the interval fails
def _worst_machine(answer: Callable) -> None:
    low, high = 5, 50
    for machine, left, wanted, case in [
        ([1, 1, 2, 2], [10, 20, 10, 90], (2, 0.5), "machines 1, 1, 2, 2"),
        ([7, 8, 8, 7], [5, 40, 51, 50], (8, 0.5), "ends that belong to it"),
        ([3, 3, 3, 4], [60, 9, 9, 99], (4, 0.0), "machine 4 with one window"),
        ([5, 6, 6, 6], [9, 3, 30, 30], (6, 2 / 3), "a machine that ends too early"),
    ]:
        left = np.array(left)
        bounds = np.full(4, low), np.full(4, high)
        got = ask(answer, np.array(machine), left, *bounds, case=case)
        if (
            np.shape(got) != (2,)
            or got[0] != wanted[0]
            or abs(got[1] - wanted[1]) > 1e-6
        ):
            raise NotYet(
                f"For {case}, left {left.tolist()} and the interval {low} to {high} "
                f"the answer is {wanted}; yours is {got!r:.80}."
            )


@exercise("12.4")  # When does an alarm pay?
def _break_even(answer: Callable) -> None:
    rows = [
        (20_000, 5_000, 2_000, 2 / 17),
        (20_000, 5_000, 0, 0.0),
        (6_000, 5_000, 1_000, 0.5),
        (5_000, 5_000, 2_000, 1.0),
        (4_000, 5_000, 2_000, 1.0),
        (4_000, 5_000, 500, 1.0),
    ]
    table(answer, "a failure of {}, a planned stop of {} and a false stop of {}", rows)
