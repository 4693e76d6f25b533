"""Tables made for editing, as spreadsheet programs save them, and as they break."""

import csv
import io

import pandas as pd
import pytest

from helpers import DataError
from helpers.data import DATA
from helpers.prepare import label_locations, load_raw
from helpers.tables import load_crew_table, load_prices

CREW_LINES = list(csv.reader(io.StringIO((DATA / "crews.csv").read_text("utf-8"))))
PRICE_LINES = list(csv.reader(io.StringIO((DATA / "prices.csv").read_text("utf-8"))))


def save(path, lines, separator=",", encoding="utf-8", end="\r\n", quote=0, top=""):
    """Write a table as another program does; quote as the csv module counts."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=end, quoting=quote).writerows(
        lines
    )
    path.write_bytes((top + out.getvalue()).encode(encoding))
    return path


def changed(lines, row, column, value):
    """A copy of the lines with one other cell."""
    lines = [list(line) for line in lines]
    lines[row][lines[0].index(column)] = value
    return lines


VARIANTS = {
    "as it is": {},
    "semicolons": {"separator": ";"},
    "tabs": {"separator": "\t"},
    "CSV UTF-8 of Excel": {"encoding": "utf-8-sig", "separator": ";"},
    "CSV of Excel": {"encoding": "cp1252", "separator": ";"},
    "Unicode text of Excel": {"encoding": "utf-16", "separator": "\t"},
    "UTF-16 without a mark": {"encoding": "utf-16-le"},
    "big end first": {"encoding": "utf-16-be"},
    "LibreOffice, all quoted": {"quote": csv.QUOTE_ALL, "end": "\n"},
    "semicolons, all quoted": {"quote": csv.QUOTE_ALL, "separator": ";"},
    "a hint for Excel": {"separator": ";", "top": "sep=;\r\n"},
    "old Macintosh": {"end": "\r"},
}


@pytest.mark.parametrize("how", VARIANTS.values(), ids=VARIANTS)
def test_tables_survive_a_spreadsheet_program(tmp_path, how):
    crews = changed(
        CREW_LINES, 2, "note", "Klimaanlage: für den Autoelektriker – prüfen"
    )
    wanted = load_crew_table(save(tmp_path / "wanted.csv", crews))
    pd.testing.assert_frame_equal(
        load_crew_table(save(tmp_path / "a", crews, **how)), wanted
    )
    prices = load_prices(save(tmp_path / "b", PRICE_LINES, **how))
    pd.testing.assert_frame_equal(prices, load_prices())


def test_what_a_planner_may_change_without_harm(tmp_path):
    """Capitals, another order of columns and rows, empty rows, an own column."""
    head, *rows = CREW_LINES
    rows = [
        [n, crew.title(), electrician.title(), words.lower() + "; ", note, "mine"]
        for n, crew, electrician, words, note in rows
    ]
    rows = sorted(rows, key=lambda row: row[1])
    lines = [[name.upper().replace("_", " ") for name in head] + ["Remark"], *rows]
    lines = [line[::-1] for line in lines] + [[""] * 6]
    found = load_crew_table(save(tmp_path / "crews.csv", lines))
    places = pd.Series(load_raw()["FuncLocation"].unique())
    wanted = label_locations(places, load_crew_table())
    pd.testing.assert_frame_equal(label_locations(places, found), wanted)
    assert wanted["electrician"].sum() > 50


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_other_separators_inside_an_own_column(tmp_path, separator):
    own = "see, also: a, b, c; d; e; f; g; h"
    lines = [[own, *line] for line in CREW_LINES]
    found = load_crew_table(save(tmp_path / "a", lines, separator))
    pd.testing.assert_frame_equal(found, load_crew_table())


def test_decimal_commas(tmp_path):
    lines = [
        [cell.replace("0.", "0,").replace(".00", ",00") for cell in line]
        for line in PRICE_LINES
    ]
    assert lines[1][1] == "5,00"
    pd.testing.assert_frame_equal(
        load_prices(save(tmp_path / "a", lines, separator=";")), load_prices()
    )


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, "crew", "painters", "row 2, crew: 'painters' is no crew; there are cab"),
        (3, "electrician", "ja", "row 4, electrician: 'ja' is neither yes nor no"),
        (3, "electrician", "", "row 4, electrician: '' is neither yes nor no"),
        (4, "location_words", " ; ", "row 5, location_words: '.*' holds no word"),
        (4, "location_words", "CABIN,SEAT", "'CABIN,SEAT'; separate words by sem"),
        (1, "location_words", "#NAME?", "'#NAME[?]'; separate words by semicolons"),
        (4, "location_words", "CABIN;pump", "'PUMP' stands in the rows of order 3 and"),
        (2, "order", "2", "must count 0, 1, 2, .* it has 0, 2, 2, 3"),
        (2, "order", "20", "must count 0, 1, 2, .* it has 0, 2, 3, .* 20"),
        (2, "order", "1.5", "row 3, order: '1.5' is not a whole number"),
        (2, "order", "", "row 3, order: '' is not a number"),
        (6, "crew", "", "has no row for the crew lube"),
        (0, "crew", "team", "must name the columns order, crew, electrician"),
        (0, "note", "order", "has the column order twice|must name the columns"),
    ],
)  # fmt: skip
def test_crew_tables_that_cannot_be_meant(tmp_path, row, column, value, message):
    path = save(tmp_path / "crews.csv", changed(CREW_LINES, row, column, value))
    with pytest.raises(DataError, match=message):
        load_crew_table(path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("usd_per_million_input", "1,250", "may be a thousand or a decimal"),
        ("usd_per_million_input", "$5.00", "is not a number such as 0.75"),
        ("usd_per_million_input", "-5", "is not a number"),
        ("usd_per_million_input", "nan", "is not a number"),
        (
            "usd_per_million_input",
            "",
            "row 2, usd_per_million_input: '' is not a number",
        ),
        ("batch_discount", "50", "is not a share between 0 and 1"),
        ("batch_discount", "50%", "is not a number"),
        ("model", "gpt-5.4", "the model 'gpt-5.4' stands there twice"),
        ("model", "", "row 2, model: '' is empty"),
    ],
)
def test_price_tables_that_cannot_be_meant(tmp_path, column, value, message):
    path = save(tmp_path / "prices.csv", changed(PRICE_LINES, 1, column, value))
    with pytest.raises(DataError, match=message):
        load_prices(path)


def test_a_column_that_stands_there_twice(tmp_path):
    path = save(tmp_path / "a", [[*line, line[1]] for line in CREW_LINES])
    with pytest.raises(DataError, match="has the column crew twice. Take one out"):
        load_crew_table(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with ''; its first line must name the columns"),
        (b"PK\x03\x04", 'is a workbook, not a CSV file. Save it as "CSV UTF-8"'),
        (b"\xd0\xcf\x11\xe0", "is a workbook"),
        (b"order\x81", "is not UTF-8, UTF-16 or Windows-1252"),
        (b"order,crew,electrician,location_words,note\r\n", "it has no rows"),
        (b"order,crew,electrician,location_words,note\n0,,no,X\n", "row 2 has 4 cells"),
        (
            b'order,crew,electrician,location_words,note\n0,,no,X,"y\n',
            "quotation marks",
        ),
        (b"order|crew|electrician|location_words|note\n", "separated by commas"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    (tmp_path / "crews.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_crew_table(tmp_path / "crews.csv")


def test_many_mistakes_are_counted(tmp_path):
    lines = [
        CREW_LINES[0],
        *([n, *row[1:2], "?", *row[3:]] for n, row in enumerate(CREW_LINES[1:])),
    ]
    with pytest.raises(DataError, match="; and 5 more"):
        load_crew_table(save(tmp_path / "a", lines))


def test_a_blank_after_the_equals_sign_does_not_matter(tmp_path):
    for words in ("=Pump", "= Pump", " =  Pump"):
        lines = changed(CREW_LINES, 2, "location_words", words)
        table = load_crew_table(save(tmp_path / "a", lines))
        assert table["location_words"][1] == "=Pump"
        labels = label_locations(pd.Series(["PUMP", "PUMP HOUSE"]), table)
        assert labels["crew"].eq("cab_aircon").tolist() == [True, False]


def test_no_table(tmp_path):
    with pytest.raises(DataError, match="cannot be opened: No such file"):
        load_prices(tmp_path / "prices.csv")
