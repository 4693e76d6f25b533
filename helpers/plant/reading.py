"""Any export, by its content and not by its name: CSV, Excel or Parquet."""

import csv
import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from helpers.errors import DataError
from helpers.plant.table import make_table

MOST_BYTES = 300_000_000  # of a file, also when unpacked: 4 GB of memory are enough
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
OTHERS = {  # how files begin that hold no table we read
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "packed with gzip: unpack it first",
    b"7z\xbc\xaf": "packed with 7-Zip: unpack it first",
    b"SQLite format 3": "a database",
    b"{": "JSON",
    b"[{": "JSON",
    b"<": "a web page or XML, whatever its name says",
}
SAVE = "Save it as .xlsx or as CSV (UTF-8) and read that."


def read_export(
    path: Path | str, wanted: Sequence[str | None] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read a table of which only the place is known.

    Args:
        path: of the export.
        wanted: names of columns that it must have, where known; they tell the header
            from a title, and the sheet among several.

    Returns:
        The table, every cell a text ("" where empty; dates as 2024-03-31), and what
        was decided, as sentences.

    Raises:
        DataError: no such file, too large, of another kind, damaged, or without a
            table.

    """
    path, names = Path(path), [name for name in wanted if name]
    data = _content(path)
    if data.startswith(b"PAR1"):
        return _parquet(path, data)
    if data.startswith(b"PK"):
        return _workbook(path, data, names)
    start = data[:40].lstrip(b"\xef\xbb\xbf \t\r\n")
    for sign, kind in OTHERS.items():
        if start.startswith(sign):
            raise DataError(f"{path.name} is {kind}. {SAVE}")
    text, encoding = _decode(path, data)
    rows, separated = _csv_rows(path, text)
    table, said = make_table(path.name, rows, names)
    return table, [f"Read as {encoding}, {separated}.", *said]


def _content(path: Path) -> bytes:
    """The bytes of a file that may hold a table."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(
                f"{path.name} has {size / 1e6:,.0f} MB, the most is "
                f"{MOST_BYTES / 1e6:,.0f}. Export fewer columns or fewer years."
            )
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"Cannot read {str(path)!r}: {error.strerror or error}. Give the path of "
            "one file that you may read, such as C:/exports/orders.csv."
        ) from None
    if not data.strip():
        raise DataError(f"{path.name} is empty ({len(data)} bytes). Export it again.")
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        if "EncryptedPackage".encode("utf-16-le") in data:
            kind = "protected by a password: open it, remove the password"
        else:
            kind = "a file of Excel before 2007 (.xls) or another old Office file"
        raise DataError(f"{path.name} is {kind}. {SAVE}")
    return data


def _decode(path: Path, data: bytes) -> tuple[str, str]:
    """The text of a file and the name of its encoding, with a word to check it by."""
    import chardet

    try:
        for mark, codec in MARKS.items():
            if data.startswith(mark):
                return data.decode(codec), f"{codec[:6].upper()} (it has a mark)"
        if data.count(0) <= len(data) / 100:
            text = data.decode("utf-8")
            return text.replace("\0", ""), "UTF-8" + _nul(text)
    except UnicodeDecodeError as error:
        if data.startswith(tuple(MARKS)):
            raise DataError(
                f"{path.name} is damaged: {error}. Export it again."
            ) from None
        text = data.decode("utf-8", "replace")
        broken = text.count("\ufffd")
        if broken <= sum(not c.isascii() for c in text) / 10:
            return text, f"UTF-8, with {broken} broken characters (now \ufffd)"
    odd = b"\n".join(line for line in data.split(b"\n") if not line.isascii())
    era = chardet.EncodingEra.MODERN_WEB
    codec = chardet.detect(odd or data, encoding_era=era)["encoding"]
    try:
        text = data.decode(codec or "")
    except (LookupError, UnicodeDecodeError):
        text = "\0" * len(data)
    if text.count("\0") > len(text) / 100:
        raise DataError(
            f"{path.name} holds bytes that are no text in any encoding we "
            f"know: {data[:12]!r}. {SAVE}"
        )
    return text.replace("\0", ""), _named(codec, text, odd) + _nul(text)


def _nul(text: str) -> str:
    """Says how many characters of no meaning (NUL) were left out."""
    return f" without {text.count(chr(0))} NUL characters" if "\0" in text else ""


def _named(codec: str, text: str, odd: bytes) -> str:
    """An encoding that was guessed, and how one word looks under it."""
    import chardet

    word = next(iter(re.findall(r"\w*[^\x00-\x7f]\w*", text)), "")
    said = f"{codec} (a guess: check that {word!r} is spelt right)"
    other = chardet.detect(odd)["encoding"]
    try:
        differs = other and odd.decode(other) != odd.decode(codec)
    except (LookupError, UnicodeDecodeError):
        differs = False
    if differs:
        second = next(iter(re.findall(r"\w*[^\x00-\x7f]\w*", odd.decode(other))), "")
        said = f"{said[:-1]}; {other} would give {second!r}: then save it as UTF-8)"
    return said


