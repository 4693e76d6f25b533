"""The inspector of chapters 07 and 08: a small network that finds bad solar cells.

It computes in float64, the loss too, and its weights stay on a grid, so that another
processor trains the same network, and what is found with it can be printed. (With
the loss in float32, outputs of chapters 07 and 08 differed between two processors.)
"""

import numpy as np

from helpers.lstm import keras, layers, restart
from helpers.start import SEED

GRID = 2.0**20  # steps of a weight in one unit


@keras.saving.register_keras_serializable("helpers")
class GridAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) that rounds each weight to the grid after each step.

    Two processors differ by about 1e-16 in a step; rounding removes the difference
    before the next step can make it larger.
    """

    def update_step(self, gradient, variable, learning_rate):
        """One step of Adam for one variable, then to the grid."""
        super().update_step(gradient, variable, learning_rate)
        variable.assign(keras.ops.round(variable * GRID) / GRID)


def build_inspector() -> keras.Model:
    """Image [30, 30, 1] of solar.inspection_cells to the probability of a defect."""
    inspector = keras.Sequential(
        [
            keras.Input((30, 30, 1), dtype="float64"),
            layers.Conv2D(8, 3, strides=3, activation="relu", dtype="float64"),
            layers.Conv2D(
                16, 3, strides=2, padding="same", activation="relu", dtype="float64"
            ),
            layers.Flatten(dtype="float64"),
            layers.Dense(1, activation="sigmoid", dtype="float64"),
        ]
    )
    loss = keras.losses.BinaryCrossentropy(dtype="float64")
    inspector.compile(GridAdam(3e-3), loss, jit_compile=False)
    return inspector


def train_inspector(
    inspector: keras.Model, images: np.ndarray, defect: np.ndarray, seed: int = SEED
) -> None:
    """Train an inspector anew: new random weights, ten epochs.

    Args:
        inspector: from build_inspector; it may have been trained before.
        images: float64 [cells, 30, 30, 1], as solar.inspection_cells gives them.
        defect: 0 or 1 for each.
        seed: of the weights and of the order of the images.

    """
    keras.utils.set_random_seed(seed)
    restart(inspector)
    inspector.fit(images, defect, batch_size=32, epochs=10, verbose=0)


def score(inspector: keras.Model, images: np.ndarray) -> np.ndarray:
    """Probability of a defect for each image, float64 [cells]."""
    return inspector.predict_on_batch(images)[:, 0]
