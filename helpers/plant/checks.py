"""What may be wrong with orders that are clean: advice, nothing is changed."""

import re
from collections import Counter
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from helpers.plant.words import SPACELESS, mask_personal, tokens

FEWEST, FEW = 50, 500  # orders: below the first no test means anything
RARE = 10  # orders of a label: fewer cannot be learnt and tested
MANY_LABELS = 50
GIVEN_AWAY = 0.9  # of the orders tell their label: then a search does, not a model
FOUND_TWICE = re.compile("Ã[\x80-\xbf\u0152-\u2122]|â€|\ufffd")  # read or saved wrongly


class Advice(NamedTuple):
    """One finding. stop: going on would mislead; warn: look at it; note: for you to know.

    count is the number of orders, or of labels, that it is about.
    """

    level: Literal["stop", "warn", "note"]
    sentence: str
    count: int
    next_step: str

    def __str__(self) -> str:
        """The finding as one line."""
        return f"{self.level}: {self.sentence} {self.next_step}"


def advise(orders: pd.DataFrame) -> list[Advice]:
    """All findings on clean orders, those that stop first.

    Args:
        orders: columns text, label (NaN where none), date (NaT where none), machine.

    """
    words = [tokens(text) for text in orders["text"]]
    labelled = orders["label"].notna().to_numpy()
    found = [*_size(orders), *_texts(orders, words), *_personal(orders)]
    if labelled.any():
        known = [row for row, has in zip(words, labelled, strict=True) if has]
        labels = orders["label"][labelled].astype(str)
        found += [*_labels(labels), *_near(labels), *_leaks(labels, known)]
        found += _contradictions(orders[labelled])
    return sorted(found, key=lambda advice: "stop warn note".index(advice.level))


def _size(orders: pd.DataFrame) -> list[Advice]:
    """Too few orders, or orders without label."""
    count, labelled = len(orders), int(orders["label"].notna().sum())
    found = []
    if count < FEWEST:
        step = f"Export at least {FEW}: more months, or more machines."
        return [Advice("stop", f"Only {count} orders are left.", count, step)]
    if labelled == 0:
        step = "Route by description, and label those that teach most (this chapter)."
        found.append(Advice("note", "No order has a label.", count, step))
    elif labelled < FEWEST:
        step = f"Label at least {FEWEST}; this chapter says which."
        text = f"Only {labelled} of {count:,} orders have a label."
        found.append(Advice("stop", text, labelled, step))
    elif labelled < FEW:
        step = "Expect wide intervals; more orders make them narrow."
        found.append(
            Advice("warn", f"Only {labelled} labelled orders.", labelled, step)
        )
    if 0 < labelled < count:
        text = f"{count - labelled:,} of {count:,} orders have no label."
        step = "They are not learnt from and not tested on."
        found.append(Advice("note", text, count - labelled, step))
    return found


def _texts(orders: pd.DataFrame, words: list[list[str]]) -> list[Advice]:
    """Texts that are numbers or codes, all alike, or read in a wrong encoding."""
    texts, found = orders["text"], []
    different, example = texts.nunique(), texts.iloc[0][:40] if len(texts) else ""
    codes = sum(_is_code(text) for text in texts)
    forms = len({re.sub(r"\d+", "0", text) for text in texts})
    if codes > 0.9 * len(texts) or forms <= max(3, different / 100) < different / 2:
        text = f"The text column holds codes, not words, such as {example!r}."
        step = "Set PLANT_TEXT_COLUMN to the column that people type into."
        found.append(Advice("stop", text, max(codes, 1), step))
    elif different == 1:
        text = f"All texts are the same: {example!r}."
        step = "Set PLANT_TEXT_COLUMN to another column."
        found.append(Advice("stop", text, len(texts), step))
    elif different < min(30, len(texts) / 20):
        text = f"There are only {different} different texts, such as {example!r}."
        step = "It looks like a list to choose from: a table does, no model is needed."
        found.append(Advice("warn", text, different, step))
    if broken := int(texts.str.contains(FOUND_TWICE).sum()):
        example = texts[texts.str.contains(FOUND_TWICE)].iloc[0][:40]
        text = f"{broken:,} texts were saved in a wrong encoding, such as {example!r}."
        found.append(Advice("warn", text, broken, "Export them as UTF-8."))
    return found


def _is_code(text: str) -> bool:
    """One piece with a digit (no Chinese or Japanese), or no letter at all."""
    piece = not re.search(r"\s", text) and re.search(r"\d", text)
    return bool(piece and not SPACELESS.search(text)) or not re.search(
        r"[^\W\d_]", text
    )


