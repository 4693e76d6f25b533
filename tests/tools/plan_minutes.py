"""Count the plans of the instructor guide: python tests/tools/plan_minutes.py

A row like "| 0:20 | 01: 1-8, 01.1 | 25 | ... |" names what the room reads and solves:
sections 1 to 8 of chapter 01, and exercise 01.1. Its minutes are counted as those of
the README are (words and exercises), without the run.
"""

import math
import re
from pathlib import Path

from build_readme import MINUTES_AN_EXERCISE, ROOT, WORDS_A_MINUTE, chapters, read

GUIDE = ROOT / "notebooks" / "instructor_guide.md"
PART = r"(?:(\d\d): ([^|]+)|([^|]*))"
ROW = re.compile(rf"^\| (\d+:\d\d) \| {PART} \| (\d*) \| (.+) \|$", re.M)


def words_by_section(path: Path) -> dict[str, int]:
    """Words of each section with a number; what has none counts to the one before."""
    words, section = {"0": 0}, "0"
    for cell in read(path)["cells"]:
        texts = ["".join(cell["source"])]
        heading = re.search(r"^## (?:(\d+)\.|(Exercises))", texts[0], re.M)
        if cell["cell_type"] == "markdown" and heading:
            section = heading[1] or heading[2]
        for output in cell.get("outputs", []):
            plain = output.get("data", {}).get("text/plain", [])
            texts.append("".join(output.get("text", plain)))
        count = sum(len(text.split()) for text in texts)
        words[section] = words.get(section, 0) + count
    return words


def counted(number: str, part: str) -> int | None:
    """Minutes of a part of a chapter; None if there is no such chapter yet.

    Raises:
        LookupError: the chapter has no such section.

    """
    paths = [path for path in chapters() if path.name.startswith(number)]
    if not paths:
        return None
    words, solved, total = words_by_section(paths[0]), 0, 0
    for piece in part.strip().split(", "):
        if piece in ("all", "no exercises"):
            total += sum(n for name, n in words.items() if name != "Exercises")
        elif re.fullmatch(rf"{number}\.\d", piece):
            solved += 1
        else:
            first, last = (piece.split("-") * 2)[:2]
            for section in range(int(first), int(last) + 1):
                if str(section) not in words:
                    raise LookupError(f"{paths[0].name} has no section {section}.")
                total += words[str(section)]
    return math.ceil(total / WORDS_A_MINUTE + solved * MINUTES_AN_EXERCISE)


def filled(guide: str) -> str:
    """The guide with the counted minutes in each row that names a part."""

    def count(row: re.Match) -> str:
        time, number, part, other, _, what = row.groups()
        if number is None:
            return row[0]
        minutes = counted(number, part)
        shown = "" if minutes is None else minutes
        return f"| {time} | {number}: {part.strip()} | {shown} | {what} |"

    return ROW.sub(count, guide)


if __name__ == "__main__":
    GUIDE.write_text(filled(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    print("The plans of the instructor guide are counted.")