def _csv_rows(path: Path, text: str) -> tuple[list[list[str]], str]:
    """All rows of a text, and how it is separated."""
    told = re.match(r"sep=(.)\r?\n", text)  # Excel's own way of saying it
    body = text[told.end() :] if told else text
    mark = '"'
    try:
        sniffed = csv.Sniffer().sniff(body[:20_000], "".join(SEPARATORS))
        separator, mark = sniffed.delimiter, sniffed.quotechar
    except csv.Error:
        separator = None  # one column
    separator = told[1] if told else separator
    ways = [{"quotechar": '"'}, {"quotechar": mark}]
    ways += [{"escapechar": "\\"}] if '\\"' in body else []
    ways += [{"quoting": csv.QUOTE_NONE}]
    tried = [_parse(body, separator or "\0", way) for way in ways]
    rows = max(tried, key=_regularity)  # the first of equals
    if not rows:
        raise DataError(
            f"{path.name} has a cell of more than {csv.field_size_limit():,} "
            "characters: a quotation mark may not be closed. Export it again."
        )
    if rows is tried[-1]:
        rows = [[cell.strip().strip('"') for cell in row] for row in rows]
    named = SEPARATORS.get(separator, f"{separator!r}")
    return rows, f"separated by {named}" if separator else "one column"


def _parse(text: str, separator: str, way: dict) -> list[list[str]]:
    """Rows under one rule of quotation; none if a cell becomes too long."""
    try:
        return list(
            csv.reader(io.StringIO(text, newline=""), delimiter=separator, **way)
        )
    except csv.Error:
        return []


def _regularity(rows: list[list[str]]) -> float:
    """Share of the rows that have the usual number of cells."""
    widths = Counter(len(row) for row in rows if any(row))
    return widths.most_common(1)[0][1] / widths.total() if widths else 0.0


def _parquet(path: Path, data: bytes) -> tuple[pd.DataFrame, list[str]]:
    """A Parquet file as texts."""
    import pyarrow.parquet

    try:
        found = pyarrow.parquet.read_table(io.BytesIO(data))
        columns = [[_text(cell) for cell in column.to_pylist()] for column in found]
    except Exception as error:  # whatever a damaged file makes the library raise
        raise _damaged(path, "Parquet", error) from None
    rows = [list(found.column_names), *map(list, zip(*columns, strict=True))]
    table, said = make_table(path.name, rows, found.column_names, ragged=False)
    return table, ["Read as Parquet.", *said]


def _workbook(
    path: Path, data: bytes, wanted: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """One sheet of an Excel file: the one with the wanted names, or with most cells."""
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
            if "xl/workbook.xml" not in archive.namelist():
                raise DataError(
                    f"{path.name} is packed, but no .xlsx. Unpack it first."
                )
        if unpacked > 5 * MOST_BYTES:
            raise DataError(f"{path.name} unpacks to {unpacked / 1e6:,.0f} MB. {SAVE}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles, which we do not read
            book = openpyxl.load_workbook(
                io.BytesIO(data), read_only=True, data_only=True
            )
            sheets = {sheet.title: _cells(sheet) for sheet in book.worksheets}
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file makes the library raise
        raise _damaged(path, "Excel", error) from None
    sheets = {name: rows for name, rows in sheets.items() if rows}
    if not sheets:
        raise DataError(f"{path.name} has no filled sheet. Export it again.")

    def worth(name: str) -> tuple[int, int]:
        cells = {cell.strip().casefold() for row in sheets[name][:300] for cell in row}
        filled = sum(map(bool, (cell for row in sheets[name] for cell in row)))
        return sum(want.strip().casefold() in cells for want in wanted), filled

    best = max(sheets, key=worth)
    said = [f"Read as Excel, sheet {best!r}."]
    if len(sheets) > 1:
        others = ", ".join(map(repr, [name for name in sheets if name != best][:5]))
        said.append(f"Other sheets not read: {others}.")
    table, more = make_table(path.name, sheets[best], wanted, ragged=False)
    return table, said + more


def _cells(sheet) -> list[list[str]]:
    """All rows of a sheet as texts, equally wide; none if all cells are empty."""
    sheet.reset_dimensions()  # some programs write wrong ones
    rows = [[_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    width = max((len(row) for row in rows if any(row)), default=0)
    return [(row + [""] * width)[:width] for row in rows] if width else []


def _text(cell: object) -> str:
    """A cell as it would stand in a CSV: no 12.0 for 12, dates as 2024-03-31."""
    if cell is None or cell != cell:  # NaN, NaT
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return str(cell.date() if cell.time() == datetime.min.time() else cell)
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _damaged(path: Path, kind: str, error: Exception) -> DataError:
    return DataError(
        f"{path.name} begins like {kind} but cannot be read: "
        f"{type(error).__name__}: {str(error)[:120]}. Export it again."
    )
