"""Write the measured tables and the picture of README.md: python tests/build_readme.py.

The results come from the stored output of chapter 02, the picture from chapter 00, the
timings from tests/timings.csv.
"""

import base64
import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "notebooks"


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
    """Seconds and peak memory of each notebook, measured by tests/regenerate.py."""
    with open(ROOT / "tests" / "timings.csv", encoding="utf-8") as file:
        measured = list(csv.reader(file))
    total = sum(int(row[1]) for row in measured[1:])
    head = [["notebook", "seconds", "peak memory, GB"]]
    return markdown([*head, *measured[1:], ["all", str(total), ""]])


def picture() -> bytes:
    """The overview figure of chapter 00."""
    notebook = nbformat.read(CHAPTERS / "00_start_here.ipynb", as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output["data"]["image/png"])
    raise LookupError("chapter 00 has no figure")


def filled(readme: str) -> str:
    """README.md with its tables written anew."""
    for name, table in (("results", results()), ("timings", timings())):
        block = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        pattern = rf"<!-- {name} -->.*<!-- /{name} -->"
        readme, count = re.subn(pattern, lambda _, b=block: b, readme, flags=re.S)
        if count != 1:
            raise LookupError(f"README.md needs one block {name}, it has {count}")
    return readme


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    (CHAPTERS / "overview.png").write_bytes(picture())
    print("README.md and notebooks/overview.png are up to date.")
