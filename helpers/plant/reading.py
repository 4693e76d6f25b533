"""Any export, known by its content and not by its name: CSV, Excel or Parquet."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from helpers.errors import DataError
from helpers.plant.sheets import OLD_OFFICE, SAVE, sheet_rows
from helpers.plant.table import Rows, make_table

MOST = 200_000_000  # bytes of a file
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
OTHERS = {  # how files begin that hold no table we read
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "packed (gzip)",
    b"7z\xbc\xaf": "packed (7-Zip)",
    b"SQLite format 3": "a database",
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
        The table, every cell a text ("" where empty; dates as 2024-03-31), and what
        was decided, as sentences.

    Raises:
        DataError: no such file, too large, of another kind, damaged, or without rows.

    """
    path, names = Path(path), [name for name in wanted if name]
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
    try:
        text, said = data.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        text = data.decode("utf-8-sig", "replace")
        broken = text.count("\ufffd")
        said = f"UTF-8, {broken} damaged characters shown as \ufffd"
        if broken > sum(not letter.isascii() for letter in text) / 10:
            text, said = _guess(data)
    if text.count("\0") > len(text) / 100:
        text, said = _guess(data)
    if len(re.findall(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", text)) > len(text) / 100:
        raise DataError(f"it is no text: it begins {data[:12]!r}. {SAVE}")
    nul = f", {text.count(chr(0))} NUL characters dropped" if "\0" in text else ""
    return text.replace("\0", ""), said + nul


def _guess(data: bytes) -> tuple[str, str]:
    """A text whose encoding nothing tells, and a word of it to check that by."""
    import chardet

    odd = b"\n".join(line for line in data.splitlines() if not line.isascii())
    odd = data if b"\0" in data or not odd else odd
    found = {}  # a word under each encoding that fits: of today, then of any time
    for era in (chardet.EncodingEra.MODERN_WEB, chardet.EncodingEra.ALL):
        codec = chardet.detect(odd, encoding_era=era)["encoding"] or "latin-1"
        with suppress(UnicodeDecodeError, LookupError):
            word = re.search(r"\w*[^\x00-\x7f]\w*|$", data.decode(codec))[0]
            found.setdefault(word, codec)
    if not found:
        raise DataError(f"no encoding fits; it begins {data[:12]!r}. {SAVE}")
    (word, codec), *others = found.items()
    said = codec.upper() + (f" (a guess: is {word!r} spelt right?" if word else "")
    for other, name in others:
        said += f" {name} would give {other!r}; if so, save it as UTF-8"
    return data.decode(codec), said + (")" if word else "")


def _csv_rows(text: str) -> tuple[Rows, str]:
    """All rows of a text, and how it is separated."""
    told = re.match(r"sep=(.)\r?\n", text)  # Excel's own way of saying it
    text = text[told.end() :] if told else text
    separator, mark = (told[1], '"') if told else _sniff(text[:20_000])
    ways = [{}, {"quotechar": mark}, {"escapechar": "\\"}, {"quoting": csv.QUOTE_NONE}]
    best: Rows = []
    for way in ways:  # a later one only if it is more regular
        rows = _parse(text, separator, way)
        if _regularity(rows) > _regularity(best):
            best, used = rows, way
    if not best:
        most = csv.field_size_limit()
        raise DataError(
            f"it is empty, or a cell has more than {most:,} characters: is a quotation "
            "mark not closed? Export it again."
        )
    if separator != "\x1f" and max(map(len, best)) == 1:  # each row quoted as a whole
        best = _parse("\n".join(row[0] for row in best if row), separator, {})
    if "quoting" in used:
        best = [[cell.strip().strip('"') for cell in row] for row in best]
    named = SEPARATORS.get(separator, "nothing: one column")
    letters = ", quotation marks read as letters" if "quoting" in used else ""
    return best, f"separated by {named}{letters}"


def _sniff(sample: str) -> tuple[str, str]:
    """Separator and quotation mark."""
    fit = {sign: _regularity(_parse(sample, sign, {})[:-1], 2) for sign in SEPARATORS}
    best, first = max(fit, key=fit.get), sample.split("\n", 1)[0]
    try:
        found = csv.Sniffer().sniff(sample, "".join(SEPARATORS))
        fits = fit[found.delimiter] > fit[best] - 0.1
        if fits and (found.delimiter in first or best not in first):
            return found.delimiter, found.quotechar
    except csv.Error:
        pass
    return (best if fit[best] > 0.9 or best in first else "\x1f"), '"'


def _parse(text: str, separator: str, way: dict) -> Rows:
    """Rows under one rule of quotation; none if a cell becomes too long."""
    try:
        return list(
            csv.reader(io.StringIO(text, newline=""), delimiter=separator, **way)
        )
    except csv.Error:
        return []


def _regularity(rows: Rows, least: int = 1) -> float:
    """Share of the rows that have the usual number of cells; 0 if that is too small."""
    widths = Counter(len(row) for row in rows if any(row))
    usual, count = widths.most_common(1)[0] if widths else (0, 0)
    return count / widths.total() if usual >= least else 0.0
