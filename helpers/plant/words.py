"""Words of any language, and what in a text may point to a person."""

import re
import unicodedata

# Scripts that write no space between words: Thai to Khmer, kana, Han.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3005-\u3007\u3041-\u309f\u30a0-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
# Marks that belong to the letter before them and are no letters themselves.
JOINED = "\u0300-\u036f\u0590-\u05cf\u0610-\u065f\u0900-\u0963\u0966-\u0dff"
PIECES = re.compile(rf"[{UNSPACED}]+|(?:[^\W_{UNSPACED}]|[{JOINED}])+")
SPACELESS = re.compile(f"[{UNSPACED}]")

PERSONAL = {
    "e-mail address": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "phone number": re.compile(
        r"(?<![\w.,/-])(?:\+|00?)\d(?:[ /().-]{0,2}\d){7,13}(?!\w)"
    ),
    "name after 'by'": re.compile(
        r"\b(?:[Bb]y|BY|[Vv]on|[Dd]urch|[Pp]ar|[Pp]or|[Mm]r\.?|[Mm]rs\.?|[Hh]err[n]?|[Ff]rau"
        r"|[Ss]r\.?|[Ss]ra\.?|[Mm]me\.?)\s+"
        r"((?:[A-Z]\.\s?)?[^\W\d_a-zß-ÿ][^\W\d_A-Z]+(?:\s+[^\W\d_a-zß-ÿ][^\W\d_A-Z]+)?)"
    ),
}


def tokens(text: str) -> list[str]:
    """Words of a text in small letters; letter pairs where a language writes no spaces.

    "Öl-Pumpe 3 undicht" -> ["öl", "pumpe", "3", "undicht"]; "更换轴承" -> ["更换", "换轴",
    "轴承"]. Usable as TfidfVectorizer(analyzer=tokens). Forms of one letter are made
    alike first (Unicode NFKC), so that it does not matter how a system stores "ü".
    """
    found: list[str] = []
    for piece in PIECES.findall(unicodedata.normalize("NFKC", text).casefold()):
        if len(piece) > 1 and SPACELESS.match(piece):
            found += [piece[i : i + 2] for i in range(len(piece) - 1)]
        else:
            found.append(piece)
    return found


def mask_personal(text: str) -> tuple[str, list[str]]:
    """A text with what may point to a person masked, and the kinds that were found.

    "leak, reported by John Smith" -> ("leak, reported by J*** S****", ["name ..."]).
    It finds spellings, not persons: some names stay, some words are masked in vain.
    """
    kinds = []
    for kind, pattern in PERSONAL.items():
        text, count = pattern.subn(_mask, text)
        kinds += [kind] * bool(count)
    return text, kinds


def _mask(found: re.Match) -> str:
    """The first letter of each word stays."""
    whole, person = found[0], found[found.re.groups]
    return whole.replace(person, re.sub(r"(?<=\w)\w", "*", person))
