"""Which column is what: named by the reader, or guessed and said."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from helpers.errors import DataError
from helpers.plant.dates import looks_like_dates
from helpers.plant.words import tokens

MOST_LABELS = 50  # of a column that is proposed for the labels
HINTS = {  # how such columns are called: English, German, French, Spanish, Chinese
    "text": "text|descri|beschr|bezeichn|libell|desig|désig|problem|fault|titel|title"
    "|描述|内容|文本|故障",
    "label": r"label|crew|work.?cent|arbeitsplatz|gewerk|team|équipe|group|grupp|trade"
    "|kategorie|categ|catég|class|klasse|departm|abteilung|cuadrilla|班组|类别|部门|标签",
    "date": r"date|datum|dato|fecha|created|angelegt|erstellt|日期|时间",
    "machine": r"asset|machine|equip|anlage|maschine|techn.*platz|func.*loc|aggregat"
    "|máquina|设备|机器|机台",
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
    values = [environ.get(name, "").strip() or None for name in ["PLANT_CSV", *names]]
    path = values[0].strip("\"'") if values[0] else ""  # as copied from a file manager
    return Settings(Path(path).expanduser() if path else None, *values[1:])


def choose_columns(table: pd.DataFrame, said: Settings) -> tuple[Columns, list[str]]:
    """The columns to use, and how each was found, as sentences.

    A named column is checked, one that is not named is guessed from names and values.
    A label is guessed only if a column is called like one: a wrong one would mislead.

    Raises:
        DataError: a named column is not there, one is named twice, or no column holds
            words.

    """
    found = {kind: _named(table, kind, getattr(said, kind)) for kind in HINTS}
    taken = [name for name in found.values() if name]
    twice = {name for name in taken if taken.count(name) > 1}
    if twice:
        raise DataError(
            f"Column {twice.pop()!r} is named for two purposes. Name another for one."
        )
    sample = table.iloc[:: max(1, len(table) // 1000)]
    sentences = []
    for kind, guess in {
        "date": _date,
        "text": _text,
        "machine": _group,
        "label": _group,
    }.items():
        if found[kind]:
            sentences.append(f"The {kind} column is {found[kind]!r}, as named.")
            continue
        free = sample.drop(columns=[name for name in found.values() if name])
        found[kind], sentence = guess(free, kind)
        sentences.append(sentence)
    return Columns(**{kind: found[kind] for kind in HINTS}), sentences


def _named(table: pd.DataFrame, kind: str, name: str | None) -> str | None:
    """The column with this name; letters' case and blanks do not matter."""
    if name is None:
        return None
    keys = {_key(column): column for column in reversed(table.columns)}
    if name in table.columns or _key(name) in keys:
        return name if name in table.columns else keys[_key(name)]
    near = difflib.get_close_matches(_key(name), list(keys), n=1, cutoff=0.6)
    hint = f"Did you mean {keys[near[0]]!r}? " if near else ""
    raise DataError(
        f"There is no column {name!r} for the {kind}. {hint}The columns are "
        f"{_listed(table.columns)}. Set PLANT_{kind.upper()}_COLUMN to one of them."
    )


def _text(table: pd.DataFrame, kind: str) -> tuple[str, str]:
    """The column with most words that differ from row to row."""
    scores = {name: _wordiness(table[name]) for name in table.columns}
    for name in scores:
        scores[name] *= 2 if _called(kind, name) else 1
    ranked = sorted(scores, key=scores.get, reverse=True)
    if not ranked or scores[ranked[0]] < 0.5:
        raise DataError(
            f"No column holds texts of several words: {_listed(table.columns)}. Export "
            "the description too, or set PLANT_TEXT_COLUMN to its name."
        )
    close = [name for name in ranked[1:] if scores[name] > scores[ranked[0]] / 2]
    also = f" It might also be {_listed(close)}." if close else ""
    return ranked[0], f"The text column is {ranked[0]!r}, guessed: most words.{also}"


def _wordiness(values: pd.Series) -> float:
    """Mean words of a cell, times the share of different cells."""
    filled = values[values != ""]
    if filled.empty:
        return 0.0
    words = [sum(word.isalpha() for word in tokens(cell[:300])) for cell in filled]
    return min(sum(words) / len(values), 12) * filled.nunique() / len(filled)


def _date(table: pd.DataFrame, kind: str) -> tuple[str | None, str]:
    """The first column of dates; one that is called so goes first."""
    dates = [name for name in table.columns if looks_like_dates(table[name])]
    dates.sort(key=lambda name: not _called(kind, name))
    if not dates:
        return None, "No date column found: orders keep the order of the file."
    also = f" Others with dates: {_listed(dates[1:])}." if dates[1:] else ""
    return dates[0], f"The date column is {dates[0]!r}, guessed.{also}"


def _group(table: pd.DataFrame, kind: str) -> tuple[str | None, str]:
    """A column with few different values that is called like the wanted kind."""
    groups = []
    for name in table.columns:
        count = table[name][table[name] != ""].nunique()
        if 2 <= count <= min(MOST_LABELS, len(table) / 4):
            groups.append(name)
    called = [name for name in groups if _called(kind, name)]
    if called:
        also = f" It might also be {_listed(called[1:])}." if called[1:] else ""
        return called[0], f"The {kind} column is {called[0]!r}, guessed.{also}"
    if kind == "machine":
        return None, "No machine column found."
    also = (
        f" Set PLANT_LABEL_COLUMN if one of {_listed(groups)} is it." if groups else ""
    )
    return None, f"No label column was named and none is called so.{also}"


def _called(kind: str, name: str) -> bool:
    return bool(re.search(HINTS[kind], name, re.I))


def _key(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _listed(names) -> str:
    shown = ", ".join(f"{name:.40}" for name in list(names)[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
