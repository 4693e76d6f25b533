"""The report of chapter 14: one page that opens without a network, and its figures."""

import base64
import html
import re
from pathlib import Path
from string import Formatter

import pandas as pd

from helpers import plots
from helpers.errors import InputError

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:52em;margin:2em auto;
padding:0 1em;color:#222;background:#fff}table{border-collapse:collapse;margin:1em 0}
td,th{border:1px solid #999;padding:.3em .6em;text-align:left}img{max-width:100%}
pre{background:#f2f2f2;padding:.8em;overflow:auto}"""


class Report:
    """Sections of a page, in the order in which they are added."""

    def __init__(self, title: str):
        """Begin an empty report."""
        self.title, self.parts = title, []
        self.pictures: dict[str, bytes] = {}

    def text(self, heading: str, *paragraphs: object) -> None:
        """Add a heading and paragraphs; everything is escaped."""
        self.parts.append(f"<h2>{html.escape(heading)}</h2>")
        self.parts += [f"<p>{html.escape(str(text))}</p>" for text in paragraphs]

    def table(self, table: pd.DataFrame | pd.Series) -> None:
        """Add a table, with its index."""
        self.parts.append(pd.DataFrame(table).to_html(escape=True, border=0))

    def code(self, text: str) -> None:
        """Add lines to be copied."""
        self.parts.append(f"<pre>{html.escape(text)}</pre>")

    def figure(self, name: str) -> None:
        """Add the figure that helpers.show has shown last; a file of it, too."""
        picture, alt, reading = plots.last_shown
        kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"  # as show chose
        self.pictures[f"{name}.{kind}"] = picture
        source = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
        self.parts.append(f'<img src="{source}" alt="{html.escape(alt)}">')
        self.parts.append(f"<p>{html.escape(reading)}</p>")

    def save(self, folder: Path) -> Path:
        """Write report.html and the figures as files; the page alone holds all of it.

        Raises:
            InputError: the folder cannot be written.

        """
        title = html.escape(self.title)
        head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}'
        head += f"</title><style>{STYLE}</style><h1>{title}</h1>"
        try:
            (folder / "figures").mkdir(parents=True, exist_ok=True)
            for name, picture in self.pictures.items():
                (folder / "figures" / name).write_bytes(picture)
            page = folder / "report.html"
            page.write_text(head + "\n".join(self.parts) + "</html>\n", "utf-8")
        except OSError as error:
            raise InputError(
                f"The report cannot be written to {folder}: {error.strerror}. Set "
                "PLANT_OUT to a folder that you can write to."
            ) from error
        return page


def write_card(title: str, sections: dict[str, str], figures: dict[str, object]) -> str:
    """A model card in Markdown, of sentences with gaps: the generator of chapter 11.

    Raises:
        InputError: a figure is missing, or a number was typed by hand.

    """
    text = "\n\n".join(f"**{head}.** {body}" for head, body in sections.items())
    names = {name for _, name, _, _ in Formatter().parse(text) if name}
    missing = sorted(n for n in names if n not in figures or pd.isna(figures[n]))
    if missing:
        raise InputError(f"{title}: measure these first: {', '.join(missing)}.")
    bare = re.sub(r"{[^}]*}|95 %", "", text)
    if typed := re.findall(r"(?<!\w)\d[\d.,]*", bare):
        raise InputError(f"{title}: typed by hand, not measured: {', '.join(typed)}.")
    return f"**{title}**\n\n{text.format(**figures)}"
