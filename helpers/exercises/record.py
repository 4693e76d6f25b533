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


def _read() -> list[str]:
    """Numbers of solved exercises; ValueError if the file is damaged."""
    try:
        solved = json.loads(_file().read_text(encoding="utf-8"))["solved"]
        if isinstance(solved, list) and all(isinstance(n, str) for n in solved):
            return solved
    except FileNotFoundError:
        return []
    except (KeyError, TypeError) as error:
        raise ValueError("not a file of progress") from error
    raise ValueError("solved is not a list of numbers of exercises")


def _read_or_begin_anew() -> list[str]:
    """The same, to be called under the lock; a damaged file is set aside and kept."""
    try:
        return _read()
    except ValueError:
        path = _file()
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
            solved = sorted({*_read_or_begin_anew(), number})
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
        try:
            solved = set(_read())
        except ValueError:
            with locked(_file()):
                solved = set(_read_or_begin_anew())
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
