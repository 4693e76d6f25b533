"""Fetch a package with pip, and build nothing: no code of it runs, no back end comes.

Of a source package (.tar.gz), once its checksum is right, pip asks the build back end
for name and version. A stand-in, put in front of setuptools, answers in its place.
"""

import os
from pathlib import Path

FOLDER = "stand-in"
BACK_END = """
import pathlib
def prepare_metadata_for_build_wheel(folder, settings=None):
    made = pathlib.Path(folder, "{0}-{1}.dist-info")
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\\nName: {0}\\nVersion: {1}")
    return made.name
"""


def build_nothing(requirement: str, file: str, folder: Path) -> list[str]:
    """Options of pip download for one wheel or source package.

    Args:
        requirement: name==version.
        file: what will be fetched; its ending says which kind it is.
        folder: where the stand-in for the back end is put; see with_stand_in.

    """
    if not file.endswith(".tar.gz"):
        return ["--only-binary=:all:"]
    name, version = requirement.split("==")
    back_end = folder / FOLDER / "setuptools"
    back_end.mkdir(parents=True)
    (back_end / "__init__.py").touch()
    code = BACK_END.format(name.replace("-", "_"), version)
    (back_end / "build_meta.py").write_text(code)
    isolation = ["--no-build-isolation", "--ignore-requires-python"]
    return [f"--no-binary={name}", *isolation]


def with_stand_in(folder: Path) -> dict[str, str]:
    """The environment for pip, in which a stand-in in the folder is found first."""
    if not (folder / FOLDER).exists():
        return dict(os.environ)
    paths = [str(folder / FOLDER), os.environ.get("PYTHONPATH")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
