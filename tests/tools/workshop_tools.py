"""Import the tools that are not packages: the workshop kit, the reading edition."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load(path: str):
    """A module out of a file of the repository."""
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(f"workshop_{name}", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bundle = load("notebooks/workshop/bundle.py")
install = load("notebooks/workshop/install.py")
code_along = load("notebooks/workshop/code_along.py")
site = load(".github/site/build.py")
