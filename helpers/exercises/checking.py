"""What a self-check is made of: registration, questions to an answer, the verdict."""

from collections.abc import Callable, Iterable

import numpy as np


class NotYet(Exception):
    """Raised by a self-check: what is wrong with the answer."""


Test = Callable[[object], None]  # judges an answer
EXERCISES: dict[str, Test] = {}


def exercise(number: str) -> Callable[[Test], Test]:
    """Register the decorated function as the self-check of an exercise."""

    def register(test: Test) -> Test:
        EXERCISES[number] = test
        return test

    return register


def ask(answer: Callable, *given: object, case: str) -> object:
    """Call the reader's function; a crash is reported with the case that caused it.

    Raises:
        NotYet: the function crashed or returned nothing.

    """
    try:
        got = answer(*given)
    except Exception as error:
        kind = type(error).__name__
        raise NotYet(f"For {case} your code stopped with {kind}: {error}") from error
    if got is None:
        raise NotYet(f"For {case} your function returned None: is a return missing?")
    if got is ... or (isinstance(got, tuple) and any(part is ... for part in got)):
        raise NotYet(
            "Your function returns nothing yet: replace the ... with your code."
        )
    return got.tolist() if isinstance(got, np.generic | np.ndarray) else got


def expect(answer: Callable, *given: object, case: str, wanted: object) -> None:
    """Raise NotYet unless the answer has the wanted value (floats: within 1e-6)."""
    got = ask(answer, *given, case=case)
    try:
        close = isinstance(wanted, float) and abs(got - wanted) <= 1e-6
        right = close or bool(got == wanted)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise NotYet(f"For {case} the answer is {wanted!r}; yours is {got!r:.80}.")


def table(answer: Callable, case: str, rows: Iterable[tuple]) -> None:
    """Raise NotYet unless the answer is right for every row; names the first wrong one.

    Args:
        answer: the reader's function.
        case: how a message calls a row, for example "losses {}, patience {}".
        rows: what the function is given, and last what it should return.

    """
    for *given, wanted in rows:
        expect(answer, *given, case=case.format(*given), wanted=wanted)


def whole(got: object, case: str) -> None:
    """Raise NotYet for a number that is not whole in type: an int, or one of NumPy."""
    if not isinstance(got, int | np.integer):
        raise NotYet(f"For {case} return a whole number (int); yours is {got!r:.40}.")
