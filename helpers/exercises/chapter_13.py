"""Self-checks of the exercises of chapter 13."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect, whole


def _cusum(values: np.ndarray) -> int:
    up = down = 0.0
    for position, z in enumerate(values):
        up, down = max(0.0, up + z - 0.5), max(0.0, down - z - 0.5)
        if max(up, down) > 5:
            return position
    return -1


@exercise("13.1")  # An alarm with a memory
def _cusum_alarm(answer: Callable) -> None:
    for case, values in [
        ("a sum of exactly 5, which is not above 5,", [2.0] * 3 + [1.0, 0.5]),
        (
            "fifty values of -0.4, then six of 2 (the sum never falls below 0),",
            [-0.4] * 50 + [2.0] * 6,
        ),
        ("a shift downwards, eight values of -1.5,", [-1.5] * 8),
        (
            "fifty values of 0.4, then six of -2 (nor does the other sum),",
            [0.4] * 50 + [-2.0] * 6,
        ),
        ("a single value of 6", [0.0, 6.0, 0.0]),
        ("two alarms, the first counts,", [0.0, 3.0, 3.0, 3.0, 9.0]),
        ("100 values of 0.4 and -0.4 in turn", [0.4, -0.4] * 50),
        ("thirty values of 0.6, then six of 2,", [0.6] * 30 + [2.0] * 6),
        ("ten values of 1.5 and -1.5 in turn (two sums, apart),", [1.5, -1.5] * 5),
    ]:
        series = np.array(values)
        whole(ask(answer, series, case=case), case)
        expect(answer, series, case=case, wanted=_cusum(series))


def _reduction(mean: float, deviation: float, best: float) -> float:
    if deviation == 0:
        return max(best - mean, 0.0)
    z = (best - mean) / deviation
    return (best - mean) * NormalDist().cdf(z) + deviation * NormalDist().pdf(z)


@exercise("13.2")  # When less is better
def _expected_reduction(answer: Callable) -> None:
    mean = np.array([8.0, 10.0, 12.0, 10.0, 9.0, 11.0])
    deviation = np.array([1.0, 2.0, 4.0, 0.5, 0.0, 0.0])
    for best in (10.0, 9.0, 7.0):
        case = f"best {best:.0f}, several settings,"
        got = np.asarray(ask(answer, mean, deviation, best, case=case), float)
        if got.shape != mean.shape:
            raise NotYet(f"For {case} return one number for each of the 6 settings.")
        for m, d, g in zip(mean, deviation, got, strict=True):
            wanted = _reduction(m, d, best)
            if not abs(g - wanted) <= 1e-6:
                raise NotYet(
                    f"For best {best:.0f}, mean {m:.0f} and deviation {d:.1f} the "
                    f"expected improvement is {wanted:.3f}; yours is {g:.3f}."
                )


def _served(days: list[float], lead: float, stock: int) -> float:
    waits = [k >= stock and days[k - stock] + lead > day for k, day in enumerate(days)]
    return 1 - np.mean(waits)


@exercise("13.3")  # How many, for my lead time?
def _stock_for(answer: Callable) -> None:
    rng = np.random.default_rng(13)
    clumps = np.sort(rng.integers(0, 700, 12).repeat(3)).astype(float)
    for name, days, lead, share in [
        ("three uses on one day", [5.0, 5.0, 5.0], 10, 1.0),
        (
            "uses on days 0, 10, 20 (each arrives in time)",
            [0.0, 10, 20],
            10,
            1.0,
        ),
        ("uses on days 0, 9, 18", [0.0, 9.0, 18.0], 10, 1.0),
        ("two uses, of which half may wait", [0.0, 1.0], 10, 0.5),
        ("two uses, of which all may wait", [0.0, 1.0], 10, 0.0),
        ("twelve clumps of three", clumps.tolist(), 30, 0.95),
        ("twelve clumps of three", clumps.tolist(), 90, 0.8),
    ]:
        wanted = next(s for s in range(99) if _served(days, lead, s) >= share)
        case = f"{name}, lead {lead}, wanted {share}"
        expect(answer, np.array(days), lead, share, case=case, wanted=wanted)
