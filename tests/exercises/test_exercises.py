"""Self-checks of exercises, and the reader's progress."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import combinations, permutations

import numpy as np
import pytest

from helpers import CourseError, InputError, check, normalise, progress
from helpers.exercises import record
from helpers.exercises.checking import EXERCISES


@pytest.fixture(autouse=True)
def own_progress(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "STATE", tmp_path)
    return tmp_path / "progress.json"


def latest_best(losses, patience):
    """Early stopping that takes an equal loss for an improvement."""
    best = 1
    for epoch, loss in enumerate(losses, start=1):
        if loss <= losses[best - 1]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def without_every_occurrence(probability_of, text):
    """Occlusion that removes a word wherever it stands."""
    best, largest = None, 0.0
    for word in text.split():
        rest = " ".join(w for w in text.split() if w != word)
        if probability_of(text) - probability_of(rest) > largest:
            best, largest = word, probability_of(text) - probability_of(rest)
    return best


def long_prompt_bill(n, fixed, own, out, a, b, c, off, least=1024):
    """Exercise 04.3 without a thought for no orders at all."""
    again = b if fixed >= least else a
    whole = fixed * a + (n - 1) * fixed * again + n * (own * a + out * c)
    return whole / 1e6 * (1 - off)


def joining(worth, players, orders=None, whole=False):
    """Exercise 08.1: the mean over all orders, or over some; or without the rest."""
    orders = orders or list(permutations(players))
    values = dict.fromkeys(players, 0.0)
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset([] if whole else order[:place])
            values[player] += (worth(before | {player}) - worth(before)) / len(orders)
    return values


def lost_without(worth, players):
    """Occlusion instead of Shapley values."""
    all_of_them = frozenset(players)
    return {p: worth(all_of_them) - worth(all_of_them - {p}) for p in players}


def fewest(crew_of, text, most=None, by_word=False, order=list):
    """Exercise 08.2, up to a number of words, or removing a word wherever it stands."""
    words = text.split()
    for count in range(1, (most or len(words) - 1) + 1):
        for places in order(list(combinations(range(len(words)), count))):
            gone = {words[n] for n in places} if by_word else places
            left = [w for n, w in enumerate(words) if (w if by_word else n) not in gone]
            if crew_of(" ".join(left)) != crew_of(text):
                return places
    return None


def account(p, text, named, choices=combinations, take=np.mean, by_word=False):
    """Exercise 08.3, with other choices of words, another summary, words for places."""
    words = text.split()

    def lost(places):
        gone = {words[n] for n in places} if by_word else places
        left = [w for n, w in enumerate(words) if (w if by_word else n) not in gone]
        return p(text) - p(" ".join(left))

    others = [n for n in range(len(words)) if n not in named]
    losses = [lost(places) for places in choices(others, len(named))]
    return lost(named) - take(losses) if losses else None


def psi_without_shares(before, now):
    """Exercise 11.1 with half an order, but shares of the first sum only."""
    p, q = np.array(before) + 0.5, np.array(now) + 0.5
    return ((q - p) * np.log(q / p)).sum() / p.sum()


def psi_with_a_floor(before, now):
    """Exercise 11.1 with a floor instead of half an order."""
    p, q = (np.maximum(np.array(c) / np.sum(c), 1e-4) for c in (before, now))
    return ((q - p) * np.log(q / p)).sum()


def in_force_with_every_answer_checked(rules, answers, as_of):
    """Exercise 11.3, also refusing an answer to a question that no rule asks."""
    if len(answers) < 3 or not set(answers.values()) <= {"yes", "no"}:
        raise ValueError
    yes = {question for question, answer in answers.items() if answer == "yes"}
    return [name for name, day, asked in rules if day <= as_of and asked <= yes]


WRONG = {
    "01.1": [
        (
            lambda train, test: 0.5,
            "the test texts ['Replace tooth.'] the answer is 1.0",
        ),
        (
            lambda train, test: len(set(train) & set(test)) / len(test),
            "the training texts ['L/H LIGHTS U/S', ",
        ),
        (
            lambda train, test: (
                len({normalise(t) for t in test} & {normalise(t) for t in train})
                / len({normalise(t) for t in test})
            ),
            "'replace tooth', 'engine hot'] the answer is 0.75",
        ),
    ],
    "01.2": [
        (lambda text: text.lower(), "'Pump U/S'"),
        (
            lambda text: text.lower().replace("u/s", "unserviceable"),
            "'L/H lights u/s.'",
        ),
    ],
    "01.3": [
        (lambda texts, known: 1.0, "texts ['replace bucket'"),
        (lambda texts, known: sum(0 for _ in texts) / len(texts), "['replace qq', "),
        (
            lambda texts, known: (
                len({w for t in texts for w in t.split()} - known)
                / len({w for t in texts for w in t.split()})
            ),
            "['qq qq', ",
        ),
    ],
    "02.1": [
        (lambda y, p: 0.0, "truth [1, 0] and p [0.5, 0.5]"),
        (lambda y, p: -np.mean(y * np.log(p) + (1 - y) * np.log(p)), "np.asarray"),
        (
            lambda y, p: (
                -np.mean(
                    np.array(y) * np.log(p) + (1 - np.array(y)) * np.log1p(-np.array(p))
                )
            ),
            "truth [1] and p [1.0]",
        ),
    ],
    "02.2": [
        (lambda w, b, x, y, r: w, "Return two things"),
        (lambda w, b, x, y, r: (w, b), "old - rate"),
    ],
    "02.3": [(lambda words, units, outputs: words * units, "776 words")],
    "02.4": [
        (
            lambda losses, patience: int(np.argmin(losses)) + 1,
            "3 and 4 did not improve on epoch 2",
        ),
        (lambda losses, patience: len(losses), "[0.5, 0.3, 0.4, 0.35, 0.1]"),
        (latest_best, "[0.3, 0.3, 0.3, 0.1]"),
    ],
    "03.1": [
        (lambda y, p, a, b: 0.5, "costs"),
        (lambda y, p, a, b: a / (a + b), "costs"),
    ],
    "03.2": [
        (lambda p, labels, minimum, lead: labels, "[[0.9, 0.05, 0.05]]"),
        (
            lambda p, labels, minimum, lead: [
                labels[row.argmax()] if row.max() >= minimum else "planner"
                for row in np.array(p)
            ],
            "[[0.5, 0.45, 0.05]]",
        ),
        (
            lambda p, labels, minimum, lead: [
                labels[row.argmax()]
                if row.max() > minimum and row.max() - np.sort(row)[-2] > lead
                else "planner"
                for row in np.array(p)
            ],
            "[[0.5, 0.25, 0.25]]",
        ),
    ],
    "03.3": [
        (lambda f, text: text.split()[0], "replace cab lights now"),
        (
            lambda f, text: max(text.split(), key=lambda w: -f(text.replace(w, ""))),
            "'oil leak'",
        ),
        (without_every_occurrence, "'lights lights'"),
    ],
    "04.1": [
        (lambda pairs: [f"{t} -> {c}" for t, c in pairs], "one pair"),
        (lambda pairs: [f"{t} => {c}" for t, c in pairs], "a line break in a text"),
        (
            lambda pairs: [f"{' '.join(t.split())} => {c}" for t, c in pairs],
            "'=>' in a text",
        ),
        (lambda pairs: "oil leak => hydraulic", "Return a list of lines, not a str"),
    ],
    "04.2": [
        (lambda status, code: "retry", "insufficient_quota"),
        (
            lambda status, code: "retry" if status >= 500 else "planner",
            "None means that no answer came",
        ),
        (lambda status, code: "stop" if status else "retry", "rate_limit_exceeded"),
        (
            lambda status, code: (
                "stop"
                if code == "insufficient_quota" or status in (400, 401, 403, 404)
                else "retry"
            ),
            "content_filter",
        ),
        (
            lambda status, code: (
                "planner"
                if status == 400
                else "stop"
                if status and (code == "insufficient_quota" or status in (401, 404))
                else "retry"
            ),
            "unsupported_schema",
        ),
    ],
    "04.3": [
        (
            lambda n, fixed, own, out, a, b, c, off: (
                n * (fixed * a + own * a + out * c) / 1e6 * (1 - off)
            ),
            "bill(number=2, fixed=2000, own=0, written=0, price_in=2.0, ",
        ),
        (
            lambda n, fixed, own, out, a, b, c, off: (
                (fixed * a + (n - 1) * fixed * b + n * (own * a + out * c))
                / 1e6
                * (1 - off)
            ),
            "fixed=1023",
        ),
        (lambda *given: long_prompt_bill(*given, least=1025), "fixed=1024"),
        (lambda *given: long_prompt_bill(*given[:-1], 0.0), "discount=0.5"),
        (lambda *given: long_prompt_bill(*given), "number=0"),
        (lambda *given: long_prompt_bill(*given[:-1], 1 - given[-1]), "pay 0.75"),
    ],
    "04.4": [
        (lambda text: re.sub(r"\d+", "[NUMBER]", text), "p4 pump"),
        (lambda text: re.sub(r"\b\d{7,8}\b", "[NUMBER]", text), "WO28167481"),
        (lambda text: re.sub(r"\d{7,8}", "[NUMBER]", text), "0812345678"),
    ],
    "05.1": [
        (lambda size, rate: lambda now: 0.0, "take(0), take(0), take(0) the"),
        (lambda size, rate: 7, "Return a function take(now)"),
        (lambda size, rate: bucket(size, rate, top=1e9), "a long pause"),
        (lambda size, rate: bucket(size, rate, fee=1), "a token every 2 s"),
        (cache(lambda size, rate: bucket(size, rate)), "a long pause"),
    ],
    "05.2": [
        (lambda values, p: float(np.percentile(values, p)), "p99 of 0 to 99"),
        (lambda values, p: sorted(values)[int(p * len(values) / 100)], "p99 of 0"),
        (lambda values, p: rank(values, p, lambda place: round(place)), "p51 of 1"),
        (lambda values, p: rank(values, p) if values else 0.0, "return nan"),
        (lambda values, p: rank(values, p) if values else None, "return math.nan"),
        (lambda v, p: rank(set(v), p) if v else np.nan, "p75 of 1, 1, 1, 9"),
        (
            lambda values, p: values.sort() or rank(values, p) if values else np.nan,
            "changes the list",
        ),
        (
            lambda values, p: sorted(values)[math.ceil(p / 100 * len(values)) - 1],
            "p7 of 1 to 100",
        ),
    ],
    "05.3": [
        (lambda size, seconds, patience: int(patience / seconds) * size, "one by one"),
        (lambda size, seconds, patience: int(patience / seconds) - 1, "batches of 8"),
        (
            lambda size, seconds, patience: (int(patience / seconds) - 1) * size,
            "not even one batch",
        ),
        (
            lambda size, s, p: max(0.0, (int(p / s) - 1.0) * size),
            "a whole number (int)",
        ),
        (lambda size, s, p: max(0, (int(p / s) - 1) * size), "exactly three batches"),
        (lambda size, s, p: patient(size, s, p), "exactly three batches"),
    ],
    "05.4": [
        (lambda rate, capacity, load: math.ceil(rate / capacity / load), "one and a"),
        (lambda rate, capacity, load: 2.0, "return a whole number (int); yours is 2.0"),
        (lambda rate, capacity, load: int(rate / capacity / load) + 2, "exactly one"),
        (lambda rate, capacity, load: math.ceil(rate / capacity) + 1, "a little more"),
        (
            lambda rate, capacity, load: math.ceil(rate / (capacity * load)) + 1,
            "no requests",
        ),
        (
            lambda rate, capacity, load: (
                math.ceil(rate / (capacity * load)) + 1 if rate else 0
            ),
            "though 90 * 0.7 is below 63",
        ),
    ],
    "06.1": [
        (lambda q, k, v: fixed_size(q, k, v), "For 6 words of 5 units"),
        (lambda q, k, v: (q, masked(q, k)[0] @ k), "shapes are (4, 3) and (4, 4)"),
        (lambda q, k, v: masked(q, k)[0] @ v, "Return two things"),
        (lambda q, k, v: None, "is a return missing"),
        (
            lambda q, k, v: (v, np.exp(q @ k.T) / np.exp(q @ k.T).sum(1)[:, None]),
            "still looks at a later word",
        ),
        (lambda q, k, v: (v, np.tri(4) * masked(q, k, 0)[0]), "do not add up to 1"),
        (lambda q, k, v: (v, masked(q, k)[0]), "by the root of the units"),
        (lambda q, k, v: (v, masked(q / 8**0.5, k)[0]), "not shares @ v"),
        (lambda q, k, v: (v, np.full((4, 4), np.nan)), "There is nan"),
        (lambda q, k, v: (v, masked(q / 3**0.5, k)[0]), "by the root of the units"),
        (lambda q, k, v: (v, masked(np.divide(q, 8**0.5, out=q), k)[0]), "changed"),
    ],
    "06.2": [
        (
            lambda units, inner: (
                4.0 * units * (units + 1) + (2 * inner + 5) * units + inner
            ),
            "return a whole number (int)",
        ),
        (lambda units, inner: 4 * units * units + 2 * units * inner, "attention 288"),
        (
            lambda units, inner: (
                4 * units * (units + 1) + 2 * units * inner + units + inner + 2 * units
            ),
            "norms 32",
        ),
    ],
    "06.3": [
        (lambda x, ids: x.mean(0), "two words and two places of padding"),
        (lambda x, ids: x[ids > 1].mean(0), "unknown (1)"),
        (lambda x, ids: x[ids > 0].mean(0), "padding only"),
        (lambda x, ids: x[ids > 0].mean(), "The shape of the mean is (3,)"),
        (lambda x, ids: x[: (ids > 0).sum()].mean(0), "between two words"),
        (lambda x, ids: np.multiply(x, 0, out=x)[0], "has been changed"),
    ],
    "06.4": [
        (lambda p, top_p: p, "one token is enough"),
        (lambda p, top_p: p * 0 / 0, "the likeliest token always stays"),
        (lambda p, top_p: np.where(p >= p.max(), p, 0), "add up to 0.50, not 1"),
        (lambda p, top_p: np.where(p >= p.max(), 1.0, 0), "two tokens reach 0.7"),
        (lambda p, top_p: [1.0], "return 4 numbers"),
        (lambda p, top_p: generous(p, top_p), "reaches top_p exactly"),
        (lambda p, top_p: np.divide(p, 2, out=p), "has been changed"),
    ],
    "07.1": [
        (lambda s, loss: -1 / (1 + np.exp(-s)), "'non-saturating'"),
        (lambda s, loss: 1 / (1 + np.exp(-s)), "'minimax'"),
        (lambda s, loss: first_slope(s, loss), "two slopes"),
    ],
    "07.2": [
        (lambda y, p: float(np.mean(y)), "bad, good, bad"),
        (lambda y, p: in_given_order(y), "not sorted"),
    ],
    "07.3": [
        (lambda samples, training, limit: 1.0, "far from all"),
        (lambda samples, training, limit: far_sum(samples, training, limit), "0.05"),
        (lambda a, b, limit: closer(a, b, limit, np.square), "the limit 0.1"),
        (lambda a, b, limit: closer(a, b, limit, np.abs), "the limit 0.1"),
        (lambda a, b, limit: closer(a, b, limit, np.abs, np.max), "the limit 0.2"),
    ],
    "08.1": [
        (lambda worth, players: joining(worth, players, [tuple(players)]), "'hose'"),
        (lambda worth, players: joining(worth, players, whole=True), "'hose'"),
        (lost_without, "['hose', 'hydraulic'] the value of 'hose' is 0.30"),
        (
            lambda worth, players: joining(
                worth, players, [tuple(players), tuple(players[::-1])]
            ),
            "In another game",
        ),
        (lambda worth, players: [0.6] * len(players), "return a dictionary"),
    ],
    "08.2": [
        (lambda crew_of, text: (0,), "'oil hose on boom'"),
        (lambda crew_of, text: fewest(crew_of, text, most=1), "'pump hose oil'"),
        (lambda crew_of, text: fewest(crew_of, text, by_word=True), "'hose leak hose'"),
        (lambda crew_of, text: fewest(crew_of, text, len(text.split())), "'hose' the"),
        (lambda c, t: fewest(c, t, order=reversed), "'no air from con' the answer"),
        (lambda c, t: list(fewest(c, t) or ()), "the answer is (1,)"),
        (lambda c, t: fewest(c, t) or (), "'crack in boom' the answer is None"),
    ],
    "08.3": [
        (lambda p, text, named: account(p, text, named, take=lambda x: 0), "(2,)"),
        (lambda p, text, named: account(p, text, named, take=max), "(2,)"),
        (
            lambda p, text, named: account(
                p, text, named, lambda others, k: combinations(others, 1)
            ),
            "(0, 2)",
        ),
        (
            lambda p, text, named: account(p, text, named, by_word=True),
            "'lights in cab lights'",
        ),
        (lambda p, text, named: account(p, text, named) or 0.0, "the answer is None"),
    ],
    "09.1": [
        (lambda rows: max(Counter(rows).values(), default=0), "the answer is 2"),
        (lambda rows: min(Counter(rows).values()), "ValueError"),
        (lambda rows: len(set(rows)), "the answer is 3"),
        (
            lambda rows: min(Counter(map(frozenset, rows)).values(), default=0),
            "the answer is 1; yours is 3",
        ),
    ],
    "09.2": [
        (lambda lines: broken(lines) - 1, "the answer is 0"),
        (lambda lines: broken(lines) if lines else None, "is a return missing"),
        (lambda lines: broken(lines[1:]), "four lines that fit"),
        (lambda lines: broken(lines) if len(lines) != 3 else 0, "without its second"),
        (
            lambda lines: broken([(lines[0][0], ""), *lines[1:]]) if lines else 0,
            "a first line whose previous is not empty",
        ),
    ],
    "09.3": [
        (lambda g, clip: g.sum(axis=0), "one long and one short row"),
        (
            lambda g, clip: g.sum(0) * min(1, clip / np.linalg.norm(g.sum(0))),
            "one long and one short row",
        ),
        (
            lambda g, clip: (g / np.linalg.norm(g, axis=1)[:, None] * clip).sum(0),
            "one long and one short row",
        ),
        (lambda g, clip: np.clip(g, -clip, clip).sum(0), "one long and one short row"),
        (lambda g, clip: g, "yours has shape (2, 2)"),
    ],
    "09.4": [
        (lambda q, burst, per_day, keys: q / per_day / keys, "the answer is 24.0"),
        (
            lambda q, burst, per_day, keys: (q - keys * burst) / keys / per_day,
            "30 queries, burst 40, 40 a day, 1 keys the answer is 0.0",
        ),
        (
            lambda q, burst, per_day, keys: max(0, q - burst) / keys / per_day,
            "4 keys the answer is 5.25",
        ),
        (
            lambda q, burst, per_day, keys: float(max(0, q - keys * burst) // per_day),
            "yours is",
        ),
    ],
    "10.1": [
        (lambda g, n: np.mean(g, axis=0), "of [30, 10] notes"),
        (lambda g, n: np.sum(g, axis=0), "of [32, 32] notes"),
        (lambda g, n: g[0], "of [32, 32] notes"),
    ],
    "10.2": [
        (lambda total, names: list(range(len(names), total)), "run.json"),
        (
            lambda total, names: [
                n for n in range(total) if not any(f"{n:05}" in name for name in names)
            ],
            "run.json",
        ),
        (lambda total, names: list(range(total)), "run.json"),
    ],
    "10.3": [
        (lambda fixed, own, hosted: fixed / hosted, "own 0.2"),
        (lambda fixed, own, hosted: int(fixed / (hosted - own)), "own 0.2"),
        (lambda fixed, own, hosted: math.ceil(fixed / (hosted - own)), "fixed 6"),
        (
            lambda fixed, own, hosted: (
                math.ceil(round(fixed / (hosted - own), 9))
                if hosted > own
                else math.inf
            ),
            "fixed 0, own 0.5",
        ),
    ],
    "11.1": [
        (lambda before, now: 0.0, "two classes, before [10, 30] and now [20, 20]"),
        (psi_without_shares, "sums that differ"),
        (psi_with_a_floor, "before [10, 30] and now [20, 20]"),
    ],
    "11.2": [
        (lambda highest, rate: max(highest), "one of four years may ring"),
        (
            lambda highest, rate: highest[int(len(highest) * (1 - rate)) - 1],
            "two of four would be too many",
        ),
        (
            lambda highest, rate: np.quantile(highest, 1 - rate),
            "one of four years may ring",
        ),
        (
            lambda highest, rate: next(
                v for v in np.sort(highest) if np.mean(highest >= v) <= rate
            ),
            "one of four years may ring",
        ),
    ],
    "11.3": [
        (lambda rules, answers, as_of: [], "on 2026-11-27"),
        (
            lambda rules, answers, as_of: [
                name
                for name, day, asked in rules
                if day < as_of and all(answers[q] == "yes" for q in asked)
            ],
            "on 2026-08-02",
        ),
        (
            lambda rules, answers, as_of: [
                name
                for name, day, asked in rules
                if day <= as_of and all(answers.get(q) == "yes" for q in asked)
            ],
            "'allocates' is open: raise a ValueError",
        ),
        (
            lambda rules, answers, as_of: [n for n, day, _ in rules if day <= as_of],
            "'talks': 'no', 'allocates': 'no'} on 2028-01-01",
        ),
        (in_force_with_every_answer_checked, "'rain': 'perhaps'"),
    ],
    "11.4": [
        (lambda sections: min(map(sum, sections.values())), "Return two things"),
        (
            lambda sections: (min(map(sum, sections.values())), min(sections)),
            "Return two things, score and list",
        ),
        (
            lambda sections: (
                sum(map(sum, sections.values())) / len(sections),
                [min(sections, key=lambda name: sum(sections[name]))],
            ),
            "the answer is (1.0, ['model'])",
        ),
        (
            lambda sections: (
                min(map(sum, sections.values())),
                [min(sections, key=lambda name: sum(sections[name]))],
            ),
            "the answer is (0.5, ['model', 'monitoring'])",
        ),
    ],
    "12.1": [
        (lambda n, d, p, f, angle: n * f * (1 - d / p) / 2, "return two frequencies"),
        (
            lambda n, d, p, f, angle: race_frequencies(n, d, p, f, 0),
            "60 degrees the outer race gives 135.000",
        ),
        (
            lambda n, d, p, f, angle: race_frequencies(n, d, p, f, np.degrees(angle)),
            "60 degrees the outer race",
        ),
        (
            lambda n, d, p, f, angle: race_frequencies(n, d, p, f, angle)[::-1],
            "the outer race gives 81.124 Hz; yours is 118.876",
        ),
        (
            lambda n, d, p, f, angle: race_frequencies(n, p, d, f, angle),
            "the outer race gives 81.124",
        ),
    ],
    "12.2": [
        (lambda h, s, limit, end: warned(h, s, limit, end, first=0), "a rise to the"),
        (lambda h, s, limit, end: warned(h, s, limit, end, row=1), "a rise to the"),
        (
            lambda h, s, limit, end: (
                warned(h, s, limit, end) or (s[-1] >= limit) * (end - h[-1])
            ),
            "only the last window",
        ),
        (lambda h, s, limit, end: warned(h, s, limit + 0.01, end), "scores equal to"),
        (lambda h, s, limit, end: end - warned(h, s, limit, end), "a rise to the end"),
        (lambda h, s, limit, end: warned(h, s, limit, end) or None, "is a return"),
    ],
    "12.3": [
        (lambda m, left, low, high: np.mean((left >= low) & (left <= high)), "answer"),
        (lambda m, left, low, high: by_machine(m, left <= high), "too early"),
        (lambda m, left, low, high: by_machine(m, left >= low), "machines 1, 1, 2, 2"),
        (
            lambda m, left, low, high: by_machine(m, (left > low) & (left < high)),
            "ends that belong to it",
        ),
        (
            lambda m, left, low, high: by_machine(m, (left >= low) & (left <= high), 0),
            "machines 1, 1, 2, 2",
        ),
    ],
    "12.4": [
        (lambda failure, planned, false: false / (false + failure), "of 20000"),
        (
            lambda failure, planned, false: false / (false + failure - planned),
            "a failure of 4000, a planned stop of 5000",
        ),
        (
            lambda failure, planned, false: min(1, false / failure),
            "a failure of 20000, a planned stop of 5000",
        ),
        (
            lambda failure, planned, false: false / (false + abs(failure - planned)),
            "a failure of 4000",
        ),
        (
            lambda failure, planned, false: min(
                1, max(0, false / (false + failure - planned))
            ),
            "a false stop of 500",
        ),
    ],
    "13.1": [
        (lambda values: cusum(values, floor=-np.inf), "never falls below 0"),
        (lambda values: cusum(values, both=False), "a shift downwards"),
        (lambda values: cusum(np.abs(values)), "two sums, apart"),
        (lambda values: cusum(values, least=5), "a sum of exactly 5"),
        (lambda values: cusum(values, slack=0), "the answer is -1; yours is 2"),
        (lambda values: float(cusum(values)), "return a whole number"),
    ],
    "13.2": [
        (lambda mean, deviation, best: reduction(-mean, deviation, -best), "best 10"),
        (lambda mean, deviation, best: np.maximum(best - mean, 0), "deviation 1.0"),
        (
            lambda mean, deviation, best: np.where(
                deviation > 0, reduction(mean, deviation, best), 0
            ),
            "mean 9 and deviation 0.0",
        ),
        (
            lambda mean, deviation, best: reduction(mean, deviation, best, tiny=0),
            "yours is nan",
        ),
        (
            lambda mean, deviation, best: reduction(mean, deviation, best).sum(),
            "one number for each",
        ),
    ],
    "13.3": [
        (lambda days, lead, wanted: len(days), "arrives in time"),
        (
            lambda days, lead, wanted: shelf(days, lead + 1e-9, wanted),
            "each arrives in time",
        ),
        (lambda days, lead, wanted: shelf(days, lead, 1.0), "half may wait"),
        (
            lambda days, lead, wanted: math.ceil(
                wanted * lead * len(days) / (days[-1] + 1)
            ),
            "three uses on one day",
        ),
    ],
    "14.1": [
        (lambda p, right, wrong, look: 1 - look / wrong, "an error at 250 and a look"),
        (
            lambda p, right, wrong, look: cheapest_minimum(p, right, wrong, look, 1),
            "0.40 is the highest minimum that lets both go",
        ),
        (
            lambda p, right, wrong, look: cheapest_minimum(p, ~right, wrong, look),
            "an error at 250 and a look at 25",
        ),
    ],
    "14.2": [
        (lambda p, count: np.argsort(p.max(1), kind="stable")[:count], "0.45, 0.05"),
        (lambda p, count: list(range(count)), "the lead is what counts"),
        (
            lambda p, count: np.argsort(-np.diff(np.sort(p))[:, -1], kind="stable")[
                :count
            ],
            "the lead is what counts",
        ),
        (
            lambda p, count: (
                len(p)
                - 1
                - np.argsort(np.diff(np.sort(p))[::-1, -1], kind="stable")[:count]
            ),
            "equals keep their order",
        ),
    ],
    "14.3": [
        (lambda curve, label, a_year: list(curve)[-1], "the step to 160 saves 62.50"),
        (lambda curve, label, a_year: stop_at(curve, label, 1), "the step to 160"),
        (lambda curve, label, a_year: stop_at(curve, 0, a_year), "the step to 160"),
        (
            lambda curve, label, a_year: min(
                curve, key=lambda n: curve[n] * a_year + n * label
            ),
            "the first step loses",
        ),
    ],
}


def cusum(values, floor=0.0, both=True, least=5 + 1e-12, slack=0.5):
    """Exercise 13.1, with a sum that may fall, one side, or another limit."""
    up = down = 0.0
    for position, z in enumerate(values):
        up, down = max(floor, up + z - slack), max(floor, down - z - slack)
        if up >= least or (both and down >= least):
            return position
    return -1


def reduction(mean, deviation, best, tiny=1e-12):
    """Exercise 13.2; with tiny=0 it divides by 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (best - mean) / np.maximum(deviation, tiny)
    below = np.array([(1 + math.erf(x / 2**0.5)) / 2 for x in z])
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return (best - mean) * below + deviation * density


