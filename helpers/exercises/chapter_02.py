"""Self-checks of the exercises of chapter 02."""

from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect, table


@exercise("02.1")  # A loss that survives certainty
def _safe_cross_entropy(answer: Callable) -> None:
    rows = [
        ([1, 0], [0.5, 0.5], float(np.log(2))),
        ([1, 1], [0.9, 0.6], float(-np.log(0.9 * 0.6) / 2)),
        ([1], [1.0], float(-np.log(1 - 1e-7))),
    ]
    try:
        table(answer, "truth {} and p {}", rows)
    except NotYet as error:
        if isinstance(error.__cause__, TypeError):
            hint = "y and p may be lists: convert them with np.asarray."
            raise NotYet(f"{error} ({hint})") from error
        raise
    got = ask(answer, [0, 1], [1.0, 1.0], case="truth [0, 1] and p [1.0, 1.0]")
    wanted = float(-np.log(1e-7) / 2)
    if not np.isclose(got, wanted, rtol=1e-3):
        raise NotYet(
            f"For truth [0, 1], p [1, 1] the loss is {wanted:.3f}; yours {got}."
        )


@exercise("02.2")  # One step of gradient descent
def _gradient_step(answer: Callable) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20).astype(float)
    weights, bias = rng.normal(size=3), 0.3
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - y
    given = weights.copy()
    result = ask(answer, given, bias, x, y, 0.5, case="20 orders with 3 features")
    if not isinstance(result, tuple) or len(result) != 2:
        raise NotYet(f"Return two things, weights and bias; yours is {result!r:.60}.")
    if np.shape(result[0]) != (3,) or np.shape(result[1]) != ():
        shapes = f"{np.shape(result[0])} and {np.shape(result[1])}"
        raise NotYet(f"The shapes of weights and bias are (3,) and (); yours {shapes}.")
    if not np.array_equal(given, weights):
        raise NotYet("The weights that were given to your function have been changed.")
    if not np.allclose(result[0], weights - 0.5 * x.T @ error / 20):
        raise NotYet("The new weights are not old - rate * x.T @ (p - y) / n.")
    if not np.isclose(result[1], bias - 0.5 * error.mean()):
        raise NotYet("The weights are right; the bias is not old - rate * mean(p - y).")


@exercise("02.3")  # Count the parameters
def _count_parameters(answer: Callable) -> None:
    for words, units, outputs in [(776, 64, 1), (100, 8, 8), (5, 1, 1)]:
        embedding, lstm = words * units, 4 * units * (units + units + 1)
        dense, last = units * (units + 1), outputs * (units + 1)
        case = (
            f"{words} words, {units} units and {outputs} outputs (embedding "
            f"{embedding:,}, LSTM {lstm:,}, dense {dense:,}, output {last:,})"
        )
        total = embedding + lstm + dense + last
        expect(answer, words, units, outputs, case=case, wanted=total)


@exercise("02.4")  # Early stopping
def _kept_epoch(answer: Callable) -> None:
    for losses, patience, why, wanted in [
        ([0.5, 0.4, 0.3], 2, "each epoch improved", 3),
        ([0.5, 0.3, 0.4, 0.35, 0.1], 2, "3 and 4 did not improve on epoch 2", 2),
        ([0.5, 0.3, 0.4, 0.2, 0.25, 0.3], 2, "epoch 4 improved on epoch 2", 4),
        ([0.3, 0.3, 0.3, 0.1], 2, "equal is no improvement", 1),
        ([0.5], 1, "there is one epoch", 1),
    ]:
        case = f"losses {losses}, patience {patience} ({why})"
        expect(answer, losses, patience, case=case, wanted=wanted)
