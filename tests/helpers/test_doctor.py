"""The environment doctor: every check, fine and failing."""

import subprocess
import sys
from collections import namedtuple
from types import SimpleNamespace

import pytest

from helpers import doctor


def line(check):
    finding = check()
    assert isinstance(finding, doctor.Finding)
    return finding.ok, finding.text


def test_all_is_well_here():
    assert all(finding.ok for finding in doctor.examine()), doctor.examine()


def test_command_line():
    run = subprocess.run(
        [sys.executable, "-m", "helpers.doctor"], capture_output=True, text=True
    )
    assert run.returncode == 0 and run.stdout.strip().endswith("All fine."), run.stdout


@pytest.mark.parametrize(("version", "ok"), [((3, 10), 0), ((3, 11), 1), ((3, 14), 0)])
def test_python(monkeypatch, version, ok):
    info = namedtuple("info", "major minor micro")(*version, 0)
    monkeypatch.setattr(doctor.sys, "version_info", info)
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.x.y")
    found, text = line(doctor.check_python)
    assert found == bool(ok)
    assert ok or "3.x.y is not supported. Install Python 3.11, 3.12 or 3.13" in text


def test_missing_and_old_packages(monkeypatch):
    real = doctor.installed
    fake = {"rapidfuzz": None, "numpy": "1.26.4"}
    monkeypatch.setattr(doctor, "installed", lambda n: fake.get(n, real(n)))
    found, text = line(doctor.check_packages)
    assert not found
    assert "numpy 1.26.4 is not" in text and "rapidfuzz is missing" in text
    assert "pip install -r requirements.txt -c tests/constraints.txt" in text


def test_gpu_build_stands_in_for_the_cpu_build(monkeypatch):
    real = doctor.installed
    fake = {"tensorflow-cpu": None, "tensorflow": "2.21.0"}
    monkeypatch.setattr(doctor, "installed", lambda n: fake.get(n, real(n)))
    assert doctor.check_packages().ok


def kernel_spec(monkeypatch, command):
    from jupyter_client import kernelspec

    class Manager:
        def get_kernel_spec(self, name):
            if command is None:
                raise kernelspec.NoSuchKernel(name)
            return namedtuple("spec", "argv")([command, "-m", "ipykernel_launcher"])

    monkeypatch.setattr(kernelspec, "KernelSpecManager", Manager)


def test_kernel(monkeypatch, tmp_path):
    kernel_spec(monkeypatch, sys.executable)
    assert doctor.check_kernel().ok
    kernel_spec(monkeypatch, "python3")
    assert doctor.check_kernel().ok
    kernel_spec(monkeypatch, str(tmp_path / "elsewhere" / "python"))
    found, text = line(doctor.check_kernel)
    assert (
        not found and "elsewhere" in text and "ipykernel install --sys-prefix" in text
    )
    kernel_spec(monkeypatch, None)
    assert line(doctor.check_kernel) == (
        False,
        "No kernel python3. Run: python -m ipykernel install --sys-prefix",
    )


def test_full_disk(monkeypatch):
    usage = namedtuple("usage", "free")(2e8)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    assert line(doctor.check_disk) == (False, "0.2 GB free; free 1 GB.")


def test_little_memory(monkeypatch):
    memory = namedtuple("memory", "total")(2e9)
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: memory)
    found, text = line(doctor.check_memory)
    assert not found and "2.0 GB of 4" in text


def test_damaged_and_absent_data(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "DATA", tmp_path)
    assert line(doctor.check_data) == (
        True,
        "not downloaded yet; the first chapter fetches 0.3 MB",
    )
    (tmp_path / doctor.CSV).write_text("half a file")
    found, text = line(doctor.check_data)
    assert not found and "is damaged. Delete data/" in text


def test_no_write_access(monkeypatch):
    def refuse(**kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    found, text = line(doctor.check_write)
    assert not found and text.startswith("data/: Permission denied. Make the folder")


@pytest.mark.parametrize(
    ("key", "ok", "text"),
    [
        (None, True, "none set, none needed"),
        ("", True, "none set, none needed"),
        ("abc", True, "set"),
        ("abc ", False, "begins or ends with a space or a quote"),
        ('"abc"', False, "begins or ends with a space or a quote"),
    ],
)
def test_api_key(monkeypatch, key, ok, text):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    found = doctor.check_api_key()
    assert found.ok == ok and text in found.text
    assert not key or key not in found.text  # the key itself is never shown


@pytest.mark.parametrize(
    ("backend", "floatx", "ok"),
    [
        ("tensorflow", "float32", True),
        ("torch", "float32", False),
        ("tensorflow", "float16", False),
        ("tensorflow", "float64", False),
    ],
)
def test_keras(monkeypatch, backend, floatx, ok):
    config = SimpleNamespace(backend=lambda: backend, floatx=lambda: floatx)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(config=config))
    found = doctor.check_keras()
    assert found.ok == ok and found.text.startswith(f"{backend}, {floatx}")
    assert ok or "Restart the kernel and import helpers before keras." in found.text


def test_keras_that_is_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    assert line(doctor.check_keras) == (True, "tensorflow, float32")


def test_a_crashing_check_does_not_stop_the_others(monkeypatch, capsys):
    def check_luck():
        raise RuntimeError("no luck")

    monkeypatch.setattr(doctor, "CHECKS", [check_luck, doctor.check_python])
    assert doctor.main() == 1
    printed = capsys.readouterr().out
    assert "TO DO  luck" in printed and "could not be checked: RuntimeError" in printed
    assert "OK     Python" in printed and "1 to mend" in printed