def shelf(days, lead, wanted):
    """Exercise 13.3: the smallest stock that serves the share wanted."""
    for stock in range(len(days) + 1):
        late = [days[k - stock] + lead > days[k] for k in range(stock, len(days))]
        if 1 - sum(late) / len(days) >= wanted:
            return stock


def cheapest_minimum(p, right, wrong, look, step=-1):
    """The cheapest minimum; with step 1 the lowest of equals."""
    grid = np.arange(21)[::step] / 20
    errors = np.where(right, 0, wrong)
    return grid[np.argmin([np.where(p < m, look, errors).sum() for m in grid])]


def stop_at(curve, label, a_year):
    """Exercise 14.3 with some of what is given left out."""
    counts = list(curve)
    for now, then in zip(counts, counts[1:]):
        if (then - now) * label > (curve[now] - curve[then]) * a_year:
            return now
    return counts[-1]


def broken(lines):
    """The number of the first line that does not continue the one before it."""
    expected = ""
    for number, (text, previous) in enumerate(lines, start=1):
        if previous != expected:
            return number
        expected = hashlib.sha256((text + previous).encode()).hexdigest()
    return 0


def in_given_order(y):
    """Average precision of cells that nobody sorted."""
    return float((np.cumsum(y) / np.arange(1, len(y) + 1))[y == 1].mean())


