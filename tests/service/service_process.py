"""The service as a reader runs it, with a planted beginning; for tests."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.promptable import load_promptable
from helpers.service import key_files
from helpers.service.keys import Keys
from helpers.service.process import ServiceProcess

RUN = "import runpy; runpy.run_module('helpers.service', run_name='__main__')"


@contextmanager
def service_process(
    key: str, before: str = "", *options: str, roles: Keys | None = None
) -> Iterator[ServiceProcess]:
    """Run the service in a new folder that stays until the end.

    Args:
        key: the key of its line; only the digest is written down.
        before: Python code to run first in that process.
        options: of python -m helpers.service.
        roles: more keys, with their roles.

    """
    load_promptable()  # fit it once, here
    run = ("-c", f"{before}\n{RUN}")
    with tempfile.TemporaryDirectory(prefix="course-service-") as name:
        if roles:
            key_files.save_roles(Path(name) / key_files.ROLES, roles)
        with ServiceProcess(*options, key=key, run=run, folder=Path(name)) as running:
            yield running


def written(folder: Path) -> str:
    """Everything in the files of a folder: printed, logged or kept."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return b"\n".join(f.read_bytes() for f in files).decode(errors="replace")
