"""What chapter 01 develops: clean, label, split and encode the work orders."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.data import load_raw
from helpers.errors import InputError
from helpers.tables import load_crew_table

LENGTH = 12  # tokens a network reads; the longest cleaned order has fewer
MAX_CHARACTERS = 1000  # of a text that a model reads
DUPLICATE_KEY = ["BscStartDate", "Asset", "OriginalShorttext", "PMType", "Cost"]


def repair_quotes(text: str) -> str:
    r"""Turn the export's broken quotes back: replace \o\" ring" -> replace "o" ring."""
    if "\\" not in text:
        return text
    return text.removesuffix('"').replace('\\"', '"').replace("\\", '"')


def normalise(text: str) -> str:
    """Lower case, one space between words, L/H and LH alike, no glued words.

    "L/H pumps/valves won't turn" -> "lh pumps valves wont turn"
    """
    text = text.lower().replace("'", "")
    text = re.sub(r"\b([a-z])/([a-z])\b", r"\1\2", text)
    return " ".join(re.findall(r"[^\W_]+", text))


def check_text(text: str) -> str:
    """Return a text that a model can read.

    Raises:
        InputError: not a string, or longer than 1,000 characters.

    """
    if not isinstance(text, str):
        raise InputError(
            f"A work order is a string, not {type(text).__name__}: {text!r:.60}."
        )
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"A text of {len(text):,} characters is no short text of a work order; "
            f"the limit is {MAX_CHARACTERS:,}. It begins {text[:40]!r}."
        )
    return text


def drop_shifted_rows(raw: pd.DataFrame) -> pd.DataFrame:
    """Remove rows whose columns slid to the right: their cost is not a number."""
    return raw[raw["Cost"].str.fullmatch(r"-?\d+(\.\d+)?")]


def drop_duplicates(raw: pd.DataFrame) -> pd.DataFrame:
    """Keep one of the rows that agree in date, asset, text, type and cost."""
    return raw.drop_duplicates(DUPLICATE_KEY)


def label_locations(locations: pd.Series, table: pd.DataFrame) -> pd.DataFrame:
    """Crew and "needs an electrician" for each functional location.

    The first row of the table with a word that starts a word of the location wins; "="
    before a word asks for the whole location. Reads the location, never the text.

    Returns:
        Columns crew (NaN where no row matches) and electrician (0, 1 or NaN).

    """
    rules = []
    for row in table.itertuples():
        answer = (row.crew, int(row.electrician == "yes")) if row.crew else (None, None)
        if pattern := _pattern(row.location_words):
            rules.append((re.compile(pattern), answer))

    def label(location: str) -> tuple[str | None, int | None]:
        found = (answer for rule, answer in rules if rule.search(location.upper()))
        return next(found, (None, None))

    known = {location: label(location) for location in locations.unique()}
    rows = [known[location] for location in locations]
    labels = pd.DataFrame(rows, locations.index, ["crew", "electrician"])
    return labels.astype({"electrician": "Int8"})


def _pattern(cell: str) -> str:
    words = [word.strip() for word in cell.upper().split(";") if word.strip()]
    return "|".join(
        f"^{re.escape(word[1:])}$" if word[0] == "=" else rf"\b{re.escape(word)}"
        for word in words
    )


def load_orders() -> pd.DataFrame:
    """The 5,126 orders of the course, oldest first.

    Columns: date, asset, text (as typed), clean (normalised), pm_type, cost (AUD),
    location, crew and electrician (NaN where the location names no crew), and four
    fields that keyword rules wrote: system, part, action, failure_mode.

    Raises:
        DataError: as for load_raw and load_crew_table.

    """
    raw = drop_duplicates(drop_shifted_rows(load_raw()))
    text = raw["OriginalShorttext"].map(repair_quotes)
    orders = pd.DataFrame(
        {
            "date": pd.to_datetime(raw["BscStartDate"]),
            "asset": raw["Asset"],
            "text": text,
            "clean": text.map(normalise),
            "pm_type": raw["PMType"],
            "cost": raw["Cost"].astype(float),
            "location": raw["FuncLocation"],
        }
    )
    orders = orders.join(label_locations(orders["location"], load_crew_table()))
    rule_made = ["MajorSystem", "Part", "Action", "FM"]
    orders[["system", "part", "action", "failure_mode"]] = raw[rule_made]
    return orders.sort_values("date", kind="stable", ignore_index=True)


class Split(NamedTuple):
    """Orders in time order: older ones to learn from, newer ones to be judged on."""

    train: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame


def split_by_time(orders: pd.DataFrame) -> Split:
    """Cut labelled orders by date: the last 20 % are the test, the 15 % before it
    (of what is left) choose settings.
    """
    labelled = orders.dropna(subset="crew").sort_values("date", kind="stable")
    labelled = labelled.astype({"electrician": int}).reset_index(drop=True)
    cut = int(len(labelled) * 0.8)
    learn = int(cut * 0.85)
    return Split(labelled[:learn], labelled[learn:cut], labelled[cut:])


class Vocabulary:
    """Words seen in training, each with a number: 0 is padding, 1 any unknown word."""

    def __init__(self, words: Sequence[str]):
        """Number the words from 2 in the order given."""
        self.words = list(words)
        self.index = {word: number for number, word in enumerate(self.words, start=2)}

    def __len__(self) -> int:
        """Count of numbers in use, padding and unknown included."""
        return len(self.words) + 2

    @classmethod
    def fit(cls, texts: Iterable[str]) -> "Vocabulary":
        """Learn the words that occur twice or more, most frequent first."""
        counts = Counter(word for text in texts for word in text.split())
        return cls([word for word, count in counts.most_common() if count > 1])

    def encode(self, texts: Iterable[str], length: int = LENGTH) -> np.ndarray:
        """Word numbers of cleaned texts, padded with 0: int32, (texts, length)."""
        rows = [[self.index.get(word, 1) for word in text.split()] for text in texts]
        table = np.zeros((len(rows), length), np.int32)
        for number, row in enumerate(rows):
            table[number, : len(row)] = row[:length]
        return table
