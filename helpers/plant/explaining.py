"""Exact Shapley values for texts of any length: of words, or of groups of words."""

from collections.abc import Callable, Sequence

import numpy as np

from helpers.explain import Explanation, explain

GROUPS = 10  # at most 1,024 texts are asked


def explain_groups(
    probabilities: Callable[[Sequence[str]], np.ndarray], words: list[str]
) -> Explanation:
    """What each word adds to each label's probability, exactly, as helpers.explain.

    A text of more than 10 words is cut into 10 groups of neighbours, for which the
    values are exact as well: they are the players then.

    Args:
        probabilities: raw texts in, (texts, labels) out.
        words: of the text, in their order.

    """
    cut = np.array_split(np.array(words, object), min(len(words), GROUPS) or 1)
    groups = [" ".join(part) for part in cut] if words else []
    shown = ["", "", *groups]  # explain() asks row [1] for a text without any word

    def run(rows: np.ndarray) -> np.ndarray:
        return probabilities([" ".join(shown[n] for n in row) for row in rows])

    return explain(run, list(range(2, len(groups) + 2)), groups)
