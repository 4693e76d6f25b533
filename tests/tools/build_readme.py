"""Write what is counted and measured: python tests/tools/build_readme.py

Into README.md: the chapters with their minutes, the results stored in chapter 02, the
timings. Into each chapter: its minutes, and in chapter 00 those of all.
"""

import csv
import math
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import nbformat

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "notebooks"
WORDS_A_MINUTE, MINUTES_AN_EXERCISE = 200, 10


def markdown(rows: list[list[str]]) -> str:
    """A table in Markdown; the first row is the head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def results() -> str:
    """The score table of chapter 02, from the output of its cell tagged "results"."""
    notebook = nbformat.read(CHAPTERS / "02_lstm_training.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "results" in c.metadata.get("tags", [])]
    html = cell.outputs[0]["data"]["text/html"]
    table = ElementTree.fromstring(re.search(r"<table.*</table>", html, re.S)[0])
    rows, task = (
        [["task", "model", "accuracy", "macro-F1", "95 % interval", "seeds"]],
        "",
    )
    for line in table.find("tbody"):
        values = ["".join(field.itertext()) for field in line]
        if len(values) == len(rows[0]):
            task = values.pop(0)
        rows.append([task, *values])
    return markdown(rows)


def timings() -> str:
    """Seconds and peak memory of each notebook, measured by regenerate.py."""
    total = sum(int(row[1]) for row in measured())
    head = [["notebook", "seconds", "peak memory, GB"]]
    return markdown([*head, *measured(), ["all", str(total), ""]])


def measured() -> list[list[str]]:
    """Rows of timings.csv: notebook, seconds, peak memory in GB."""
    with open(ROOT / "tests" / "tools" / "timings.csv", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def words(path: Path) -> int:
    """Words a reader goes through: text, code and what is printed."""
    count = 0
    for cell in nbformat.read(path, as_version=4).cells:
        printed = [
            o.get("text") or o.get("data", {}).get("text/plain", "")
            for o in cell.get("outputs", [])
        ]
        count += sum(len(text.split()) for text in [cell.source, *printed])
    return count


@cache
def minutes(path: Path) -> int:
    """Minutes for a chapter: its words, its exercises, its run; rounded up to five."""
    cells = nbformat.read(path, as_version=4).cells
    exercises = sum(c.source.count("helpers.check(") for c in cells)
    seconds = {row[0]: float(row[1]) for row in measured()}.get(path.name, 0)
    total = words(path) / WORDS_A_MINUTE + exercises * MINUTES_AN_EXERCISE
    return 5 * math.ceil((total + seconds / 60) / 5)


def chapters() -> list[Path]:
    """The notebooks of the course, in order."""
    return sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb"))


def with_minutes(text: str) -> str:
    """A text whose tables end each row that links a chapter with its minutes."""
    for path in chapters():
        link = rf"\[[^]]+\]\((?:notebooks/)?{path.name}\)"
        row = rf"(\| {link} \|[^|\n]+\| )\d+( \|)"
        text = re.sub(row, rf"\g<1>{minutes(path)}\g<2>", text)
    return text


def counted(path: Path) -> nbformat.NotebookNode:
    """A chapter with its minutes in the opening box, and in tables of chapters."""
    notebook = nbformat.read(path, as_version=4)
    box = f"**Minutes:** {minutes(path)}"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\*\*Minutes:\*\* \d+", box, cell.source)
            cell.source = with_minutes(cell.source)
    return notebook


def filled(readme: str) -> str:
    """README.md with its tables written anew."""
    for name, table in (("results", results()), ("timings", timings())):
        block = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        pattern = rf"<!-- {name} -->.*<!-- /{name} -->"
        readme, count = re.subn(pattern, lambda _, b=block: b, readme, flags=re.S)
        if count != 1:
            raise LookupError(f"README.md needs one block {name}, it has {count}")
    return with_minutes(readme)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    for chapter in chapters():
        nbformat.write(counted(chapter), chapter)
    print("README.md and the minutes of all chapters are up to date.")
