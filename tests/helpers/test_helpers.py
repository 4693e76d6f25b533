"""Small helpers: figures, times, quiet start, generated tables."""

import os
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest
from strict_nbval import ROOT

import helpers
from helpers import CourseError, DataError, measured, median_seconds, show


def test_measured_values_match_the_sanitizer():
    configuration = (ROOT / "tests" / "tools" / "sanitize.cfg").read_text(
        encoding="utf-8"
    )
    (pattern,) = re.findall(r"^regex: (.+)$", configuration, re.M)
    for value, unit in [
        (0.0123, "ms"),
        (99.5, "s"),
        (2e-5, "µs"),
        (1e6, "/s"),
        (3, "x"),
        (123.4, "µs"),
        (1234, "ms"),
    ]:
        text = measured(value, unit)
        assert re.fullmatch(pattern, text), text
        assert re.fullmatch(pattern, text.replace("  ", "&nbsp; ")), text
    assert measured(0.0123, "ms") == "[    12.30 ms]"
    assert measured(2, "s") == "[     2.00 s]"
    assert measured(12e-6, "µs") == "[    12.00 µs]"
    assert measured(1234.5, "/s") == "[    1,234 /s]"


@pytest.mark.parametrize("unit", ["s", "ms", "µs", "/s", "x"])
def test_measured_values_have_one_width(unit):
    """A slow machine must not move a column: 12 powers of ten, one width."""
    texts = [measured(v * 10.0**e, unit) for v in (1, 9.9999999) for e in range(-6, 7)]
    assert len({len(text) for text in texts}) == 1, texts


def test_median_seconds_ignores_the_first_call():
    calls = []
    assert median_seconds(lambda: calls.append(1), repeats=5) >= 0
    assert len(calls) == 6


def test_show_stores_alt_text_and_prints_the_reading(monkeypatch, capsys):
    shown = {}
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **kw: shown.update(data=data, **kw)
    )
    figure, _ = plt.subplots()
    show(figure, alt="an empty chart", reading="there is nothing to see.")
    assert shown["metadata"]["image/png"]["alt"] == "an empty chart"
    assert shown["data"]["image/png"].startswith(b"\x89PNG")
    assert shown["data"]["text/plain"] == "<figure: an empty chart>"
    assert capsys.readouterr().out == "Reading: there is nothing to see.\n"
    assert not plt.fignum_exists(figure.number)
    show(plt.figure(), alt="measured times", reading="it is quick.", measured=True)
    assert shown["data"]["image/jpeg"].startswith(b"\xff\xd8")
    assert shown["metadata"] == {"image/jpeg": {"alt": "measured times"}}


@pytest.mark.skipif(sys.platform != "linux", reason="reads where Linux keeps files")
def test_nothing_reports_how_the_course_is_used(tmp_path):
    """ONNX Runtime would make a device id and send reports; see helpers/start.py."""
    program = (
        "import os; del os.environ['ORT_DISABLE_TELEMETRY']\n"  # of the test's process
        "import helpers; helpers.load_router('crew').probabilities('oil leak')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": ""},
    )
    assert done.returncode == 0, done.stderr
    found = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert "deviceid" not in found and not [n for n in found if "onnxruntime" in n]


def test_errors_show_no_traceback_in_jupyter():
    error = DataError("what happened, and what to do")
    assert error._render_traceback_() == ["DataError: what happened, and what to do"]
    assert issubclass(DataError, CourseError)


def test_public_names_exist_and_fit_on_a_screen():
    assert all(hasattr(helpers, name) for name in helpers.__all__)
    assert len((ROOT / "helpers" / "__init__.py").read_text().splitlines()) < 80


def test_readme_is_generated():
    import build_readme

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == build_readme.filled(readme)
    for path in build_readme.chapters():
        stored = path.read_text(encoding="utf-8")
        assert build_readme.counted(path) == stored, path.name


def test_readme_has_two_bash_blocks():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```bash\n(.+?)\n```", readme, re.S)
    assert "jupyter lab" in first and "00_start_here.ipynb" in first
    assert second.endswith("python -m pytest")
    assert first.split("&&")[:3] == second.split("&&")[:3]


def test_constraints_pin_every_requirement_exactly():
    from packaging.requirements import Requirement

    text = (ROOT / "tests" / "constraints.txt").read_text(encoding="utf-8")
    pins = dict(line.lower().replace("_", "-").split("==") for line in text.split())
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line and not line.startswith("-"):
            need = Requirement(line)
            assert need.specifier.contains(pins[need.name.lower()]), line
    for name in ("nbval", "matplotlib"):
        assert f"{name}==" in (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_timings_are_within_the_limits():
    import csv

    with open(ROOT / "tests" / "tools" / "timings.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = {row["notebook"] for row in rows}
    notebooks = {
        p.relative_to(ROOT / "notebooks").as_posix()
        for p in (ROOT / "notebooks").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in p.parts
    }
    assert names == notebooks
    assert all(float(row["seconds"]) <= 90 for row in rows), rows
    assert all(float(row["peak_memory_gb"]) <= 4 for row in rows), rows
