"""Rows of cells into a table: titles, header, totals and broken rows."""

import re
from collections import Counter
from itertools import pairwise

import pandas as pd

from helpers.errors import DataError
from helpers.plant.words import mask_personal

LOOK = 300  # rows at the top among which the header is
RULE = 0.2  # of the rows: what more rows than this have in common is no damage
TOTAL = re.compile(
    r"\W*(?:(?:grand |sub)?totals?|sum|(?:end|zwischen)?summe|insgesamt|gesamt|somme"
    r"|suma|totale?|合计|总计|小计|合計|小計)(?!\w)[\W\d]*"
    r"|\(?\d+ (?:rows?|zeilen|lignes|filas)\b.*",
    re.I,
)
# A header holds no number and no date; a year may be the name of a column.
VALUE = re.compile(r"(?!(?:19|20)\d\d$)[-+]?\d[\d.,:/\s-]*")
Rows = list[list[str]]


def make_table(
    rows: Rows, wanted: list[str], ragged: bool
) -> tuple[pd.DataFrame, list[str]]:
    """A table with named columns out of all rows of a file, and what was decided.

    The wanted names are in the header, if any are known. A row of another width is
    damaged where rows may be ragged (CSV); in a sheet it is not.
    """
    rows = [[cell.strip() for cell in row] for row in rows]
    if not any(map(any, rows)):
        raise DataError("no cell is filled. Export it anew.")
    head, said = _find_header(rows, {plain_name(name) for name in wanted})
    width = len(rows[head]) if ragged else max(map(len, rows))
    names, renamed = _names(rows[head] + [""] * (width - len(rows[head])))
    body = [row for row in rows[head + 1 :] if any(row)]
    body, dropped = _without_totals(body, rows[head])
    body, broken = _sound_rows(body, width) if ragged else (body, [])
    if not body:
        raise DataError(f"no rows stand below the header {names[:6]}. Export it anew.")
    padded = [row[:width] + [""] * (width - len(row)) for row in body]
    table = pd.DataFrame(padded, columns=names, dtype=str)
    used = [n for n in names if not n.startswith("column ") or table[n].any()]
    return table[used], said + dropped + broken + renamed


def plain_name(name: str) -> str:
    """A column's name without what does not matter: capitals, blanks, _ and marks."""
    return " ".join(name.replace("\ufeff", "").replace("_", " ").split()).casefold()


def is_none(name: str) -> bool:
    """A reader's word for: there is no such column, do not guess."""
    return plain_name(name) == "none"


def _find_header(rows: Rows, wanted: set[str]) -> tuple[int, list[str]]:
    """Number of the header's row, from 0; a made one is inserted if there is none.

    It is the first row with the wanted names, or else the first that is nearly full.
    """
    top = rows[:LOOK]
    width = Counter(len(row) for row in top if any(row)).most_common(1)[0][0]
    filled = [min(sum(map(bool, row)), width) for row in top]
    head = next(n for n, count in enumerate(filled) if count >= 0.7 * max(filled))
    keys = ({plain_name(cell) for cell in row} for row in top)
    named = [n for n, names in enumerate(keys) if wanted and wanted <= names]
    head = named[0] if named else head
    titles = [" ".join(filter(None, row)) for row in rows[:head] if any(row)]
    said = [f"Skipped above the header: {titles[0][:50]!r}."] if titles else []
    if not named and any(VALUE.fullmatch(cell) for cell in rows[head]):
        rows.insert(head, [f"column {place + 1}" for place in range(width)])
        said.append("No header found: columns are called column 1, column 2 and so on.")
    return head, said


def _names(header: list[str]) -> tuple[list[str], list[str]]:
    """A name for each column, none twice, without line breaks."""
    names, said = [], []
    for place, cell in enumerate(header, start=1):
        first = " ".join(cell.replace("\ufeff", "").split()) or f"column {place}"
        name = first
        while name in names:
            name += f" ({place})"
        if name != first:
            said.append(f"A second column {first!r} is called {name!r}.")
        names.append(name)
    return names, said[:3]


def _without_totals(body: Rows, header: list[str]) -> tuple[Rows, list[str]]:
    """Drop repeated headers and totals: at the end, elsewhere if mostly empty."""
    kept, totals, again, at_end = [], [], 0, True
    for row in reversed(body):
        cells = [cell for cell in row if cell]
        is_total = TOTAL.fullmatch(cells[0])
        at_end = at_end and is_total
        if is_total and (at_end or len(cells) <= len(header) / 2):
            totals.append(" ".join(cells)[:40])
        elif row == header:
            again += 1
        else:
            kept.append(row)
    said = []
    if totals:
        said.append(f"Rows of totals, dropped: {len(totals)}, such as {totals[-1]!r}.")
    if again:
        said.append(f"Rows that repeat the header, dropped: {again}.")
    return kept[::-1], said


def _sound_rows(body: Rows, width: int) -> tuple[Rows, list[str]]:
    """Rows as wide as the header; others are left out and said, or it stops.

    Many rows that end early are no damage, unless two of them make up one.
    """
    sizes = [len(row) for row in body]
    short = sum(size < width for size in sizes)
    torn = sum(one + two == width + 1 for one, two in pairwise(sizes))
    fill = short > RULE * len(body) and torn < short / 10
    said = [f"Rows that end early, filled up: {short:,}."] if fill else []
    sound, broken = [], []
    for row in body:
        fits = not any(row[width:]) and (fill or len(row) >= width)
        (sound if fits else broken).append(row)
    if broken:
        shown, _ = mask_personal(" | ".join(broken[0]))
        text = (
            f"Rows with more or fewer cells than the header: {len(broken):,} of "
            f"{len(body):,}, such as {shown[:60]!r}. "
            "Separators and line breaks inside texts need quotation marks around"
        )
        if len(broken) > RULE * len(body):
            raise DataError(f"{text}: export it so, or as .xlsx.")
        said.append(f"{text}; these rows were left out.")
    return sound, said
