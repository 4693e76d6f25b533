"""Rows of cells into a table: titles, header, totals and broken rows."""

import re
from collections import Counter

import pandas as pd

from helpers.errors import DataError

LOOK = 30  # rows at the top among which the header is
SHORT = 0.2  # more rows of another width than this share: not damage, but the rule
TOTAL = re.compile(
    r"\W*(?:(?:grand |sub)?totals?|sum|summe|(?:end|zwischen)summe|insgesamt|gesamt"
    r"|somme|suma|totale?|合计|总计|小计|合計|小計)\b[\W\d]*"
    r"|\(?\d+ (?:rows?|zeilen|lignes|filas)\b.*",
    re.I,
)
VALUE = re.compile(r"[-+]?\d[\d.,:/\s-]*")  # a number or a date, no name of a column
Rows = list[list[str]]


def make_table(
    name: str, rows: Rows, wanted: list[str], ragged: bool = True
) -> tuple[pd.DataFrame, list[str]]:
    """A table with named columns out of all rows of a file.

    Args:
        name: of the file, for messages.
        rows: every row, blank ones too, so that their numbers are those of the file.
        wanted: names of columns that must be there, if any are known.
        ragged: a row of another width is damaged (CSV); in a sheet it is not.

    Returns:
        Cells as text, and what was decided, as sentences.

    Raises:
        DataError: no rows below a header, or too many rows are damaged.

    """
    rows = [[" ".join(cell.split("\0")).strip() for cell in row] for row in rows]
    head, said = _find_header(rows, wanted)
    body = [(n, row) for n, row in enumerate(rows[head + 1 :], head + 2) if any(row)]
    if not body:
        raise DataError(
            f"{name} has no rows below its header {rows[head][:6]}. Export it with rows."
        )
    width = max(len(rows[head]), _usual_width(row for _, row in body))
    header = rows[head] + [""] * (width - len(rows[head]))
    kept, more = _sound_rows(name, body, header, ragged)
    names, renamed = _names(header)
    table = pd.DataFrame(kept, columns=names, dtype=str)
    empty = [
        n
        for n, old in zip(names, header, strict=True)
        if not old and not table[n].any()
    ]
    return table.drop(columns=empty), said + more + renamed


def _usual_width(rows) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _find_header(rows: Rows, wanted: list[str]) -> tuple[int, list[str]]:
    """Number of the header's row, from 0; -1 after a row of made names was put first."""
    top = [row for row in rows[: 10 * LOOK]]
    filled = [sum(map(bool, row)) for row in top]
    names = {_key(name) for name in wanted}
    by_name = [n for n, row in enumerate(top) if names and names <= set(map(_key, row))]
    usual = max(filled)
    full = [n for n, count in enumerate(filled) if count >= 0.8 * usual]
    head = by_name[0] if by_name else full[0]
    said = []
    above = [n for n in range(head) if filled[n]]
    if above:
        title = " ".join(filter(None, top[above[0]]))
        said = [f"{_rows(len(above))} above the header skipped: {title[:50]!r}."]
    if not by_name and _is_data(rows, head):
        rows.insert(head, [f"column {n + 1}" for n in range(len(rows[head]))])
        said.append(
            "No header found: the first row looks like an order, so the columns are "
            "called column 1, column 2 and so on."
        )
    return head, said


def _is_data(rows: Rows, head: int) -> bool:
    """Whether a row is no header: it holds a number, or a value that comes again."""
    body = [row for row in rows[head + 1 : head + 2001] if row != rows[head]]
    for place, cell in enumerate(rows[head]):
        if VALUE.fullmatch(cell):
            return True
        again = sum(len(row) > place and row[place] == cell for row in body)
        if cell and again > 1:
            return True
    return False


def _sound_rows(
    name: str, body: list[tuple[int, list[str]]], header: list[str], ragged: bool
) -> tuple[Rows, list[str]]:
    """The rows that are orders, padded, and what was left out."""
    width = len(header)
    totals = _totals(body, width)
    again = [n for n, row in body if row + [""] * (width - len(row)) == header]
    left = [(n, row) for n, row in body if n not in totals and n not in set(again)]
    long = [(n, row) for n, row in left if any(row[width:])]
    short = [(n, row) for n, row in left if len(row) < width]
    said = []
    if totals:
        said.append(f"{_rows(len(totals))} of totals dropped: {totals[min(totals)]!r}.")
    if again:
        said.append(f"{_rows(len(again))} that repeat the header dropped.")
    if ragged and len(long) > SHORT * len(left):
        raise DataError(
            f"{len(long):,} of {len(left):,} rows of {name} have more cells than the "
            f"header has names ({width}), first row {long[0][0]}: {long[0][1][:6]}. "
            "Texts may hold the separator: export with quotation marks, or as .xlsx."
        )
    broken = long + short if ragged and len(short) <= SHORT * len(left) else long
    if ragged and broken:
        first = min(broken)
        said.append(
            f"{_rows(len(broken))} left out that have more or fewer cells than the "
            f"header, first row {first[0]}: {' | '.join(first[1])[:60]!r}. Separators "
            "or line breaks inside texts need quotation marks around them."
        )
    elif ragged and short:
        said.append(f"{_rows(len(short))} end early; their last cells are empty.")
    gone = {n for n, _ in broken} if ragged else set()
    kept = [row[:width] + [""] * (width - len(row)) for n, row in left if n not in gone]
    if not kept:
        raise DataError(f"{name} has no order below its header. Export it with rows.")
    return kept, said


def _totals(body: list[tuple[int, list[str]]], width: int) -> dict[int, str]:
    """Rows of totals by number: at the end, or elsewhere if mostly empty."""
    found, at_end = {}, True
    for number, row in reversed(body):
        cells = [cell for cell in row if cell]
        total = bool(TOTAL.fullmatch(cells[0]))
        if total and (at_end or len(cells) <= width / 2):
            found[number] = " ".join(cells)[:40]
        at_end = at_end and total
    return found


def _names(header: list[str]) -> tuple[list[str], list[str]]:
    """A name for each column, none twice, without blanks around and line breaks."""
    names, said, seen = [], [], Counter()
    for place, cell in enumerate(header, start=1):
        name = " ".join(cell.replace("\ufeff", "").split()) or f"column {place}"
        seen[name] += 1
        if seen[name] > 1:
            said.append(f"A second column {name!r} is called '{name} ({seen[name]})'.")
            name = f"{name} ({seen[name]})"
        names.append(name)
    return names, said[:3]


def _key(name: str) -> str:
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)
