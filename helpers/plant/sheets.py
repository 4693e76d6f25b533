"""Rows out of files that need a library: Excel (.xlsx, .xls) and Parquet."""

import io

import pyarrow.parquet as pq
import python_calamine as calamine

from helpers.errors import DataError
from helpers.plant.table import Rows, plain_name

OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # .xls, or .xlsx with a password
SAVE = "Open it with the program that made it and save it as .xlsx or CSV (UTF-8)."


def sheet_rows(data: bytes, wanted: list[str]) -> tuple[Rows, str]:
    """Rows of a Parquet file or of one sheet of an Excel file, as texts.

    Of several sheets, the one with most of the wanted names, then with most cells.
    """
    try:
        if data.startswith(b"PAR1"):
            table = pq.read_table(io.BytesIO(data)).to_pandas(ignore_metadata=True)
            table = table.astype(object).where(table.notna(), "")
            return _texts([list(table.columns), *table.to_numpy().tolist()]), "Parquet"
        book = calamine.load_workbook(io.BytesIO(data))
        sheets = {
            sheet.name: _texts(book.get_sheet_by_name(sheet.name).to_python(False))
            for sheet in book.sheets_metadata
            if sheet.typ == calamine.SheetTypeEnum.WorkSheet
        } or {"": []}
    except Exception as error:  # whatever a damaged file makes a library raise
        what = f"{type(error).__name__}, {error!s:.99}"
        if data.startswith(OLD_OFFICE):
            what = "an old Office file but no table, or protected by a password"
        raise DataError(f"no table can be read from it ({what}). {SAVE}") from None
    names = {plain_name(name) for name in wanted}
    worth = {}
    for name, rows in sheets.items():
        top = {plain_name(cell) for row in rows[:300] for cell in row}
        worth[name] = len(names & top), sum(cell != "" for row in rows for cell in row)
    best, *others = sorted(sheets, key=worth.get, reverse=True)
    not_read = f"; not read: {', '.join(map(repr, others[:5]))}" if others else ""
    return sheets[best], f"Excel, sheet {best!r}{not_read}"


def _texts(rows: list[list]) -> Rows:
    """Cells as in a CSV."""
    return [[_text(cell) for cell in row] for row in rows]


def _text(cell: object) -> str:
    """12 for 12.0, as people see it; other cells as they are."""
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell) if whole else cell)
