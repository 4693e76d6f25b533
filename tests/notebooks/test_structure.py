"""What every notebook must have: read from the files, nothing is executed."""

import base64
import io
import json
import re
from statistics import median

import pytest
from PIL import Image
from strict_nbval import NOTEBOOKS, ROOT

CHAPTERS = [path for path in NOTEBOOKS if path.parent.name == "notebooks"]
SOLUTIONS = [path for path in NOTEBOOKS if path.parent.name == "solutions"]
MACHINE_PATH = re.compile(r"/root/|/home/|/work/|/tmp/|/var/folders/|[A-Z]:\\\\?Users")
KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def text_of(value):
    return value if isinstance(value, str) else "".join(value or [])


def cells_of(path, kind):
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == kind]


def prose(path):
    return "\n\n".join(text_of(cell["source"]) for cell in cells_of(path, "markdown"))


def code(path):
    return [text_of(cell["source"]) for cell in cells_of(path, "code")]


def name(path):
    return path.relative_to(ROOT / "notebooks").as_posix()


def test_there_are_chapters_and_solutions():
    numbers = [int(path.name[:2]) for path in CHAPTERS]
    assert numbers == list(range(len(CHAPTERS))) and len(CHAPTERS) >= 7
    wanted = {path.name for path in CHAPTERS} - {"00_start_here.ipynb"}
    assert {path.name for path in SOLUTIONS} == wanted


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
class TestEveryNotebook:
    def test_was_run_from_top_to_bottom(self, path):
        counts = [cell["execution_count"] for cell in cells_of(path, "code")]
        assert counts == list(range(1, len(counts) + 1))

    def test_outputs_have_no_error_and_no_stderr(self, path):
        for cell in cells_of(path, "code"):
            for output in cell["outputs"]:
                assert output["output_type"] != "error", output.get("evalue")
                assert output.get("name") != "stderr", text_of(output.get("text"))[:200]

    def test_no_machine_path_and_no_key(self, path):
        found = json.dumps(read(path))
        images = re.compile(r'"image/png": "[^"]*"')
        found = images.sub("", found)
        assert not MACHINE_PATH.search(found), MACHINE_PATH.search(found)
        assert not KEY.search(found)

    def test_metadata_has_no_timing(self, path):
        notebook = read(path)
        assert notebook["metadata"]["kernelspec"]["name"] == "python3"
        for cell in notebook["cells"]:
            assert set(cell["metadata"]) <= {"tags"}, cell["metadata"]

    def test_cells_are_small(self, path):
        for source in code(path):
            lines = source.splitlines()
            assert len(lines) <= 25, lines[:2]
            assert max(map(len, lines), default=0) <= 88, max(lines, key=len)
        assert path.stat().st_size < 400_000

    def test_helpers_is_the_first_import(self, path):
        first = next(s for s in code(path) if "import " in s)
        assert first.lstrip().startswith("import helpers")

    def test_figures_carry_text(self, path):
        """A figure of measured times is a JPEG, not compared; its cell says so."""
        for cell in cells_of(path, "code"):
            for output in cell["outputs"]:
                for kind in ("image/png", "image/jpeg"):
                    image = output.get("data", {}).get(kind)
                    if image is None:
                        continue
                    measured = "measured" in cell["metadata"].get("tags", [])
                    assert (kind == "image/jpeg") == measured, cell["id"]
                    assert len(output["metadata"][kind]["alt"]) > 20
                    following = [text_of(o.get("text")) for o in cell["outputs"]]
                    assert any(text.startswith("Reading: ") for text in following)
                    data = io.BytesIO(base64.b64decode(text_of(image)))
                    picture = Image.open(data)
                    width, height = picture.size
                    assert width <= 1000 and height <= 700
                    low, high = picture.convert("L").getextrema()
                    assert high - low > 100, "an empty figure"

    def test_links_lead_somewhere(self, path):
        for target in re.findall(r"\]\(([^)#]+)\)", prose(path)):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), target

    def test_prose_holds_no_code_cell_and_no_placeholder(self, path):
        """A code block in prose would never run; a placeholder was forgotten."""
        assert "```python" not in prose(path) and "#region" not in prose(path)
        assert not re.search(r"\b[A-Z]{4,}-[A-Z]{2,}\b|TODO|FIXME|XXX|@@", prose(path))

    def test_images_in_prose_have_alt_text(self, path):
        assert not re.search(r"!\[\s*\]\(", prose(path))


