"""The reader's progress over all chapters, kept in data/progress.json."""

import json
import os
from pathlib import Path

import pandas as pd

from helpers.data import STATE, locked
from helpers.errors import CourseError
from helpers.exercises.checking import EXERCISES


def _file() -> Path:
    return STATE / "progress.json"


def _solved() -> list[str]:
    """Numbers of solved exercises; a damaged file is set aside, never destroyed."""
    path = _file()
    try:
        solved = json.loads(path.read_text(encoding="utf-8"))["solved"]
        if not all(isinstance(number, str) for number in solved):
            raise ValueError("solved is not a list of numbers of exercises")
        return solved
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        taken = len(list(path.parent.glob("progress-damaged-*.json")))
        aside = path.with_name(f"progress-damaged-{taken + 1}.json")
        os.replace(path, aside)
        print(f"{path} was damaged: it is now {aside.name}, and progress begins anew.")
        return []


def note_solved(number: str) -> None:
    """Add an exercise to the file; two notebooks may do so at the same time.

    Raises:
        CourseError: the file cannot be read or written.

    """
    path = _file()
    temporary = path.with_name(f".progress-{os.getpid()}.tmp")
    try:
        with locked(path):
            solved = sorted({*_solved(), number})
            temporary.write_text(json.dumps({"solved": solved}), encoding="utf-8")
            os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CourseError(
            f"Your answer is right, but {path} cannot be written "
            f"({error.strerror or error}): make the folder writable to keep your "
            "progress."
        ) from error


def progress() -> pd.DataFrame:
    """One row a chapter: exercises there are, solved so far, and which are open.

    Raises:
        CourseError: the file cannot be read.

    """
    try:
        solved = set(_solved())
    except OSError as error:
        raise CourseError(
            f"{_file()} cannot be read ({error.strerror or error})."
        ) from error
    rows = []
    for chapter in sorted({number[:2] for number in EXERCISES}):
        numbers = sorted(n for n in EXERCISES if n.startswith(chapter))
        still = [n for n in numbers if n not in solved]
        rows.append(
            (chapter, len(numbers), len(numbers) - len(still), ", ".join(still) or "-")
        )
    columns = ["chapter", "exercises", "solved", "still open"]
    return pd.DataFrame(rows, columns=columns).set_index("chapter")
