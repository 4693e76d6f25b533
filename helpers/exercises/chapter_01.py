"""Self-checks of the exercises of chapter 01."""

from collections.abc import Callable

from helpers.exercises.checking import exercise, expect
from helpers.prepare import normalise


@exercise("01.1", "How much of the exam was in the textbook?")
def _share_seen(answer: Callable) -> None:
    train = ["L/H LIGHTS U/S", "replace tooth", "replace tooth"]
    for test, wanted in [
        (["Replace tooth."], 1.0),
        (["swap bucket"], 0.0),
        (["lh lights us", "Replace TOOTH", "engine hot", "no power"], 0.5),
        (["replace tooth"] * 3 + ["engine hot"], 0.75),
    ]:
        case = f"the training texts {train} and the test texts {test}"
        expect(answer, train, test, case=case, wanted=wanted)


@exercise("01.2", "Write out the shorthand")
def _normalise_more(answer: Callable) -> None:
    last = "REPLACE LH BOOM,STICK HOSES."
    for text, wanted in {
        "Pump U/S": "pump unserviceable",
        "L/H lights u/s.": "lh lights unserviceable",
        "tell us when done": "tell us when done",
        "menu/settings lost": "menu settings lost",
        "RADIO(U/S)": "radio unserviceable",
        last: normalise(last),
    }.items():
        expect(answer, text, case=repr(text), wanted=wanted)


@exercise("01.3", "Count the unknown")
def _unknown_share(answer: Callable) -> None:
    known = {"replace", "bucket", "tooth"}
    for texts, wanted in [
        (["replace bucket", "tooth"], 0.0),
        (["replace qq", "bucket zz"], 0.5),
        (["qq qq", "replace bucket"], 0.5),
        (["qq", "replace bucket tooth"], 0.25),
        ([], 0.0),
    ]:
        case = f"texts {texts} with the known words replace, bucket, tooth"
        expect(answer, texts, known, case=case, wanted=wanted)
