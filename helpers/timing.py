"""Measured times, written in the one form that the notebook tests leave uncompared."""

import time
from collections.abc import Callable

import numpy as np


def measured(value: float, unit: str = "s") -> str:
    """Write a measured time or rate with a fixed width: "[   12.34 ms]".

    Args:
        value: seconds for the units s, ms and µs; else a rate (/s) or a ratio (x).
        unit: one of s, ms, µs, /s, x.

    """
    if unit in ("/s", "x"):
        return f"[{value:>9,.0f} {unit}]"
    factor = {"s": 1, "ms": 1e3, "µs": 1e6}[unit]
    return f"[{value * factor:>9,.2f} {unit}]"


def median_seconds(call: Callable[[], object], repeats: int = 20) -> float:
    """Median time of a call in seconds, after one call that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
