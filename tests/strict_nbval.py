"""Strict nbval: no cell unrun, skipped or uncompared, figures compared, nothing missed.

Hooks for pytest; notebooks/conftest.py switches them on.
"""

import base64
import copy
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(
    path
    for path in (ROOT / "notebooks").rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts
)
# PNG figures are compared pixel by pixel where the pinned fonts and libraries are the
# same. A figure of measured times is a JPEG (helpers.show): nbval compares none, but it
# compares the alternative text and the reading line beside it.
COMPARE_FIGURES = sys.platform == "linux" and not os.environ.get("COURSE_TEXT_ONLY")
# Another processor may move the edge of a line by a rounding error: that many of the 256
# levels of a colour may differ. The smallest change that the static proof plants is 8.
TOLERANCE = 2

# Cells that may stay outside the comparison: {"notebook.ipynb": {"cell id": "reason"}}.
ALLOWED: dict[str, dict[str, str]] = {}

_passed: set[str] = set()
_selected: set[str] = set()
_forgiven: dict[str, int] = {}  # cells whose figures needed the tolerance


def levels_apart(one: str, other: str) -> int:
    """Largest difference of two base64 PNG in any channel of any pixel; 256: in size."""
    pixels = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"), int)
        for png in (one, other)
    ]
    if pixels[0].shape != pixels[1].shape:
        return 256
    return int(np.abs(pixels[0] - pixels[1]).max())


def _forgive(test, reference):
    """Replace each new PNG that is within TOLERANCE of the stored one by that one.

    Returns the new outputs and the differences that were forgiven.
    """
    pair = [
        [o for o in outputs if "image/png" in o.get("data", {})]
        for outputs in (test := copy.deepcopy(test), reference)
    ]
    forgiven = []
    for new, stored in zip(*pair, strict=False):
        png, wanted = (output["data"]["image/png"] for output in (new, stored))
        if png.strip() == wanted.strip():
            continue
        apart = levels_apart(png, wanted)
        if apart <= TOLERANCE:
            new["data"]["image/png"] = wanted
            forgiven.append(apart)
    return test, forgiven


def _nbval_on(config):
    return config.getoption("nbval", False)


def pytest_configure(config):
    """Refuse what would weaken the comparison, and mend what nbval does to kernels."""
    if config.getoption("nbval_lax", False):
        raise pytest.UsageError("--nbval-lax compares nothing; use --nbval.")
    workers = config.getoption("numprocesses", None)
    if workers and config.getoption("dist", "no") not in ("loadscope", "loadfile"):
        raise pytest.UsageError("Use --dist loadfile: others split a notebook.")
    _state_of_its_own()
    if not _nbval_on(config):
        return
    import nbval.kernel
    import nbval.plugin

    start = nbval.kernel.start_new_kernel

    def start_new_kernel(*args, **kwargs):
        hidden = ("PYTEST_", "OPENAI_")  # the first changes what ipykernel captures
        env = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        return start(*args, env=env, **kwargs)

    def execute_cell_input(self, source, allow_stdin=None):
        return self.kc.execute(
            source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False
        )

    def await_reply(self, msg_id, timeout=None):
        end = time.monotonic() + (timeout or 1e9)
        while True:
            try:
                message = self.get_message("shell", timeout=1)
            except Empty:
                if not self.is_alive():
                    raise RuntimeError("The kernel died in this cell.") from None
                if time.monotonic() > end:
                    raise
                continue
            if message["parent_header"].get("msg_id") == msg_id:
                if message["content"]["status"] == "aborted":
                    raise RuntimeError("The kernel aborted this cell.")
                return

    def refuse(*args, **kwargs):
        raise AssertionError(f"output that nbval cannot compare: {args}")

    compare = nbval.plugin.IPyNbCell.compare_outputs

    def compare_outputs(self, test, ref, skip_compare=None):
        if COMPARE_FIGURES:
            test, forgiven = _forgive(test, ref)
            self.user_properties += [("levels apart", apart) for apart in forgiven]
        return compare(self, test, ref, skip_compare)

    nbval.plugin.IPyNbCell.compare_outputs = compare_outputs
    nbval.kernel.start_new_kernel = start_new_kernel
    nbval.kernel.RunningKernel.execute_cell_input = execute_cell_input
    nbval.kernel.RunningKernel.await_reply = await_reply
    nbval.plugin.print = refuse  # it prints only "unhandled iopub msg"


