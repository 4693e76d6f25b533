"""Fixtures shared by the unit tests."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def split():
    """Labelled orders in time order: train, valid, test."""
    from helpers import load_orders, split_by_time

    return split_by_time(load_orders())


@pytest.fixture(scope="session")
def small():
    """A small network, trained on real orders, and its vocabulary."""
    import keras

    from helpers import Vocabulary, load_orders
    from helpers.lstm import build_lstm, compile_model, targets

    orders = load_orders().dropna(subset="crew")[:400]
    vocabulary = Vocabulary.fit(orders["clean"])
    keras.utils.set_random_seed(1)
    model = compile_model(build_lstm(len(vocabulary), 8), 8)
    model.fit(vocabulary.encode(orders["clean"]), targets(orders, "crew"), verbose=0)
    return model, vocabulary


@pytest.fixture(scope="session")
def saved_once(small, tmp_path_factory):
    from helpers import CREWS
    from helpers.lstm import save_model

    folder = tmp_path_factory.mktemp("small") / "crew"
    return save_model(*small, CREWS, folder, note="a test")


@pytest.fixture
def saved(saved_once, tmp_path):
    """The folder that the small network is saved in; a test may damage it."""
    return Path(shutil.copytree(saved_once, tmp_path / "crew"))
