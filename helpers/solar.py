"""Photographs of solar cells: real electroluminescence pictures with a grade of doubt.

Source: the wheel elpv-dataset 1.0.0.post1. Buerhop-Lutz et al. (2018), A Benchmark for
Visual Identification of Defective Solar Cells; Deitsch et al. (2019), Automatic
Classification of Defective Photovoltaic Module Cells, Solar Energy 185, 455-468.
"""

import io
import zipfile

import numpy as np
import pandas as pd

from helpers.data import Package, fetch

SIDE = 60  # pixels; a photograph has 300, and 5 x 5 of them become one
FOLDER = "elpv_dataset/data"  # in the wheel


def _shrink(wheel: zipfile.ZipFile) -> bytes:
    """The content of a .npy file: image [60, 60], probability and type of each cell.

    A pixel is the mean of 25, rounded down: integers, so every machine makes the same.
    """
    from PIL import Image

    names = "path", "probability", "type"
    with wheel.open(f"{FOLDER}/labels.csv") as file:
        labels = pd.read_csv(file, sep=r"\s+", names=names)
    fields = [("image", "u1", (SIDE, SIDE)), ("probability", "<f8"), ("type", "<U4")]
    cells = np.empty(len(labels), fields)
    cells["probability"], cells["type"] = labels["probability"], labels["type"]
    for cell, name in zip(cells, labels["path"], strict=True):
        with wheel.open(f"{FOLDER}/{name}") as file, Image.open(file) as photograph:
            pixels = np.asarray(photograph, np.uint32).reshape(SIDE, 5, SIDE, 5)
        cell["image"] = pixels.sum(axis=(1, 3)) // 25
    content = io.BytesIO()
    np.save(content, cells)
    return content.getvalue()


CELLS = Package(
    "elpv-dataset==1.0.0.post1",
    "elpv_dataset-1.0.0.post1-py3-none-any.whl",
    "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
    "photographs of solar cells, 91 MB (10 MB of them are kept)",
    "solar-cells.npy",
    "65d6c80157d644b8ed90cb4a6ecfa993155d6f76f94875d35a8c7d77ec29c47c",
    _shrink,
    terms="Licence of these photos: CC BY-NC-SA 4.0. They are NOT for commercial use.",
)


def load_cells() -> tuple[np.ndarray, pd.DataFrame]:
    """The 2,624 cells in the published order; fetched the first time.

    Returns:
        Images, uint8 [2624, 60, 60], 0 black to 255 white; and a table with the columns
        probability (of a defect, as graded by people: 0, 1/3, 2/3 or 1) and type
        (mono or poly).

    Raises:
        DataError: as for helpers.data.fetch.

    """
    cells = np.load(fetch(CELLS))
    table = pd.DataFrame({name: cells[name] for name in ("probability", "type")})
    return cells["image"], table


def inspection_cells() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the inspector of chapter 07 sees: the 1,074 mono-crystalline cells.

    A value is 2 x (brightness / mean of the cell - 1), clipped: -1 is half the mean or
    darker, 0 the mean, 1 one and a half times the mean or brighter.

    The numbers of the modules are not published, so 60 cells in a row stand in for one:
    all cells of such a block are in the same part. Even blocks are there to learn from,
    of the odd ones every second is there to choose on, the others to test.

    Returns:
        Images, float64 [1074, 30, 30, 1]; 1 for a defect that people gave a probability
        above one half, else 0, int64 [1074]; and "learn", "valid" or "test", [1074].

    Raises:
        DataError: as for load_cells.

    """
    images, table = load_cells()
    mono = (table["type"] == "mono").to_numpy()
    pixels = images[mono].reshape(-1, 30, 2, 30, 2).mean((2, 4))
    relative = pixels / pixels.mean((1, 2), keepdims=True) - 1
    defect = (table["probability"][mono] > 0.5).to_numpy(np.int64)
    block = np.flatnonzero(mono) // 60
    part = np.array(["learn", "valid", "learn", "test"])[block % 4]
    return np.clip(2 * relative, -1, 1)[..., None], defect, part
