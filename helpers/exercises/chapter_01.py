"""Self-checks of the exercises of chapter 01."""

from collections.abc import Callable

from helpers.exercises.checking import exercise, table
from helpers.prepare import normalise


@exercise("01.1")  # How much of the exam was in the textbook?
def _share_seen(answer: Callable) -> None:
    train = ["L/H LIGHTS U/S", "replace tooth", "replace tooth"]
    rows = [
        (train, ["Replace tooth."], 1.0),
        (train, ["swap bucket"], 0.0),
        (train, ["lh lights us", "Replace TOOTH", "engine hot", "no power"], 0.5),
        (train, ["replace tooth"] * 3 + ["engine hot"], 0.75),
    ]
    table(answer, "the training texts {} and the test texts {}", rows)


@exercise("01.2")  # Write out the shorthand
def _normalise_more(answer: Callable) -> None:
    last = "REPLACE LH BOOM,STICK HOSES."
    rows = [
        ("Pump U/S", "pump unserviceable"),
        ("L/H lights u/s.", "lh lights unserviceable"),
        ("tell us when done", "tell us when done"),
        ("menu/settings lost", "menu settings lost"),
        ("RADIO(U/S)", "radio unserviceable"),
        (last, normalise(last)),
    ]
    table(answer, "{!r}", rows)


@exercise("01.3")  # Count the unknown
def _unknown_share(answer: Callable) -> None:
    known = {"replace", "bucket", "tooth"}
    rows = [
        (["replace bucket", "tooth"], known, 0.0),
        (["replace qq", "bucket zz"], known, 0.5),
        (["qq qq", "replace bucket"], known, 0.5),
        (["qq", "replace bucket tooth"], known, 0.25),
        ([], known, 0.0),
    ]
    table(answer, "texts {} with the known words replace, bucket, tooth", rows)
