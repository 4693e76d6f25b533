"""The bundle for a room without network: which wheels, what stops it, what it says."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from workshop_tools import bundle, install

TOML = '[build-system]\nrequires = ["tool>=1"]\n'
NEEDS = ["-e .  # the course", "plain>=1", 'compiled; sys_platform == "win32"']


def make_wheel(folder, name, version, tag="py3-none-any", needs=()):
    """A wheel of a package that holds nothing."""
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = '{version}'\n")
        wheel.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small course, and an index of its packages that is a folder."""
    root, index = tmp_path / "root", tmp_path / "index"
    for folder in (root / "tests", index):
        folder.mkdir(parents=True)
    (root / "requirements.txt").write_text("\n".join(NEEDS))
    (root / "pyproject.toml").write_text(TOML)
    (root / "tests" / "constraints.txt").write_text("plain==1.0\n")
    make_wheel(index, "tool", "1.0")
    make_wheel(index, "plain", "1.0", needs=['below; sys_platform == "darwin"'])
    make_wheel(index, "plain", "2.0")
    make_wheel(index, "below", "1.0", "cp312-cp312-macosx_11_0_arm64")
    make_wheel(index, "compiled", "1.0", "cp312-cp312-win_amd64")
    make_wheel(index, "compiled", "1.0", "cp313-cp313-win_amd64")
    make_wheel(index, "compiled", "1.0", "cp312-cp312-manylinux_2_17_x86_64")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return root


@pytest.mark.parametrize(
    ("system", "python", "more"),
    [
        ("linux", "3.12", []),
        ("windows", "3.12", ["compiled-1.0-cp312-cp312-win_amd64.whl"]),
        ("windows", "3.13", ["compiled-1.0-cp313-cp313-win_amd64.whl"]),
        ("macos", "3.12", ["below-1.0-cp312-cp312-macosx_11_0_arm64.whl"]),
    ],
)
def test_wheels_are_those_of_the_other_system(course, tmp_path, system, python, more):
    """Conditions too, also of packages that packages need; versions as pinned."""
    bundle.fetch_wheels(tmp_path / "wheels", system, python, course)
    wheels = ["plain-1.0-py3-none-any.whl", "tool-1.0-py3-none-any.whl"]
    found = sorted(path.name for path in (tmp_path / "wheels").iterdir())
    assert found == sorted(wheels + more)


def test_second_call_adds_a_system(tmp_path):
    (tmp_path / "wheels").mkdir()
    bundle.write_card(tmp_path, "linux", "3.12")
    make_wheel(tmp_path / "wheels", "plain", "1.0")
    for _ in range(2):
        bundle.write_card(tmp_path, "windows", "3.13")
    card = json.loads((tmp_path / "bundle.json").read_text())
    assert card["targets"] == [["linux", "3.12"], ["windows", "3.13"]]
    assert list(card["sha256"]) == ["plain-1.0-py3-none-any.whl"]


def test_missing_wheel_is_named_with_the_next_step(course, tmp_path):
    with pytest.raises(bundle.BundleError) as error:
        bundle.fetch_wheels(tmp_path / "wheels", "windows", "3.11", course)
    text = str(error.value)
    assert "windows, Python 3.11" in text and "compiled" in text and "pip wheel" in text
    (course / "tests" / "constraints.txt").write_text("plain==3.0\n")
    with pytest.raises(bundle.BundleError, match="Cannot install plain"):
        bundle.fetch_wheels(tmp_path / "wheels", "linux", "3.12", course)


def test_only_tracked_files_are_the_course(course, tmp_path):
    with pytest.raises(bundle.BundleError, match="not a clone"):
        bundle.copy_course(tmp_path / "copy", course)
    git = ["git", "-C", str(course)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "pyproject.toml", "tests"], check=True)
    assert bundle.copy_course(tmp_path / "copy", course) == 2
    copied = [p.name for p in (tmp_path / "copy").rglob("*") if p.is_file()]
    assert sorted(copied) == ["constraints.txt", "pyproject.toml"]


def test_without_git_it_says_so(course, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bundle.BundleError, match="Install git"):
        bundle.copy_course(tmp_path / "copy", course)


def test_no_room_and_other_files_stop_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert bundle.main([str(tmp_path)]) == 1
    assert "holds other files" in capsys.readouterr().err
    monkeypatch.setattr(bundle, "ROOM_GB", 1e9)
    assert bundle.main([str(tmp_path / "new")]) == 1
    assert "GB free, and needs" in capsys.readouterr().err


@pytest.fixture
def packed(tmp_path):
    """A bundle of one package for this machine."""
    wheels, tests = tmp_path / "wheels", tmp_path / "course" / "tests"
    wheels.mkdir()
    tests.mkdir(parents=True)
    make_wheel(wheels, "plain", "1.0")
    (tmp_path / "course" / "requirements.txt").write_text("plain>=1\n")
    (tests / "constraints.txt").write_text("plain==1.0\n")
    python = "{}.{}".format(*sys.version_info[:2])
    system = install.this_system()
    card = {"targets": [[system, python]], "sha256": bundle.sums(wheels)}
    (tmp_path / "bundle.json").write_text(json.dumps(card))
    return tmp_path


def test_both_name_this_system_alike():
    assert install.this_system() == bundle.this_system()


def test_laptop_installs_from_the_folder_only(packed, monkeypatch):
    """Settings of the laptop for pip, which may ask for an index, do not count."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/nothing")
    monkeypatch.setattr(install, "ROOM_GB", 0.1)
    assert install.problem(packed) == ""
    assert install.install(packed) == 0
    folder = "Scripts" if os.name == "nt" else "bin"
    python = packed / "course" / ".venv" / folder / "python"
    code = "import plain; print(plain.version)"
    run = subprocess.run([python, "-c", code], capture_output=True, text=True)
    assert run.stdout == "1.0\n"


def spoil_python(packed, monkeypatch):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 1))


def spoil_room(packed, monkeypatch):
    monkeypatch.setattr(install, "ROOM_GB", 1e9)


def spoil_wheel(packed, monkeypatch):
    (packed / "wheels" / "plain-1.0-py3-none-any.whl").write_bytes(b"half")


def spoil_missing(packed, monkeypatch):
    (packed / "wheels" / "plain-1.0-py3-none-any.whl").unlink()


def spoil_card(packed, monkeypatch):
    (packed / "bundle.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_python, "Python 3.9; the bundle is for"),
        (spoil_room, "make room"),
        (spoil_wheel, "missing or damaged"),
        (spoil_missing, "missing or damaged"),
        (spoil_card, "copy the whole folder"),
    ],
)
def test_laptop_says_what_is_wrong(packed, monkeypatch, capsys, spoil, says):
    monkeypatch.setattr(install, "HERE", packed)
    spoil(packed, monkeypatch)
    assert says in install.problem(packed)
