"""The report's page and the card, and the service on a folder of chapter 14."""

import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import InputError, ModelError, plots
from helpers.evaluate import tfidf_baseline
from helpers.plant.report import Report, write_card
from helpers.plant.saving import save_ngrams
from helpers.service.__main__ import main, parser
from helpers.service.backends.classifier import plant_classifier


def test_page_needs_no_network_and_escapes_what_people_typed(tmp_path, capsys):
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    report = Report("Orders of <b>.csv")
    report.text("Advice", "1 text is '<script>alert(1)</script>'")
    report.table(pd.DataFrame({"label": ["<i>"]}, ["a & b"]))
    plots.show(figure, 'a "rising" line', "it rises.")
    report.figure("rising")
    report.code('python -m helpers.service --model "x"')
    page = report.save(tmp_path / "new" / "out").read_text("utf-8")
    assert "http" not in page and "<script" not in page and "<i>" not in page
    assert "<b>" not in page and "a &quot;rising&quot; line" in page
    assert re.search(r'src="data:image/png;base64,iVBOR', page)
    picture = tmp_path / "new" / "out" / "figures" / "rising.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_measured_figure_is_called_what_it_is(tmp_path, capsys):
    report = Report("x")
    plots.bars(pd.Series({"a": 1.0}), "t", measured=True, alt="a", reading="b.")
    report.figure("times")
    page = report.save(tmp_path).read_text("utf-8")
    assert 'src="data:image/jpeg;base64,/9j/' in page and "image/png" not in page
    (path,) = (tmp_path / "figures").iterdir()
    assert path.name == "times.jpeg" and path.read_bytes().startswith(b"\xff\xd8\xff")


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Set PLANT_OUT to a folder"):
        Report("x").save(tmp_path / "file")


def test_card_refuses_what_was_not_measured():
    sections = {"Results": "Right: {right:.2f}, 95 % interval {low} to {high}."}
    figures = {"right": 0.834, "low": 0.8, "high": 0.9}
    card = write_card("Card", sections, figures)
    assert card == "**Card**\n\n**Results.** Right: 0.83, 95 % interval 0.8 to 0.9."
    with pytest.raises(InputError, match="measure these first: high, low"):
        write_card("Card", sections, {"right": 0.8, "low": np.nan})
    with pytest.raises(InputError, match=r"typed by hand, not measured: 0.8"):
        write_card("Card", {"Results": "About 0.8."}, {})


def test_card_equals_the_page_that_chapter_11_writes():
    from strict_nbval import ROOT

    book = json.loads((ROOT / "notebooks/11_governance.ipynb").read_text("utf-8"))
    sources = ["".join(cell["source"]) for cell in book["cells"]]
    (source,) = (text for text in sources if "def write_page(" in text)
    space = {"pd": pd, "re": re}
    exec(source, space)
    sections = {
        "Results": "Right: {right:.2f} of {orders}, 95 % interval {low} to {high}.",
        "Use": "From {minimum:.0%} on; crew {name!r}.",
    }
    figures = {"right": 0.834, "orders": "1,025", "low": 0.8, "high": 0.9}
    figures |= {"minimum": 0.6, "name": "cab", "unused": np.nan}
    page = space["write_page"]("Model card: crew router", sections, figures)
    assert write_card("Model card: crew router", sections, figures) == page


@pytest.fixture
def folder(tmp_path):
    texts, labels = ["oil leak", "lamp out"] * 6, ["fitter", "electrician"] * 6
    model = tfidf_baseline().fit(texts, labels)
    layers = [model[-1].coef_.T, model[-1].intercept_]
    names = list(model[-1].classes_)
    return save_ngrams(tmp_path / "my-plant", model[0], layers, names, minimum=0.8)


def test_service_takes_a_folder_with_its_minimum(folder):
    options = parser().parse_args(["--model", str(folder)])
    served = plant_classifier(*options.model)
    assert (served.name, served.minimum) == ("my-plant", 0.8)
    assert served.labels == ["electrician", "fitter"]


def test_service_says_which_folder_holds_no_model(tmp_path, capsys):
    assert main(["--model", str(tmp_path), "--folder", str(tmp_path)]) == 1
    assert "holds no model of chapter 14" in capsys.readouterr().err
    with pytest.raises(ModelError):
        plant_classifier(tmp_path)
