"""Self-checks of the exercises of chapter 11."""

from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect


@exercise("11.1")  # PSI of two counts
def _psi_of_counts(answer: Callable) -> None:
    for before, now, case in [
        ([10, 10], [10, 10], "equal counts"),
        ([10, 30], [20, 20], "two classes"),
        ([100, 300], [20, 20], "sums that differ"),
        ([8, 0, 12], [5, 15, 0], "a class without orders"),
    ]:
        p, q = (np.array(counts) + 0.5 for counts in (before, now))
        p, q = p / p.sum(), q / q.sum()
        wanted = float(((q - p) * np.log(q / p)).sum())
        case = f"{case}, before {before} and now {now},"
        expect(answer, before, now, case=case, wanted=wanted)


@exercise("11.2")  # A limit for your wish
def _smallest_limit(answer: Callable) -> None:
    years = [float(n * 7 % 20) for n in range(20)]
    for highest, rate, wanted, why in [
        ([1.0, 2.0, 3.0, 4.0], 0.25, 3.0, "one of four years may ring"),
        ([4.0, 1.0, 3.0, 2.0], 0.25, 3.0, "the values need not be sorted"),
        ([1.0, 2.0, 3.0, 4.0], 0.0, 4.0, "no year may ring"),
        ([1.0, 2.0, 3.0, 4.0], 0.3, 3.0, "two of four would be too many"),
        ([2.0, 5.0, 5.0, 5.0], 0.25, 5.0, "equal values ring together"),
        (years, 0.1, 17.0, "two of twenty may ring"),
    ]:
        case = f"the values {highest} and the rate {rate} ({why})"
        expect(answer, np.array(highest), rate, case=case, wanted=wanted)


RULES = [
    ("tell", "2026-08-02", {"eu", "talks"}),
    ("literacy", "2025-02-02", {"eu"}),
    ("persons", "2027-12-02", {"eu", "allocates"}),
]


@exercise("11.3")  # Which duties are in force?
def _in_force(answer: Callable) -> None:
    chat = {"eu": "yes", "talks": "yes", "allocates": "yes"}
    quiet = {"eu": "yes", "talks": "no", "allocates": "no"}
    for answers, as_of, wanted in [
        (chat, "2026-11-27", ["tell", "literacy"]),
        (chat, "2026-08-02", ["tell", "literacy"]),
        (chat, "2026-08-01", ["literacy"]),
        (chat, "2028-01-01", ["tell", "literacy", "persons"]),
        (quiet, "2028-01-01", ["literacy"]),
        (quiet | {"rain": "perhaps"}, "2028-01-01", ["literacy"]),  # no rule asks it
    ]:
        case = f"the answers {answers} on {as_of}"
        expect(answer, RULES, dict(answers), as_of, case=case, wanted=wanted)
    for answers in ({"eu": "yes", "talks": "no"}, quiet | {"allocates": "perhaps"}):
        try:
            got = answer(RULES, dict(answers), "2026-11-27")
        except ValueError:
            continue
        raise NotYet(
            f"For the answers {answers} 'allocates' is open: raise a ValueError; "
            f"yours returned {got!r:.80}."
        )


@exercise("11.4")  # The score and what to do next
def _test_score(answer: Callable) -> None:
    for sections, score, improve in [
        ({"data": [1, 0.5], "model": [0.5, 0.5]}, 1.0, ["model"]),
        ({"data": [1], "model": [0.5], "monitoring": [0, 0.5]}, 0.5, None),
        ({"model": [0, 0], "data": [1, 1]}, 0.0, ["model"]),
        ({"monitoring": [0.5, 0.5], "data": [1, 0]}, 1.0, ["data", "monitoring"]),
    ]:
        wanted = (score, improve or ["model", "monitoring"])
        case = f"the sections {sections}"
        got = ask(answer, sections, case=case)
        two = isinstance(got, tuple | list) and len(got) == 2
        if not two or not isinstance(got[1], tuple | list):
            raise NotYet(f"Return two things, score and list; yours is {got!r:.80}.")
        if (got[0], list(got[1])) != wanted:
            raise NotYet(f"For {case} the answer is {wanted}; yours is {got!r:.80}.")
