"""Words of any language, and what in a text may point to a person."""

import re
import unicodedata

# Scripts that write no space between words: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Marks that belong to the letter before them: Hebrew, Arabic, Indian scripts, others.
MARKS = "\u0300-\u036f\u0590-\u05cf\u0610-\u065f\u0900-\u0963\u0966-\u0dff"
PIECES = re.compile(rf"[{UNSPACED}]+|(?:[^\W_{UNSPACED}]|[{MARKS}])+")
SPACELESS = re.compile(f"[{UNSPACED}]")

NAME = r"(?:[A-Z]\. ?)?[A-ZÀ-Þ][a-zß-ÿ]+(?: [A-ZÀ-Þ][a-zß-ÿ]+)?"
TITLE = r"(?:\b(?:[Bb]y|BY|Mrs?|Herrn?|Frau|Hr|Fr|Mme|Sra?)\b\.? )"
PERSONAL = {
    "e-mail address": re.compile(r"()\b([\w.+-]+@[\w-]+(?:\.[\w-]+)+)"),
    "phone number": re.compile(
        r"(?<![\w.,/-])()((?:\+|00 ?)[1-9](?:[ /().-]{0,2}\d){7,13}"
        r"|0\d{2,4}[ /-]{1,3}\d(?:[ /-]?\d){4,9}|0[1-9](?:[ .]\d\d){4}"
        r"|1[3-9]\d{9})(?!\w)"
    ),
    "name": re.compile(f"({TITLE})({NAME})"),
}


def tokens(text: str) -> list[str]:
    """Words of a text in small letters; letter pairs where no spaces are written.

    "Öl-Pumpe 3" -> ["öl", "pumpe", "3"]; "更换轴承" -> ["更换", "换轴", "轴承"].
    Usable as TfidfVectorizer(analyzer=tokens). Forms of a letter are made alike first
    (Unicode NFKC), so it does not matter how a system stores "ü".
    """
    found: list[str] = []
    for piece in PIECES.findall(unicodedata.normalize("NFKC", text).casefold()):
        if len(piece) > 1 and SPACELESS.match(piece):
            found += [piece[start : start + 2] for start in range(len(piece) - 1)]
        else:
            found.append(piece)
    return found


def mask_personal(text: str) -> tuple[str, list[str]]:
    """A text with what may point to a person masked, and the kinds that were found.

    "leak, seen by John Smith" -> ("leak, seen by J*** S****", ["name"]). It knows signs
    (a name after "by" or "Herr"), not persons: most names have none and stay.
    """
    kinds = []
    for kind, pattern in PERSONAL.items():
        text, count = pattern.subn(_mask, text)
        kinds += [kind] * bool(count)
    return text, kinds


def _mask(found: re.Match) -> str:
    """The first letter of each word stays."""
    return found[1] + re.sub(r"(?<=\w)\w", "*", found[2])
