"""Self-checks of the exercises of chapter 09."""

import hashlib
from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect, table


@exercise("09.1")  # How anonymous is a table?
def _anonymity(answer: Callable) -> None:
    day, other = ("2009-05", "A"), ("2009-06", "A")
    rows = [
        ([day, day, other, day, other], 2),
        ([day, day, day], 3),
        ([day, other, ("2009-06", "B"), day, other], 1),
        ([day, ("A", "2009-05"), day], 1),
        ([("x",)] * 7 + [("y",)] * 5, 5),
        ([], 0),
    ]
    table(answer, "the rows {}", rows)


def _log(*texts: str) -> list[tuple[str, str]]:
    lines, previous = [], ""
    for text in texts:
        lines.append((text, previous))
        previous = hashlib.sha256((text + previous).encode()).hexdigest()
    return lines


@exercise("09.2")  # Where is the chain broken?
def _first_broken(answer: Callable) -> None:
    whole = _log("a 200", "b 401", "c 200", "d 200")
    changed = [whole[0], ("b 200", whole[1][1]), *whole[2:]]
    first = [("z 200", ""), *whole[1:]]
    begun = [(whole[0][0], whole[1][1]), *whole[1:]]
    for lines, wanted, case in [
        (whole, 0, "four lines that fit"),
        (changed, 3, "a changed text in line 2 (line 3 shows it)"),
        ([whole[0], *whole[2:]], 2, "a log without its second line"),
        (first, 2, "a changed first line"),
        (begun, 1, "a first line whose previous is not empty"),
        (_log("a 200", "a 200", "a 200"), 0, "three equal texts in a whole chain"),
        ([*whole[:2], whole[1], *whole[2:]], 3, "a line that stands there twice"),
        ([*changed[:3], ("d 200", "0" * 64)], 3, "two broken places: the first one"),
        (whole[:1], 0, "a single line"),
        ([], 0, "no lines"),
    ]:
        expect(answer, lines, case=case, wanted=wanted)


@exercise("09.3")  # Clip each, then add
def _clipped_sum(answer: Callable) -> None:
    for gradients, clip, wanted, case in [
        ([[3.0, 4.0], [0.3, 0.4]], 1.0, [0.9, 1.2], "one long and one short row"),
        ([[3.0, 4.0], [-3.0, -4.0]], 5.0, [0.0, 0.0], "rows of exactly the length"),
        ([[0.0, 0.0], [0.0, 2.0]], 0.5, [0.0, 0.5], "a row of length 0"),
        ([[0.6, 0.8], [0.6, 0.8]], 1.0, [1.2, 1.6], "two rows whose sum is longer"),
        ([[6.0, 0.0], [0.0, 8.0]], 2.0, [2.0, 2.0], "two long rows"),
    ]:
        given = np.array(gradients)
        got = np.asarray(ask(answer, given.copy(), clip, case=case), float)
        if got.shape != (2,):
            raise NotYet(f"Return one row of 2 numbers; yours has shape {got.shape}.")
        if not np.allclose(got, wanted, atol=1e-9):
            said = f"For {case}, {gradients} and clip {clip}, the answer is {wanted}"
            raise NotYet(f"{said}; yours is {got.round(3).tolist()}.")


@exercise("09.4")  # How many days does a thief need?
def _days_to_steal(answer: Callable) -> None:
    case = "{} queries, burst {}, {} a day, {} keys"
    rows = [
        (1000, 40, 40, 1, 24.0),
        (1000, 40, 40, 4, 5.25),
        (40, 40, 40, 1, 0.0),
        (30, 40, 40, 1, 0.0),
        (41, 40, 80, 1, 1 / 80),
        (500, 100, 1440, 2, 300 / 2880),
    ]
    table(answer, case, rows)
