"""The self-checks of all exercises: each says what is wrong with an answer."""

import warnings
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
    if got is None:
        raise NotYet(f"For {case} your function returned None: is a return missing?")
    if got is ... or (isinstance(got, tuple) and any(part is ... for part in got)):
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


def whole(got: object, case: str) -> None:
    """Raise NotYet for a number that is not whole in type: an int, or one of NumPy."""
    if not isinstance(got, int | np.integer):
        raise NotYet(f"For {case} return a whole number (int); yours is {got!r:.40}.")


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


@exercise("05.1", "A token bucket")
def _make_bucket(answer: Callable) -> None:
    for size, per_second, calls, case in [
        (2, 1.0, [(0.0, 0.0), (0.0, 0.0), (0.0, 1.0)], "three calls at once, size 2"),
        (1, 0.5, [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)], "a token every 2 s, size 1"),
        (2, 1.0, [(0.0, 0.0), (9.0, 0.0), (9.0, 0.0), (9.0, 1.0)], "a long pause"),
        (1, 1.0, [(5.0, 0.0), (5.5, 0.5), (5.75, 0.25), (6.0, 0.0)], "refused calls"),
    ]:
        take = ask(answer, size, per_second, case=case)
        if not callable(take):
            raise NotYet(f"Return a function take(now), not {take!r:.80}.")
        said = f"{case}: make_bucket({size}, {per_second})"
        for place, (now, wanted) in enumerate(calls, 1):
            before = "".join(f", take({time:g})" for time, _ in calls[:place])
            expect(take, now, case=said + before, wanted=wanted)
    case = "two buckets"
    first, second = (ask(answer, 1, 1.0, case=case) for _ in range(2))
    expect(first, 0.0, case=case, wanted=0.0)
    expect(second, 0.0, case="two buckets: each line has its own", wanted=0.0)


@exercise("05.2", "A percentile without a library")
def _percentile(answer: Callable) -> None:
    values = [float(n * 7 % 100) for n in range(100)]
    for given, wanted, case in [
        (([3.0, 1.0, 2.0], 50), 2.0, "p50 of 3, 1, 2"),
        ((values, 99), 98.0, "p99 of 0 to 99 in some order"),
        ((values, 100), 99.0, "p100 of 0 to 99"),
        ((values, 0.5), 0.0, "p0.5 of 0 to 99"),
        (([1.0, 2.0, 3.0, 4.0], 51), 3.0, "p51 of 1 to 4"),
        (([float(n) for n in range(1, 201)], 99), 198.0, "p99 of 1 to 200"),
        (([float(n) for n in range(1, 101)], 7), 7.0, "p7 of 1 to 100"),
        (([5.0], 99), 5.0, "one value"),
        (([1.0, 1.0, 1.0, 9.0], 75), 1.0, "p75 of 1, 1, 1, 9"),
    ]:
        expect(answer, *given, case=case, wanted=wanted)
    try:
        got = ask(answer, [], 99, case="no values")
    except NotYet as error:
        raise NotYet(f"For no values return math.nan. ({error})") from error
    if got == got:
        raise NotYet(f"For no values return nan (math.nan); yours is {got!r:.80}.")
    kept = [2.0, 1.0]
    ask(answer, kept, 50, case="p50 of 2, 1")
    if kept != [2.0, 1.0]:
        raise NotYet("Your function changes the list it is given: use sorted().")


@exercise("05.3", "How long may the queue be?")
def _longest_queue(answer: Callable) -> None:
    for given, wanted, case in [
        ((1, 0.25, 1.0), 3, "one by one, four fit into the patience"),
        ((8, 0.25, 1.0), 24, "batches of 8"),
        ((8, 0.25, 1.2), 24, "a patience that is no multiple"),
        ((8, 0.5, 1.0), 8, "one batch besides the one that runs"),
        ((8, 0.5, 0.75), 0, "only the running batch fits"),
        ((8, 0.5, 0.25), 0, "not even one batch fits"),
    ]:
        case = f"{case}, longest_queue{given}"
        expect(answer, *given, case=case, wanted=wanted)
        whole(answer(*given), case)


@exercise("05.4", "How many processes?")
def _processes_needed(answer: Callable) -> None:
    for given, wanted, case in [
        ((100, 400, 0.5), 2, "one and a spare"),
        ((200, 400, 0.5), 2, "exactly one and a spare"),
        ((201, 400, 0.5), 3, "a little more than one carries"),
        ((5000, 400, 0.5), 26, "5,000 requests a second"),
        ((5000, 400, 1.0), 14, "the same without reserve"),
        ((0, 400, 0.5), 0, "no requests"),
    ]:
        case = f"{case}, processes_needed{given}"
        expect(answer, *given, case=case, wanted=wanted)
        whole(answer(*given), case)


@exercise("06.1", "Do not look ahead")
def _causal_attention(answer: Callable) -> None:
    for words, units in ((4, 8), (6, 5)):
        _attends_back(answer, words, units)


