"""Self-checks of the exercises of chapter 10."""

import math
from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, table


@exercise("10.1")  # Halves that are not equal
def _merge(answer: Callable) -> None:
    for gradients, counts in [
        ([[1.0, 3.0], [3.0, 5.0]], [32, 32]),
        ([[1.0, 3.0], [5.0, 7.0]], [30, 10]),
        ([[2.0, 4.0], [4.0, 2.0], [9.0, 0.0]], [1, 2, 5]),
        ([[2.0, -1.0], [50.0, 50.0]], [8, 0]),
    ]:
        arrays = [np.array(row) for row in gradients]
        wanted = np.average(arrays, axis=0, weights=counts).round(6).tolist()
        case = f"gradients {gradients} of {counts} notes"
        got = ask(answer, arrays, counts, case=case)
        if np.shape(got) != np.shape(wanted) or not np.allclose(got, wanted):
            raise NotYet(f"For {case} the answer is {wanted}; yours is {got!r:.80}.")


@exercise("10.2")  # What is left to do?
def _parts_left(answer: Callable) -> None:
    done = [f"part-{n:05}.parquet" for n in range(12)]
    half = ["part-00000.parquet", ".part-00001.new", "run.json"]
    rows = [
        (3, [], [0, 1, 2]),
        (3, half, [1, 2]),
        (2, ["part-00000.parquet.new"], [0, 1]),
        (4, ["part-00002.parquet", "part-00000.parquet"], [1, 3]),
        (12, done, []),
        (13, done[::-1], [12]),
    ]
    table(answer, "{} parts and the files {}", rows)


@exercise("10.3")  # From how many notes on?
def _break_even(answer: Callable) -> None:
    rows = [
        (100, 0, 0.5, 200),
        (100, 0.2, 0.5, 334),
        (6, 0.1, 0.3, 30),
        (0, 0.2, 0.5, 0),
        (0, 0.5, 0.5, 0),
        (100, 0.5, 0.5, math.inf),
        (100, 0.9, 0.5, math.inf),
    ]
    table(answer, "fixed {}, own {}, hosted {}", rows)
