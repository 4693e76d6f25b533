"""The container for editors installs what the README's first command installs."""

import json
import re
import tomllib

from packaging.specifiers import SpecifierSet
from strict_nbval import ROOT

CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())


def test_it_installs_as_the_readme_does():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (install, *_) = re.findall(r"python (-m pip install .+-c \S+)", readme)
    command = CONTAINER["postCreateCommand"]
    assert install in command and command.endswith("-m helpers.doctor")


def test_its_python_is_supported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = re.search(r"python:(\d+\.\d+)", CONTAINER["image"])[1]
    assert version in SpecifierSet(project["requires-python"])


def test_what_it_opens_exists():
    for name in CONTAINER["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / name).exists()
