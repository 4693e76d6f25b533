"""Errors that say what happened and what to do, without a wall of traceback."""


class CourseError(Exception):
    """A mistake that could be foreseen. Jupyter shows only its message."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DataError(CourseError):
    """The work orders are missing, damaged or not of the expected shape."""


class InputError(CourseError, ValueError):
    """A value given to a function cannot be used."""


class ModelError(CourseError):
    """A saved model is missing, damaged or does not fit this code."""
