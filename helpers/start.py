"""One quiet, seeded start with the course's settings instead of personal ones.

helpers/__init__.py imports it before anything else: most settings must be there before
NumPy, matplotlib or TensorFlow is imported.
"""

import logging
import os
import random
import sys
import warnings
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from helpers.errors import ModelError

SEED = 0
SETTINGS = Path(__file__).with_name("settings")  # keras.json and matplotlibrc

PREFERRED = {  # your environment may say otherwise
    # One thread: tables this small are not multiplied faster by two, and two notebooks
    # side by side do not wait for each other.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    # The same digits with and without AVX-512, at the same speed.
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "false",
    # ONNX Runtime would report to its vendor how it is used.
    "ORT_DISABLE_TELEMETRY": "1",
}
REQUIRED = {  # another value would change or stop what the chapters show
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": str(SETTINGS),
    "MATPLOTLIBRC": str(SETTINGS / "matplotlibrc"),
}
if not os.environ.get("MPLBACKEND", "module://").startswith("module://"):  # a window
    _inline = "module://matplotlib_inline.backend_inline"
    REQUIRED["MPLBACKEND"] = _inline if "ipykernel" in sys.modules else "agg"
UNWANTED = ["KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "TF_XLA_FLAGS"]

for _name, _value in PREFERRED.items():
    os.environ.setdefault(_name, _value)
os.environ.update(REQUIRED)
for _name in UNWANTED:
    os.environ.pop(_name, None)
# A configuration folder that cannot be written concerns no reader of a notebook.
logging.getLogger("matplotlib").setLevel(logging.ERROR)


# What NumPy starts with.
NUMPY_PRINTS = {
    **{"precision": 8, "threshold": 1000, "edgeitems": 3, "linewidth": 75},
    **{"suppress": False, "sign": "-", "floatmode": "maxprec", "formatter": None},
    **{"nanstr": "nan", "infstr": "inf", "legacy": False},
}


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
    """Seed Python and NumPy, and undo what a personal start-up file may have set.

    Keras is seeded where a network is built, with keras.utils.set_random_seed, because
    importing it takes seconds that chapters without a network do not need.
    """
    import numpy as np
    import pandas as pd

    random.seed(SEED)
    np.random.seed(SEED)
    np.set_printoptions(**NUMPY_PRINTS)
    with warnings.catch_warnings():  # about options that pandas will drop
        warnings.simplefilter("ignore")
        # All but those that would import matplotlib.
        pd.reset_option(r"^(display|mode|compute|styler|future|plotting\.backend)")
    warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
    pin_keras()


def pin_keras() -> None:
    """Give a Keras that was imported before helpers the settings of the course.

    Raises:
        ModelError: it runs on another backend, which cannot be changed any more.

    """
    keras = sys.modules.get("keras")
    if keras is None:
        return
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ModelError(
            f"Keras was imported before helpers, and runs on {backend}. Restart the "
            "kernel and import helpers first: it chooses TensorFlow."
        )
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
