"""Environment doctor: `python -m helpers.doctor` says what works and what to do.

Each check is a function check_... without arguments that returns a Finding.
"""

import json
import os
import platform
import re
import shutil
import sys
import tempfile
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


def judge(name: str, ok: bool, fine: str, problem: str) -> Finding:
    """A finding with the text that fits it."""
    return Finding(name, bool(ok), fine if ok else problem)


def check_python() -> Finding:
    """Python 3.11, 3.12 or 3.13."""
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    problem = f"{platform.python_version()} is not supported. "
    problem += "Install Python 3.11, 3.12 or 3.13 and make the environment anew."
    return judge("Python", ok, "3.11 to 3.13", problem)


def check_packages() -> Finding:
    """Every package that requirements.txt asks for is there, in its range."""
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.split("#")[0].strip() for line in lines]
    needs = [Requirement(line) for line in lines if line and line[0] != "-"]
    needs = [need for need in needs if not need.marker or need.marker.evaluate()]
    problems = []
    for need in needs:
        # A GPU build of TensorFlow stands in for the CPU build.
        found = installed(need.name) or installed(need.name.removesuffix("-cpu"))
        if found is None:
            problems.append(f"{need.name} is missing")
        elif not need.specifier.contains(found, prereleases=True):
            problems.append(f"{need.name} {found} is not {need.specifier}")
    problem = f"{'; '.join(problems)}. "
    problem += "Run: python -m pip install -r requirements.txt -c tests/constraints.txt"
    return judge("Packages", not problems, f"{len(needs)} packages in range", problem)


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
    problem = f"starts {command}, not {sys.executable}. {advice}"
    return judge("Kernel", same, "runs this Python", problem)


def check_disk() -> Finding:
    """Room for models and caches."""
    free, least = shutil.disk_usage(DATA).free / 1e9, f"{DISK_GB:.0f} GB"
    problem = f"{free:.1f} GB free; free {least}."
    return judge("Disk", free >= DISK_GB, f"at least {least} free", problem)


def check_memory() -> Finding:
    """Memory for one kernel."""
    total, least = psutil.virtual_memory().total / 1e9, f"{MEMORY_GB:.0f}"
    advice = "Use a machine with more memory; chapter 02 needs most."
    problem = f"{total:.1f} GB of {least}. {advice}"
    return judge("Memory", total >= MEMORY_GB * 0.95, f"at least {least} GB", problem)


def check_data() -> Finding:
    """The work orders are the published file; not there yet is fine too."""
    path, later = DATA / CSV, "not downloaded yet; the first chapter fetches 0.3 MB"
    if not path.exists():
        return Finding("Data", True, later)
    advice = f"Delete data/{CSV}; the next chapter you run fetches it anew."
    problem = f"{CSV} is damaged. {advice}"
    return judge("Data", sha256(path) == CSV_SHA256, "checksum right", problem)


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
        found = keras.config.backend(), keras.config.floatx()
    else:
        settings = json.loads((SETTINGS / "keras.json").read_text(encoding="utf-8"))
        found = os.environ.get("KERAS_BACKEND"), settings["floatx"]
    text = "{}, {}".format(*found)
    problem = f"{text}. Restart the kernel and import helpers before keras."
    return judge("Keras", found == ("tensorflow", "float32"), text, problem)


def check_api_key() -> Finding:
    """An API key is optional; a stray space or quote in one is the usual mistake."""
    key = os.environ.get("OPENAI_API_KEY", "")
    ok = key == key.strip(" \t\r\n\"'")
    problem = "OPENAI_API_KEY begins or ends with a space or a quote."
    fine = "set" if key else "none set, none needed"
    return judge("API key", ok, fine, f"{problem} Set it again without.")


CHECKS = [value for name, value in list(globals().items()) if name[:6] == "check_"]


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
