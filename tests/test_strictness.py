"""The notebook check refuses whatever would make it pass without checking."""

import os
import subprocess
import sys

import nbformat
import pytest
from strict_nbval import ROOT


@pytest.fixture
def course(tmp_path):
    """A little course with one notebook and the real configuration."""
    (tmp_path / "notebooks").mkdir()
    for name in ("pyproject.toml", "notebooks/conftest.py"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    (tmp_path / "tests").mkdir()
    for name in ("strict_nbval.py", "sanitize.cfg"):
        source = (ROOT / "tests" / name).read_text(encoding="utf-8")
        source = source.replace("load_router(n) for n in", "normalise(n) for n in")
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


def test_a_full_run_without_notebook_cells_fails(course):
    write(course, ("print(1)", "1\n"))
    (course / "tests" / "test_nothing.py").write_text("def test_nothing(): pass\n")
    code, text = run(course, "tests", COURSE_ALL_CELLS="1")
    if "strict" in text or code == 0:  # notebooks/conftest.py is not loaded for tests/
        assert "notebook cells compared" not in text
    code, text = run(course, "--deselect", "notebooks/a.ipynb", COURSE_ALL_CELLS="1")
    assert code == 1 and "1 cells did not pass a comparison" in text


def test_keys_of_the_reader_do_not_reach_the_kernels(course):
    source = "import os; print(sorted(k for k in os.environ if 'OPENAI' in k))"
    write(course, (source, "[]\n"))
    assert run(course, "notebooks", OPENAI_API_KEY="abc")[0] == 0
