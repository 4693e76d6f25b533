"""One look for every figure, and figures that carry their description with them."""

import io

import matplotlib
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

# Okabe & Ito (2008): distinguishable with the common kinds of colour blindness.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, BLACK = "#CC79A7", "#56B4E9", "#8C8C8C", "#222222"
PALETTE = [BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY, BLACK]

STYLE = {
    "figure.figsize": (7.0, 3.4),
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.grid": False,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "figure.constrained_layout.use": True,
}


def use_style() -> None:
    """Apply the course's look to every figure that follows."""
    plt.rcParams.update(STYLE)


def show(figure: Figure, alt: str, reading: str, measured: bool = False) -> None:
    """Display a figure with its alternative text, and print one line that reads it.

    Args:
        figure: what to show.
        alt: what a person who cannot see the figure needs to know of it.
        reading: one sentence on what the figure tells; printed below it.
        measured: whether it shows measured times. Such a figure is a JPEG, which the
            notebook tests do not compare; each PNG is compared byte for byte.

    """
    kind, metadata = ("jpeg", None) if measured else ("png", {"Software": None})
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=metadata)
    plt.close(figure)
    display(
        {f"image/{kind}": buffer.getvalue(), "text/plain": f"<figure: {alt}>"},
        metadata={f"image/{kind}": {"alt": alt}},
        raw=True,
    )
    print(f"Reading: {reading}")


def draw_overview() -> Figure:
    """The course in one picture: what a work order passes through."""
    figure, axes = plt.subplots(figsize=(9, 3.2))
    axes.set(xlim=(0, 9), ylim=(0, 3.2))
    axes.axis("off")
    boxes = [
        (0.1, 1.15, "a technician's note\n“rear a/c not cold”", "white", BLACK),
        (2.05, 1.15, "cleaned, split into\nword numbers\n(chapter 01)", SKY, BLACK),
        (
            4.0,
            1.15,
            "your LSTM network\n(02), called in\nmicroseconds (03)",
            BLUE,
            "white",
        ),
        (5.95, 2.15, "sure enough:\nthe right crew", GREEN, "white"),
        (5.95, 1.15, "not sure:\nthe planner", ORANGE, BLACK),
        (5.95, 0.15, "told in words:\na hosted model", "white", BLACK),
    ]
    for x, y, text, colour, ink in boxes:
        frame = {"facecolor": colour, "edgecolor": BLACK, "linewidth": 1}
        axes.add_patch(plt.Rectangle((x, y), 1.65, 0.85, **frame))
        axes.text(x + 0.825, y + 0.425, text, ha="center", va="center", color=ink)
    arrow = {"arrowstyle": "->", "color": BLACK, "linewidth": 1.5}
    for start, end in [
        ((1.75, 1.57), (2.05, 1.57)),
        ((3.7, 1.57), (4.0, 1.57)),
        ((5.65, 1.7), (5.95, 2.5)),
        ((5.65, 1.57), (5.95, 1.57)),
        ((5.65, 1.45), (5.95, 0.65)),
    ]:
        axes.annotate("", end, start, arrowprops=arrow)
    axes.text(7.75, 2.57, "cost, errors,\ncalibration: 03", va="center")
    axes.text(7.75, 0.57, "cost, privacy,\nlimits: 04", va="center")
    return figure