def _personal(orders: pd.DataFrame) -> list[Advice]:
    """Texts that may point to persons: counted by kind, shown masked."""
    kinds, shown = Counter(), {}
    for text in orders["text"]:
        masked, found = mask_personal(text)
        kinds.update(found)
        for kind in found:
            shown.setdefault(kind, masked[:70])
    step = "Agree with your works council or privacy officer before you share a model."
    return [
        Advice("warn", f"{count:,} texts hold a {kind}: {shown[kind]!r}.", count, step)
        for kind, count in kinds.most_common()
    ]


def _labels(labels: pd.Series) -> list[Advice]:
    """One label, one for nearly all, or too many."""
    counts = labels.value_counts()
    top, share = counts.index[0], counts.iloc[0] / len(labels)
    if len(counts) == 1:
        text, step = f"All orders have one label: {top!r}.", "Choose another column."
        return [Advice("stop", text, len(labels), step)]
    found = []
    if share > 0.95:
        text = f"{share:.1%} of the orders have the label {top!r}."
        step = "Always saying it is hard to beat: look at the others' recall."
        found.append(Advice("warn", text, int(counts.iloc[0]), step))
    if len(counts) > MANY_LABELS:
        text = f"{len(counts)} labels, {len(labels) / len(counts):.0f} orders for each."
        step = "Put labels together that lead to the same action: crews, not causes."
        found.append(Advice("warn", text, len(counts), step))
    return found


def _near(labels: pd.Series) -> list[Advice]:
    """Labels that may be one with a typing mistake."""
    from rapidfuzz import fuzz, process

    names = [name for name in labels.unique() if len(name) > 4][:1000]
    keys = [name.casefold() for name in names]
    alike = process.cdist(keys, keys, scorer=fuzz.ratio, score_cutoff=85)
    pairs = []
    for one, two in np.argwhere(np.triu(alike, 1)):
        differ = set(keys[one].split()) ^ set(keys[two].split())
        if min(map(len, differ), default=9) > 2 and not re.search(
            r"\d", "".join(differ)
        ):
            pairs.append(f"{names[one]!r} and {names[two]!r}")
    text = f"{len(pairs)} pairs of labels nearly agree: {'; '.join(pairs[:3])}."
    step = "If they mean the same, correct them in the export."
    return [Advice("warn", text, len(pairs), step)] if pairs else []


def _contradictions(orders: pd.DataFrame) -> list[Advice]:
    """Equal texts with different labels: no model gets all of them right."""
    sizes = orders.groupby(["text", "label"]).size()
    lost = int(len(orders) - sizes.groupby("text").max().sum())
    if lost <= len(orders) / 100:
        return []
    text = f"{lost:,} orders have the text of another order with another label."
    step = "No model gets them right; ask why the same words lead to two labels."
    return [Advice("note", text, lost, step)]


def _leaks(labels: pd.Series, words: list[list[str]]) -> list[Advice]:
    """Texts that name their label, or hold a word that gives it away."""
    names = {label: f" {' '.join(tokens(label))} " for label in labels.unique()}
    named = np.array(
        [
            len(names[label]) > 4 and names[label] in f" {' '.join(row)} "
            for label, row in zip(labels, words, strict=True)
        ]
    )
    told, signs = _telling_words(labels, words)
    share = float((named | told).mean())
    if share < 0.3 and not signs:
        return []
    shown = labels[named].value_counts().index[:3] if named.any() else signs[:3]
    text = f"In {share:.0%} of the orders the text gives the label away"
    text += f", by {', '.join(map(repr, shown))}."
    step = "Was the label written from the text, or into it? Use texts from before."
    level = "stop" if share > GIVEN_AWAY else "warn"
    return [Advice(level, text, int((named | told).sum()), step)]


def _telling_words(
    labels: pd.Series, words: list[list[str]]
) -> tuple[np.ndarray, list[str]]:
    """Orders with a word that nearly all orders of their label have, and no others."""
    totals, inside = Counter(), {label: Counter() for label in labels.unique()}
    for label, row in zip(labels, words, strict=True):
        different = set(row)
        totals.update(different)
        inside[label].update(different)
    sizes = labels.value_counts()
    telling = {
        (label, word)
        for label, counts in inside.items()
        for word, count in counts.most_common(3)
        if sizes[label] >= 2 * RARE
        and count >= 0.9 * sizes[label]
        and count >= 0.99 * totals[word]
    }
    signs = {label: {w for name, w in telling if name == label} for label in inside}
    told = [
        bool(signs[label].intersection(row))
        for label, row in zip(labels, words, strict=True)
    ]
    return np.array(told, bool), sorted({word for _, word in telling})
