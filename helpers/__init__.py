"""Helpers of the course: the plumbing behind the notebooks.

Importing this package makes a quiet, seeded start, so it is every notebook's first import.
"""

from helpers.start import SEED, quiet_start

quiet_start()

from helpers.data import load_raw
from helpers.errors import CourseError, DataError, InputError, ModelError
from helpers.plots import show, use_style
from helpers.prepare import (
    CREWS,
    LENGTH,
    Vocabulary,
    load_orders,
    normalise,
    split_by_time,
)
from helpers.progress import check, progress
from helpers.router import Router, load_router

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
    "load_orders",
    "load_raw",
    "load_router",
    "normalise",
    "progress",
    "show",
    "split_by_time",
    "use_style",
]
