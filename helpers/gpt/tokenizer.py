"""What the model reads and writes: orders, their records, and both as token ids."""

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.prepare import check_text, normalise

FIELDS = ("system", "part", "action", "failure_mode")
NONE = "none"  # what a record says where the data say NA
TEXT_TOKENS = 64  # of a text; what is longer is cut


def split_all(orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut ALL orders by time, also those without a crew: the last 20 % are the test.

    split_by_time cuts only the orders with a crew; its test begins 28 orders later, so
    nothing that is tested there is learned here.

    Returns:
        Orders to learn from and orders of the test, oldest first.

    """
    orders = orders.sort_values("date", kind="stable")
    cut = int(len(orders) * 0.8)
    return orders[:cut], orders[cut:]


def records(orders: pd.DataFrame) -> list[dict[str, str]]:
    """The labelled record of each order; "none" for NA and missing values."""
    table = orders[list(FIELDS)].fillna(NONE).replace("NA", NONE)
    return table.to_dict("records")


class Tokenizer:
    """Text and records as token ids, and back without loss.

    The tokens: three for control; what stands around the values of a record; single
    bytes, so that a word not listed is spelled (byte fallback: Kudo & Richardson 2018,
    SentencePiece); names that make up the values; words, each with the space before it.
    """

    PAD, END, SEP = 0, 1, 2
    FRAME = ('{"system": "', '", "part": "', '", "action": "', '", "failure_mode": "')
    FRAME = (*FRAME, '"}')

    def __init__(self, names: Sequence[str], words: Sequence[str]):
        """Give ids to names and words in the order given."""
        self.names, self.words = list(names), list(words)
        self.pieces = [b"", b"", b"", *(text.encode() for text in self.FRAME)]
        self.frame = list(range(3, len(self.pieces)))
        self.pieces += [bytes([byte]) for byte in range(32, 256)]
        self.pieces += [name.encode() for name in self.names]
        self.pieces += [f" {word}".encode() for word in self.words]
        self._index = {piece: id_ for id_, piece in enumerate(self.pieces) if piece}
        values = [self._index[name.encode()] for name in ("_", *self.names)]
        self.value_ids = np.array(values)  # what may stand in a value

    def __len__(self) -> int:
        """Count of tokens."""
        return len(self.pieces)

    @classmethod
    def fit(cls, orders: pd.DataFrame) -> "Tokenizer":
        """Learn all names, and the words that occur twice or more."""
        values = {value for row in records(orders) for value in row.values()}
        names = {name for value in values for name in value.split("_")}
        counts = Counter(word for text in orders["clean"] for word in text.split())
        words = [word for word, count in counts.most_common() if count > 1]
        return cls(sorted(name for name in names if len(name) > 1), words)

    def _ids(self, text: str) -> list[int]:
        """One id where the whole text is one token, else one a byte."""
        whole = self._index.get(text.encode())
        if whole is not None:
            return [whole]
        return [self._index[bytes([byte])] for byte in text.encode()]

    def encode_text(self, text: str, spell: float = 0.0, rng=None) -> list[int]:
        """The prompt for a raw text: END, its normalised words, SEP.

        Args:
            text: a work order; of long ones the first TEXT_TOKENS tokens are kept.
            spell: share of known words to spell all the same; in training, this
                teaches the model to read words it has not seen.
            rng: np.random.Generator, needed where spell is not 0.

        Raises:
            InputError: not a string, or longer than 1,000 characters.

        """
        ids: list[int] = []
        for word in normalise(check_text(text)).split():
            spelled = spell and rng.random() < spell
            pieces = list(f" {word}") if spelled else [f" {word}"]
            ids += [id_ for piece in pieces for id_ in self._ids(piece)]
        return [self.END, *ids[:TEXT_TOKENS], self.SEP]

    def encode_record(self, record: dict[str, str]) -> list[int]:
        """What the model is to write: the record as JSON, and END."""
        ids: list[int] = []
        for frame, field in zip(self.frame, FIELDS, strict=False):
            ids.append(frame)
            names = json.dumps(record[field])[1:-1].split("_")
            for place, name in enumerate(names):
                ids += self._ids("_") * (place > 0) + self._ids(name)
        return [*ids, self.frame[-1], self.END]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens; control tokens are empty, broken UTF-8 becomes U+FFFD."""
        return b"".join(self.pieces[id_] for id_ in ids).decode("utf-8", "replace")
