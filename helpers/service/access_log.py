"""Who called what and when, never what an order said."""

import json
import sys
from collections import deque
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

PREFIX = "service_access-"


class AccessLog:
    """One JSON line a request, one file a day (UTC): service_access-2026-11-27.jsonl.

    A line has about 250 bytes. The last 10,000 entries are also kept in memory.
    """

    def __init__(self, folder: Path | None, days: int = 90):
        """Write to a folder, if one is given, and keep the files of so many days.

        Raises:
            OSError: the folder cannot be written to.

        """
        self.entries: deque[dict[str, Any]] = deque(maxlen=10_000)
        self._folder, self._days = folder, days
        self._day, self._complained = "", False
        self._file: TextIO | None = None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self._open(datetime.now(UTC).date().isoformat())

    def note(self, entry: dict[str, Any]) -> None:
        """Add one entry; "time" begins with the day. A full disk stops no answer."""
        self.entries.append(entry)
        if not self._folder:
            return
        try:
            if entry["time"][:10] > self._day:
                self._open(entry["time"][:10])
            self._file.write(json.dumps(entry) + "\n")
        except OSError as error:
            if not self._complained:
                print(f"The access log is not written: {error}", file=sys.stderr)
            self._complained = True

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _open(self, day: str) -> None:
        """Begin the file of a day, and delete those that are too old."""
        self.close()
        self._day = day
        path = self._folder / f"{PREFIX}{day}.jsonl"
        self._file = path.open("a", encoding="utf-8", buffering=1)  # line by line
        oldest = date.fromisoformat(day) - timedelta(days=self._days - 1)
        for old in self._folder.glob(f"{PREFIX}*.jsonl"):
            if old.stem.removeprefix(PREFIX) < oldest.isoformat():
                old.unlink(missing_ok=True)