def race_frequencies(rollers, roller, pitch, shaft, angle):
    """Exercise 12.1."""
    share = roller / pitch * np.cos(np.radians(angle))
    return rollers / 2 * shaft * (1 - share), rollers / 2 * shaft * (1 + share)


def warned(hours, scores, threshold, failure, row=2, first=None):
    """Exercise 12.2; the alarm comes with the last window of the row, or with first."""
    high = np.array(scores) >= threshold
    for end in range(row, len(high) + 1):
        if high[end - row : end].all():
            return failure - hours[end - 1 if first is None else end - row + first]
    return 0


def by_machine(machine, inside, place=None):
    """Exercise 12.3; the worst machine, or the one at a place."""
    shares = {m: np.mean(inside[machine == m]) for m in sorted(set(machine))}
    worst = min(shares, key=shares.get) if place is None else sorted(shares)[place]
    return worst, shares[worst]


def first_slope(score, loss):
    """The slope at the first score only."""
    real = 1 / (1 + np.exp(-np.ravel(score)[0]))
    return float(-real if loss == "minimax" else real - 1)


def closer(samples, training, limit, size, total=np.mean):
    """Distances that are no root of a mean square."""
    distance = total(size(samples[:, None] - training), axis=(2, 3))
    return float((distance.min(1) < limit).mean())


