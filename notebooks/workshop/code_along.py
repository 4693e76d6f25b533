"""Make notebooks to type along: python notebooks/workshop/code_along.py [FOLDER]

In them the cells with the tag type-me are empty, all text stays, and below each such
cell its code waits, folded. Outputs are cleared, so that the room can guess them. The
folder is code_along/ in the course if you name none; there every link works.
"""

import argparse
import ast
import json
import shutil
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[1]
TAG, SOLUTION = "type-me", "solution"
LEFT_OUT = "conftest.py", "instructor_guide.md", "workshop", ".ipynb_checkpoints"


def emptied(notebook: dict) -> dict:
    """A copy of a notebook without outputs, in which the tagged cells are empty."""
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            cells.append(cell)
            continue
        blank = {**cell, "outputs": [], "execution_count": None}
        if TAG not in cell["metadata"].get("tags", []):
            cells.append(blank)
            continue
        code = "".join(cell["source"])
        blank["source"] = f"# Your turn. This cell makes: {', '.join(made_by(code))}\n"
        cells += [blank, solution_of(cell["id"], code)]
    return {**notebook, "cells": cells}


def solution_of(cell_id: str, code: str) -> dict:
    """The folded code of a cell, to stand below it."""
    folded = f"<details><summary>Solution</summary>\n\n```python\n{code}\n```\n\n"
    return {
        "cell_type": "markdown",
        "id": f"{cell_id}-{SOLUTION}",
        "metadata": {"tags": [SOLUTION]},
        "source": folded + "</details>",
    }


def made_by(code: str) -> list[str]:
    """Functions (with arguments), classes and names that the code makes or changes."""
    names = []
    for line in ast.parse(code).body:
        if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef):
            names.append(f"{line.name}({ast.unparse(line.args)})")
        elif isinstance(line, ast.ClassDef):
            names.append(f"class {line.name}")
        elif isinstance(line, ast.Assign):
            stored = [n for t in line.targets for n in ast.walk(t)]
            names += [n.id for n in stored if isinstance(n, ast.Name)]
        else:  # a loop that moves something step by step
            steps = [n for n in ast.walk(line) if isinstance(n, ast.AugAssign)]
            names += [ast.unparse(step.target) for step in steps]
    return list(dict.fromkeys(names))


def write_edition(folder: Path) -> dict[str, int]:
    """Copy the notebooks and empty their tagged cells; cells to type, by notebook.

    Raises:
        FileExistsError: the folder holds something, perhaps a reader's work.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"{folder} is there already, perhaps with somebody's work. "
            "Name a new folder, or delete this one."
        )
    ignore = shutil.ignore_patterns(*LEFT_OUT, "__pycache__")
    shutil.copytree(NOTEBOOKS, folder, ignore=ignore, dirs_exist_ok=True)
    counts = {}
    for path in sorted(folder.glob("*.ipynb")):
        notebook = emptied(json.loads(path.read_text(encoding="utf-8")))
        text = json.dumps(notebook, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
        counts[path.name] = sum(TAG in found for found in tags)
    return counts


def main(arguments: list[str]) -> None:
    """Read the command line, write the edition, and say what to type where."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    beside = NOTEBOOKS.parent / "code_along"
    parser.add_argument("folder", type=Path, nargs="?", default=beside)
    folder = parser.parse_args(arguments).folder.resolve()
    try:
        counts = write_edition(folder)
    except OSError as error:  # there already, or not writable
        parser.exit(1, f"{error}\n")
    for name, count in counts.items():
        print(f"{name}: {count} cells to type" if count else f"{name}: to read and run")
    print(f"The notebooks are in {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
