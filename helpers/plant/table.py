"""Rows of cells into a table: titles, header, totals and broken rows."""

import re
from collections import Counter
from collections.abc import Iterable

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
VALUE = re.compile(r"[-+]?\d[\d.,:/\s-]*")  # a number or a date: no name of a column
Rows = list[list[str]]


def make_table(
    name: str, rows: Rows, wanted: list[str], ragged: bool = True
) -> tuple[pd.DataFrame, list[str]]:
    """A table with named columns out of all rows of a file.

    Args:
        name: of the file, for messages.
        rows: every row, blank ones too, so that they count as in the file.
        wanted: names of columns that must be there, if any are known.
        ragged: a row of another width is damaged (CSV); in a sheet it is not.

    Returns:
        Cells as text, and what was decided, as sentences.

    Raises:
        DataError: no rows below a header, or too many rows are damaged.

    """
    rows = [[cell.strip() for cell in row] for row in rows]
    if not any(map(any, rows)):
        raise DataError(f"{name} has no filled cell. Export it anew.")
    head, said = _find_header(rows, {_key(want) for want in wanted})
    body = [(n, row) for n, row in enumerate(rows[head + 1 :], head + 2) if any(row)]
    header = rows[head] + [""] * (
        _usual_width(row for _, row in body) - len(rows[head])
    )
    body, dropped = _without_totals(body, header)
    sound, broken = _sound_rows(name, body, len(header), ragged)
    if not sound:
        raise DataError(
            f"{name} has no rows below its header {rows[head][:6]}. Export it anew."
        )
    names, renamed = _names(header)
    table = pd.DataFrame(sound, columns=names, dtype=str)
    unnamed = [new for new, old in zip(names, header, strict=True) if not old]
    table = table.drop(columns=[new for new in unnamed if not table[new].any()])
    return table, said + dropped + broken + renamed


def _usual_width(rows: Iterable[list[str]]) -> int:
    widths = Counter(map(len, rows)).most_common(1)
    return widths[0][0] if widths else 0


def _find_header(rows: Rows, wanted: set[str]) -> tuple[int, list[str]]:
    """Number of the header's row, from 0; a made one is inserted if there is none."""
    top, width = rows[:LOOK], _usual_width(row for row in rows[:LOOK] if any(row))
    filled = [min(sum(map(bool, row)), width) for row in top]
    full = [n for n, count in enumerate(filled) if count >= 0.8 * max(filled)]
    named = [n for n, row in enumerate(top) if wanted and wanted <= set(map(_key, row))]
    head = (named or full)[0]
    titles = [" ".join(filter(None, row)) for row in rows[:head] if any(row)]
    said = [f"Skipped above the header: {titles[0][:50]!r}."] if titles else []
    if not named and _is_data(rows[head], rows[head + 1 : 2000]):
        rows.insert(head, [f"column {place + 1}" for place in range(width)])
        said.append("No header found: columns are called column 1, column 2 and so on.")
    return head, said


def _is_data(row: list[str], body: Rows) -> bool:
    """Whether a row is no header: it holds a number, or a value that comes again."""
    body = [other for other in body if other != row]
    return any(
        VALUE.fullmatch(cell)
        or sum(len(other) > place and other[place] == cell for other in body) > 1
        for place, cell in enumerate(row)
        if cell
    )


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
    said = (
        [f"{_rows(len(totals))} of totals dropped: {totals[-1]!r}."] if totals else []
    )
    said += [f"{_rows(again)} that repeat the header dropped."] if again else []
    return kept[::-1], said


def _sound_rows(
    name: str, body: list, width: int, ragged: bool
) -> tuple[Rows, list[str]]:
    """Rows as wide as the header; of a CSV, the others are left out and said."""
    long = [(n, row) for n, row in body if any(row[width:])] if ragged else []
    short = [(n, row) for n, row in body if len(row) < width] if ragged else []
    said = []
    if len(short) > RULE * len(body):
        said, short = (
            [f"{_rows(len(short))} end early; the cells missing are empty."],
            [],
        )
    broken = sorted(long + short)
    if broken:
        first, cells = broken[0]
        text = (
            f"{_rows(len(broken))} of {len(body):,} have more or fewer cells than the "
        )
        text += f"header, the first in row {first}: {' | '.join(cells)[:60]!r}. "
        text += "Separators and line breaks inside texts need quotation marks around."
        if len(broken) > RULE * len(body):
            raise DataError(f"{name}: {text} Export it so, or as .xlsx.")
        said.append(f"Left out: {text}")
    bad = {number for number, _ in broken}
    sound = [row[:width] + [""] * (width - len(row)) for n, row in body if n not in bad]
    return sound, said


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


def _key(name: str) -> str:
    return " ".join(name.replace("\ufeff", "").replace("_", " ").split()).casefold()


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)
