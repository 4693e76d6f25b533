"""The code-along edition: what is left to type, and that nothing else is missing."""

import json
import re

import pytest
from strict_nbval import ROOT
from workshop_tools import code_along

CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def read(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def filled(notebook):
    """The notebook with each folded solution back in the cell above it."""
    cells = []
    for cell in notebook["cells"]:
        if "solution" in cell["metadata"].get("tags", []):
            (code,) = re.findall(r"```python\n(.*)\n```", cell["source"], re.S)
            cells[-1] = {**cells[-1], "source": code}
        else:
            cells.append(cell)
    return {**notebook, "cells": cells}


def without_outputs(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return notebook


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edition") / "code_along"
    return folder, code_along.write_edition(folder)


def test_every_chapter_is_there_and_the_first_ones_are_to_be_typed(edition):
    folder, counts = edition
    assert list(counts) == [path.name for path in CHAPTERS]
    to_type = {name[:2]: count for name, count in counts.items()}
    for number in ("01", "02", "03", "04", "05", "06"):
        assert 5 <= to_type[number] <= 8, (number, to_type[number])
    for name in ("overview.png", "solutions", "deploy"):
        assert (folder / name).exists()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_solutions_filled_in_give_the_chapter_cell_for_cell(edition, path):
    made = read(edition[0] / path.name)
    assert filled(made) == without_outputs(read(path))


@pytest.mark.parametrize("path", CHAPTERS[:7], ids=lambda path: path.stem)
def test_a_cell_to_type_holds_no_code_and_says_what_it_makes(edition, path):
    original = {cell["id"]: cell["source"] for cell in read(path)["cells"]}
    for cell in read(edition[0] / path.name)["cells"]:
        if "type-me" not in cell["metadata"].get("tags", []):
            continue
        assert cell["source"].startswith("# Your turn. This cell makes: ")
        assert len(cell["source"].splitlines()) == 1
        names = re.findall(r"(?:: |, )(?:class )?(\w+)", cell["source"])
        assert names
        for name in names:
            assert re.search(rf"\b{name}\b", original[cell["id"]]), name


def test_a_readers_work_is_not_overwritten(edition, tmp_path):
    mine = tmp_path / "01_preprocessing.ipynb"
    mine.write_text("my work")
    with pytest.raises(FileExistsError, match="somebody's work"):
        code_along.write_edition(tmp_path)
    assert mine.read_text() == "my work"
    with pytest.raises(SystemExit) as stopped:
        code_along.main([str(tmp_path)])
    assert stopped.value.code == 1