def far_sum(samples, training, limit):
    """Distances as the root of a sum, not of a mean: larger."""
    distance = np.sqrt(((samples[:, None] - training) ** 2).sum((2, 3)))
    return float((distance.min(1) < limit).mean())


def bucket(size, per_second, top=None, fee=0):
    """A token bucket that may overflow, or charge for refused calls."""
    state = {"level": size, "last": None}

    def take(now):
        past = 0 if state["last"] is None else now - state["last"]
        level = min(top or size, state["level"] + past * per_second)
        state.update(level=level - (1 if level >= 1 else fee), last=now)
        return 0.0 if level >= 1 else (1 - level) / per_second

    return take


def generous(p, top_p):
    """Top-p that keeps one token too many where the sum is reached exactly."""
    order = np.argsort(-p)
    kept = np.zeros(len(p))
    inside = order[np.round(np.cumsum(p[order]) - p[order], 9) <= top_p]
    kept[inside] = p[inside]
    if len(p) == 4 and len(set(p)) == 1:
        kept = np.array([0.5, 0.5, 0, 0])
    return kept / kept.sum()


def patient(size, seconds, patience):
    """The longest queue by trying, without slack for floats."""
    batches = 0
    while (batches + 2) * seconds <= patience:
        batches += 1
    return batches * size


