"""Any export, known by its content and not by its name: CSV, Excel or Parquet."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers.errors import DataError
from helpers.plant.sheets import OLD_OFFICE, SAVE, sheet_rows
from helpers.plant.table import Rows, is_none, make_table

MOST = 200_000_000  # bytes of a file
USUAL = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
NO_SEPARATOR = "\x1f"  # no text holds it
SEPARATORS = USUAL | {NO_SEPARATOR: "nothing: one column"}
MARKS = [  # how cells with separators in them may be marked, the usual way first
    {"quotechar": '"'},
    {"escapechar": "\\"},
    {"quoting": csv.QUOTE_NONE},
    {"quotechar": "'"},
]
OTHERS = {  # how files begin that are texts, but hold no table we read
    b"%PDF": "a PDF document",
    b"{": "JSON or RTF",
    b"[{": "JSON",
    b"<": "a web page or XML",
}


def read_export(
    path: Path | str, wanted: Sequence[str | None] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read a table of which only the place is known.

    Args:
        path: of the export.
        wanted: names of columns that it must have, where known; they tell the header
            from a title, and the sheet among several.

    Returns:
        The table, every cell a text ("" where empty), and what was decided, as
        sentences.

    Raises:
        DataError: no such file, too large, of another kind, damaged, or without rows.

    """
    path, names = Path(path), [name for name in wanted if name and not is_none(name)]
    data = _content(path)
    try:
        if data.startswith((b"PAR1", b"PK", OLD_OFFICE)):
            rows, how = sheet_rows(data, names)
            table, said = make_table(rows, names, ragged=False)
        else:
            text, encoding = _decode(data)
            rows, separated = _csv_rows(text)
            table, said = make_table(rows, names, ragged=True)
            how = f"{encoding}, {separated}"
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None
    return table, [f"Read as {how}.", *said]


def _content(path: Path) -> bytes:
    """The bytes of a file that may hold a table."""
    try:
        size = path.stat().st_size
        if size > MOST:
            raise DataError(
                f"{path.name} has {size / 1e6:,.0f} MB, the most is {MOST / 1e6:,.0f}. "
                "Export fewer columns or fewer years."
            )
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"Cannot read {str(path)!r}: {error.strerror or error}. Give the path of "
            "a file that you may read, such as C:/exports/orders.csv."
        ) from None
    start = data[:100].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise DataError(f"{path.name} is empty ({len(data)} bytes). Export it again.")
    for sign, kind in OTHERS.items():
        if start.startswith(sign):
            raise DataError(f"{path.name} is {kind}. {SAVE}")
    return data


def _decode(data: bytes) -> tuple[str, str]:
    """The text of a file and the name of its encoding."""
    text, said = data.decode("utf-8-sig", "replace"), "UTF-8"
    if broken := text.count("\ufffd"):
        said = f"UTF-8, {broken} damaged characters shown as \ufffd"
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    if broken > foreign / 10 or text.count("\0") > len(text) / 100:
        text, said = _guess(data)
    if len(re.findall(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", text)) > len(text) / 100:
        raise DataError(f"it is no text: it begins {data[:12]!r}. {SAVE}")
    if "\0" in text:
        said += f", {text.count(chr(0))} NUL characters dropped"
    return text.replace("\0", ""), said


def _guess(data: bytes) -> tuple[str, str]:
    """A text whose encoding nothing tells, and a word of it to check that by."""
    import chardet

    foreign = b"\n".join(line for line in data.splitlines() if not line.isascii())
    sample = data if b"\0" in data else foreign
    codec = chardet.detect(sample, encoding_era=chardet.EncodingEra.MODERN_WEB)
    codec = codec["encoding"] or "latin-1"
    try:
        text = data.decode(codec)
    except (UnicodeDecodeError, LookupError):
        raise DataError(f"no encoding fits; it begins {data[:12]!r}. {SAVE}") from None
    if word := re.search(r"\w*[^\x00-\x7f]\w*", text):
        check = f"is {word[0]!r} spelt right? If not, save it as UTF-8"
        return text, f"{codec.upper()} (a guess: {check})"
    return text, codec.upper()


def _csv_rows(text: str) -> tuple[Rows, str]:
    """All rows of a text, and how it is separated."""
    told = re.match(r"sep=(.)\r?\n", text)  # Excel's own way of saying it
    text = text[told.end() :] if told else text
    separator = told[1] if told else _separator(text[:20_000])
    best, most, used = [], 0.0, {}
    for way in MARKS:  # a later one only if it is more regular
        rows = _parse(text, separator, way)
        share = _shape(rows)[1]
        if share > most:
            best, most, used = rows, share, way
        if most == 1:
            break
    if not best:
        raise DataError(
            f"it is empty, or a cell has more than {csv.field_size_limit():,} "
            "characters: is a quotation mark not closed? Export it again."
        )
    if separator != NO_SEPARATOR and max(map(len, best)) == 1:
        whole = "\n".join(row[0] for row in best if row)  # each row was one cell
        best = _parse(whole, separator, {})
    how = f"separated by {SEPARATORS.get(separator, repr(separator))}"
    if "quoting" in used:
        best = [[cell.strip().strip('"') for cell in row] for row in best]
        how += ", quotation marks read as letters"
    return best, how


def _separator(sample: str) -> str:
    """The separator under which most rows are alike; then the most cells.

    The exact share decides last: of `a;b<tab>c` below the header `text<tab>label` all
    rows have one tab, all but one a semicolon.
    """
    fit = {}
    for sign in USUAL:
        width, share = _shape(_parse(sample, sign, {})[:-1])
        fit[sign] = (round(share, 1), width, share) if width > 1 else (0.0, 0, 0.0)
    best = max(fit, key=fit.get)
    if fit[best][0] >= 0.9:
        return best
    usual, rows = max(USUAL, key=sample.count), sample.splitlines()
    held = sum(usual in row for row in rows)
    return usual if held > len(rows) / 3 else NO_SEPARATOR


def _parse(text: str, separator: str, way: dict) -> Rows:
    """Rows under one rule of quotation; none if a cell becomes too long."""
    file = io.StringIO(text, newline="")
    try:
        return list(csv.reader(file, delimiter=separator, **way))
    except (csv.Error, ValueError):  # Python 3.13: the separator is a mark, too
        return []


def _shape(rows: Rows) -> tuple[int, float]:
    """The usual number of cells in a row, and the share of the rows that have it."""
    widths = Counter(len(row) for row in rows if any(row))
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    return width, count / max(1, widths.total())
