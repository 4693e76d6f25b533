"""The service as a reader runs it: python -m helpers.service, its own process."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.promptable import FOLDER, load_promptable
from helpers.service.keys import Keys

LINE = "line-1"


@dataclass
class Running:
    """A running service, its key, and the folder with its files."""

    process: subprocess.Popen
    base_url: str
    key: str
    folder: Path

    def said(self) -> str:
        """Everything it has printed and logged so far."""
        files = (f for f in self.folder.rglob("*") if f.is_file())
        texts = [f.read_bytes() for f in files if f.suffix != ".npz"]
        return b"\n".join(texts).decode(errors="replace")

    def stop(self) -> int:
        """Stop it as Ctrl-C or a service manager would; return its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def service_process(key: str, before: str = "") -> Iterator[Running]:
    """Run the service in a new folder; its key is given, so that nobody prints it.

    Args:
        key: the key of its line; only the digest is written down.
        before: Python code to run first in that process.

    """
    load_promptable()  # fit it once, here
    with tempfile.TemporaryDirectory(prefix="course-service-") as name:
        folder = Path(name)
        shutil.copytree(FOLDER, folder / "models" / FOLDER.name)
        keys = json.dumps({LINE: Keys.digest(key)})
        (folder / "service_keys.json").write_text(keys, encoding="utf-8")
        run = "import runpy; runpy.run_module('helpers.service', run_name='__main__')"
        command = [sys.executable, "-c", f"{before}\n{run}"] if before else []
        command = command or [sys.executable, "-m", "helpers.service"]
        command += ["--per-minute", "10000000", "--burst", "1000000"]
        with (
            open(folder / "stdout", "wb") as out,
            open(folder / "stderr", "wb") as errors,
        ):
            environment = os.environ | {"COURSE_STATE": name}
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=errors
            )
        running = Running(process, "", key, folder)
        try:
            patience = time.monotonic() + 60
            while not (found := re.search(r"http://\S+/v1", running.said())):
                if process.poll() is not None or time.monotonic() > patience:
                    raise RuntimeError(f"no service: {running.said()}")
                time.sleep(0.05)
            running.base_url = found[0]
            yield running
        finally:
            process.kill()
            process.wait()
