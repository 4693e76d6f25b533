"""Chapter 14 on exports of other plants, from the command line, without a person."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from other_plants import english, write

from helpers.plant.saving import load_model

CHAPTER = Path(__file__).parents[2] / "notebooks" / "14_your_own_plant.ipynb"


def run(variables, monkeypatch, last="Checkpoint p"):
    """Execute the chapter up to its checkpoint or another cell, with variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(CHAPTER, as_version=4)
    ends = [n for n, cell in enumerate(notebook.cells) if last in cell.source]
    notebook.cells = notebook.cells[: ends[0] + 1]
    where = {"metadata": {"path": str(CHAPTER.parent)}}
    NotebookClient(notebook, timeout=600, resources=where).execute()
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def test_chinese_orders_without_a_person(monkeypatch, tmp_path):
    write(tmp_path, count=400)
    out = tmp_path / "out"
    settings = {"PLANT_CSV": tmp_path / "line.csv", "PLANT_OUT": out}
    printed = run(settings, monkeypatch)
    assert "Checkpoint passed" in printed
    page = (out / "report.html").read_text("utf-8")
    assert "http" not in page and page.count('<img src="data:image/png') >= 4
    assert page.count("<img") == page.count(" alt=")
    router = load_model(out / "plant-router")
    assert router.labels == sorted(["电工班", "机修班", "液压班"])
    assert router.route("2号线油管漏油").label == "液压班"
    assert json.loads((out / "plant-router" / "model.json").read_text())["minimum"] > 0
    command = (out / "run.txt").read_text()
    assert command.startswith("python -m helpers.service --model")


def test_no_labels_ends_with_a_list_to_label(monkeypatch, tmp_path):
    path = tmp_path / "orders.csv"
    complaints = english(200)[["complaint"]]
    complaints.to_csv(path)
    settings = {"PLANT_CSV": path, "PLANT_OUT": tmp_path / "out"}
    with pytest.raises(CellExecutionError, match="to_label.csv: fill its column"):
        run(settings, monkeypatch)
    path = tmp_path / "out" / "to_label.csv"
    listed = path.read_text("utf-16").splitlines()
    assert listed[0] == "text\tproposal\tlabel" and 60 < len(listed) <= 121
    given = ("rework", "scrap")
    done = [f"{line}{given[n % 2]}" for n, line in enumerate(listed[1:])]
    path.write_text("\n".join([listed[0], *done]), "utf-16")  # a person fills it in
    printed = run(settings, monkeypatch, last='held back": new_machine}')
    assert f"{len(done)} labels are those in" in printed and "'train': 68" in printed
    assert path.read_text("utf-16").count("rework") == len(done) / 2
