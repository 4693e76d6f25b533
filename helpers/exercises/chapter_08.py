"""Self-checks of the exercises of chapter 08."""

from collections.abc import Callable
from itertools import combinations

from helpers.exercises.checking import NotYet, ask, exercise, expect


def _worth(players: frozenset) -> float:
    """Hose and hydraulic cover for each other; pump and oil count only together."""
    hose = 0.6 * bool(players & {"hose", "hydraulic"})
    return 0.1 + hose + 0.3 * ({"pump", "oil"} <= players) - 0.2 * ("on" in players)


@exercise("08.1")  # Shapley values by joining one by one
def _by_joining(answer: Callable) -> None:
    for players, wanted in [
        (["hose"], {"hose": 0.6}),
        (["hose", "on"], {"hose": 0.6, "on": -0.2}),
        (["hose", "hydraulic"], {"hose": 0.3, "hydraulic": 0.3}),
        (["oil", "hose", "pump"], {"oil": 0.15, "hose": 0.6, "pump": 0.15}),
        (
            ["hydraulic", "hose", "oil", "pump", "on"],
            {"hydraulic": 0.3, "hose": 0.3, "oil": 0.15, "pump": 0.15, "on": -0.2},
        ),
    ]:
        case = f"the players {players}"
        got = ask(answer, _worth, players, case=case)
        if not isinstance(got, dict) or got.keys() != wanted.keys():
            raise NotYet(
                f"For {case} return a dictionary with a value for each; yours is "
                f"{got!r:.80}."
            )
        for player, value in wanted.items():
            if not abs(got[player] - value) < 1e-6:
                total = sum(wanted.values())
                raise NotYet(
                    f"For {case} the value of {player!r} is {value:.2f}; yours is "
                    f"{got[player]:.4g}. (All together {total:.2f}: what the whole set "
                    "is worth more than the empty one.)"
                )
    three = frozenset(["a", "b", "c"])
    order_counts = {
        frozenset(s): n**2 for n in range(4) for s in combinations(three, n)
    }
    order_counts[frozenset("ab")] = 7.0
    got = ask(answer, order_counts.get, ["a", "b", "c"], case="another game")
    for player, wanted in {"a": 3.5, "b": 3.5, "c": 2.0}.items():
        if not abs(got[player] - wanted) < 1e-6:
            raise NotYet(
                "In another game, where n players are worth n x n and only a and b "
                f"together 7, the value of {player!r} is {wanted:.3f}; yours "
                f"is {got[player]:.4g}. Take the mean over all orders of joining."
            )


def _crew_of(text: str) -> str:
    """Cab for air with con; else hydraulic for hose or pump; else engine for oil."""
    words = text.split()
    if {"air", "con"} <= set(words):
        return "cab"
    if "hose" in words or "pump" in words:
        return "hydraulic"
    return "engine" if "oil" in words else "structure"


@exercise("08.2")  # The fewest words
def _fewest(answer: Callable) -> None:
    for text, wanted in [
        ("oil hose on boom", (1,)),
        ("pump hose oil", (0, 1)),
        ("hose leak hose", (0, 2)),
        ("crack in oil tank", (2,)),
        ("hose and pump and hose", (0, 2, 4)),
        ("no air from con", (1,)),
    ]:
        expect(answer, _crew_of, text, case=repr(text), wanted=wanted)
    for text, why in [
        ("crack in boom", "no words change the crew"),
        ("hose", "one word must stay"),
        ("pump hose", "one word must stay, and each of the two is enough"),
    ]:
        got = answer(_crew_of, text)
        if got is not None:
            raise NotYet(
                f"For {text!r} the answer is None ({why}); yours is {got!r:.60}."
            )


@exercise("08.3")  # Test an account
def _account(answer: Callable) -> None:
    def probability_of(text: str) -> float:
        words = text.split()
        sure = 0.5 * ("lights" in words) + 0.2 * ("cab" in words)
        return 0.2 + sure - 0.1 * ("leak" in words)

    for text, named, wanted in [
        ("replace lights now", (1,), 0.5),
        ("replace cab lights now", (2,), 0.5 - 0.2 / 3),
        ("replace cab lights now", (0,), -0.7 / 3),
        ("replace cab lights now", (1, 2), 0.7),
        ("lights in cab on leak", (0, 2), 0.7 - (0 - 0.1 - 0.1) / 3),
        ("lights in cab lights", (0,), -0.2 / 3),
    ]:
        case = f"{text!r}, with the words at {named} named,"
        expect(answer, probability_of, text, named, case=case, wanted=float(wanted))
    for text, named in [("cab lights", (0, 1)), ("new cab lights", (1, 2))]:
        got = answer(probability_of, text, named)
        if got is not None:
            raise NotYet(
                f"For {text!r} with {named} named there are too few other words: the "
                f"answer is None; yours is {got!r:.40}."
            )
