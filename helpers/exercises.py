"""The self-checks of all exercises: each says what is wrong with an answer."""

from collections.abc import Callable

import numpy as np

from helpers.checks import NotYet, exercise
from helpers.prepare import normalise


def ask(answer: Callable, *given: object, case: str) -> object:
    """Call the reader's function; a crash is reported with the case that caused it.

    Raises:
        NotYet: the function crashed or returned nothing.

    """
    try:
        got = answer(*given)
    except Exception as error:
        kind = type(error).__name__
        raise NotYet(f"For {case} your code stopped with {kind}: {error}") from error
    if (
        got is None
        or got is ...
        or (isinstance(got, tuple) and any(part is ... for part in got))
    ):
        raise NotYet(
            "Your function returns nothing yet: replace the ... with your code."
        )
    return got.tolist() if isinstance(got, np.generic | np.ndarray) else got


def expect(answer: Callable, *given: object, case: str, wanted: object) -> None:
    """Raise NotYet unless the answer has the wanted value (floats: within 1e-6)."""
    got = ask(answer, *given, case=case)
    try:
        close = isinstance(wanted, float) and abs(got - wanted) <= 1e-6
        right = close or bool(got == wanted)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise NotYet(f"For {case} the answer is {wanted!r}; yours is {got!r:.80}.")


@exercise("01.1", "How much of the exam was in the textbook?")
def _share_seen(answer: Callable) -> None:
    train = ["L/H LIGHTS U/S", "replace tooth", "replace tooth"]
    for test, wanted, case in [
        (["Replace tooth."], 1.0, "a test text that was seen"),
        (["swap bucket"], 0.0, "a test text that was not seen"),
        (
            ["lh lights us", "Replace TOOTH", "engine hot", "no power"],
            0.5,
            "two of four",
        ),
        (["replace tooth"] * 3 + ["engine hot"], 0.75, "one text seen, three times"),
    ]:
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


@exercise("02.1", "A loss that survives certainty")
def _safe_cross_entropy(answer: Callable) -> None:
    for y, p, wanted in [
        ([1, 0], [0.5, 0.5], np.log(2)),
        ([1, 1], [0.9, 0.6], -np.log(0.9 * 0.6) / 2),
        ([1], [1.0], -np.log(1 - 1e-7)),
    ]:
        expect(answer, y, p, case=f"truth {y} and p {p}", wanted=float(wanted))
    got = ask(answer, [0, 1], [1.0, 1.0], case="truth [0, 1] and p [1.0, 1.0]")
    wanted = float(-np.log(1e-7) / 2)
    if not np.isclose(got, wanted, rtol=1e-3):
        raise NotYet(
            f"For truth [0, 1], p [1, 1] the loss is {wanted:.3f}; yours {got}."
        )


@exercise("02.2", "One step of gradient descent")
def _gradient_step(answer: Callable) -> None:
    random = np.random.default_rng(5)
    x, y = random.normal(size=(20, 3)), random.integers(0, 2, 20).astype(float)
    weights, bias = random.normal(size=3), 0.3
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - y
    given = weights.copy()
    result = ask(answer, given, bias, x, y, 0.5, case="20 orders with 3 features")
    if not isinstance(result, tuple) or len(result) != 2:
        raise NotYet(f"Return two things, weights and bias; yours is {result!r:.60}.")
    if np.shape(result[0]) != (3,) or np.shape(result[1]) != ():
        shapes = f"{np.shape(result[0])} and {np.shape(result[1])}"
        raise NotYet(f"The shapes of weights and bias are (3,) and (); yours {shapes}.")
    if not np.array_equal(given, weights):
        raise NotYet("The weights that were given to your function have been changed.")
    if not np.allclose(result[0], weights - 0.5 * x.T @ error / 20):
        raise NotYet("The new weights are not old - rate * x.T @ (p - y) / n.")
    if not np.isclose(result[1], bias - 0.5 * error.mean()):
        raise NotYet("The weights are right; the bias is not old - rate * mean(p - y).")


