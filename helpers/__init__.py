"""Helpers of the course: the plumbing behind the notebooks.

Importing this package makes a quiet, seeded start: every notebook's first import.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  said before newer syntax is imported
    raise ImportError(
        "The course needs Python 3.11, 3.12 or 3.13; this is "
        f"{sys.version_info[0]}.{sys.version_info[1]}. Install one of them and make "
        "the environment anew."
    )

from helpers.start import SEED, quiet_start  # isort: skip  first: settings of all others

try:
    from helpers.data import load_raw
    from helpers.errors import CourseError, DataError, InputError, ModelError
    from helpers.exercises import check, progress
    from helpers.hosted import connect, local_service
    from helpers.plots import show, use_style
    from helpers.prepare import (
        LENGTH,
        Vocabulary,
        load_orders,
        normalise,
        split_by_time,
    )
    from helpers.router import Router, load_router
    from helpers.tables import CREWS
    from helpers.timing import measured, median_seconds
except ModuleNotFoundError as _error:
    if _error.name is None or _error.name.startswith("helpers"):
        raise
    raise ImportError(
        f"The package {_error.name} is missing. Run: python -m pip install "
        "-r requirements.txt -c tests/constraints.txt"
    ) from _error

quiet_start()
if "matplotlib" in sys.modules:
    use_style()

__all__ = [
    "CREWS",
    "LENGTH",
    "SEED",
    "CourseError",
    "DataError",
    "InputError",
    "ModelError",
    "Router",
    "Vocabulary",
    "check",
    "connect",
    "load_orders",
    "load_raw",
    "load_router",
    "local_service",
    "measured",
    "median_seconds",
    "normalise",
    "progress",
    "show",
    "split_by_time",
]
