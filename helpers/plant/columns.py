"""Which column is what: named by the reader, or guessed and said."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from helpers.errors import DataError
from helpers.plant.advice import MANY
from helpers.plant.dates import looks_like_dates
from helpers.plant.table import is_none, plain_name
from helpers.plant.words import SPACELESS, tokens

KINDS = {  # how such columns are called: English, German, French, Spanish, Chinese
    "date": "date|datum|fecha|created|angelegt|erstellt|日期|时间",
    "text": "text|descri|beschr|bezeichn|libell|d[eé]sig|problem|描述|内容|文本|故障",
    "machine": r"asset|machine|equip|anlage|maschine|techn.*platz|func.*loc|máquina"
    "|设备|机器",
    "label": r"label|crew|work.?cent|arbeitsplatz|gewerk|team|équipe|gr[ou]u?p|trade"
    "|categ|catég|kateg|class|klasse|departm|abteilung|班组|类别|部门",
}


class Settings(NamedTuple):
    """What the reader said; None where nothing."""

    csv: Path | None
    text: str | None
    label: str | None
    date: str | None
    machine: str | None


class Columns(NamedTuple):
    """Names of columns of the table; None where there is no such column."""

    text: str
    label: str | None
    date: str | None
    machine: str | None


def settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """PLANT_CSV, PLANT_TEXT_COLUMN, _LABEL_, _DATE_ and _MACHINE_COLUMN, as set."""
    names = [f"PLANT_{kind}_COLUMN" for kind in ("TEXT", "LABEL", "DATE", "MACHINE")]
    path = environ.get("PLANT_CSV", "").strip(" \"'")  # as a file manager copies it
    columns = [environ.get(name, "").strip() or None for name in names]
    return Settings(Path(path).expanduser() if path else None, *columns)


def choose_columns(table: pd.DataFrame, said: Settings) -> tuple[Columns, list[str]]:
    """The columns to use, and how each was found, as sentences.

    A named column is checked, another one is guessed from its name and its cells. A
    label is guessed only if a column is called like one: a wrong one would mislead.

    Raises:
        DataError: a named column is not there, one is named twice, or none holds words.

    """
    found = {kind: _named(table, kind, getattr(said, kind)) for kind in KINDS}
    named = [name for name in found.values() if name]
    if twice := {name for name in named if named.count(name) > 1}:
        raise DataError(
            f"Column {min(twice)!r} is named for two purposes. Name another for one."
        )
    sample = table.iloc[:: max(1, len(table) // 1000)]
    cells = {name: list(filter(None, sample[name])) for name in table}
    sentences = []
    for kind, name in found.items():
        if name:
            sentences.append(f"The {kind} column is {name!r}, as named.")
            continue
        free = {n: cells[n] for n in cells if n not in found.values()}
        fit = _candidates(free, kind, len(sample)) if name is None else []
        if not fit:
            sentences.append(f"No {kind} column was found.")
            continue
        found[kind], *others = fit
        also = f" Others that fit: {_listed(others)}." if others else ""
        sentences.append(f"The {kind} column is {fit[0]!r}, guessed.{also}")
    if not found["text"]:
        raise DataError(
            f"No column holds texts of several words: {_listed(table.columns)}. Export "
            "the description too, or set PLANT_TEXT_COLUMN to its name."
        )
    if len(cells) == 1 and sum(_called(found["text"], kind) for kind in KINDS) > 2:
        raise DataError(
            f"{found['text']!r} is one column. Export with commas, semicolons or tabs "
            "between the columns, or as .xlsx."
        )
    return Columns(**{kind: name or None for kind, name in found.items()}), sentences


def _named(table: pd.DataFrame, kind: str, name: str | None) -> str | None:
    """The column with this name; "" if there is to be none, None if it is not said.

    Capitals, blanks and _ do not matter.
    """
    if name is None or name in table:
        return name
    keys = {plain_name(column): column for column in reversed(table.columns)}
    key = plain_name(name)
    if key in keys or is_none(name):
        return keys.get(key, "")
    near = difflib.get_close_matches(key, list(keys), n=1)
    hint = f"Did you mean {keys[near[0]]!r}? " if near else ""
    raise DataError(
        f"There is no column {name!r}. {hint}The columns are {_listed(table.columns)}. "
        f"Set PLANT_{kind.upper()}_COLUMN to one of them."
    )


def _called(name: str, kind: str) -> bool:
    """Whether a column has a name that is usual for this kind."""
    return bool(re.search(KINDS[kind], name, re.I))


def _candidates(cells: dict[str, list[str]], kind: str, rows: int) -> list[str]:
    """Columns that may be of this kind, the likeliest first, by their filled cells."""
    usual = [name for name in cells if _called(name, kind)]
    if kind == "date":
        rest = [name for name in cells if name not in usual]
        return [n for n in usual + rest if looks_like_dates(cells[n], n in usual)]
    if kind == "text":
        scores = {n: _wordiness(cells[n], rows) * (1 + (n in usual)) for n in cells}
        least = max(0.5, max(scores.values(), default=0) / 2)
        fit = [name for name in cells if scores[name] >= least]
        return sorted(fit, key=scores.get, reverse=True)
    most = min(MANY if kind == "label" else rows, rows / 4)
    return [name for name in usual if 2 <= len(set(cells[name])) <= most]


def _wordiness(cells: list[str], rows: int) -> float:
    """Mean words of a row, at most 12, times the root of the share that differs."""
    words = [word for cell in cells for word in tokens(cell[:300]) if word.isalpha()]
    long = sum(len(word) > 2 or bool(SPACELESS.match(word)) for word in words)
    return min(long / rows, 12) * (len(set(cells)) / max(1, len(cells))) ** 0.5


def _listed(names) -> str:
    shown = ", ".join(f"{name:.40}" for name in list(names)[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