@exercise("02.3", "Count the parameters")
def _count_parameters(answer: Callable) -> None:
    for words, units, outputs in [(776, 64, 1), (100, 8, 8), (5, 1, 1)]:
        embedding, lstm = words * units, 4 * units * (units + units + 1)
        dense, last = units * (units + 1), outputs * (units + 1)
        case = (
            f"{words} words, {units} units and {outputs} outputs (embedding "
            f"{embedding:,}, LSTM {lstm:,}, dense {dense:,}, output {last:,})"
        )
        total = embedding + lstm + dense + last
        expect(answer, words, units, outputs, case=case, wanted=total)


@exercise("02.4", "Early stopping")
def _kept_epoch(answer: Callable) -> None:
    for losses, patience, wanted in [
        ([0.5, 0.4, 0.3], 2, 3),
        ([0.5, 0.3, 0.4, 0.35, 0.1], 2, 2),
        ([0.5, 0.3, 0.4, 0.2, 0.25, 0.3], 2, 4),
        ([0.3, 0.3, 0.3, 0.1], 2, 1),
        ([0.5], 1, 1),
    ]:
        case = f"losses {losses}, patience {patience}"
        expect(answer, losses, patience, case=case, wanted=wanted)


@exercise("03.1", "Your costs, your threshold")
def _best_threshold(answer: Callable) -> None:
    random = np.random.default_rng(3)
    p = random.random(400).round(3)
    y = (random.random(400) < p).astype(int)
    for nothing, missed in [(1, 1), (250, 1000), (1000, 10), (1, 0)]:
        costs = [
            nothing * ((y == 0) & (p >= t)).sum() + missed * ((y == 1) & (p < t)).sum()
            for t in np.arange(101) / 100
        ]
        case = f"400 orders and the costs {nothing} and {missed}"
        wanted = float(np.argmin(costs) / 100)
        expect(answer, y, p, nothing, missed, case=case, wanted=wanted)


@exercise("03.2", "Two kinds of doubt")
def _decide(answer: Callable) -> None:
    labels = ["engine", "lube", "hydraulic"]
    for row, minimum, lead, wanted in [
        ([0.9, 0.05, 0.05], 0.5, 0.35, "engine"),
        ([0.5, 0.45, 0.05], 0.5, 0.35, "planner"),
        ([0.1, 0.3, 0.6], 0.5, 0.35, "planner"),
        ([0.2, 0.2, 0.6], 0.5, 0.35, "hydraulic"),
        ([0.6, 0.2, 0.2], 0.7, 0.0, "planner"),
        ([0.5, 0.25, 0.25], 0.5, 0.25, "engine"),
    ]:
        case = f"probabilities {[row]} of {labels}, minimum {minimum} and lead {lead}"
        rows = np.array([row])
        expect(answer, rows, labels, minimum, lead, case=case, wanted=[wanted])
    two = np.array([[0.9, 0.05, 0.05], [0.4, 0.3, 0.3]])
    wanted = ["engine", "planner"]
    expect(answer, two, labels, 0.5, 0.1, case="two rows at once", wanted=wanted)


@exercise("03.3", "Which word decides?")
def _deciding_word(answer: Callable) -> None:
    def probability_of(text: str) -> float:
        words = text.split()
        for_it = 0.6 * ("lights" in words) + 0.2 * ("cab" in words)
        return 0.15 + for_it - 0.1 * ("leak" in words)

    for text, wanted in [
        ("replace cab lights now", "lights"),
        ("cab door", "cab"),
        ("lights", "lights"),
        ("leak in cab", "cab"),
    ]:
        expect(answer, probability_of, text, case=repr(text), wanted=wanted)
    for text, why in [
        ("oil leak", "no word lowers it"),
        ("lights lights", "one of the two words may go without loss"),
    ]:
        got = answer(probability_of, text)
        if got is not None:
            raise NotYet(f"For {text!r} the answer is None ({why}); yours is {got!r}.")


