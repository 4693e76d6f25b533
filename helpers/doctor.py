"""Environment doctor: `python -m helpers.doctor` says what works and what to do.

Each check is a function without arguments that returns a Finding.
"""

import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from helpers.data import CSV, CSV_SHA256, DATA, ROOT, sha256
from helpers.start import SETTINGS, installed

DISK_GB, MEMORY_GB = 1.0, 4.0


class Finding(NamedTuple):
    """One line of the report: what was checked, whether it is fine, and what to do."""

    name: str
    ok: bool
    text: str


def check_python() -> Finding:
    """Python 3.11, 3.12 or 3.13."""
    found = platform.python_version()
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    advice = "Install Python 3.11, 3.12 or 3.13 and make the environment anew."
    text = "3.11 to 3.13" if ok else f"{found} is not supported. {advice}"
    return Finding("Python", ok, text)


def check_packages() -> Finding:
    """Every package that requirements.txt asks for is there, in its range."""
    from packaging.requirements import Requirement

    problems, count = [], 0
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if not line or line.startswith("-"):
            continue
        need = Requirement(line)
        if need.marker and not need.marker.evaluate():
            continue
        count += 1
        # A GPU build of TensorFlow stands in for the CPU build.
        found = installed(need.name) or installed(need.name.removesuffix("-cpu"))
        if found is None:
            problems.append(f"{need.name} is missing")
        elif not need.specifier.contains(found, prereleases=True):
            problems.append(f"{need.name} {found} is not {need.specifier}")
    advice = "Run: python -m pip install -r requirements.txt -c tests/constraints.txt"
    text = (
        f"{count} packages in range"
        if not problems
        else f"{'; '.join(problems)}. {advice}"
    )
    return Finding("Packages", not problems, text)


def check_kernel() -> Finding:
    """The Jupyter kernel "python3" starts the Python that runs this check."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    advice = "Run: python -m ipykernel install --sys-prefix"
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("Kernel", False, f"No kernel python3. {advice}")
    # A bare name means "the Python that runs Jupyter".
    same = re.fullmatch(r"python[\d.]*(\.exe)?", command) or (
        Path(command).parent.resolve() == Path(sys.executable).parent.resolve()
    )
    text = (
        "runs this Python"
        if same
        else f"starts {command}, not {sys.executable}. {advice}"
    )
    return Finding("Kernel", bool(same), text)


def check_disk() -> Finding:
    """Room for models and caches."""
    free = shutil.disk_usage(DATA).free / 1e9
    ok = free >= DISK_GB
    text = (
        f"at least {DISK_GB:.0f} GB free"
        if ok
        else f"{free:.1f} GB free; free {DISK_GB:.0f} GB."
    )
    return Finding("Disk", ok, text)


def check_memory() -> Finding:
    """Memory for one kernel."""
    total = psutil.virtual_memory().total / 1e9
    ok = total >= MEMORY_GB * 0.95
    advice = "Use a machine with more memory; chapter 02 needs most."
    text = (
        f"at least {MEMORY_GB:.0f} GB"
        if ok
        else f"{total:.1f} GB of {MEMORY_GB:.0f}. {advice}"
    )
    return Finding("Memory", ok, text)


def check_data() -> Finding:
    """The work orders are the published file; not there yet is fine too."""
    path = DATA / CSV
    if not path.exists():
        return Finding(
            "Data", True, "not downloaded yet; the first chapter fetches 0.3 MB"
        )
    ok = sha256(path) == CSV_SHA256
    advice = f"Delete data/{CSV}; the next chapter you run fetches it anew."
    return Finding(
        "Data", ok, "checksum right" if ok else f"{CSV} is damaged. {advice}"
    )


def check_write() -> Finding:
    """The data folder can be written."""
    try:
        with tempfile.NamedTemporaryFile(dir=DATA, prefix=".doctor-"):
            return Finding("Write access", True, "data/ can be written")
    except OSError as error:
        advice = "Make the folder writable, or move the course to a folder of your own."
        return Finding("Write access", False, f"data/: {error.strerror}. {advice}")


def check_keras() -> Finding:
    """Keras will run on TensorFlow with float32, whatever your keras.json says."""
    keras = sys.modules.get("keras")  # importing it would take seconds
    if keras:
        backend, floatx = keras.config.backend(), keras.config.floatx()
    else:
        settings = json.loads((SETTINGS / "keras.json").read_text(encoding="utf-8"))
        backend, floatx = os.environ.get("KERAS_BACKEND"), settings["floatx"]
    ok = (backend, floatx) == ("tensorflow", "float32")
    advice = "Restart the kernel and import helpers before keras."
    text = f"{backend}, {floatx}"
    return Finding("Keras", ok, text if ok else f"{text}. {advice}")


def check_api_key() -> Finding:
    """An API key is optional; a stray space or quote in one is the usual mistake."""
    key = os.environ.get("OPENAI_API_KEY", "")
    if not key:
        return Finding("API key", True, "none set, none needed")
    ok = key == key.strip(" \t\r\n\"'")
    advice = (
        "OPENAI_API_KEY begins or ends with a space or a quote. Set it again without."
    )
    return Finding("API key", ok, "set" if ok else advice)


CHECKS: list[Callable[[], Finding]] = [
    check_python,
    check_packages,
    check_kernel,
    check_disk,
    check_memory,
    check_data,
    check_write,
    check_keras,
    check_api_key,
]


def examine() -> list[Finding]:
    """Run every check; one that crashes is reported, and the others still run."""
    findings = []
    for check in CHECKS:
        try:
            findings.append(check())
        except Exception as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            text = f"could not be checked: {type(error).__name__}: {error}"
            findings.append(Finding(name, False, text))
    return findings


def main() -> int:
    """Print a line a check; return 0 if all are fine, else 1."""
    findings = examine()
    for finding in findings:
        mark = "OK   " if finding.ok else "TO DO"
        print(f"{mark}  {finding.name:<13} {finding.text}")
    failed = sum(not finding.ok for finding in findings)
    print("All fine." if not failed else f"{failed} to mend, as said above.")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
