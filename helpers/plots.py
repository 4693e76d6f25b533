"""One look for every figure, and figures that carry their description with them.

A chart of a kind that comes back is one call: lines, bars, heat_map.
"""

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from helpers.errors import InputError
from helpers.start import SETTINGS

if TYPE_CHECKING:  # pyplot takes a second, which a service need not wait for
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): distinguishable with the common kinds of colour blindness.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, BLACK = "#CC79A7", "#56B4E9", "#8C8C8C", "#222222"
PALETTE = [BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY, BLACK]
SIZE = (7.0, 3.4)  # of a figure, in inches
STYLES = ["-", "--", ":", "-."]
last_shown: tuple[bytes, str, str] = (b"", "", "")  # the last figure, its alt, reading


def use_style() -> None:
    """Apply the course's look (settings/matplotlibrc), and no personal settings.

    Needed only where matplotlib was imported before helpers, or its settings changed.
    """
    import matplotlib

    matplotlib.rc_file(SETTINGS / "matplotlibrc")


def show(figure: "Figure", alt: str, reading: str, measured: bool = False) -> None:
    """Display a figure with its alternative text, and print one line that reads it.

    Args:
        figure: what to show.
        alt: what a person who cannot see the figure needs to know of it.
        reading: one sentence on what the figure tells; printed below it.
        measured: whether it shows measured times. Such a figure is a JPEG, which the
            notebook tests do not compare; each PNG is compared pixel by pixel.

    """
    import matplotlib.pyplot as plt
    from IPython.display import display

    global last_shown
    kind, metadata = ("jpeg", None) if measured else ("png", {"Software": None})
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=metadata)
    plt.close(figure)
    last_shown = buffer.getvalue(), alt, reading
    display(
        {f"image/{kind}": buffer.getvalue(), "text/plain": f"<figure: {alt}>"},
        metadata={f"image/{kind}": {"alt": alt}},
        raw=True,
    )
    print(f"Reading: {reading}")


def lines(
    table: pd.DataFrame,
    title: str,
    *,
    size: tuple[float, float] = SIZE,
    decimals: int = 2,
    **texts: Any,
) -> None:
    """Show one line for each column of a table against its index, named at its end.

    Args:
        table: numbers; a gap (NaN) is left out. Rounded before it is drawn, so that
            another processor draws the same figure.
        title: of the chart.
        size: width and height in inches.
        decimals: to which the values are rounded.
        texts: alt, reading and measured, as for show; others as for Axes.set.

    Raises:
        InputError: a column of gaps only.

    """
    import matplotlib.pyplot as plt

    if (gaps := table.isna().all()).any():
        name = gaps.idxmax()
        raise InputError(f"Column {name!r} holds no number to draw: leave it out.")
    _, axes = plt.subplots(figsize=size)
    for n, name in enumerate(table):
        values = table[name].dropna().astype(float).round(decimals)
        mark = "o" if len(values) <= 20 else None
        axes.plot(values.index, values, STYLES[n % 4], marker=mark, linewidth=2)
        end = values.index[-1], values.iloc[-1]
        axes.annotate(f"  {name}", end, va="center", annotation_clip=False)
    _finish(axes, title, **texts)


def bars(
    values: pd.Series,
    title: str,
    *,
    fmt: str = "{:.2f}",
    **texts: Any,
) -> None:
    """Show a horizontal bar with its value for each entry, the first one at the top.

    Args:
        values: a number for each name; rounded as fmt says before they are drawn.
        title: of the chart.
        fmt: how a value is written.
        texts: alt, reading and measured, as for show; others as for Axes.set.

    """
    import matplotlib.pyplot as plt

    values = values.astype(float).round(_decimals(fmt))[::-1]
    _, axes = plt.subplots(figsize=SIZE)
    names = [str(name) for name in values.index]  # one may stand there twice
    drawn = axes.barh(range(len(values)), values, tick_label=names, color=BLUE)
    axes.bar_label(drawn, [fmt.format(value) for value in values], padding=3)
    if (values < 0).any():
        axes.axvline(0, color=GREY, linewidth=1)
    axes.margins(x=0.12)
    _finish(axes, title, **texts)


def heat_map(
    table: pd.DataFrame,
    title: str,
    *,
    size: tuple[float, float] = (7.0, 3.6),
    fmt: str = "{:.2f}",
    colours: str = "Blues",
    limits: tuple[float, float] | None = None,
    **texts: Any,
) -> None:
    """Show a table as colours with the number in each field.

    Args:
        table: numbers; rounded as fmt says before they are drawn.
        title: of the chart.
        size: width and height in inches.
        fmt: how a number is written; "" writes none (two decimals are drawn).
        colours: a colour map of matplotlib.
        limits: lowest and highest value of the colours; by default of the table.
        texts: alt, reading and measured, as for show; others as for Axes.set.

    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=size)
    values = table.to_numpy(float).round(_decimals(fmt))
    low, high = limits or (np.nanmin(values), np.nanmax(values))
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(values if fmt else []):
        dark = sum(image.cmap(image.norm(value))[:3]) < 1.5  # red + green + blue
        ink = "white" if dark else "black"
        text = fmt.format(value)
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    turn = {"rotation": 40, "ha": "right"} if len(table.columns) > 5 else {}
    axes.set_xticks(range(len(table.columns)), table.columns, **turn)
    axes.set_yticks(range(len(table.index)), table.index)
    _finish(axes, title, **texts)


def _decimals(fmt: str) -> int:
    """Decimals that a format such as "{:.1f}" or "{:.0%}" shows; two if it has none."""
    found = re.search(r"\.(\d)([f%])", fmt)
    return int(found[1]) + 2 * (found[2] == "%") if found else 2


def _finish(
    axes: "Axes", title: str, alt: str, reading: str, measured: bool = False, **settings
) -> None:
    axes.set(title=title, **settings)
    show(axes.figure, alt, reading, measured)
