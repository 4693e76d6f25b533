"""Measured times, written in the one form that the notebook tests leave uncompared."""

import time
from collections.abc import Callable

import numpy as np

WIDTH = 9  # characters of a measured number, whatever it is


def measured(value: float, unit: str = "s") -> str:
    """Write a measured time or rate in the same width whatever it is: "[   12.34 ms]".

    A number that needs more than 9 characters is written as "1.23e+05".

    Args:
        value: seconds for the units s, ms and µs; else a rate (/s) or a ratio (x).
        unit: one of s, ms, µs, /s, x.

    """
    factor = {"s": 1, "ms": 1e3, "µs": 1e6, "/s": 1, "x": 1}[unit]
    digits = {"/s": 0, "x": 1}.get(unit, 2)
    text = f"{value * factor:,.{digits}f}"
    if len(text) > WIDTH:
        text = f"{value * factor:.3g}"
    return f"[{text:>{WIDTH}} {unit}]"


def median_seconds(call: Callable[[], object], repeats: int = 20) -> float:
    """Median time of a call in seconds, after one call that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
