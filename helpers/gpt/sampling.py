"""From logits to a token: probabilities, temperature, top-p, stop strings."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

TOP = 5  # likeliest tokens in each Step


class Step(NamedTuple):
    """One generated token.

    logprob and top (the likeliest tokens, best first) are the model's own, as natural
    logarithms, before temperature, top_p and grammar. A letter of several tokens is the
    text of the last of them. finish is "" while more may come, "stop" at the end of the
    record or at a stop string, "length" where a limit was reached.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]
    finish: str = ""


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of probabilities that sum to one (last axis): float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def distribution(logits: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """Probabilities to sample from: float64, (tokens,).

    Logits are divided by the temperature; then only the nucleus stays, the fewest
    likeliest tokens whose probabilities reach top_p (Holtzman et al. 2020, The Curious
    Case of Neural Text Degeneration).
    """
    probabilities = np.exp(log_softmax(logits.astype(np.float64) / temperature))
    order = np.argsort(-probabilities, kind="stable")
    reached = np.cumsum(probabilities[order])
    outside = order[1:][reached[:-1] >= top_p]
    probabilities[outside] = 0
    return probabilities / probabilities.sum()


def choose(
    logits: np.ndarray, temperature: float, top_p: float, rng: np.random.Generator
) -> int:
    """One token: the likeliest at temperature 0, else drawn from the distribution."""
    if temperature < 1e-6:  # dividing by less could overflow
        return int(logits.argmax())
    probabilities = distribution(logits, temperature, top_p)
    return int(rng.choice(len(probabilities), p=probabilities))


def until_stop(steps: Iterator[Step], stop: Sequence[str]) -> Iterator[Step]:
    """Steps up to the first stop string; text that may begin one is held back."""
    held: list[Step] = []
    for step in steps:
        held.append(step)
        text = "".join(item.token for item in held)
        end = min((text.index(s) for s in stop if s in text), default=None)
        begun = [n for s in stop for n in range(len(s)) if text.endswith(s[:n])]
        free = len(text) - max(begun, default=0) if end is None else end
        while held and len(held[0].token) <= free:
            free -= len(held[0].token)
            yield held.pop(0)
        if end is not None:
            yield held[0]._replace(token=held[0].token[:free], finish="stop")
            return
    yield from held
