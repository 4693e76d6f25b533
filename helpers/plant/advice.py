"""Clean orders out of a table; what was changed is said as advice."""

import re
import unicodedata

import pandas as pd

from helpers.errors import DataError
from helpers.plant.checks import RARE, Advice, advise
from helpers.plant.columns import Columns
from helpers.plant.dates import parse_dates, without_outliers
from helpers.prepare import MAX_CHARACTERS

NOTHING = {"", "-", "--", "?", ".", "n/a", "#n/a", "na", "nan", "null", "none", "k.a."}
Found = tuple[pd.DataFrame, list[Advice]]


def clean_orders(table: pd.DataFrame, columns: Columns) -> Found:
    """Orders that a model can learn from, oldest first, and all advice on them.

    Returns:
        Columns text, label (NaN where there is none or too few have it), date (NaT
        where unknown; these come first) and machine (""); and the advice.

    Raises:
        DataError: going on would mislead; it holds every finding of level "stop".

    """
    orders = pd.DataFrame({"text": _cells(table[columns.text])})
    for kind in ("label", "date", "machine"):
        name = getattr(columns, kind)
        orders[kind] = _cells(table[name]) if name else ""
    found: list[Advice] = []
    for step in (_drop_empty, _cut_long):
        orders, more = step(orders)
        found += more
    orders, more = _drop_copies(orders, table.loc[orders.index])
    found += more
    for step in (_join_spellings, _drop_rare, _date):
        orders, more = step(orders)
        found += more
    found += advise(orders)
    found.sort(key=lambda advice: "stop warn note".index(advice.level))
    stops = [advice for advice in found if advice.level == "stop"]
    if stops:
        raise DataError(
            "The run stops here. "
            + " ".join(f"{advice.sentence} {advice.next_step}" for advice in stops)
        )
    return orders, found


def _cells(values: pd.Series) -> pd.Series:
    """Texts with single blanks; what stands for nothing becomes ""."""
    texts = values.str.replace(r"\s+", " ", regex=True).str.strip()
    return texts.mask(texts.str.casefold().isin(NOTHING), "")


def _drop_empty(orders: pd.DataFrame) -> Found:
    kept = orders[orders["text"] != ""]
    count = len(orders) - len(kept)
    text = f"{count:,} of {len(orders):,} rows have no text and were left out."
    level = "warn" if count > len(orders) / 10 else "note"
    step = "Many? Then another column may hold the text." if level == "warn" else ""
    return kept.copy(), [Advice(level, text, count, step)] if count else []


def _cut_long(orders: pd.DataFrame) -> Found:
    long = orders["text"].str.len() > MAX_CHARACTERS
    orders["text"] = orders["text"].str.slice(0, MAX_CHARACTERS)
    count = int(long.sum())
    text = (
        f"{count:,} texts are longer than {MAX_CHARACTERS:,} characters and were cut."
    )
    step = "If the fault stands at their end, export a shorter field."
    return orders, [Advice("note", text, count, step)] if count else []


def _drop_copies(orders: pd.DataFrame, table: pd.DataFrame) -> Found:
    """Rows equal in all columns are one order if a column would tell two apart."""
    copies = table.duplicated()
    count = int(copies.sum())
    if not count:
        return orders, []
    rows = table[~copies]
    if len(rows) and max(rows[name].nunique() for name in rows) < 0.5 * len(rows):
        text = f"{count:,} rows repeat another row; they stay: no number or date tells "
        text += "whether they are the same order."
        return orders, [Advice("note", text, count, "Export the order's number too.")]
    text = f"{count:,} rows repeat another row in all columns and were left out."
    return orders[~copies].copy(), [Advice("note", text, count, "")]


def _join_spellings(orders: pd.DataFrame) -> Found:
    """Labels that differ only in case, blanks, accents' form or a last full stop."""
    counts = orders["label"][orders["label"] != ""].value_counts()
    best: dict[str, str] = {}
    for label in counts.index:  # the most frequent spelling first
        best.setdefault(_plain(label), label)
    changed = [label for label in counts.index if best[_plain(label)] != label]
    orders["label"] = orders["label"].map(lambda label: best.get(_plain(label), label))
    if not changed:
        return orders, []
    pairs = "; ".join(f"{old!r} -> {best[_plain(old)]!r}" for old in changed[:3])
    text = f"{len(changed)} labels differ only in spelling and were joined: {pairs}."
    step = "If two mean different things, rename one in the export."
    return orders, [Advice("warn", text, len(changed), step)]


def _plain(label: str) -> str:
    text = unicodedata.normalize("NFKC", label).casefold()
    return "".join(re.findall(r"[^\W_]+", text)) or text


def _drop_rare(orders: pd.DataFrame) -> Found:
    """Labels that too few orders have are taken off; the orders stay."""
    counts = orders["label"][orders["label"] != ""].value_counts()
    rare = counts[counts < RARE]
    if len(counts) > 10 and len(counts) > sum(counts) / 4:
        text = f"The label column has {len(counts):,} different values in "
        text += f"{sum(counts):,} orders, such as {counts.index[-1][:40]!r}."
        step = "Set PLANT_LABEL_COLUMN to a column with a few values, each often."
        return orders, [Advice("stop", text, len(counts), step)]
    orders["label"] = orders["label"].where(~orders["label"].isin({"", *rare.index}))
    if rare.empty:
        return orders, []
    shown = ", ".join(f"{name!r} ({count})" for name, count in rare.head(4).items())
    text = f"{len(rare)} labels have fewer than {RARE} orders, such as {shown}: their "
    text += f"{sum(rare):,} orders count as not labelled."
    step = "Put such labels together, or export more months."
    return orders, [Advice("warn", text, len(rare), step)]


def _date(orders: pd.DataFrame) -> Found:
    """Dates parsed, placeholders removed, orders sorted; unknown dates come first."""
    filled = orders["date"] != ""
    if not filled.any():
        orders["date"] = pd.Series(pd.NaT, orders.index, dtype="datetime64[us]")
        return orders.reset_index(drop=True), []
    parsed, said = parse_dates(orders["date"])
    level = "warn" if said.startswith(("Ambiguous", "Day first in some")) else "note"
    found = [Advice(level, said, int(filled.sum()), "")]
    dates = without_outliers(parsed)
    lost = filled & dates.isna()
    if lost.any() and parsed.notna().any():
        text = f"{lost.sum():,} dates cannot be used, such as {orders['date'][lost].iloc[0]!r}."
        step = "Their orders come first, where they are learnt from and not tested."
        found.append(Advice("warn", text, int(lost.sum()), step))
    known = dates.dropna()
    back = int((known.diff() < pd.Timedelta(0)).sum())
    if back and not known.is_monotonic_decreasing:
        text = f"The dates go back {back:,} times; the orders were sorted by date."
        found.append(Advice("note", text, back, ""))
    if known.nunique() == 1:
        text = f"All orders have one date, {known.iloc[0]:%Y-%m-%d}."
        step = "Nothing can be tested on newer orders; export the date of creation."
        found.append(Advice("warn", text, len(known), step))
    orders["date"] = dates
    order = orders.sort_values("date", kind="stable", na_position="first")
    return order.reset_index(drop=True), found
