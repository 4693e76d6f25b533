"""The README's first command opens JupyterLab in the repository, on each system."""

import re
import shlex
from importlib.util import find_spec
from pathlib import PureWindowsPath

import pytest
from jupyter_server.serverapp import ServerApp
from strict_nbval import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"jupyter lab (.*--notebook-dir.*)", README)


def test_one_command_for_bash_and_one_for_powershell():
    assert len(COMMANDS) == 2
    assert len(re.findall(r"jupyter lab .*00_start_here", README)) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_root_is_the_repository_and_the_first_notebook_is_open(command, monkeypatch):
    """So that README.md and data/ are in the file browser, and links lead there."""
    monkeypatch.chdir(ROOT)
    options = [
        PureWindowsPath(word).as_posix() if "\\" in word else word
        for word in shlex.split(command, posix=False)
    ]
    server = ServerApp()
    server.parse_command_line(options)
    assert server.root_dir == str(ROOT)
    first = ROOT / "notebooks" / "00_start_here.ipynb"
    assert server.file_to_run == str(first) and first.exists()


@pytest.mark.parametrize("name", ["README.md", "notebooks/instructor_guide.md"])
def test_what_is_named_exists(name):
    """Paths, links and modules that the text names."""
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    paths = re.findall(r"\b(?:tests|notebooks)[\w/]*/[\w.]+\.\w+", text)
    modules = re.findall(r"python -m (helpers[\w.]*)", text)
    assert links and modules
    assert not [p for p in links if not (page.parent / p).exists()]
    assert not [p for p in paths if not (ROOT / p).exists()]
    assert not [m for m in modules if find_spec(m) is None]
