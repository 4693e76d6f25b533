"""Build the reading edition: python .github/site/build.py FOLDER

A static site out of the stored notebooks; nothing is executed. It needs the packages of
.github/site/requirements.txt, and afterwards no network: open FOLDER/index.html.
"""

import argparse
import base64
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Files that pages show or offer for download, besides the notebooks.
FILES = "LICENSE data/README.md data/*.csv notebooks/*.md notebooks/*.png"
FILES += " notebooks/deploy/* .devcontainer/*"
CONTENTS = """
```{{toctree}}
:hidden:
:caption: {caption}

{pages}
```
"""


def chapters() -> list[Path]:
    """The notebooks of the course, in order."""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def solutions() -> list[Path]:
    """The notebooks with solved exercises, in order."""
    return sorted((ROOT / "notebooks" / "solutions").glob("[0-9][0-9]_*.ipynb"))


def prepare(folder: Path) -> None:
    """Write the pages' sources into a folder, in the course's own layout."""
    for pattern in FILES.split():
        for path in ROOT.glob(pattern):
            copy = folder / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copyfile(path, copy)
    for path in [*chapters(), *solutions()]:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(json.dumps(page(path, copy.parent)), encoding="utf-8")
    for path in folder.rglob("*.md"):
        path.write_text(with_front(path.read_text(encoding="utf-8")), encoding="utf-8")
    readme = with_front((ROOT / "README.md").read_text(encoding="utf-8"))
    (folder / "index.md").write_text(readme + contents(), encoding="utf-8")


def contents() -> str:
    """The table of contents: every chapter, then what goes with them."""
    more = ["notebooks/instructor_guide.md", "data/README.md"]
    parts = {
        "Chapters": chapters(),
        "Solved exercises": solutions(),
        "More": [ROOT / name for name in more],
    }
    blocks = []
    for caption, paths in parts.items():
        pages = [entry(path) for path in paths]
        blocks.append(CONTENTS.format(caption=caption, pages="\n".join(pages)))
    return "".join(blocks)


def entry(path: Path) -> str:
    """A line of the contents; a chapter's begins with its number."""
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    if path.parent.name != "notebooks" or path.suffix != ".ipynb":
        return name
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (title,) = re.findall(r"\A# (.+)", "".join(cells[0]["source"]))
    return f"{path.name[:2]} {title} <{name}>"


def with_front(text: str) -> str:
    """A text whose links to the README lead to the front page."""
    text = re.sub(r"\]\(\.\./\.\./README\.md", "](../../index.md", text)
    return re.sub(r"\]\(\.\./README\.md", "](../index.md", text)


def page(path: Path, folder: Path) -> dict:
    """A notebook whose figures are files with their alternative text."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = with_front(cell["source"])
        for number, output in enumerate(cell.get("outputs", [])):
            name = f"figures/{path.stem}-{cell['id']}-{number}"
            show_figure(output, folder / name)
            show_reading(output)
    return notebook


def show_figure(output: dict, path: Path) -> None:
    """Turn a stored picture into an image with alternative text, in Markdown.

    Raises:
        LookupError: the picture has no alternative text.

    """
    for kind, suffix in (("image/png", ".png"), ("image/jpeg", ".jpg")):
        if kind not in output.get("data", {}):
            continue
        alt = output["metadata"].get(kind, {}).get("alt")
        if not alt:
            raise LookupError(f"{path.name} has no alternative text: use helpers.show.")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = "".join(output["data"][kind])
        path.with_suffix(suffix).write_bytes(base64.b64decode(picture))
        link = f"![{plain(alt)}](figures/{path.name}{suffix})"
        output["data"] = {"text/markdown": link}
        output["metadata"] = {}


def show_reading(output: dict) -> None:
    """Turn the printed line below a figure into a sentence, which wraps."""
    text = "".join(output.get("text", "")).strip()
    if text.startswith("Reading: ") and "\n" not in text:
        output.clear()
        data = {"text/markdown": f"*Reading:* {plain(text.removeprefix('Reading: '))}"}
        output |= {"output_type": "display_data", "data": data, "metadata": {}}


def plain(text: str) -> str:
    """A text in which Markdown sees no marks."""
    return re.sub(r"([\\`*_\[\]<>$!#&~])", r"\\\1", text)


def build(folder: Path) -> int:
    """Write the site; return 0, or another number if a page has a fault."""
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory(prefix="course-site-") as temporary:
        source, trees = Path(temporary) / "source", Path(temporary) / "trees"
        source.mkdir()
        prepare(source)
        options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(HERE)]
        status = build_main([*options, "-d", str(trees), str(source), str(folder)])
    if not status:
        (folder / ".buildinfo").unlink(missing_ok=True)
        (folder / ".nojekyll").touch()  # Pages keeps folders whose name begins with _
    return status


def main(arguments: list[str]) -> int:
    """Read the command line, build, and say where the site is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "folder", type=Path, help="an empty folder, or one of this tool"
    )
    folder = parser.parse_args(arguments).folder.resolve()
    ours = (folder / "index.html").exists() and (folder / "_static").exists()
    if folder.exists() and not folder.is_dir():
        parser.error(f"{folder} is a file. Name a folder.")
    if folder.exists() and any(folder.iterdir()) and not ours:
        parser.error(f"{folder} holds other files. Name an empty or a new folder.")
    try:
        status = build(folder)
    except ModuleNotFoundError as error:
        advice = "Run: python -m pip install -r .github/site/requirements.txt"
        parser.error(f"The package {error.name} is missing. {advice}")
    if status:
        print("The site has the faults named above.", file=sys.stderr)
    else:
        print(f"Open {folder / 'index.html'}; it needs no network.")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
