"""Fixtures shared by the unit tests."""

import pytest


@pytest.fixture(scope="session")
def split():
    """Labelled orders in time order: train, valid, test."""
    from helpers import load_orders, split_by_time

    return split_by_time(load_orders())
