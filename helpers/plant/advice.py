"""Advice: level, sentence with a count, next step. Its texts are in advice.csv."""

import csv
from pathlib import Path
from typing import NamedTuple

from helpers.plant.words import mask_personal

FEWEST, FEW = 50, 500  # orders: below the first no test means anything
RARE = 10  # orders of a label: fewer cannot be learnt from and tested on
MANY = 50  # labels
LEVELS = ("stop", "warn", "note")  # the worst first
with open(Path(__file__).with_suffix(".csv"), encoding="utf-8", newline="") as file:
    TEXTS = {row.pop("name"): row for row in csv.DictReader(file)}


class Advice(NamedTuple):
    """One finding; count is the number of orders, or of labels, that it is about.

    Levels: stop (going on would mislead), warn (look at it), note (nothing is wrong).
    """

    level: str
    sentence: str
    count: int
    next_step: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.level}: {self.sentence} {self.next_step}"


def say(name: str, count: int, **facts: object) -> Advice:
    """The advice of this name, filled in; what is shown is masked, then cut."""
    if "shown" in facts:
        facts["shown"] = mask_personal(facts["shown"])[0][:120]
    level, sentence, next_step = TEXTS[name].values()
    sentence = sentence.format(count=count, **facts)
    return Advice(level, sentence, int(count), next_step)
