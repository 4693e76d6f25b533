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
    sentences = []
    for kind, name in found.items():
        if name:
            sentences.append(f"The {kind} column is {name!r}, as named.")
            continue
        free = sample.drop(columns=[name for name in found.values() if name])
        fit = _candidates(free, kind)
        found[kind] = fit[0] if fit else None
        also = f" Others that fit: {_listed(fit[1:])}." if fit[1:] else ""
        sentences.append(
            f"The {kind} column is {fit[0]!r}, guessed.{also}"
            if fit
            else f"No {kind} column was found."
        )
    return Columns(**{kind: found[kind] for kind in Columns._fields}), sentences


def _named(table: pd.DataFrame, kind: str, name: str | None) -> str | None:
    """The column with this name; capitals, blanks and _ do not matter."""
    keys = {_key(column): column for column in reversed(table.columns)}
    if name is None or name in table.columns or _key(name) in keys:
        return name if name is None or name in table.columns else keys[_key(name)]
    near = difflib.get_close_matches(_key(name), list(keys), n=1)
    hint = f"Did you mean {keys[near[0]]!r}? " if near else ""
    raise DataError(
        f"There is no column {name!r}. {hint}The columns are {_listed(table.columns)}. "
        f"Set PLANT_{kind.upper()}_COLUMN to one of them."
    )


def _candidates(table: pd.DataFrame, kind: str) -> list[str]:
    """Columns that may be of this kind, the likeliest first.

    Raises:
        DataError: a text is wanted and no column holds words.

    """
    called = {name for name in table if re.search(KINDS[kind], name, re.I)}
    if kind == "date":
        dates = [
            name for name in table if looks_like_dates(table[name], name in called)
        ]
        return sorted(dates, key=lambda name: name not in called)
    if kind in ("machine", "label"):
        most = MANY if kind == "label" else len(table)
        sizes = {name: table[name][table[name] != ""].nunique() for name in table}
        return [
            n
            for n in table
            if n in called and 2 <= sizes[n] <= min(most, len(table) / 4)
        ]
    scores = {name: _wordiness(table[name]) * (1 + (name in called)) for name in table}
    best = max(scores.values(), default=0)
    if best < 0.5:
        raise DataError(
            f"No column holds texts of several words: {_listed(table.columns)}. Export "
            "the description too, or set PLANT_TEXT_COLUMN to its name."
        )
    return sorted((n for n in table if scores[n] > best / 2), key=lambda n: -scores[n])


def _wordiness(values: pd.Series) -> float:
    """Mean number of words, at most 12, times the root of the share that differs."""
    filled = values[values != ""]
    words = [word for cell in filled for word in tokens(cell[:300]) if word.isalpha()]
    long = sum(len(word) > 2 or bool(SPACELESS.match(word)) for word in words)
    different = filled.nunique() / max(len(filled), 1)
    return min(long / len(values), 12) * different**0.5


def _key(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _listed(names) -> str:
    shown = ", ".join(f"{name:.40}" for name in list(names)[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
