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


def run(variables, monkeypatch):
    """Execute the chapter up to its checkpoint, with these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(CHAPTER, as_version=4)
    ends = [n for n, cell in enumerate(notebook.cells) if "Checkpoint p" in cell.source]
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
    listed = (tmp_path / "out" / "to_label.csv").read_text().splitlines()
    assert listed[0] == "text,proposal,label" and 60 < len(listed) <= 121
