"""What may be wrong with clean orders: they are looked at, not changed."""

import re
from collections import Counter

import numpy as np
import pandas as pd

from helpers.plant.advice import FEW, FEWEST, MANY, RARE, Advice, say
from helpers.plant.words import SPACELESS, mask_personal, tokens

MISREAD = re.compile("Ã[\x80-\xbf\u0152-\u2122]|â€|\ufffd")  # UTF-8 read as cp1252


def advise(orders: pd.DataFrame) -> list[Advice]:
    """All findings on clean orders (their text and label)."""
    if len(orders) < FEWEST:
        return [say("few", len(orders))]
    found = [*_texts(orders["text"]), *_personal(orders["text"])]
    known = orders[orders["label"].notna()]
    if len(known) == 0:
        found.append(say("no labels", len(orders)))
    elif len(known) < FEWEST:
        found.append(say("few labelled", len(known)))
    else:
        found += [*_labels(known), *_near(known["label"]), *_leaks(known)]
        if len(known) < FEW:
            found.append(say("some labelled", len(known)))
        if len(known) < len(orders):
            found.append(say("unlabelled", len(orders) - len(known)))
    return found


def _texts(texts: pd.Series) -> list[Advice]:
    """Codes instead of words, few different texts, texts in a wrong encoding."""
    found, shown, different = [], texts.iloc[0], texts.nunique()
    forms = texts.str.replace(r"\d+", "0", regex=True).nunique()
    codes = sum(map(_is_code, texts))
    if different == 1:
        found.append(say("one text", len(texts), shown=shown))
    elif codes > 0.9 * len(texts) or forms <= 2 < different / 10:
        found.append(say("codes", len(texts), shown=shown))
    elif different < min(30, len(texts) / 10):
        found.append(say("few texts", different, shown=shown))
    if len(misread := texts[texts.str.contains(MISREAD)]):
        found.append(say("encoding", len(misread), shown=misread.iloc[0]))
    return found


def _is_code(text: str) -> bool:
    """No letter at all, or one piece with a digit (not in Chinese or Japanese)."""
    piece = re.fullmatch(r"\S*\d\S*", text) and not SPACELESS.search(text)
    return bool(piece) or not re.search(r"[^\W\d_]", text)


def _personal(texts: pd.Series) -> list[Advice]:
    """What may point to persons: counted by kind, one of each shown masked."""
    kinds, shown = Counter(), {}
    for text in texts:
        masked, found = mask_personal(text)
        kinds.update(found)
        for kind in found:
            shown.setdefault(kind, masked)
    return [
        say("personal", count, kind=kind, shown=shown[kind])
        for kind, count in kinds.most_common()
    ]


def _labels(known: pd.DataFrame) -> list[Advice]:
    """One label, one for nearly all, too many, or two for the same text."""
    counts = known["label"].value_counts()
    top, most, found = counts.index[0], int(counts.iloc[0]), []
    if len(counts) == 1:
        return [say("one label", len(known), shown=top)]
    if most > 0.95 * len(known):
        found.append(say("one for most", most, shown=top))
    if len(counts) > MANY:
        found.append(say("many labels", len(counts), each=len(known) // len(counts)))
    pairs = known.groupby(["text", "label"]).size()
    if (lost := len(known) - pairs.groupby("text").max().sum()) > len(known) / 100:
        found.append(say("contradictions", lost))
    return found


def _near(labels: pd.Series) -> list[Advice]:
    """Labels that may be one with a typing mistake; "Crew 1" and "Crew 2" are not."""
    from rapidfuzz import fuzz, process

    names = labels.unique()
    keys = [" ".join(re.findall(r"[^\W\d_]{3,}", name.casefold())) for name in names]
    alike = process.cdist(keys, keys, scorer=fuzz.ratio, score_cutoff=85)
    pairs = [
        f"{names[one]!r} and {names[two]!r}"
        for one, two in np.argwhere(np.triu(alike, 1))
        if keys[one] != keys[two]
    ]
    return [say("near", len(pairs), shown="; ".join(pairs[:3]))] if pairs else []


def _leaks(known: pd.DataFrame) -> list[Advice]:
    """Texts that name their label, or hold a word that only its orders have."""
    labels, words = known["label"], [tokens(text) for text in known["text"]]
    names = {label: " ".join(tokens(label)) for label in labels.unique()}
    signs = _telling_words(labels, words)
    told = Counter()
    for label, row in zip(labels, words, strict=True):
        name, sign = names[label], signs.get(label, set()).intersection(row)
        if len(name) > 2 and f" {name} " in f" {' '.join(row)} ":
            told[label] += 1
        elif sign:
            told[min(sign)] += 1
    share = told.total() / len(labels)
    if share < 0.3 and not signs:
        return []
    shown = ", ".join(repr(sign) for sign, _ in told.most_common(3))
    key = "leak" if share > 0.9 else "some leak"
    return [say(key, told.total(), share=share, shown=shown)]


def _telling_words(labels: pd.Series, words: list[list[str]]) -> dict[str, set[str]]:
    """For a label, words in nearly all of its orders and in nearly no others."""
    table = pd.DataFrame({"label": labels.to_numpy(), "word": map(set, words)})
    table = table.explode("word")
    pairs = table.value_counts().rename("orders").reset_index()
    size = pairs["label"].map(labels.value_counts())
    in_all = pairs["word"].map(table["word"].value_counts())
    tell = (pairs["orders"] >= 0.9 * size) & (pairs["orders"] >= 0.99 * in_all)
    return pairs[tell & (size >= 2 * RARE)].groupby("label")["word"].agg(set).to_dict()
