"""Cleaning, labels, split and vocabulary."""

import numpy as np
import pandas as pd
import pytest

from helpers import (
    CREWS,
    LENGTH,
    Vocabulary,
    load_orders,
    normalise,
)
from helpers.prepare import (
    drop_duplicates,
    drop_shifted_rows,
    label_locations,
    repair_quotes,
)
from helpers.tables import load_crew_table


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("L/H pumps/valves won't turn", "lh pumps valves wont turn"),
        ("CRACK ON BOOM,STICK,BUCKET.", "crack on boom stick bucket"),
        ("  A/C   U/S!! ", "ac us"),
        ("x15 #2", "x15 2"),
        ("snake_case", "snake case"),
        ("Löschanlage prüfen", "löschanlage prüfen"),
        ("", ""),
        ("...", ""),
    ],
)
def test_normalise(typed, clean):
    assert normalise(typed) == clean
    assert normalise(clean) == clean


def test_normalise_does_not_look_across_white_space():
    """The fast path relies on it: it normalises piece by piece."""
    for text in load_orders()["text"]:
        pieces = " ".join(filter(None, map(normalise, text.split())))
        assert pieces == normalise(text)


def test_repair_quotes():
    assert repair_quotes('replace h.p. \\o\\" ring"') == 'replace h.p. "o" ring'
    assert repair_quotes('Blown "o" ring') == 'Blown "o" ring'


def test_counts():
    orders = load_orders()
    assert len(orders) == 5126
    assert orders["crew"].notna().sum() == 4582
    assert orders["date"].is_monotonic_increasing
    assert (orders["clean"] != "").all()
    assert orders["clean"].str.split().str.len().max() <= LENGTH


def test_orders_are_a_copy_of_their_own():
    first = load_orders()
    first["text"] = "changed"
    assert load_orders()["text"].iloc[0] != "changed"


def test_rows_dropped_are_the_known_ones():
    from helpers import load_raw

    raw = load_raw()
    whole = drop_shifted_rows(raw)
    (shifted,) = set(raw.index) - set(whole.index)
    assert raw.loc[shifted, "OriginalShorttext"] == "won"
    assert len(whole) - len(drop_duplicates(whole)) == 358


def label(location):
    row = label_locations(pd.Series([location]), load_crew_table()).iloc[0]
    return row["crew"], row["electrician"]


@pytest.mark.parametrize(
    ("location", "crew", "electrician"),
    [
        ("AIR CONDITIONING SYSTEM", "cab_aircon", 1),
        ("A/C COMPRESSOR - LEFT", "cab_aircon", 1),
        ("Operators Cabin", "cab_aircon", 0),
        ("Lights & Power", "electrical", 1),
        ("PMS CONTROL SLAVE CARD", "electrical", 1),
        ("TRACK ADJUSTER CYLINDER - LEFT", "undercarriage_drive", 0),
        ("WATER PUMP - LEFT", "engine", 0),
        ("HYDRAULIC STAIRS", "safety_access", 0),
        ("IMPLEMENTS HYD,MECH - CONTROLS", "hydraulic", 0),
        ("BUCKET", "structure_bucket", 0),
    ],
)
def test_labels(location, crew, electrician):
    assert label(location) == (crew, electrician)


@pytest.mark.parametrize("location", ["MACHINE", "O&K RH120C", "Other Systems", ""])
def test_locations_without_a_crew(location):
    assert pd.isna(label(location)[0]) and pd.isna(label(location)[1])


def test_labels_never_read_the_text():
    orders = load_orders()
    again = label_locations(orders["location"], load_crew_table())
    assert again["crew"].equals(orders["crew"])
    per_location = orders.groupby("location")["crew"].nunique(dropna=False)
    assert (per_location == 1).all()


def test_untidy_words_in_the_table():
    row = {"crew": "lube", "electrician": "no", "location_words": " grease ; ; =oil;"}
    places = pd.Series(["GREASE PUMP", "BUCKET", "OIL", "OIL COOLER"])
    found = label_locations(places, pd.DataFrame([row]))["crew"]
    assert found.notna().tolist() == [True, False, True, False]


def test_split_is_by_time(split):
    assert [len(part) for part in split] == [3115, 550, 917]
    assert split.train["date"].max() <= split.valid["date"].min()
    assert split.valid["date"].max() <= split.test["date"].min()
    assert set(split.train["crew"]) == set(split.test["crew"]) == set(CREWS)


def test_vocabulary():
    vocabulary = Vocabulary.fit(["oil leak", "oil hot", "leak oil"])
    assert vocabulary.words == ["oil", "leak"] and len(vocabulary) == 4
    encoded = vocabulary.encode(["leak qq oil", ""], length=4)
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [[3, 1, 2, 0], [0, 0, 0, 0]]
    assert vocabulary.encode(["oil " * 9], length=3).tolist() == [[2, 2, 2]]
