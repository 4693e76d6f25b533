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