def test_helpers_stay_small():
    """No file over 250 lines; a chapter after 06 brings at most 150, 14 a folder."""
    lines = {"service": 0, "exercises": 0, "gpt": 0, "plant": 0, "rest": 0}
    for path in (ROOT / "helpers").rglob("*.py"):
        count = path.read_text(encoding="utf-8").count("\n")
        assert count <= 250, path
        room = path.relative_to(ROOT / "helpers").parts[0]
        lines[room if room in lines else "rest"] += count
    print(f"lines of helpers/: {lines}")
    chapters = len(CHAPTERS) - 7
    assert lines["rest"] <= 2000 + 150 * chapters and lines["gpt"] <= 700
    assert lines["service"] <= 2700 + 50 * chapters and lines["plant"] <= 1500


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
class TestEveryChapter:
    def test_cells_are_one_idea(self, path):
        """Median of lines at most 7, 90th percentile at most 16."""
        lines = [len(source.splitlines()) for source in code(path) if source.strip()]
        assert median(lines) <= 7, sorted(lines)
        assert sorted(lines)[int(0.9 * len(lines))] <= 16, sorted(lines)

    def test_opening_box(self, path):
        for promise in ("Minutes", "You will do", "You will learn", "You need"):
            assert f"**{promise}:**" in prose(path), promise

    def test_key_points_and_next(self, path):
        points = prose(path).split("## Key points")[1]
        assert 3 <= points.count("\n- ") <= 5
        assert "**Next:**" in points and "](" in points

    def test_checkpoint(self, path):
        assert any("Checkpoint passed" in source for source in code(path))

    def test_exercises(self, path):
        number = path.name[:2]
        if number == "00":
            return
        checks = re.findall(r'helpers\.check\("(\d\d\.\d)"', "\n".join(code(path)))
        headings = re.findall(r"^### (\d\d\.\d) ", prose(path), re.M)
        assert len(checks) >= 3 and checks == headings
        assert prose(path).count("<summary>Hint</summary>") == len(checks)
        stubs = [source for source in code(path) if "helpers.check(" in source]
        assert all(re.search(r"^    .+ = \.\.\.", stub, re.M) for stub in stubs)

    def test_enough_prose(self, path):
        words = len(prose(path).split())
        lines = sum(len(source.splitlines()) for source in code(path))
        assert words > lines


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_solutions_solve_every_exercise(path):
    chapter = path.parents[1] / path.name
    exercises = re.findall(r'helpers\.check\("(\d\d\.\d)"', "\n".join(code(chapter)))
    solved = re.findall(
        r'helpers\.check\("(\d\d\.\d)", \w+, record=False\)', "\n".join(code(path))
    )
    assert solved == exercises
    outputs = json.dumps([cell["outputs"] for cell in cells_of(path, "code")])
    assert outputs.count(": right.") == len(exercises)


def test_repository_names_no_machine_and_no_registry():
    registry = re.compile(r"https?://\S*(pypi|pythonhosted|mirror)", re.I)
    top = "README.md requirements.txt pyproject.toml LICENSE .gitignore .ci .github"
    top += " helpers tests notebooks data/README.md data/crews.csv data/prices.csv"
    top += " data/workorder-gpt-runs.csv data/duties.csv data/incidents.csv"
    files = [ROOT / name for name in top.split()]
    files += [path for folder in files if folder.is_dir() for path in folder.rglob("*")]
    kinds = {".py", ".md", ".txt", ".toml", ".yml", ".cfg", ".csv", ".service"}
    names = ("LICENSE", ".gitignore", "run", "Containerfile")
    checked = 0
    for path in files:
        texts = path.suffix in kinds or path.name in names
        if not path.is_file() or not texts or path.name == "test_structure.py":
            continue
        text = path.read_text(encoding="utf-8")
        assert not registry.search(text), path
        assert not re.search(r"/root/|/work/", text), path
        assert not KEY.search(text), path
        checked += 1
    assert checked > 30
