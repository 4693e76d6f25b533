"""Strict nbval: no cell unrun, skipped or uncompared, figures compared, nothing missed.

Hooks for pytest; notebooks/conftest.py switches them on. Two processes share the files
(pytest-xdist, --dist loadfile); what each selected and passed is added up at the end.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from queue import Empty

import pytest
from figures import COMPARE_FIGURES, forgive
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(
    path
    for path in (ROOT / "notebooks").rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts
)
# Made once a run, then copied for each kernel.
PREPARE = """
from concurrent.futures import ThreadPoolExecutor
import helpers, matplotlib.font_manager
from helpers.bearings import load_bearings
from helpers.promptable import load_promptable
from helpers.process_data import load_dryer, load_mixes
from helpers.solar import load_cells
with ThreadPoolExecutor() as pool:
    loads = load_cells, load_bearings, load_dryer, load_mixes
    fetched = [pool.submit(load) for load in loads]
    [helpers.load_router(name) for name in ("electrician", "crew")]
    load_promptable()
    [one.result() for one in fetched]
"""

# Cells that may stay outside the comparison: {"notebook.ipynb": {"cell id": "reason"}}.
ALLOWED: dict[str, dict[str, str]] = {}

_passed: set[str] = set()
_selected: set[str] = set()
_forgiven: dict[str, int] = {}  # cells whose figures needed the tolerance
_folders: list[str] = []  # to remove at the end


def pytest_configure(config):
    """Refuse what would weaken the comparison, and mend what nbval does to kernels."""
    if config.getoption("nbval_lax", False):
        raise pytest.UsageError("--nbval-lax compares nothing; use --nbval.")
    parallel = config.getoption("tx", None)
    if parallel and config.getoption("dist", "no") not in ("loadscope", "loadfile"):
        raise pytest.UsageError("Use --dist loadfile: others split a notebook.")
    if "COURSE_STATE" not in os.environ:  # models and progress apart from the reader's
        os.environ["COURSE_STATE"] = tempfile.mkdtemp(prefix="course-state-")
        _folders.append(os.environ["COURSE_STATE"])
    if config.getoption("nbval", False):
        mend_nbval()


@cache
def mend_nbval():
    """Kernels of their own, a dead one noticed, figures within the tolerance equal."""
    import nbval.kernel
    import nbval.plugin

    start = nbval.kernel.start_new_kernel
    compare = nbval.plugin.IPyNbCell.compare_outputs

    def start_new_kernel(*args, **kwargs):
        return start(*args, env=kernel_environment(), **kwargs)

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

    def compare_outputs(self, test, ref, skip_compare=None):
        test, forgiven = forgive(test, ref)
        self.user_properties += [("levels apart", apart) for apart in forgiven]
        return compare(self, test, ref, skip_compare)

    def refuse(*args, **kwargs):
        raise AssertionError(f"output that nbval cannot compare: {args}")

    nbval.kernel.start_new_kernel = start_new_kernel
    nbval.kernel.RunningKernel.execute_cell_input = execute_cell_input
    nbval.kernel.RunningKernel.await_reply = await_reply
    nbval.plugin.IPyNbCell.compare_outputs = compare_outputs
    nbval.plugin.print = refuse  # it prints only "unhandled iopub msg"


def kernel_environment() -> dict[str, str]:
    """Environment of a kernel: no settings of the user's, a state of its own."""
    shared = prepare(Path(os.environ["COURSE_STATE"]))
    own = Path(tempfile.mkdtemp(prefix="course-kernel-"))
    _folders.append(str(own))
    ignore = shutil.ignore_patterns("progress*", "answers*", "*.lock", "matplotlib")
    shutil.copytree(shared, own / "state", ignore=ignore)
    startup = own / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    hidden = ("PYTEST_", "OPENAI_")  # the first changes what ipykernel captures
    env = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    if code := env.pop("COURSE_STARTUP", None):  # tests/tools/other_machine.py
        (startup / "00_course.py").write_text(code, encoding="utf-8")
    path = [str(ROOT), env.get("PYTHONPATH", "")]  # not the clone of `-e .`, if another
    return env | {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "COURSE_STATE": str(own / "state"),
        "IPYTHONDIR": str(own / "ipython"),
        "MPLCONFIGDIR": str(shared / "matplotlib"),
    }


def prepare(state: Path) -> Path:
    """Make once, for all tests of this run, what the notebooks find ready."""
    with FileLock(state / "prepare.lock"):
        if not (state / "ready").exists():
            made = subprocess.run(
                [sys.executable, "-c", PREPARE],
                cwd=ROOT,
                env=os.environ | {"MPLCONFIGDIR": str(state / "matplotlib")},
                capture_output=True,
                text=True,
            )
            if made.returncode:
                last = made.stderr.strip().splitlines()[-1]
                raise RuntimeError(f"Data and models cannot be prepared: {last}")
            (state / "ready").touch()
    return state


def pytest_report_header(config):
    figures = "compared by pixel" if COMPARE_FIGURES else "not compared here"
    return f"notebooks: {len(NOTEBOOKS)}, figures {figures}"


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare") and COMPARE_FIGURES:
        keep = [key for key in collector.skip_compare if key != "image/png"]
        collector.skip_compare = tuple(keep)


def seconds_of() -> dict[str, float]:
    """Measured seconds of each notebook, for the order of a run."""
    try:
        with open(ROOT / "tests/tools/timings.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return {}
    return {f"notebooks/{row['notebook']}": float(row["seconds"]) for row in rows}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Long notebooks first, and a failure for each cell that would not be compared."""
    seconds = seconds_of()
    items.sort(key=lambda item: -seconds.get(_name(item.nodeid.split("::")[0]), 0))
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is None:
            continue
        _selected.add(_name(item.nodeid))
        if cell.source.strip() and cell.execution_count is None:
            why = "was never run"
        elif item.options["skip"]:
            why = "is skipped"
        elif not item.options["check"]:
            why = "has an output that is not compared"
        else:
            continue
        if cell.get("id") not in ALLOWED.get(item.path.name, {}):
            item.runtest = _refuse(f"Cell outside the check: {item.nodeid} {why}.")


def _refuse(why):
    def runtest():
        pytest.fail(why, pytrace=False)

    return runtest


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


def _is_worker(config):
    return hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """The main process learns which cells a worker had to run."""
    _selected.update(getattr(node, "workeroutput", {}).get("selected_cells", ()))


def pytest_sessionfinish(session, exitstatus):
    """Every selected cell must have passed; in a full run, every cell there is."""
    config = session.config
    if _is_worker(config):
        config.workeroutput["selected_cells"] = sorted(_selected)
        return
    if config.option.collectonly or exitstatus not in (0, 5):
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
            f"figure within the tolerance: {name}, {apart} of 256 levels apart"
        )


def pytest_unconfigure(config):
    """Remove this process's folders; kernels may still hold a file of theirs."""
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)
