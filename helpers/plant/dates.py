"""Dates as plants write them: which number is the day is decided by the data."""

import pandas as pd

YEARS = 30  # a date further than this from the middle one is a placeholder
NUMBERS = r"^(\d{1,2})[./-](\d{1,2})[./-](?:\d{4}|\d{2})(?!\d)"
LIKE_A_DATE = "|".join(
    [
        r"^\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?!\d)",
        r"^\d{4}[./-]\d{1,2}[./-]\d{1,2}(?!\d)",
        r"^(?:19|20)\d{6}$",
        r"^\d{1,2}[ .-]{1,2}[A-Za-z]{3,9}[ .,-]{1,2}\d{2,4}\b",
        r"^[A-Za-z]{3,9}\.? \d{1,2},? \d{4}\b",
    ]
)


def parse_dates(values: pd.Series) -> tuple[pd.Series, str]:
    """Dates of texts in any usual form, NaT where there is none.

    Returns:
        datetime64 with the index of the values, and how they were read, as a sentence
        that begins with "Ambiguous" where the data do not decide.

    """
    texts = _plain(values)
    if _are_excel_days(texts):
        days = pd.to_timedelta(pd.to_numeric(texts, errors="coerce"), "D")
        dates = (pd.Timestamp("1899-12-30") + days).astype("datetime64[us]")
        return dates, "Numbers read as Excel's days."
    texts = texts.where(texts.str.contains(LIKE_A_DATE), "")
    day_first, said = _order(texts)
    if day_first is None:
        return pd.Series(pd.NaT, values.index, dtype="datetime64[us]"), said
    different = pd.Series(texts.unique())
    parsed = pd.to_datetime(
        different, format="mixed", dayfirst=day_first, errors="coerce", utc=True
    )
    known = dict(zip(different, parsed.dt.tz_localize(None), strict=True))
    return texts.map(known).astype("datetime64[us]"), said


def looks_like_dates(values: pd.Series) -> bool:
    """At least nine in ten filled cells have the form of a date."""
    texts = _plain(values.head(500))
    filled = texts[texts != ""]
    return len(filled) > 0 and filled.str.contains(LIKE_A_DATE).mean() >= 0.9


def without_outliers(dates: pd.Series) -> pd.Series:
    """Placeholders such as 1900-01-01 or 9999-12-31 become NaT."""
    distance = (dates - dates.median()).abs()
    return dates.where(distance <= pd.Timedelta(days=365 * YEARS))


def _plain(values: pd.Series) -> pd.Series:
    """Without blanks around; 2024年3月5日 as 2024-3-5."""
    texts = values.astype(str).str.strip()
    return texts.str.replace("[年月]", "-", regex=True).str.replace("日", "")


def _are_excel_days(texts: pd.Series) -> bool:
    """All are numbers of days since 1899 that lie between 1954 and 2064."""
    filled = texts[texts != ""]
    numbers = filled.str.fullmatch(r"[2-5]\d{4}(\.\d+)?")
    return len(filled) > 0 and bool(numbers.all())


def _order(texts: pd.Series) -> tuple[bool | None, str]:
    """Whether the day stands first; None if some rows say yes and some no."""
    parts = texts.str.extract(NUMBERS).dropna().astype(int)
    if parts.empty:
        return False, "Dates with the year first, or with the month's name."
    (first, second), example = parts.max(), texts[parts.index[0]]
    if first > 12 and second > 12:
        return None, (
            f"Day first in some rows, as in {texts[parts[0].idxmax()]!r}, month first "
            f"in others, as in {texts[parts[1].idxmax()]!r}: no date is used. Export "
            "dates as 2024-03-31."
        )
    if first > 12:
        return True, f"Dates with the day first, as in {texts[parts[0].idxmax()]!r}."
    if second > 12:
        return False, f"Dates with the month first, as in {texts[parts[1].idxmax()]!r}."
    return True, (
        f"Ambiguous: no number above 12 tells the day from the month, as in "
        f"{example!r}. Read with the day first. Export dates as 2024-03-31 to be sure."
    )