def _state_of_its_own():
    """Models and progress of a test run live apart from the reader's."""
    if "COURSE_STATE" not in os.environ:
        os.environ["COURSE_STATE"] = tempfile.mkdtemp(prefix="course-state-")


def pytest_report_header(config):
    figures = "compared by pixel" if COMPARE_FIGURES else "not compared here"
    return f"notebooks: {len(NOTEBOOKS)}, figures {figures}"


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare") and COMPARE_FIGURES:
        keep = [key for key in collector.skip_compare if key != "image/png"]
        collector.skip_compare = tuple(keep)


def pytest_collection_modifyitems(config, items):
    """Refuse a run in which some cell would not be compared."""
    outside = []
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is None:
            continue
        if cell.source.strip() and cell.execution_count is None:
            why = "was never run"
        elif item.options["skip"]:
            why = "is skipped"
        elif not item.options["check"]:
            why = "has an output that is not compared"
        else:
            continue
        if cell.get("id") not in ALLOWED.get(item.path.name, {}):
            outside.append(f"{item.path.name} {item.name} {why}")
    if outside:
        raise pytest.UsageError("Cells outside the check:\n  " + "\n  ".join(outside))


def pytest_collection_finish(session):
    """Prepare data and models once, outside the notebooks, if any notebook will run."""
    cells = {_name(i.nodeid) for i in session.items if hasattr(i, "cell")}
    _selected.update(cells)
    if cells and not session.config.option.collectonly:
        code = (
            "import helpers; [helpers.load_router(n) for n in ('electrician', 'crew')]"
        )
        command = [sys.executable, "-c", code]
        made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if made.returncode:
            last = made.stderr.strip().splitlines()[-1]
            raise pytest.UsageError(f"Data and models cannot be prepared: {last}")


def pytest_runtest_logreport(report):
    expected_failure = hasattr(report, "wasxfail")
    if report.when == "call":
        found = [a for name, a in report.user_properties if name == "levels apart"]
        _forgiven.update({_name(report.nodeid): max(found)} if found else {})
    if report.when == "call" and report.passed and not expected_failure:
        _passed.add(_name(report.nodeid))


def _name(nodeid):
    return nodeid.replace("\\", "/")


def all_cells():
    """Names of all code cells of all notebooks, read from the files themselves."""
    names = set()
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        count = sum(cell["cell_type"] == "code" for cell in cells)
        relative = path.relative_to(ROOT).as_posix()
        names |= {f"{relative}::Cell {number}" for number in range(count)}
    return names


def _is_everything(config):
    """Whether this is a run of all tests, as with a plain `python -m pytest`."""
    chosen = config.option.keyword or config.option.markexpr
    chosen = chosen or getattr(config.option, "lf", False)
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen


def pytest_sessionfinish(session, exitstatus):
    """Every selected cell must have passed; in a full run, every cell there is."""
    config = session.config
    if (
        hasattr(config, "workerinput")
        or config.option.collectonly
        or exitstatus not in (0, 5)
    ):
        return
    everything = _is_everything(config)
    wanted = _selected | (all_cells() if everything else set())
    missing = sorted(wanted - _passed)
    if missing or (everything and not wanted):
        print(f"\n{len(missing)} cells did not pass a comparison, first {missing[:3]}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    count = len(_passed & all_cells())
    if _selected:
        terminalreporter.write_line(f"notebook cells compared and equal: {count}")
    for name, apart in sorted(_forgiven.items()):
        terminalreporter.write_line(
            f"figure within tolerance: {name}, {apart} of 256 levels apart"
        )
