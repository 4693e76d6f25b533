"""Rows of cells into a table: titles, header, totals and broken rows."""

import re
from collections import Counter

import pandas as pd

from helpers.errors import DataError

LOOK = 300  # rows at the top among which the header is
RULE = 0.2  # of the rows: what more rows than this have in common is no damage
TOTAL = re.compile(
    r"\W*(?:(?:grand |sub)?totals?|sum|(?:end|zwischen)?summe|insgesamt|gesamt|somme"
    r"|suma|totale?|合计|总计|小计|合計|小計)(?!\w)[\W\d]*"
    r"|\(?\d+ (?:rows?|zeilen|lignes|filas)\b.*",
    re.I,
)
# A number or a date is no name of a column; a year may be one.
VALUE = re.compile(r"(?!(?:19|20)\d\d$)[-+]?\d[\d.,:/\s-]*")
Rows = list[list[str]]


def make_table(
    rows: Rows, wanted: list[str], ragged: bool
) -> tuple[pd.DataFrame, list[str]]:
    """A table with named columns out of all rows of a file, blank ones too.

    Args:
        rows: as in the file, so that their numbers are the file's.
        wanted: names of columns that must be there, if any are known.
        ragged: a row of another width is damaged (CSV); in a sheet it is not.

    Returns:
        Cells as text, and what was decided, as sentences.

    Raises:
        DataError: no rows below a header, or too many rows are damaged.

    """
    rows = [[cell.strip() for cell in row] for row in rows]
    if not any(map(any, rows)):
        raise DataError("no cell is filled. Export it anew.")
    head, said = _find_header(rows, {plain_name(name) for name in wanted})
    width = len(rows[head]) if ragged else max(map(len, rows))
    names, renamed = _names(rows[head] + [""] * (width - len(rows[head])))
    below = enumerate(rows[head + 1 :], head + 2)
    body = [(n, row) for n, row in below if any(cell.strip("-=:") for cell in row)]
    body, dropped = _without_totals(body, rows[head])
    body, broken = _sound_rows(body, width) if ragged else (body, [])
    if not body:
        raise DataError(f"no rows stand below the header {names[:6]}. Export it anew.")
    padded = [row[:width] + [""] * (width - len(row)) for _, row in body]
    table = pd.DataFrame(padded, columns=names, dtype=str)
    unnamed = [name for name in names if name.startswith("column ")]
    table = table.drop(columns=[name for name in unnamed if not table[name].any()])
    return table, said + dropped + broken + renamed


def plain_name(name: str) -> str:
    """A column's name without what does not matter: capitals, blanks, _ and marks."""
    return " ".join(name.replace("\ufeff", "").replace("_", " ").split()).casefold()


def _find_header(rows: Rows, wanted: set[str]) -> tuple[int, list[str]]:
    """Number of the header's row, from 0; a made one is inserted if there is none."""
    top = rows[:LOOK]
    width = Counter(len(row) for row in top if any(row)).most_common(1)[0][0]
    filled = [min(sum(map(bool, row)), width) for row in top]
    full = [n for n, count in enumerate(filled) if count >= 0.7 * max(filled)]
    sets = [{plain_name(cell) for cell in row} for row in top]
    named = [n for n, names in enumerate(sets) if wanted and wanted <= names]
    head = (named or full)[0]
    titles = [" ".join(filter(None, row)) for row in rows[:head] if any(row)]
    said = [f"Skipped above the header: {titles[0][:50]!r}."] if titles else []
    body = [row for row in rows[head + 1 : 2000] if row != rows[head]]
    data = any(
        VALUE.fullmatch(cell)
        or sum(row[place : place + 1] == [cell] for row in body) > 1
        for place, cell in enumerate(rows[head])
        if cell
    )
    if data and not named:
        rows.insert(head, [f"column {place + 1}" for place in range(width)])
        said.append("No header found: columns are called column 1, column 2 and so on.")
    return head, said


def _names(header: list[str]) -> tuple[list[str], list[str]]:
    """A name for each column, none twice, without line breaks."""
    names, said = [], []
    for place, cell in enumerate(header, start=1):
        name = " ".join(cell.replace("\ufeff", "").split()) or f"column {place}"
        if name in names:
            said.append(f"A second column {name!r} is called '{name} ({place})'.")
            name = f"{name} ({place})"
        names.append(name)
    return names, said[:3]


def _without_totals(body: list, header: list[str]) -> tuple[list, list[str]]:
    """Drop repeated headers and totals: at the end, elsewhere if mostly empty."""
    kept, totals, again, at_end = [], [], 0, True
    for number, row in reversed(body):
        cells = [cell for cell in row if cell]
        total = bool(TOTAL.fullmatch(cells[0]))
        at_end = at_end and total
        if at_end or (total and len(cells) <= len(header) / 2):
            totals.append(" ".join(cells)[:40])
        elif cells == [name for name in header if name]:
            again += 1
        else:
            kept.append((number, row))
    said = [f"Rows of totals, dropped: {len(totals)} {totals[-1:]}."] * bool(totals)
    said += [f"Rows that repeat the header, dropped: {again}."] * bool(again)
    return kept[::-1], said


def _sound_rows(body: list, width: int) -> tuple[list, list[str]]:
    """Rows as wide as the header; others are left out and said, or it stops.

    Many rows that end early are no damage, unless two of them make up one.
    """
    wide = [pair for pair in body if any(pair[1][width:])]
    short = [pair for pair in body if len(pair[1]) < width]
    sizes = [len(row) for _, row in body]
    torn = sum(a + b == width + 1 for a, b in zip(sizes, sizes[1:], strict=False))
    said = []
    if len(short) > RULE * len(body) and torn < len(short) / 10:
        said.append(f"Rows that end early, filled up: {len(short):,}.")
        short = []
    broken = sorted(wide + short)
    if broken:
        text = (
            f"Rows with more or fewer cells than the header: {len(broken):,} of "
            f"{len(body):,}, the first is row {broken[0][0]}: "
            f"{' | '.join(broken[0][1])[:60]!r}. "
            "Separators and line breaks inside texts need quotation marks around"
        )
        if len(broken) > RULE * len(body):
            raise DataError(f"{text}: export it so, or as .xlsx.")
        said.append(f"{text}; these rows were left out.")
    bad = {number for number, _ in broken}
    return [pair for pair in body if pair[0] not in bad], said
