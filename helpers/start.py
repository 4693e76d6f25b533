"""One quiet, seeded start: imported by helpers/__init__.py before anything else."""

import os
import random
import sys
import warnings
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import numpy as np

SEED = 0

# These must be set before TensorFlow is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Plain matrix products: the same digits with and without AVX-512, at the same speed.
os.environ.setdefault("TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL", "false")
# And this before ONNX Runtime, which would report to its vendor how it is used.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@contextmanager
def silent_stderr():
    """Send file descriptor 2 to nowhere: C++ log lines do not reach a notebook."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(nowhere)
        os.close(saved)


def installed(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def quiet_start() -> None:
    """Seed Python and NumPy, and hide warnings that say nothing to a reader.

    Keras is seeded where a network is built, with keras.utils.set_random_seed, because
    importing it takes seconds that chapters without a network do not need.
    """
    random.seed(SEED)
    np.random.seed(SEED)
    warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
