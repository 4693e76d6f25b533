"""Who called what and when, never what an order said; a change to it can be seen.

Each line holds the SHA-256 of the line before it, so a line that was changed, taken out
or put in breaks the chain; check() finds it. Who can write the files can also compute a
new chain, or cut its end off: that sees only who noted the hash of the last line
elsewhere. One process writes to a folder.
"""

import hashlib
import json
import sys
from collections import deque
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

PREFIX = "service_access-"


def digest(line: str) -> str:
    """SHA-256 of a line without its end."""
    return hashlib.sha256(line.encode()).hexdigest()


def check(folder: Path, end: str = "") -> list[str]:
    """Where the chain of the files in a folder is broken; empty if it is whole.

    The oldest file may continue one that was deleted. end is AccessLog.end, as it was
    noted elsewhere; "" if it was not.
    """
    problems: list[str] = []
    previous: str | None = None
    for path in sorted(folder.glob(f"{PREFIX}*.jsonl")):
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        for number, line in enumerate(lines, 1):
            where = f"{path.name}, line {number}"
            try:
                said = json.loads(line)["previous"]
            except (ValueError, TypeError, KeyError):
                problems.append(f"{where}: cut, or not a line of this log")
            else:
                if previous is not None and said != previous:
                    problems.append(f"{where}: does not continue the line before it")
            previous = digest(line)
    if end and end != previous:
        problems.append("the last line is not the one that was noted elsewhere")
    return problems


class AccessLog:
    """One JSON line a request, one file a day (UTC): service_access-2026-11-27.jsonl.

    A line has about 330 bytes. The last 10,000 entries are also kept in memory.
    """

    def __init__(self, folder: Path | None, days: int = 90):
        """Write to a folder, if one is given, and keep the files of so many days.

        Raises:
            OSError: the folder cannot be written to.

        """
        self.entries: deque[dict[str, Any]] = deque(maxlen=10_000)
        self._folder, self._days = folder, days
        self._day, self._complained = "", False
        self.end = ""  # SHA-256 of the last line
        self._file: TextIO | None = None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            files = sorted(folder.glob(f"{PREFIX}*.jsonl"))
            if written := [path for path in files if path.stat().st_size]:
                self._continue(written[-1])
            self._open(datetime.now(UTC).date().isoformat())

    def note(self, entry: dict[str, Any]) -> None:
        """Add one entry; "time" begins with the day. A full disk stops no answer."""
        entry["previous"] = self.end
        line = json.dumps(entry)
        self.end = digest(line)
        self.entries.append(entry)
        if not self._folder:
            return
        try:
            if entry["time"][:10] > self._day:
                self._open(entry["time"][:10])
            self._file.write(line + "\n")
        except OSError as error:
            if not self._complained:
                print(f"The access log is not written: {error}", file=sys.stderr)
            self._complained = True

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _continue(self, path: Path) -> None:
        """Go on after the last line of a file, not empty; a crash may have cut it."""
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
        last = content.rstrip(b"\n").rpartition(b"\n")[2]
        self.end = digest(last.decode("utf-8", "replace")) if last else ""

    def _open(self, day: str) -> None:
        """Begin the file of a day, and delete those that are too old."""
        path = self._folder / f"{PREFIX}{day}.jsonl"
        file = path.open("a", encoding="utf-8", buffering=1)  # line by line
        self.close()  # not before: if opening fails, the next note tries again
        self._file, self._day = file, day
        oldest = date.fromisoformat(day) - timedelta(days=self._days - 1)
        for old in self._folder.glob(f"{PREFIX}*.jsonl"):
            if old.stem.removeprefix(PREFIX) < oldest.isoformat():
                old.unlink(missing_ok=True)
