"""The service as a process of its own, as it would run on a server."""

import atexit
import contextlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from helpers.errors import CourseError
from helpers.service import Running, key_files

# Interrupting a cell must not reach the service. Only Windows has this flag; elsewhere
# a session of its own does it.
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_ADDRESS = re.compile(r"https?://\S+/v1")


class ServiceProcess(Running):
    """`python -m helpers.service` in the background. Use it with `with`, or stop it."""

    def __init__(
        self,
        *options: str,
        port: int = 0,
        key: str = "",
        run: Sequence[str] = ("-m", "helpers.service"),
        folder: Path | None = None,
    ):
        """Start it and wait until it answers.

        Args:
            options: of `python -m helpers.service`, such as "--router", "crew".
            port: 0 takes a free one.
            key: the key of its owner, line-1; by default a new one.
            run: what Python is to run.
            folder: for its files and what it prints; the keys that are there stay.
                By default one that is deleted when it has ended.

        Raises:
            CourseError: it does not start within five minutes; with what it said. Or
                the folder holds another key of line-1.

        """
        self.key = key or f"plant-{secrets.token_hex(16)}"
        self._folder = tempfile.TemporaryDirectory(prefix="course-service-")
        self.folder = folder or Path(self._folder.name)
        key_files.save_key(self.folder / key_files.NAME, "line-1", self.key)
        limits = ["--per-minute", "6000000", "--burst", "600000"]
        where = ["--folder", str(self.folder), "--port", str(port)]
        where += ["--parent", str(os.getpid())]
        with (  # a pipe that nobody reads would fill up, and then the service waits
            open(self.folder / "stdout", "wb") as out,
            open(self.folder / "stderr", "wb") as errors,
        ):
            self._process = subprocess.Popen(
                [sys.executable, *run, *limits, *where, *options],
                stdout=out,
                stderr=errors,
                start_new_session=True,
                creationflags=NEW_GROUP,
            )
        atexit.register(self.kill)
        self.pid = self._process.pid
        try:
            self.base_url = self._address(seconds=300)
        except BaseException:
            self.kill()
            raise
        self.port = int(self.base_url.rsplit(":", 1)[1].removesuffix("/v1"))

    def _address(self, seconds: float) -> str:
        """Wait for the line with its address."""
        patience = time.monotonic() + seconds
        while True:
            running = self.running  # before reading: its last words count
            said = self.said()
            if found := _ADDRESS.search(said):
                return found[0]
            if not running or time.monotonic() > patience:
                raise CourseError(f"The service did not start. It said: {said.strip()}")
            time.sleep(0.02)

    def said(self) -> str:
        """What it has printed so far."""
        files = (self.folder / name for name in ("stdout", "stderr"))
        return "".join(file.read_text("utf-8", "replace") for file in files)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def stop(self, seconds: float = 30.0) -> int:
        """Ask it to finish what is in flight and end (SIGTERM); its exit code.

        Windows has no such signal: there the process ends at once, as with kill().
        """
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # then kill() ends it
            self._process.wait(seconds)
        return self.kill()

    def kill(self) -> int:
        """End it at once, as a power failure would; its exit code."""
        self._process.kill()
        code = self._process.wait(120)
        self._folder.cleanup()
        atexit.unregister(self.kill)
        return code
