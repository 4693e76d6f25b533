"""The inspector of chapters 07 and 08 learns the same whatever the last digit."""

import numpy as np

from helpers.inspector import GridAdam, build_inspector, score, train_inspector
from helpers.lstm import keras


def test_rounding_of_the_pictures_does_not_matter():
    rng = np.random.default_rng(0)
    images, defect = rng.uniform(-1, 1, (96, 30, 30, 1)), np.arange(96) % 2
    inspector, answers = build_inspector(), []
    for moved in (0.0, 1e-15):
        train_inspector(inspector, images * (1 + moved), defect)
        answers.append(score(inspector, images))
    assert np.array_equal(*answers)
    assert answers[0].dtype == "float64"


def test_loss_is_computed_in_float64():
    assert build_inspector().loss.dtype == "float64"


def test_weights_stay_on_the_grid():
    weight = keras.Variable(np.ones(3), dtype="float64")
    optimizer = GridAdam(1e-3)
    optimizer.apply([np.full(3, 0.3)], [weight])
    on_grid = weight.numpy() * 2.0**20
    assert np.array_equal(on_grid, np.round(on_grid)) and on_grid[0] < 2.0**20
