"""Tables that people edit, data/crews.csv and data/prices.csv, read back with care.

A spreadsheet program may change separator, encoding, case, decimal sign and the order
of rows. What can be recognised is read; the rest is a DataError that names the place.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from helpers.data import DATA
from helpers.errors import DataError

CREWS = [
    "cab_aircon",
    "electrical",
    "engine",
    "hydraulic",
    "lube",
    "safety_access",
    "structure_bucket",
    "undercarriage_drive",
]
Reader = Callable[[str], object]  # of one cell; ValueError says what is wrong


def number(text: str) -> float:
    """A number that is not negative, with a decimal point or a decimal comma."""
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", text):
        raise ValueError("may be a thousand or a decimal; write it without a comma")
    if not re.fullmatch(r"\d+([.,]\d+)?", text):
        raise ValueError("is not a number such as 0.75")
    return float(text.replace(",", "."))


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = number(text)
    if value > 1:
        raise ValueError("is not a share between 0 and 1")
    return value


def whole(text: str) -> int:
    """A whole number that is not negative."""
    value = number(text)
    if not value.is_integer():
        raise ValueError("is not a whole number")
    return int(value)


def yes_or_no(text: str) -> str:
    """Yes or no, however it is capitalised."""
    if text.lower() not in ("yes", "no"):
        raise ValueError("is neither yes nor no")
    return text.lower()


def crew(text: str) -> str:
    """The name of a crew, or "" for locations that belong to none."""
    name = text.lower()
    if name not in ["", *CREWS]:
        raise ValueError(f"is no crew; there are {', '.join(CREWS)}")
    return name


def words(text: str) -> str:
    """Words of locations, separated by semicolons; "=" before one wants all of it."""
    parts = [" ".join(part.split()) for part in text.split(";")]
    parts = [re.sub("^= ", "=", part) for part in parts]
    parts = [part for part in parts if part.strip("= ")]
    if not parts:
        raise ValueError("holds no word")
    for part in parts:
        if "," in part or part.startswith("#"):
            raise ValueError(f"holds {part!r}; separate words by semicolons")
    return ";".join(parts)


def filled(text: str) -> str:
    """Any text but none."""
    if not text:
        raise ValueError("is empty")
    return text


CREW_COLUMNS = dict(
    order=whole, crew=crew, electrician=yes_or_no, location_words=words, note=str
)
PRICE_COLUMNS = {
    "model": filled,
    "usd_per_million_input": number,
    "usd_per_million_cached_input": number,
    "usd_per_million_output": number,
    "batch_discount": share,
    "as_of": filled,
    "source": str,
}


def load_crew_table(path: Path = DATA / "crews.csv") -> pd.DataFrame:
    """The planner's table: which location words belong to which crew, by `order`.

    Raises:
        DataError: see read_table; or `order` does not count 0, 1, 2, ..., or a word
            stands in two rows.

    """
    table = read_table(path, CREW_COLUMNS).sort_values("order", ignore_index=True)
    if table["order"].tolist() != list(range(len(table))):
        found = ", ".join(map(str, table["order"]))
        raise DataError(
            f"{path}: the column order must count 0, 1, 2, ... without a gap and "
            f"without a number twice; it has {found}."
        )
    without = [name for name in CREWS if name not in set(table["crew"])]
    if without:
        raise DataError(f"{path} has no row for the crew {', '.join(without)}.")
    rows_of: dict[str, int] = {}
    for row in table.itertuples():
        for word in set(row.location_words.upper().split(";")):
            if word in rows_of:
                raise DataError(
                    f"{path}: {word!r} stands in the rows of order {rows_of[word]} and "
                    f"{row.order}. Only the first would count: take one out."
                )
            rows_of[word] = row.order
    return table


def load_prices(path: Path = DATA / "prices.csv") -> pd.DataFrame:
    """List prices of hosted models, US dollars per million tokens, indexed by model.

    Raises:
        DataError: see read_table; or a model stands there twice.

    """
    table = read_table(path, PRICE_COLUMNS)
    for name in table.loc[table["model"].duplicated(), "model"]:
        raise DataError(f"{path}: the model {name!r} stands there twice.")
    return table.set_index("model")


def read_table(path: Path, columns: dict[str, Reader]) -> pd.DataFrame:
    """Read the named columns of a CSV file, whatever program saved it.

    Recognised are UTF-8, UTF-16 and Windows-1252, commas, semicolons and tabs, and
    headers in any case and order. Empty rows and other columns are left out.

    Raises:
        DataError: no such file, not a table, a column missing or there twice, a row of
            another length, or values that the columns' readers refuse.

    """
    header, *lines = _lines(path, columns)
    rows, problems = [], []
    for name in columns:
        if header.count(name) > 1:
            problems.append(f"it has the column {name} twice. Take one out")
    for place, line in enumerate(lines, 2):
        if not any(line):
            continue
        if len(line) != len(header):
            problems.append(f"row {place} has {len(line)} cells, not {len(header)}")
            continue
        row = dict(zip(header, line, strict=True))
        for name, read in columns.items():
            try:
                row[name] = read(row[name])
            except ValueError as error:
                problems.append(f"row {place}, {name}: {row[name]!r:.40} {error}")
        rows.append(row)
    if problems or not rows:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DataError(f"{path}: {'; '.join(problems[:5]) or 'it has no rows'}{more}.")
    return pd.DataFrame(rows)[list(columns)]


def _lines(path: Path, columns: Iterable[str]) -> list[list[str]]:
    """All cells without white space around them, and the header as column names."""
    text = _text(path)
    if text.lower().startswith("sep="):  # a hint that Excel writes
        text = text.partition("\n")[2]
    first = text.splitlines()[:1]
    for separator in ",;\t":
        names = _names(next(csv.reader(first, delimiter=separator), []))
        if set(columns) <= set(names):
            break
    else:
        raise DataError(
            f"{path} begins with {text[:80]!r}; its first line must name the columns "
            f"{', '.join(columns)}, separated by commas, semicolons or tabs."
        )
    file = io.StringIO(text, newline="")
    try:
        header, *lines = csv.reader(file, delimiter=separator, strict=True)
    except csv.Error as error:
        raise DataError(f"{path}: quotation marks do not fit ({error}).") from error
    return [_names(header), *([cell.strip() for cell in line] for line in lines)]


def _names(cells: list[str]) -> list[str]:
    return [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in cells]


def _text(path: Path) -> str:
    """The text of a file in one of the encodings that spreadsheet programs write."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from error
    advice = 'Save it as "CSV UTF-8".'
    if raw.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise DataError(f"{path} is a workbook, not a CSV file. {advice}")
    encodings = ["utf-8-sig", "cp1252"]
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif b"\0" in raw[:2]:  # half of the first letter
        encodings = ["utf-16-le" if raw[0] else "utf-16-be"]
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    raise DataError(f"{path} is not UTF-8, UTF-16 or Windows-1252. {advice}")
