"""Install the course from this folder, without a network.

Linux, macOS: python3 install.py     Windows: py install.py
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOM_GB = 3.5  # of the environment
SYSTEMS = {
    ("Linux", "x86_64"): "linux",
    ("Windows", "AMD64"): "windows",
    ("Darwin", "arm64"): "macos",
}


def this_system():
    """The name that bundles give this system; its own name if they know none."""
    machine = platform.system(), platform.machine()
    return SYSTEMS.get(machine, " ".join(machine))


def problem(here=HERE):
    """What speaks against installing, as a sentence with the next step; "" if nothing.

    Old Pythons must read this file too: they get a sentence, not a syntax error.
    """
    if not (here / "bundle.json").exists():
        return f"{here} is not a whole bundle: copy the whole folder again."
    card = json.loads((here / "bundle.json").read_text(encoding="utf-8"))
    python = "{}.{}".format(*sys.version_info[:2])
    system = this_system()
    if [system, python] not in card["targets"]:
        packed = ", ".join("{} with Python {}".format(*one) for one in card["targets"])
        text = "This is {} with Python {}; the bundle is for: {}. "
        text += "Start install.py with one of these Pythons, or ask for another bundle."
        return text.format(system, python, packed)
    free = shutil.disk_usage(str(here)).free / 1e9
    if free < ROOM_GB:
        text = "{:.1f} GB free on this disk, {:.1f} needed: make room."
        return text.format(free, ROOM_GB)
    if not os.access(str(here / "course"), os.W_OK):
        return f"{here} cannot be written: copy the folder to your own disk."
    for name, expected in card["sha256"].items():
        path = here / "wheels" / name
        if not path.exists() or sha256(path) != expected:
            return f"wheels/{name} is missing or damaged: copy it again."
    return ""


def sha256(path):
    """SHA-256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with open(str(path), "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def install(here=HERE):
    """Make the environment course/.venv and fill it; return the exit status of pip."""
    course = here / "course"
    environment = course / ".venv"
    made = subprocess.run([sys.executable, "-m", "venv", str(environment)])
    if made.returncode:
        print("No environment could be made. On Debian and Ubuntu the package")
        print("python3-venv is missing; elsewhere install Python from python.org.")
        return made.returncode
    folder = "Scripts" if os.name == "nt" else "bin"
    python = environment / folder / ("python.exe" if os.name == "nt" else "python")
    # No index, proxy or constraint of this machine: only what lies in this folder.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    clean.update(PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    command = [str(python), "-m", "pip", "install", "-q", "--no-index"]
    command += ["--find-links", str(here / "wheels"), "-r", "requirements.txt"]
    command += ["-c", os.path.join("tests", "constraints.txt")]
    print("Installing; this takes some minutes ...", flush=True)
    status = subprocess.run(command, cwd=str(course), env=clean).returncode
    if status == 0 and (course / "helpers" / "doctor.py").exists():
        doctor = [str(python), "-m", "helpers.doctor"]
        status = subprocess.run(doctor, cwd=str(course)).returncode
    return status


def main():
    """Check, install, and say how to begin."""
    reason = problem()
    if reason:
        print(reason)
        return 1
    status = install()
    if status:
        print("Not installed: see above. Run this again when that is mended.")
        return status
    first = "jupyter lab --notebook-dir=. notebooks/00_start_here.ipynb"
    activate = ". .venv/bin/activate"
    if os.name == "nt":
        activate = r".venv\Scripts\Activate.ps1"
        first = first.replace("/", "\\")
    print("Done. To begin, in the folder {}:".format(HERE / "course"))
    print(f"  {activate}\n  {first}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
