"""The reader's progress over all chapters, kept in data/progress.json."""

import json
import os
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from helpers.data import STATE
from helpers.errors import CourseError
from helpers.exercises.checking import EXERCISES


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


def note_solved(number: str) -> None:
    """Add an exercise to the file; two notebooks may do so at the same time.

    Raises:
        CourseError: the file cannot be read or written.

    """
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=30):
            solved = sorted({*_read(), number})
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(json.dumps({"solved": solved}), encoding="utf-8")
            os.replace(temporary, path)
    except (OSError, Timeout) as error:
        raise CourseError(
            f"Your answer is right, but {path} cannot be written "
            f"({getattr(error, 'strerror', None) or error}): make the folder writable "
            "to keep your progress."
        ) from error


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
