"""Dynamic proof: python tests/tools/planted_faults.py

Plants one wrong stored output in every notebook of a copy of the course, runs the whole
notebook check there, and requires that exactly the planted cells fail. It does so with
the arithmetic of another machine and a clock that is 100 times slower, so that the same
run proves that all other outputs depend on neither.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from mutants import mutants
from other_machine import ARITHMETIC, VARIANTS
from strict_nbval import NOTEBOOKS, ROOT

SANITIZED = re.findall(
    r"^regex: (.+)$", (ROOT / "tests/tools/sanitize.cfg").read_text("utf-8"), re.M
)


def plant(path: Path, rng: random.Random) -> str:
    """Change one stored output of a notebook; return the name of its cell."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    candidates = [
        (number, position, kind, changed)
        for number, cell in enumerate(code)
        for position, output in enumerate(cell.outputs)
        for kind, changed in mutants(output, rng, SANITIZED)
    ]
    assert candidates, f"{path.name} has no output to change"
    number, position, kind, changed = rng.choice(candidates)
    code[number].outputs[position] = changed
    nbformat.write(notebook, path)
    print(f"planted in {path.name}, cell {number}, {kind}", flush=True)
    return f"Cell {number}"


def main(seed: int = 0) -> int:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="course-planted-") as temporary:
        copy = Path(temporary) / "course"
        ignore = shutil.ignore_patterns(".git", ".venv*", "__pycache__", "models")
        shutil.copytree(ROOT, copy, ignore=ignore)
        planted = set()
        for original in NOTEBOOKS:
            path = copy / original.relative_to(ROOT)
            planted.add(f"{path.relative_to(copy).as_posix()}::{plant(path, rng)}")
        command = [sys.executable, "-m", "pytest", "-q", "-rf", "--color=no"]
        command += ["-p", "no:cacheprovider", "notebooks"]
        environment = os.environ | ARITHMETIC | VARIANTS["slow"]
        environment["PYTHONPATH"] = str(copy)
        result = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True
        )
    failed = set(re.findall(r"^FAILED (notebooks/\S+::Cell \d+)", result.stdout, re.M))
    print(result.stdout.strip().splitlines()[-1])
    print(*re.findall(r"^figure within .*$", result.stdout, re.M), sep="\n")
    print(f"planted {len(planted)}, failed {len(failed)}")
    print(f"missed {sorted(planted - failed)}")
    print(f"failed without cause {sorted(failed - planted)}")
    proven = result.returncode == 1 and failed == planted
    print("PROVEN" if proven else "NOT PROVEN")
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