def _attends_back(answer: Callable, words: int, units: int) -> None:
    """Raise NotYet unless the answer is causal attention for tables of this shape."""
    random = np.random.default_rng(6)
    q, k = (random.normal(size=(words, units)) for _ in range(2))
    v = random.normal(size=(words, 3))  # values may have another width
    case = f"{words} words of {units} units, values of 3"
    given = q.copy(), k.copy(), v.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nan is judged below
        got = ask(answer, *given, case=case)
    if not all(map(np.array_equal, given, (q, k, v))):
        raise NotYet("A table that was given to your function has been changed.")
    if not isinstance(got, tuple) or len(got) != 2:
        raise NotYet(f"Return two things, result and shares; yours is {got!r:.60}.")
    wanted = f"({words}, 3) and ({words}, {words})"
    shapes = f"{np.shape(got[0])} and {np.shape(got[1])}"
    if shapes != wanted:
        raise NotYet(f"For {case} the shapes are {wanted}; yours are {shapes}.")
    result, share = np.asarray(got[0], float), np.asarray(got[1], float)
    if np.isnan(share).any():
        raise NotYet(
            "There is nan in the shares: is a whole row set to minus infinity? A word "
            "may look at itself: np.triu(..., k=1)."
        )
    if np.triu(share, 1).any():
        raise NotYet("A word still looks at a later word: a share above the diagonal.")
    if not np.allclose(share.sum(1), 1):
        raise NotYet("The rows do not add up to 1: mask before the softmax, not after.")
    score = np.where(np.tri(words, dtype=bool), q @ k.T / np.sqrt(units), -np.inf)
    wanted = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    if not np.allclose(share, wanted):
        raise NotYet(
            f"For {case} no word looks ahead, but the shares differ: divide the scores "
            "by the root of the units of a query."
        )
    if not np.allclose(result, wanted @ v):
        raise NotYet("The shares are right; the result is not shares @ v.")


@exercise("06.2", "Count the parameters of a block")
def _block_parameters(answer: Callable) -> None:
    for units, inner in [(8, 32), (64, 128), (12288, 49152), (1, 1)]:
        attend, norms = 4 * units * (units + 1), 2 * 2 * units
        dense = inner * (units + 1) + units * (inner + 1)
        case = (
            f"{units} units and {inner} inside (attention {attend:,}, norms {norms:,}, "
            f"feed-forward {dense:,})"
        )
        expect(answer, units, inner, case=case, wanted=attend + norms + dense)
        whole(answer(units, inner), case)


@exercise("06.3", "Leave out the padding")
def _masked_mean(answer: Callable) -> None:
    x = np.arange(12.0).reshape(4, 3)
    for numbers, wanted, case in [
        ([5, 7, 0, 0], x[:2].mean(0), "two words and two places of padding"),
        ([5, 7, 1, 9], x.mean(0), "four words, one of them unknown (1)"),
        ([3, 0, 0, 0], x[0], "one word"),
        ([5, 0, 7, 0], x[[0, 2]].mean(0), "padding between two words"),
        ([0, 0, 0, 0], np.zeros(3), "padding only"),
    ]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the mean of no rows is judged below
            got = ask(answer, given := x.copy(), np.array(numbers), case=case)
        if not np.array_equal(given, x):
            raise NotYet("The table that was given to your function has been changed.")
        if np.shape(got) != (3,):
            raise NotYet(f"The shape of the mean is (3,); yours is {np.shape(got)}.")
        if not np.allclose(got, wanted):
            raise NotYet(f"For {case} the mean is {wanted.tolist()}; yours is {got}.")


@exercise("06.4", "Top-p")
def _nucleus(answer: Callable) -> None:
    even = np.full(4, 0.25)
    for p, top_p, wanted, case in [
        ([0.1, 0.5, 0.1, 0.3], 0.4, [0, 1, 0, 0], "one token is enough"),
        ([0.1, 0.5, 0.1, 0.3], 0.7, [0, 0.625, 0, 0.375], "two tokens reach 0.7"),
        ([0.1, 0.5, 0.1, 0.3], 1.0, [0.1, 0.5, 0.1, 0.3], "top_p 1 keeps all"),
        (even, 0.5, None, "four equal tokens and top_p 0.5"),
        ([0.2, 0.8], 0.8, [0, 1], "a sum that reaches top_p exactly"),
    ]:
        given = np.array(p)
        got = ask(answer, given, top_p, case=case)
        if not np.array_equal(given, p):
            raise NotYet("The array that was given to your function has been changed.")
        if np.shape(got) != given.shape:
            raise NotYet(f"For {case}, return {len(p)} numbers; yours is {got!r:.60}.")
        if np.isnan(got).any():
            raise NotYet(
                f"For {case}, nothing was kept (0 divided by 0): the likeliest token "
                "always stays."
            )
        if not np.isclose(np.sum(got), 1):
            raise NotYet(
                f"For {case}, your numbers add up to {np.sum(got):.2f}, not 1."
            )
        right = (
            sorted(got) == [0, 0, 0.5, 0.5]
            if wanted is None
            else np.allclose(got, wanted)
        )
        if not right:
            best = "two of them, 0.5 each" if wanted is None else wanted
            raise NotYet(
                f"For {case}, nucleus({given.tolist()}, {top_p}) is {best}; yours is "
                f"{np.asarray(got).tolist()}."
            )
