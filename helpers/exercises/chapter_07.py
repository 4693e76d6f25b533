"""Self-checks of the exercises of chapter 07."""

from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect


@exercise("07.1")  # The generator's slope
def _generator_slope(answer: Callable) -> None:
    for score in (-4.0, 0.0, 3.0):
        real = 1 / (1 + np.exp(-score))
        for loss, wanted in [("minimax", -real), ("non-saturating", real - 1)]:
            case = f"the score {score} and the loss {loss!r}"
            expect(answer, score, loss, case=case, wanted=float(wanted))
    many = np.array([-2.0, 1.0])
    real = 1 / (1 + np.exp(-many))
    for loss, wanted in [("minimax", -real), ("non-saturating", real - 1)]:
        got = ask(answer, many, loss, case=f"an array and the loss {loss!r}")
        if np.shape(got) != (2,) or not np.allclose(got, wanted):
            raise NotYet(
                f"For an array of two scores and the loss {loss!r} return two slopes, "
                f"{wanted.round(2).tolist()}; yours is {got!r:.80}."
            )


@exercise("07.2")  # Average precision
def _precision_of(answer: Callable) -> None:
    for y, p, wanted, case in [
        ([1, 0, 1], [0.9, 0.5, 0.4], 5 / 6, "bad, good, bad, sorted by p"),
        ([0, 1], [0.9, 0.1], 0.5, "a good cell before the only bad one"),
        ([0, 1, 0, 1], [0.1, 0.8, 0.3, 0.9], 1.0, "cells that are not sorted by p"),
        ([0, 0, 0, 1], [0.4, 0.3, 0.2, 0.1], 0.25, "the bad cell last of four"),
    ]:
        expect(answer, np.array(y), np.array(p), case=case, wanted=wanted)


@exercise("07.3")  # Memorised?
def _memorised(answer: Callable) -> None:
    rng = np.random.default_rng(7)
    training = rng.normal(size=(6, 3, 4))
    near, far = training[[1, 4]] + 0.01, training[:2] + 9
    spot = training[:2].copy()
    spot[:, 0, 0] += 0.5  # one pixel of twelve: the root of the mean square is 0.14
    for samples, limit, wanted, case in [
        (near, 0.1, 1.0, "two near copies"),
        (far, 0.1, 0.0, "two pictures that are far from all"),
        (np.concatenate([near, far]), 0.1, 0.5, "two copies and two others"),
        (near + 0.04, 0.1, 1.0, "distances of 0.05 and the limit 0.1"),
        (spot, 0.1, 0.0, "one pixel of 12 off by 0.5 and the limit 0.1"),
        (spot, 0.2, 1.0, "one pixel of 12 off by 0.5 and the limit 0.2"),
    ]:
        expect(answer, samples, training, limit, case=case, wanted=wanted)
