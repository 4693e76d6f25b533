"""Run notebooks from a fresh kernel and store what they print.

python tests/tools/regenerate.py [name ...]; without names: all of them. Counts run
1..n, no timing goes into the metadata, cell ids stay what they are. Seconds and peak
memory go to tests/tools/timings.csv.
"""

import csv
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
TIMINGS = ROOT / "tests" / "tools" / "timings.csv"


def run(path: Path) -> tuple[float, float]:
    """Execute a notebook in place; return seconds and peak resident memory in GB."""
    notebook = nbformat.read(path, as_version=4)
    kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernelspec, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k == "tags"}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    peak, running = [0.0], threading.Event()
    running.set()

    def watch():
        me = psutil.Process()
        while running.is_set():
            for child in me.children(recursive=True):
                try:
                    peak[0] = max(peak[0], child.memory_info().rss / 1e9)
                except psutil.Error:
                    continue
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    try:
        client.execute()
    finally:
        running.clear()
        watcher.join()
    seconds = time.perf_counter() - start
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds, peak[0]


def main(names: list[str]) -> None:
    """Run the named notebooks, or all, in order; update the timings."""
    paths = [
        path
        for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts
        and (not names or any(n in path.relative_to(ROOT).as_posix() for n in names))
    ]
    if not paths:
        sys.exit(f"No notebook is named like {', '.join(names)}.")
    rows = {}
    if TIMINGS.exists():
        with open(TIMINGS, encoding="utf-8") as file:
            rows = {row["notebook"]: row for row in csv.DictReader(file)}
    os.environ["COURSE_STATE"] = tempfile.mkdtemp(prefix="course-state-")
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        del os.environ[name]  # stored outputs are those of the local service
    import helpers

    for name in ("electrician", "crew"):
        helpers.load_router(name)
    for path in paths:
        seconds, memory = run(path)
        name = path.relative_to(ROOT / "notebooks").as_posix()
        rows[name] = {
            "notebook": name,
            "seconds": f"{seconds:.0f}",
            "peak_memory_gb": f"{memory:.1f}",
        }
        print(f"{name}: {seconds:.0f} s, {memory:.1f} GB", flush=True)
    with open(TIMINGS, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["notebook", "seconds", "peak_memory_gb"])
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