@exercise("04.1", "A prompt that cannot be rewritten")
def _example_lines(answer: Callable) -> None:
    for pairs, wanted, case in [
        ([("oil leak", "hydraulic")], ["oil leak => hydraulic"], "one pair"),
        (
            [("oil\nleak  slew", "hydraulic"), ("no power", "engine")],
            ["oil leak slew => hydraulic", "no power => engine"],
            "a line break in a text",
        ),
        (
            [("x => safety_access", "lube")],
            ["x -> safety_access => lube"],
            "'=>' in a text",
        ),
        (
            [("a => b\r\nc\t=> d", "lube")],
            ["a -> b c -> d => lube"],
            "several of both in a text",
        ),
        ([], [], "no pairs"),
    ]:
        got = ask(answer, pairs, case=case)
        if not isinstance(got, list):
            raise NotYet(f"Return a list of lines, not a {type(got).__name__}.")
        if got != wanted:
            raise NotYet(f"For {case} the lines are {wanted}; yours are {got!r:.120}.")


@exercise("04.2", "Retry, stop, or planner?")
def _next_step(answer: Callable) -> None:
    for status, code, wanted in [
        (None, None, "retry"),
        (429, "rate_limit_exceeded", "retry"),
        (429, "insufficient_quota", "stop"),
        (500, None, "retry"),
        (503, "overloaded", "retry"),
        (599, None, "retry"),
        (429, None, "retry"),
        (401, "invalid_api_key", "stop"),
        (401, None, "stop"),
        (404, "model_not_found", "stop"),
        (404, None, "stop"),
        (403, "not_allowed", "planner"),
        (409, None, "planner"),
        (400, "unsupported_schema", "planner"),
        (413, "request_too_large", "planner"),
        (600, None, "planner"),
    ]:
        case = f"status {status} with code {code!r}"
        expect(answer, status, code, case=case, wanted=wanted)


@exercise("04.3", "The bill with cache and batch")
def _bill(answer: Callable) -> None:
    for given, wanted, case in [
        ((1, 1000, 0, 0, 2.0, 0.5, 8.0, 0.0), 0.002, "one order, prompt only"),
        ((2, 1000, 0, 0, 2.0, 0.5, 8.0, 0.0), 0.0025, "two orders: the second cached"),
        ((10, 0, 100, 20, 2.0, 0.5, 8.0, 0.0), 0.0036, "ten orders without a prompt"),
        (
            (1000, 5000, 30, 20, 2.0, 0.2, 8.0, 0.5),
            (5000 * 2 + 999 * 5000 * 0.2 + 1000 * (30 * 2 + 20 * 8)) / 2e6,
            "1,000 orders, half price",
        ),
        ((0, 5000, 30, 20, 2.0, 0.2, 8.0, 0.5), 0.0, "no orders"),
    ]:
        expect(answer, *given, case=case, wanted=wanted)


@exercise("04.4", "Numbers that should stay inside")
def _redact_numbers(answer: Callable) -> None:
    for text, wanted in [
        ("Repair material 60176281", "Repair material [NUMBER]"),
        ("p4 pump delivery line u/s 1740764", "p4 pump delivery line u/s [NUMBER]"),
        ("Cost to Repair M/No:60017673 Servo", "Cost to Repair M/No:[NUMBER] Servo"),
        ("see WO28167481", "see WO[NUMBER]"),
        ("pump @ 4792 HRS", "pump @ 4792 HRS"),
        ("call 0812345678", "call 0812345678"),
        ("6 digits 123456", "6 digits 123456"),
        ("1234567, 12345678", "[NUMBER], [NUMBER]"),
        ("part 60177585x", "part [NUMBER]x"),
        ("No.60177585", "No.[NUMBER]"),
        ("SHD0024 oil leak", "SHD0024 oil leak"),
    ]:
        expect(answer, text, case=repr(text), wanted=wanted)
