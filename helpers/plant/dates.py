"""Dates as plants write them: which number is the day is decided by the data."""

import re

import pandas as pd

YEARS = 30  # a date further than this from the middle one is a placeholder
DAY_MONTH = r"^(\d{1,2})[./-](\d{1,2})[./-](?=(?:\d{4}|\d{2})(?!\d))"  # or month, day
SHIFT = r"[+-]\d\d?(?::?\d\d)?"
ZONE = rf"(?i)(:\d\d)(?:[.,]\d+)?( [ap]m)? ?(?:{SHIFT}|(?:Z|UTC|GMT)(?:{SHIFT})?)$"
DAYS = r"^[2-5]\d{4}(?:\.\d+)?$"  # since 1899: 1954 to 2064
FORMS = (  # pandas alone would make dates of "12" and "10:15" too
    r"^\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?!\d)"
    r"|^\d{4}[./年-]\d{1,2}[./月-]\d{1,2}(?!\d)"
    r"|^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$"
    r"|^\d{1,2}[ .-]{1,2}[A-Za-z]{3,9}[ .,-]{1,2}\d{2,4}\b"
    r"|^[A-Za-z]{3,9}\.? \d{1,2},? \d{4}\b"
)


def parse_dates(values: pd.Series) -> tuple[pd.Series, str]:
    """Dates of texts in any usual form, NaT where there is none.

    Returns:
        datetime64 with the index of the values, and how they were read, as a sentence
        that begins with "Ambiguous" where the data do not decide.

    """
    texts = values.str.strip()
    filled = texts[texts != ""]
    if len(filled) and filled.str.contains(DAYS).all():
        days = pd.to_timedelta(pd.to_numeric(texts, errors="coerce"), "D")
        dates = (pd.Timestamp("1899-12-30") + days).astype("datetime64[us]")
        return dates, "The dates are numbers: read as Excel's days."
    texts = texts.where(texts.str.contains(FORMS), "")
    day_first, said = _order(texts)
    if day_first is None:
        return pd.Series(pd.NaT, values.index, dtype="datetime64[us]"), said
    different = pd.Series(texts.unique())  # far fewer than the orders
    plain = different.str.replace(ZONE, r"\1\2", regex=True)  # the local time is kept
    plain = plain.str.replace("[年月]", "-", regex=True).str.replace("日", "")
    if day_first:  # only here: 2024-03-05 beside 31.03.2024 stays in March
        plain = plain.str.replace(DAY_MONTH, r"\2/\1/", regex=True)
    # Zones written in another way come out as UTC.
    parsed = pd.to_datetime(plain, format="mixed", errors="coerce", utc=True)
    parsed = parsed.dt.tz_localize(None)
    dates = texts.map(dict(zip(different, parsed, strict=True)))
    if len(filled) and dates.isna().all():
        said = f"No date can be read, as in {filled.iloc[0][:40]!r}."
    return dates.astype("datetime64[us]"), said


def looks_like_dates(cells: list[str], called: bool) -> bool:
    """At least nine in ten filled cells have the form of a date.

    Numbers may be Excel's days if the column is called like one of dates.
    """
    forms = f"{FORMS}|{DAYS}" if called else FORMS
    fit = sum(bool(re.match(forms, cell)) for cell in cells[:200])
    return fit > 0 and fit >= 0.9 * len(cells[:200])


def without_outliers(dates: pd.Series) -> pd.Series:
    """Placeholders such as 1900-01-01 or 9999-12-31 become NaT."""
    distance = (dates - dates.median()).abs()
    return dates.where(distance <= pd.Timedelta(days=365 * YEARS))


def _order(texts: pd.Series) -> tuple[bool | None, str]:
    """Whether the day stands first; None if some rows say yes and some no."""
    parts = texts.str.extract(DAY_MONTH).dropna().astype(int)
    if parts.empty:
        return False, "The dates have the year first, or the month's name."
    (one, two), (row_one, row_two) = parts.max(), parts.idxmax()
    if one > 12 and two > 12:
        return None, (
            f"Day first, as in {texts[row_one]!r}, and month first, as in "
            f"{texts[row_two]!r}: the dates contradict each other and none is used."
        )
    if two > 12:
        return False, f"The dates have the month first, as in {texts[row_two]!r}."
    if one > 12:
        return True, f"The dates have the day first, as in {texts[row_one]!r}."
    return True, (
        "Ambiguous: no number above 12 tells the day from the month, as in "
        f"{texts[row_one]!r}; read with the day first."
    )
