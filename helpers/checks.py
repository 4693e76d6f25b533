"""Self-checks of the exercises, and the reader's progress over all chapters.

The tests of the exercises live in helpers/exercises.py; a check that passes is noted in
data/progress.json, so that progress survives a restart.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.data import STATE
from helpers.errors import CourseError, InputError


class NotYet(Exception):
    """Raised by a self-check: what is wrong with the answer."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: its number, its title, and the test that judges an answer."""

    number: str
    title: str
    test: Callable[[object], None]


EXERCISES: dict[str, Exercise] = {}


def exercise(number: str, title: str) -> Callable:
    """Register the decorated function as the self-check of an exercise."""

    def register(test: Callable[[object], None]) -> Callable[[object], None]:
        EXERCISES[number] = Exercise(number, title, test)
        return test

    return register


def _file() -> Path:
    return STATE / "progress.json"


def _read() -> list[str]:
    try:
        solved = json.loads(_file().read_text(encoding="utf-8"))["solved"]
        if not all(isinstance(number, str) for number in solved):
            raise ValueError("solved is not a list of numbers of exercises")
        return solved
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"{_file()} cannot be read ({error}). Delete it to begin anew."
        ) from error


def _write(solved: list[str]) -> None:
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        temporary = _file().with_suffix(".tmp")
        temporary.write_text(json.dumps({"solved": solved}), encoding="utf-8")
        os.replace(temporary, _file())
    except OSError as error:
        raise CourseError(
            f"Your answer is right, but {_file()} cannot be written "
            f"({error.strerror}): make the folder writable to keep your progress."
        ) from error


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
        EXERCISES[number].test(answer)
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
        _write(sorted({*_read(), number}))
    return True


def progress() -> pd.DataFrame:
    """One row a chapter: exercises there are, solved so far, and which are open."""
    solved = set(_read())
    rows = []
    for chapter in sorted({number[:2] for number in EXERCISES}):
        numbers = sorted(n for n in EXERCISES if n.startswith(chapter))
        still = [n for n in numbers if n not in solved]
        rows.append(
            (chapter, len(numbers), len(numbers) - len(still), ", ".join(still) or "-")
        )
    columns = ["chapter", "exercises", "solved", "still open"]
    return pd.DataFrame(rows, columns=columns).set_index("chapter")
