"""The notebook check refuses whatever would make it pass without checking."""

import base64
import os
import subprocess
import sys

import nbformat
import pytest
from strict_nbval import COMPARE_FIGURES, ROOT

PREPARED = "import json; [json.dumps"  # instead of the models, which take seconds


@pytest.fixture
def course(tmp_path):
    """A little course with one notebook and the real configuration."""
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "notebooks/conftest.py"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    (tmp_path / "tests").mkdir()
    for name in ("strict_nbval.py", "sanitize.cfg"):
        source = (ROOT / "tests" / name).read_text(encoding="utf-8")
        source = source.replace("import helpers; [helpers.load_router", PREPARED)
        (tmp_path / "tests" / name).write_text(source, encoding="utf-8")
    return tmp_path


def write(course, *cells, name="a.ipynb"):
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    for number, (source, text) in enumerate(cells, start=1):
        cell = nbformat.v4.new_code_cell(source, execution_count=number)
        if text:
            cell.outputs = [nbformat.v4.new_output("stream", text=text)]
        notebook.cells.append(cell)
    nbformat.write(notebook, course / "notebooks" / name)
    return notebook


def run(course, *options, **environment):
    hidden = ("PYTEST_", "COURSE_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=course,
        capture_output=True,
        text=True,
        env=clean | environment,
    )
    return result.returncode, result.stdout + result.stderr


def test_right_notebook_passes(course):
    write(course, ("print(1)", "1\n"), ("print('[    2.00 s]')", "[    3.00 s]\n"))
    code, text = run(course)
    assert code == 0, text
    assert "notebook cells compared and equal: 2" in text


def test_wrong_output_fails(course):
    write(course, ("print(1)", "2\n"))
    assert run(course, "notebooks")[0] == 1


def test_unrun_cell_is_refused(course):
    notebook = write(course, ("print(1)", None))
    notebook.cells[0].execution_count = None
    nbformat.write(notebook, course / "notebooks" / "a.ipynb")
    code, text = run(course, "notebooks")
    assert code == 4 and "was never run" in text


@pytest.mark.parametrize("marker", ["NBVAL_SKIP", "NBVAL_IGNORE_OUTPUT"])
def test_marked_cell_is_refused(course, marker):
    write(course, (f"# {marker}\nprint(1)", "1\n"))
    code, text = run(course, "notebooks")
    assert code == 4 and "Cells outside the check" in text


def test_tagged_cell_is_refused(course):
    notebook = write(course, ("print(1)", "1\n"))
    notebook.cells[0].metadata["tags"] = ["nbval-ignore-output"]
    nbformat.write(notebook, course / "notebooks" / "a.ipynb")
    assert run(course, "notebooks")[0] == 4


def test_lax_is_refused(course):
    write(course, ("print(1)", "1\n"))
    code, text = run(course, "--nbval-lax", "notebooks")
    assert code == 4 and "compares nothing" in text


def test_kernel_that_exits_fails(course):
    write(course, ("import os; os._exit(0)", None), ("print(1)", "1\n"))
    code, text = run(course, "notebooks")
    assert code == 1, text


def test_stderr_is_compared(course):
    write(course, ("import sys; print(1); print('oops', file=sys.stderr)", "1\n"))
    assert run(course, "notebooks")[0] == 1


def test_output_that_cannot_be_compared_fails(course):
    source = "from IPython.display import clear_output\nprint(1); clear_output()"
    write(course, (source, "1\n"))
    code, text = run(course, "notebooks")
    assert code == 1 and "cannot compare" in text


def test_a_full_run_that_leaves_a_cell_out_fails(course):
    write(course, ("print(1)", "1\n"), ("print(2)", "2\n"))
    code, text = run(course, "--deselect", "notebooks/a.ipynb::Cell 1")
    assert code == 1 and "1 cells did not pass a comparison" in text
    code, text = run(course, "--ignore", "notebooks/a.ipynb")
    assert code == 1 and "2 cells did not pass a comparison" in text
    assert run(course, "notebooks/a.ipynb::Cell 0")[0] == 0  # asked for one, got one


def test_figures_are_compared(course):
    png = base64.b64encode(b"one figure").decode()
    source = f"display({{'image/png': '{png}'}}, raw=True)"
    notebook = write(course, (source, None))
    for stored, expected in [(b"one figure", 0), (b"two figure", 1)]:
        data = {"image/png": base64.b64encode(stored).decode()}
        notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data)]
        nbformat.write(notebook, course / "notebooks" / "a.ipynb")
        assert run(course, "notebooks")[0] == (expected if COMPARE_FIGURES else 0)


def test_units_are_compared(course):
    write(course, ("print('[    2.00 s]')", "[    2.00 ms]\n"))
    assert run(course, "notebooks")[0] == 1


def test_without_models_there_is_one_clear_line(course):
    plugin = course / "tests" / "strict_nbval.py"
    text = plugin.read_text(encoding="utf-8").replace("import json;", "import nothing;")
    plugin.write_text(text, encoding="utf-8")
    write(course, ("print(1)", "1\n"))
    code, text = run(course, "notebooks")
    assert code == 4 and "cannot be prepared: ModuleNotFoundError" in text


def test_keys_of_the_reader_do_not_reach_the_kernels(course):
    source = "import os; print(sorted(k for k in os.environ if 'OPENAI' in k))"
    write(course, (source, "[]\n"))
    assert run(course, "notebooks", OPENAI_API_KEY="abc")[0] == 0