def rank(values, p, place=math.ceil):
    return sorted(values)[max(1, place(p * len(values) / 100)) - 1]


def fixed_size(q, k, v):
    """Causal attention that was written for 4 words of 8 units only."""
    share = masked(q / 8**0.5, k)[0]
    return share @ v, share


def masked(q, k, low=-np.inf):
    """Softmax of q @ k.T with later words set to low, in a tuple."""
    score = np.where(np.tri(len(q), dtype=bool), q @ k.T, low)
    return (np.exp(score) / np.exp(score).sum(1, keepdims=True),)


def test_every_exercise_has_wrong_answers_here():
    assert sorted(WRONG) == sorted(EXERCISES)


@pytest.mark.parametrize("number", sorted(WRONG))
def test_wrong_answers_are_told_what_is_wrong(number, capsys, own_progress):
    for answer, message in WRONG[number]:
        assert check(number, answer) is False
        printed = capsys.readouterr().out
        assert printed.startswith(f"Exercise {number}: not yet. "), printed
        assert message in printed, printed
    assert not own_progress.exists()


@pytest.mark.parametrize("number", sorted(EXERCISES))
def test_stubs_crashes_and_nonsense(number, capsys):
    def stub(*args):
        answer = ...
        return answer

    def crash(*args):
        raise ZeroDivisionError("division by zero")

    for answer in (stub, crash, 42, "text", None, ...):
        assert check(number, answer) is False
    printed = capsys.readouterr().out
    assert "your code stopped with ZeroDivisionError" in printed
    assert printed.count("not started") == 2
    assert printed.count("replace the ... with your code") == 1


