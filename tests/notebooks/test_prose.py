"""Numbers in prose are those of the outputs: a sentence cannot outlive its figure."""

import json
import re

import pytest
from strict_nbval import NOTEBOOKS

CHAPTERS = [path for path in NOTEBOOKS if path.parent.name == "notebooks"]
# Numbers that no cell shows, with their source.
KNOWN: dict[str, dict[str, str]] = {
    "04_hosted_model_api": {
        "0.46": "Stewart, Hodkiewicz and Li 2023, GPT-3.5 as it came",
        "2309.08181": "arXiv number of that paper",
    },
    "08_explainability": {
        "86": "Article 86 of the AI Act, Regulation (EU) 2024/1689",
        "15": "Article 15 of the GDPR, Regulation (EU) 2016/679",
        "22": "Article 22 of the GDPR",
    },
    "09_privacy_security": {
        "256": "SHA-256",
        "62443": "IEC 62443, the number of the standard",
        "2025": "year of an edition of the OWASP Top 10",
    },
}
NUMBER = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?!\w)"
)
IGNORED = [
    r"```.*?```|`[^`]*`",  # code
    r"\]\([^)]*\)",  # targets of links
    r"\$[^$]*\$",  # formulas
    r"\*\*Minutes:\*\* \d+",
    r"\| \d+ \|$",  # minutes in tables of chapters
    r"^#+ \d\d\.\d .*$",  # headings of exercises
    r"(?:[Cc]hapters?|[Ee]xercises?|[Ss]ections?) \d\d(?:\.\d)?",
    r"(?:, | and | to |\()\d\d(?:\.\d)?(?=[),.:;]| and | to )",  # more of them
    r"\[\d\d [^]]*\]",  # names of chapters in links
    r"[A-Z][\w&.-]+(?: et al\.| (?:and|&) [A-Z]\w+)?,? \(?(?:19|20)\d\d",  # citations
]


def text_of(value):
    return value if isinstance(value, str) else "".join(value or [])


def numbers(text):
    """Values of all numbers written in a text: 5,126 and 5126 and 5_126 are one."""
    joined = re.sub(r"(?<=\d)_(?=\d)", "", text)
    return {float(match.replace(",", "")) for match in NUMBER.findall(joined)}


def shown_by(cells):
    """All numbers in the code and in the outputs of a notebook."""
    texts = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        texts.append(text_of(cell["source"]))
        for output in cell["outputs"]:
            texts.append(text_of(output.get("text")))
            texts += [
                text_of(value)
                for kind, value in output.get("data", {}).items()
                if kind == "text/plain"
            ]
    return set().union(*map(numbers, texts))


def claims(cells):
    """(number as written, its value, whether it is a percentage) in text cells."""
    for cell in cells:
        if cell["cell_type"] != "markdown":
            continue
        text = text_of(cell["source"])
        for pattern in IGNORED:
            text = re.sub(pattern, " ", text, flags=re.M | re.S)
        for match in NUMBER.finditer(text):
            written = match.group()
            if sum(character.isdigit() for character in written) < 2:
                continue
            after = text[match.end() : match.end() + 10].lstrip()
            percent = after.startswith(("%", "percent"))
            yield written, float(written.replace(",", "")), percent


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_numbers_in_prose_are_shown(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    there, known = shown_by(cells), KNOWN.get(path.stem, {})
    missing = [
        written
        for written, value, percent in claims(cells)
        if value not in there
        and not (percent and round(value / 100, 6) in there)
        and written not in known
    ]
    assert not missing, f"no output and no code of {path.stem} shows {missing}"


def test_a_changed_output_is_found():
    """The check notices a sentence whose figure has changed."""
    code = {
        "cell_type": "code",
        "source": "score()",
        "outputs": [{"text": "0.87 5,126"}],
    }
    prose = {"cell_type": "markdown", "source": "It is 87 % of 5,126, not 0.88."}
    values = [value for _, value, _ in claims([prose])]
    assert values == [87, 5126, 0.88]
    assert shown_by([code]) == {0.87, 5126}
