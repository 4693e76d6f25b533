"""Write what is counted and measured: python tests/tools/build_readme.py

Into README.md: the chapters with their minutes, the results stored in chapter 02, the
timings. Into each chapter: its minutes, and in chapter 00 those of all. Into the plans
of the instructor guide: the minutes of each part.
"""

import csv
import json
import math
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "notebooks"
WORDS_A_MINUTE, MINUTES_AN_EXERCISE = 200, 10


def markdown(rows: list[list[str]]) -> str:
    """A table in Markdown; the first row is the head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def results() -> str:
    """The score table of chapter 02, from the output of its cell tagged "results"."""
    cells = read(CHAPTERS / "02_lstm_training.ipynb")["cells"]
    (cell,) = [c for c in cells if "results" in c["metadata"].get("tags", [])]
    html = "".join(cell["outputs"][0]["data"]["text/html"])
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


def read(path: Path) -> dict:
    """A notebook as plain JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def minutes(path: Path) -> int:
    """Minutes for a chapter, rounded up to five.

    Words of text, code and what is printed, exercises, and the run.
    """
    words = exercises = 0
    for cell in read(path)["cells"]:
        texts = ["".join(cell["source"])]
        for output in cell.get("outputs", []):
            plain = output.get("data", {}).get("text/plain", [])
            texts.append("".join(output.get("text", plain)))
        words += sum(len(text.split()) for text in texts)
        exercises += texts[0].count("helpers.check(")
    seconds = {row[0]: float(row[1]) for row in measured()}.get(path.name, 0)
    total = words / WORDS_A_MINUTE + exercises * MINUTES_AN_EXERCISE + seconds / 60
    return 5 * math.ceil(total / 5)


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


def counted(path: Path) -> str:
    """The file of a chapter with its minutes in the opening box and in tables."""
    notebook = read(path)
    box = f"**Minutes:** {minutes(path)}"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(r"\*\*Minutes:\*\* \d+", box, "".join(cell["source"]))
            cell["source"] = with_minutes(text).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


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
    import plan_minutes

    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    for chapter in chapters():
        chapter.write_text(counted(chapter), encoding="utf-8")
    guide = plan_minutes.GUIDE.read_text(encoding="utf-8")
    plan_minutes.GUIDE.write_text(plan_minutes.filled(guide), encoding="utf-8")
    print("README.md, the instructor guide and the minutes are up to date.")
