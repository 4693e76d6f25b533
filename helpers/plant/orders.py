"""Clean orders out of a table; what was changed is said as advice."""

import re
import unicodedata

import pandas as pd

from helpers.errors import DataError
from helpers.plant.advice import LEVELS, RARE, Advice, say
from helpers.plant.checks import advise
from helpers.plant.columns import Columns
from helpers.plant.dates import parse_dates, without_outliers
from helpers.prepare import MAX_CHARACTERS

NOTHING = re.compile(r"[-?.]+|#?n/a|na|nan|null|none|<na>|k\.a\.", re.I)
Found = tuple[pd.DataFrame, list[Advice]]


def clean_orders(table: pd.DataFrame, columns: Columns) -> Found:
    """Orders that a model can learn from, oldest first, and all advice on them.

    Returns:
        Columns text, label (NaN where none, or too few have it), date (NaT where
        unknown; these rows come first) and machine ("" where unknown); the advice.

    Raises:
        DataError: going on would mislead; it says every finding of level "stop".

    """
    orders = pd.DataFrame(index=table.index)
    for kind, name in columns._asdict().items():
        orders[kind] = _cells(table[name]) if name else ""
    orders, found = _rows(orders, table)
    for step in (_labels, _dates):
        orders, more = step(orders)
        found += more
    if not any(advice.level == "stop" for advice in found):
        found += advise(orders)
    found.sort(key=lambda advice: LEVELS.index(advice.level))  # worst first
    stops = [f"{a.sentence} {a.next_step}" for a in found if a.level == "stop"]
    if stops:
        raise DataError("The run stops here. " + " ".join(stops))
    return orders, found


def _cells(values: pd.Series) -> pd.Series:
    """Texts with single blanks; what stands for nothing becomes ""."""
    texts = values.str.replace(r"\s+", " ", regex=True).str.strip()
    return texts.mask(texts.str.fullmatch(NOTHING), "")


def _rows(orders: pd.DataFrame, table: pd.DataFrame) -> Found:
    """Without empty texts and copies; two rows are one order if a column could tell."""
    filled = orders["text"] != ""
    orders, table = orders[filled].copy(), table[filled]
    copied, long = table.duplicated(), orders["text"].str.len() > MAX_CHARACTERS
    told = table.nunique().max() >= len(table) / 2
    counts = {
        "empty": (~filled).sum(),
        "copies" if told else "kept copies": copied.sum(),
        "long": long.sum(),
    }
    orders["text"] = orders["text"].str.slice(0, MAX_CHARACTERS)
    if told:
        orders = orders[~copied]
    return orders.copy(), [say(name, count) for name, count in counts.items() if count]


def _labels(orders: pd.DataFrame) -> Found:
    """Spellings of one label joined; labels that too few orders have taken off."""
    counts = orders["label"][orders["label"] != ""].value_counts()
    best: dict[str, str] = {}
    for label in counts.index:  # the most frequent spelling first
        best.setdefault(_plain(label), label)
    names = {label: best[_plain(label)] for label in counts.index}
    other = [f"{old!r} -> {new!r}" for old, new in names.items() if old != new]
    found = [say("joined", len(other), shown="; ".join(other[:3]))] if other else []
    labels = orders["label"].map(names)  # NaN where empty
    counts, total = labels.value_counts(), int(labels.notna().sum())
    if len(counts) > max(10, total / 4):
        found = say("free labels", len(counts), orders=total, shown=counts.index[-1])
        return orders, [found]
    rare = counts[counts < RARE]
    if len(rare):
        shown = ", ".join(f"{name!r} ({count})" for name, count in rare[:4].items())
        found.append(say("rare", len(rare), shown=shown, orders=rare.sum()))
    orders["label"] = labels.mask(labels.isin(rare.index)).astype("str")
    return orders, found


def _plain(label: str) -> str:
    """Small letters, one blank for blanks, hyphens and stops; + and / may matter."""
    text = unicodedata.normalize("NFKC", label).casefold()
    return re.sub(r"[\s_.,;:'-]+", " ", text).strip() or text


def _dates(orders: pd.DataFrame) -> Found:
    """Dates parsed, placeholders such as 9999-12-31 removed, orders sorted."""
    texts, found = orders["date"], []
    filled = texts != ""
    parsed, said = parse_dates(texts)
    orders["date"] = without_outliers(parsed)
    lost, known = orders["date"].isna(), orders["date"].dropna()
    if filled.any():
        key = "dates" if len(known) and not said.startswith("Ambig") else "unsure dates"
        found.append(say(key, filled.sum(), said=said))
    if lost.any() and len(known):
        shown = max(texts[lost])  # "" if none of them says anything
        key = "bad dates" if shown else "no dates"
        found.append(say(key, lost.sum(), shown=shown))
    back = int((known.diff() < pd.Timedelta(0)).sum())
    if back and not known.is_monotonic_decreasing:
        found.append(say("unsorted", back))
    if len(known) > 1 and known.nunique() == 1:
        found.append(say("one date", len(known)))
    order = orders.sort_values("date", kind="stable", na_position="first")
    return order.reset_index(drop=True), found
