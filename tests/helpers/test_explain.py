"""Exact Shapley values: against their definition, and what may go wrong."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest

from helpers import LENGTH, InputError, Router, load_orders
from helpers.explain import explain, subsets


def by_definition(worth, players):
    """The mean of what each player adds, over all orders in which they may join."""
    values = np.zeros(len(players))
    for order in permutations(players):
        for place, player in enumerate(order):
            before, after = order[:place], order[: place + 1]
            values[player] += worth(frozenset(after)) - worth(frozenset(before))
    return values / factorial(len(players))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_game_by_its_definition(count):
    rng = np.random.default_rng(count)
    sizes, weights = subsets(count)
    names = [frozenset(row) for places in sizes for row in places.tolist()]
    assert len(set(names)) == len(names) == 2**count
    worths = dict(zip(names, rng.normal(size=len(names)), strict=True))
    wanted = by_definition(worths.get, range(count))
    values = weights @ [worths[name] for name in names]
    np.testing.assert_allclose(values, wanted, atol=1e-12)


def test_words_of_real_notes_by_definition_and_they_add_up(saved):
    router = Router(saved)
    for text in load_orders()["text"][:40]:
        found = router.explain(text)
        whole = found.base + found.values.sum(0)
        np.testing.assert_allclose(whole, router.probabilities(text), atol=1e-6)
        if len(found.words) <= 4:

            def worth(places, words=found.words):
                text = " ".join(words[place] for place in sorted(places))
                return router.probabilities(text)[0]

            wanted = by_definition(worth, range(len(found.words)))
            np.testing.assert_allclose(found.values[:, 0], wanted, atol=1e-6)


def test_words_are_named_as_the_network_reads_them(saved):
    found = Router(saved).explain("L/H  pumps/valves won't TURN!")
    assert found.words == ["lh", "pumps", "valves", "wont", "turn"]
    assert found.values.shape == (5, 8) and found.base.shape == (8,)


@pytest.mark.parametrize("text", ["", "   ", "???", "\x00"])
def test_a_text_without_a_word_has_nothing_to_explain(saved, text):
    router = Router(saved)
    found = router.explain(text)
    assert found.words == [] and found.values.shape == (0, 8)
    np.testing.assert_allclose(found.base, router.probabilities(text), atol=1e-6)


def test_more_words_than_the_network_reads(saved):
    router, text = Router(saved), "oil leak on bucket " * 9
    found = router.explain(text)
    assert len(found.words) == LENGTH
    whole = found.base + found.values.sum(0)
    np.testing.assert_allclose(whole, router.probabilities(text), atol=1e-6)


def test_equal_words_get_values_that_add_up_and_unknown_ones_too(saved):
    found = Router(saved).explain("qqq qqq")
    assert np.isfinite(found.values).all() and len(found.words) == 2


@pytest.mark.parametrize("bad", [None, 42, b"oil", ["oil leak"], "x" * 1001])
def test_bad_input(saved, bad):
    with pytest.raises(InputError, match="A work order is|A text of 1,001"):
        Router(saved).explain(bad)


def test_eight_words_need_nine_calls_of_the_network():
    calls = []

    def run(rows):
        calls.append(rows.shape)
        return np.ones((len(rows), 2))

    found = explain(run, list(range(2, 10)), list("abcdefgh"))
    assert len(calls) == 9 and sum(rows for rows, _ in calls) == 256
    assert np.abs(found.values).max() < 1e-12
