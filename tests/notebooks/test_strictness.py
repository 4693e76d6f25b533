"""The notebook check refuses whatever would make it pass without checking.

One little course with a notebook for each case goes through pytest once; the cells that
fail must be exactly these.
"""

import base64
import io
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
import strict_nbval
from figures import COMPARE_FIGURES
from PIL import Image
from strict_nbval import PREPARE, ROOT

TOOLS = ("strict_nbval.py", "figures.py", "sanitize.cfg")


def png(level, width=4):
    buffer = io.BytesIO()
    Image.new("RGB", (width, 4), (level, 0, 0)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def draws(data):
    return f"display({{'image/png': '{data}'}}, raw=True)"


def stream(text):
    return nbformat.v4.new_output("stream", text=text)


def figure(data):
    return nbformat.v4.new_output("display_data", {"image/png": data})


CLEAR = "from IPython.display import clear_output\nprint(1); clear_output()"
KEYS = "import os; print(sorted(k for k in os.environ if 'OPENAI' in k))"
FIRST = "os.environ['PYTHONPATH'].split(os.pathsep)[0]"
CLONE = f"import os; print(os.path.samefile({FIRST}, '..'))"
# name: (cells as source and stored output, numbers of the cells that must fail)
CASES = {
    "right": ([("print(1)", stream("1\n"))], []),
    "measured": ([("print('[    2.00 s]')", stream("[1.23e+05 s]\n"))], []),
    "keys": ([(KEYS, stream("[]\n"))], []),
    "clone": ([(CLONE, stream("True\n"))], []),
    "figure": ([(draws(png(100)), figure(png(100)))], []),
    "near": ([(draws(png(100)), figure(png(102)))], []),
    "far": ([(draws(png(100)), figure(png(103)))], [0] * COMPARE_FIGURES),
    "size": ([(draws(png(100)), figure(png(100, 5)))], [0] * COMPARE_FIGURES),
    "wrong": ([("print(1)", stream("2\n"))], [0]),
    "unit": ([("print('[    2.00 s]')", stream("[    2.00 ms]\n"))], [0]),
    "skip": ([("# NBVAL_SKIP\nprint(1)", stream("1\n"))], [0]),
    "ignore": ([("# NBVAL_IGNORE_OUTPUT\nprint(1)", stream("1\n"))], [0]),
    "exit": ([("import os; os._exit(0)", None), ("print(1)", stream("1\n"))], [0, 1]),
    "stderr": ([("import sys; print('oops', file=sys.stderr)", None)], [0]),
    "clear": ([(CLEAR, stream("1\n"))], [0]),
    "unrun": ([("print(1)", None)], [0]),
    "tagged": ([("print(1)", stream("1\n"))], [0]),
}


def build(folder, names):
    """A little course with the real configuration and a notebook for each case."""
    (folder / "notebooks").mkdir()
    (folder / "tests" / "tools").mkdir(parents=True)
    copied = ["pyproject.toml", "notebooks/conftest.py"]
    copied += [f"tests/tools/{name}" for name in TOOLS]
    for name in copied:
        source = (ROOT / name).read_text(encoding="utf-8")
        source = source.replace(PREPARE, "")  # no models: they take seconds
        (folder / name).write_text(source, encoding="utf-8")
    for name in names:
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python"}
        for number, (source, output) in enumerate(CASES[name][0], start=1):
            cell = nbformat.v4.new_code_cell(source, execution_count=number)
            cell.outputs = [output] if output else []
            notebook.cells.append(cell)
        if name == "unrun":
            notebook.cells[0].execution_count = None
        if name == "tagged":
            notebook.cells[0].metadata["tags"] = ["nbval-ignore-output"]
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    return folder


def run(course, *options):
    """Run pytest there; return the exit code, the output and the cells that failed."""
    hidden = ("PYTEST_", "COURSE_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider"]
        + ["--color=no", *options],
        cwd=course,
        capture_output=True,
        text=True,
        env=clean | {"OPENAI_API_KEY": "abc"},
    )
    text = result.stdout + result.stderr
    failed = re.findall(r"^FAILED notebooks/(\w+)\.ipynb::Cell (\d+)", text, re.M)
    return result.returncode, text, {(name, int(number)) for name, number in failed}


def test_exactly_the_wrong_cells_fail(tmp_path):
    code, text, failed = run(build(tmp_path, CASES))
    wanted = {(name, number) for name in CASES for number in CASES[name][1]}
    assert code == 1 and failed == wanted, text
    for reason in ("was never run", "is skipped", "is not compared", "cannot compare"):
        assert reason in text
    assert "figure within the tolerance: notebooks/near.ipynb::Cell 0, 2 of" in text


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return build(tmp_path_factory.mktemp("two"), ["right", "keys"])


def test_a_full_run_needs_every_cell(two):
    code, text, _ = run(two)
    assert code == 0 and "notebook cells compared and equal: 2" in text, text
    code, text, _ = run(two, "--deselect", "notebooks/keys.ipynb")
    assert code == 1 and "1 cells did not pass a comparison" in text, text


def test_a_partial_run_is_as_strict(two):
    code, text, _ = run(two, "notebooks/right.ipynb")
    assert code == 0 and "notebook cells compared and equal: 1" in text, text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"nbval_lax": True}, "compares nothing"),
        ({"tx": ["2*popen"], "dist": "load"}, "Use --dist loadfile"),
    ],
)
def test_what_would_weaken_the_check_is_refused(options, problem):
    config = SimpleNamespace(getoption=lambda name, default: options.get(name, default))
    with pytest.raises(pytest.UsageError, match=problem):
        strict_nbval.pytest_configure(config)


def test_without_models_there_is_one_clear_line(two):
    plugin = two / "tests" / "tools" / "strict_nbval.py"
    right = plugin.read_text(encoding="utf-8")
    wrong = re.sub(
        r'PREPARE = """.*?"""', 'PREPARE = "import nothing"', right, flags=re.S
    )
    plugin.write_text(wrong, encoding="utf-8")
    code, text, _ = run(two, "-n", "0", "notebooks/right.ipynb")
    plugin.write_text(right, encoding="utf-8")
    assert code == 1 and "cannot be prepared: ModuleNotFoundError" in text
