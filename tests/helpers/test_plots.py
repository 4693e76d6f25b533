"""Charts of a kind in one call; digits that depend on a processor are not drawn."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import plots


@pytest.fixture
def displayed(monkeypatch):
    """What a notebook would get, and the figure as it was before it was closed."""
    kept = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **options: kept.append((data, options))
    )
    monkeypatch.setattr(plt, "close", lambda figure: kept.append(figure))
    yield kept
    monkeypatch.undo()
    plt.close("all")


def pixels(data):
    (picture,) = (value for kind, value in data.items() if kind.startswith("image/"))
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int)


TEXTS = {"alt": "a chart", "reading": "something."}
TABLE = pd.DataFrame({"one": [0.1, 0.25, 0.3], "two": [0.3, np.nan, 0.2]}, [1, 2, 3])
KINDS = {
    "lines": lambda noise: plots.lines(TABLE + noise, "t", ylim=(0, 1), **TEXTS),
    "bars": lambda noise: plots.bars(
        TABLE["one"] * 100 + noise, "t", fmt="{:.0f}", **TEXTS
    ),
    "heat_map": lambda noise: plots.heat_map(TABLE[["one"]] + noise, "t", **TEXTS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_digits_that_are_not_written_are_not_drawn(displayed, kind):
    KINDS[kind](0)
    KINDS[kind](0.0004)
    KINDS[kind](0.9 if kind == "bars" else 0.09)
    first, second, other = (pixels(data) for data, _ in displayed[1::2])
    assert np.array_equal(first, second) and not np.array_equal(first, other)


def test_lines_are_named_at_their_ends_and_gaps_left_out(displayed, capsys):
    KINDS["lines"](0)
    (axes,) = displayed[0].axes
    assert [text.get_text().strip() for text in axes.texts] == ["one", "two"]
    assert list(axes.lines[1].get_xdata()) == [1, 3]
    assert axes.get_ylim() == (0, 1) and axes.get_title() == "t"
    assert capsys.readouterr().out == "Reading: something.\n"


def test_a_column_of_gaps_only_is_named():
    plt.close("all")
    with pytest.raises(ValueError, match="'none' holds no number .* leave it out"):
        plots.lines(TABLE.assign(none=np.nan), "t", **TEXTS)
    assert plt.get_fignums() == []


def test_lines_are_drawn_with_the_decimals_asked_for(displayed):
    plots.lines(TABLE[["one"]] * 100 + 0.4, "t", decimals=0, **TEXTS)
    (axes,) = displayed[0].axes
    assert list(axes.lines[0].get_ydata()) == [10, 25, 30]


def test_bars_keep_their_order_and_names_that_stand_there_twice(displayed):
    values = pd.Series([0.5, -0.25, 0.1], ["lights", "on", "lights"])
    plots.bars(values, "t", xlabel="share", **TEXTS)
    (axes,) = displayed[0].axes
    assert [bar.get_width() for bar in axes.patches] == [0.1, -0.25, 0.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        *("lights", "on", "lights")
    ]
    assert [text.get_text() for text in axes.texts] == ["0.10", "-0.25", "0.50"]


def test_heat_map_writes_every_number_in_ink_that_can_be_read(displayed):
    table = pd.DataFrame([[0, 40], [7, 90]], ["a", "b"], ["c", "d"])
    plots.heat_map(table, "t", fmt="{:.0f}", limits=(0, 100), **TEXTS)
    (axes,) = displayed[0].axes
    written = {text.get_text(): text.get_color() for text in axes.texts}
    assert written == {"0": "black", "7": "black", "40": "black", "90": "white"}
    plots.heat_map(table, "t", fmt="", **TEXTS)
    assert not displayed[2].axes[0].texts


def test_measured_figures_are_not_compared(displayed):
    plots.bars(pd.Series({"a": 1.0}), "t", measured=True, **TEXTS)
    assert set(displayed[1][0]) == {"image/jpeg", "text/plain"}


@pytest.mark.parametrize(
    ("fmt", "decimals"),
    [("{:.2f}", 2), ("{:.0f}", 0), ("{:.1%}", 3), ("{:,.0f}", 0), ("", 2), ("{}", 2)],
)
def test_decimals_of_a_format(fmt, decimals):
    assert plots._decimals(fmt) == decimals