def test_unknown_exercise():
    with pytest.raises(InputError, match=r"No exercise '9.9'. There are 01.1, 01.2"):
        check("9.9", 1)


def share_seen(train, test):
    from helpers import normalise

    seen = {normalise(text) for text in train}
    return sum(normalise(text) in seen for text in test) / len(test)


def test_progress_is_kept(capsys, own_progress):
    assert progress()["solved"].sum() == 0
    assert check("01.1", share_seen, record=False)
    assert not own_progress.exists()
    assert check("01.1", share_seen) and check("01.1", share_seen)
    assert json.loads(own_progress.read_text()) == {"solved": ["01.1"]}
    assert progress().loc["01"].tolist() == [3, 1, "01.2, 01.3"]
    assert capsys.readouterr().out.count("Exercise 01.1: right.") == 3


def test_progress_survives_a_restart(own_progress):
    check("01.1", share_seen)
    program = "import helpers; print(helpers.progress()['solved'].tolist())"
    environment = os.environ | {"COURSE_STATE": str(own_progress.parent)}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert run.stdout.startswith("[1, 0, 0, 0, 0, 0"), run.stderr


DAMAGED = ["", "{", "[]", '{"done": 1}', "null", '{"solved": null}', '{"solved": [1]}']
DAMAGED += ['{"solved": "01.1"}', '{"solved": {"01.1": 1}}']


