"""Self-checks of the exercises of chapter 05."""

from collections.abc import Callable

from helpers.exercises.checking import NotYet, ask, exercise, expect, whole


@exercise("05.1")  # A token bucket
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


@exercise("05.2")  # A percentile without a library
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


@exercise("05.3")  # How long may the queue be?
def _longest_queue(answer: Callable) -> None:
    for given, wanted, case in [
        ((1, 0.25, 1.0), 3, "one by one, four fit into the patience"),
        ((8, 0.25, 1.0), 24, "batches of 8"),
        ((8, 0.25, 1.2), 24, "a patience that is no multiple"),
        ((8, 0.5, 1.0), 8, "one batch besides the one that runs"),
        ((8, 0.5, 0.75), 0, "only the running batch fits"),
        ((8, 0.5, 0.25), 0, "not even one batch fits"),
        ((4, 0.1, 0.3), 8, "exactly three batches fit, though 0.3 / 0.1 is below 3"),
        ((1, 0.1, 0.7), 6, "exactly seven batches fit, though 0.7 / 0.1 is below 7"),
    ]:
        case = f"{case}, longest_queue{given}"
        expect(answer, *given, case=case, wanted=wanted)
        whole(answer(*given), case)


@exercise("05.4")  # How many processes?
def _processes_needed(answer: Callable) -> None:
    for given, wanted, case in [
        ((100, 400, 0.5), 2, "one and a spare"),
        ((200, 400, 0.5), 2, "exactly one and a spare"),
        ((201, 400, 0.5), 3, "a little more than one carries"),
        ((5000, 400, 0.5), 26, "5,000 requests a second"),
        ((5000, 400, 1.0), 14, "the same without reserve"),
        ((0, 400, 0.5), 0, "no requests"),
        ((63, 90, 0.7), 2, "exactly one and a spare, though 90 * 0.7 is below 63"),
    ]:
        case = f"{case}, processes_needed{given}"
        expect(answer, *given, case=case, wanted=wanted)
        whole(answer(*given), case)
