"""Self-checks of the exercises of chapter 07."""

from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect


@exercise("07.1", "The generator's slope")
def _generator_slope(answer: Callable) -> None:
    for score in (-4.0, 0.0, 3.0):
        real = 1 / (1 + np.exp(-score))
        for loss, wanted in [("minimax", -real), ("non-saturating", real - 1)]:
            case = f"the score {score} and the loss {loss!r}"
            expect(answer, score, loss, case=case, wanted=float(wanted))
    many = np.array([-2.0, 1.0])
    got = ask(answer, many, "minimax", case="an array of two scores")
    if not np.allclose(got, -1 / (1 + np.exp(-many))):
        raise NotYet("For an array of two scores return two slopes.")


@exercise("07.2", "Average precision")
def _precision_of(answer: Callable) -> None:
    for y, p, wanted, case in [
        ([1, 0, 1], [0.9, 0.5, 0.4], 5 / 6, "bad, good, bad, sorted by p"),
        ([0, 1], [0.9, 0.1], 0.5, "a good cell before the only bad one"),
        ([0, 1, 0, 1], [0.1, 0.8, 0.3, 0.9], 1.0, "cells that are not sorted by p"),
        ([0, 0, 0, 1], [0.4, 0.3, 0.2, 0.1], 0.25, "the bad cell last of four"),
    ]:
        expect(answer, np.array(y), np.array(p), case=case, wanted=wanted)


@exercise("07.3", "Memorised?")
def _memorised(answer: Callable) -> None:
    rng = np.random.default_rng(7)
    training = rng.normal(size=(6, 3, 4))
    near, far = training[[1, 4]] + 0.01, training[:2] + 9
    for samples, limit, wanted, case in [
        (near, 0.1, 1.0, "two near copies"),
        (far, 0.1, 0.0, "two pictures that are far from all"),
        (np.concatenate([near, far]), 0.1, 0.5, "two copies and two others"),
        (near + 0.04, 0.1, 1.0, "distances of 0.05 and the limit 0.1"),
    ]:
        expect(answer, samples, training, limit, case=case, wanted=wanted)
