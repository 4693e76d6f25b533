"""Self-checks of the exercises, one module a chapter; a check that passes is noted."""

import pkgutil
from importlib import import_module

from helpers.errors import InputError
from helpers.exercises.checking import EXERCISES, NotYet
from helpers.exercises.record import note_solved, progress

for _module in pkgutil.iter_modules(__path__):  # each registers its exercises
    if _module.name.startswith("chapter_"):
        import_module(f"{__name__}.{_module.name}")

__all__ = ["check", "progress"]


def check(number: str, answer: object, record: bool = True) -> bool:
    """Judge an answer, say what is wrong with it, and note it when it is right.

    Args:
        number: the exercise, for example "01.2".
        answer: your function or value; None or ... means "not started".
        record: False leaves the progress file alone (the solutions do this).

    Returns:
        True if the answer is right.

    """
    if number not in EXERCISES:
        raise InputError(f"No exercise {number!r}. There are {', '.join(EXERCISES)}.")
    if answer is None or answer is ...:
        print(f"Exercise {number}: not started. Replace the ... with your answer.")
        return False
    try:
        EXERCISES[number](answer)
    except NotYet as problem:
        print(f"Exercise {number}: not yet. {problem}")
        return False
    except Exception as error:  # an answer that crashes is an answer to help with
        print(
            f"Exercise {number}: your code stopped with {type(error).__name__}: {error}"
        )
        return False
    print(f"Exercise {number}: right.")
    if record:
        note_solved(number)
    return True
