"""Chapter 14: read the export of any plant, and say what is wrong with it."""

from helpers.plant.columns import Columns, Settings, choose_columns, settings
from helpers.plant.dates import parse_dates
from helpers.plant.orders import clean_orders
from helpers.plant.reading import read_export
from helpers.plant.words import mask_personal, tokens

__all__ = [
    "Columns",
    "Settings",
    "choose_columns",
    "clean_orders",
    "mask_personal",
    "parse_dates",
    "read_export",
    "settings",
    "tokens",
]
