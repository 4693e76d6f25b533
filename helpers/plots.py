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


def show(figure: Figure, alt: str, reading: str) -> None:
    """Display a figure with its alternative text, print one line that reads it, close it.

    Args:
        figure: what to show.
        alt: what a person who cannot see the figure needs to know of it.
        reading: one sentence on what the figure tells; printed below it.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    display(
        {"image/png": buffer.getvalue(), "text/plain": f"<figure: {alt}>"},
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )
    print(f"Reading: {reading}")