@pytest.mark.parametrize("content", [*(text.encode() for text in DAMAGED), b"\xff\x00"])
def test_damaged_record_is_set_aside(own_progress, content, capsys):
    for n, look in enumerate((progress, lambda: check("01.1", share_seen)), 1):
        own_progress.write_bytes(content)
        look()
        assert f"it is now progress-damaged-{n}.json" in capsys.readouterr().out
        kept = own_progress.with_name(f"progress-damaged-{n}.json")
        assert kept.read_bytes() == content
    assert json.loads(own_progress.read_text()) == {"solved": ["01.1"]}


def test_two_notebooks_solve_exercises_at_the_same_time(own_progress):
    """Hundreds of writes of two processes: none is lost, none leaves a file behind."""
    program = """if True:
        import sys
        from helpers.exercises import progress, record
        for n in range(200):
            record.note_solved(f"{sys.argv[1]}.{n}")
            progress()
    """
    environment = os.environ | {"COURSE_STATE": str(own_progress.parent)}
    command = [sys.executable, "-c", program]
    both = [
        subprocess.Popen([*command, name], env=environment, stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    for process in both:
        assert process.communicate()[1] == b"" and process.returncode == 0
    solved = json.loads(own_progress.read_text())["solved"]
    assert solved == sorted(
        f"{name}.{n}" for name in ("one", "two") for n in range(200)
    )
    names = [path.name for path in own_progress.parent.iterdir()]
    assert sorted(names) == [".progress.json.lock", "progress.json"]


def test_progress_that_cannot_be_written(own_progress, monkeypatch, capsys):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(record.os, "replace", refuse)
    with pytest.raises(CourseError, match=r"right, but .*Permission denied"):
        check("01.1", share_seen)
    assert "Exercise 01.1: right." in capsys.readouterr().out


def test_state_folder_is_made_when_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "STATE", tmp_path / "new" / "folder")
    assert check("01.1", share_seen)
    assert progress()["solved"].sum() == 1


def test_wrong_shapes_are_named(capsys):
    check("02.2", lambda w, b, x, y, r: (w[:2], b))
    assert "are (3,) and (); yours (2,) and ()" in capsys.readouterr().out


def test_numpy_answers_are_answers(capsys):
    def decide(probabilities, labels, minimum, lead):
        order = np.sort(probabilities, axis=1)
        sure = (order[:, -1] >= minimum) & (order[:, -1] - order[:, -2] >= lead)
        best = np.array(labels)[probabilities.argmax(1)]
        return np.where(sure, best, "planner")

    assert check("03.2", decide, record=False), capsys.readouterr().out
