"""Self-checks of the exercises of chapter 06."""

import warnings
from collections.abc import Callable

import numpy as np

from helpers.exercises.checking import NotYet, ask, exercise, expect, whole


@exercise("06.1")  # Do not look ahead
def _causal_attention(answer: Callable) -> None:
    for words, units in ((4, 8), (6, 5)):
        _attends_back(answer, words, units)


def _attends_back(answer: Callable, words: int, units: int) -> None:
    """Raise NotYet unless the answer is causal attention for tables of this shape."""
    rng = np.random.default_rng(6)
    q, k = (rng.normal(size=(words, units)) for _ in range(2))
    v = rng.normal(size=(words, 3))  # values may have another width
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


@exercise("06.2")  # Count the parameters of a block
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


@exercise("06.3")  # Leave out the padding
def _masked_mean(answer: Callable) -> None:
    x = np.arange(12.0).reshape(4, 3)
    for ids, wanted, case in [
        ([5, 7, 0, 0], x[:2].mean(0), "two words and two places of padding"),
        ([5, 7, 1, 9], x.mean(0), "four words, one of them unknown (1)"),
        ([3, 0, 0, 0], x[0], "one word"),
        ([5, 0, 7, 0], x[[0, 2]].mean(0), "padding between two words"),
        ([0, 0, 0, 0], np.zeros(3), "padding only"),
    ]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the mean of no rows is judged below
            got = ask(answer, given := x.copy(), np.array(ids), case=case)
        if not np.array_equal(given, x):
            raise NotYet("The table that was given to your function has been changed.")
        if np.shape(got) != (3,):
            raise NotYet(f"The shape of the mean is (3,); yours is {np.shape(got)}.")
        if not np.allclose(got, wanted):
            raise NotYet(f"For {case} the mean is {wanted.tolist()}; yours is {got}.")


@exercise("06.4")  # Top-p
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
