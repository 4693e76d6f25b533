"""Proof, on every run, that a changed output would be caught.

Each stored output of each notebook is changed in several ways and compared by nbval.
Every change must be noticed, and there must be something to change.
"""

import base64
import copy
import io
import random
import re
from collections import Counter

import numpy as np
import pytest
import strict_nbval
from figures import COMPARE_FIGURES, TOLERANCE
from mutants import LEVELS, measured_spans, mutants
from nbval.plugin import IPyNbFile, coalesce_streams
from PIL import Image
from strict_nbval import NOTEBOOKS, ROOT

MUTANTS = 5  # changes of each output


@pytest.fixture(scope="module")
def cells(request):
    """Every code cell of every notebook, as nbval collects it."""
    strict_nbval.mend_nbval()
    found = []
    for path in NOTEBOOKS:
        file = IPyNbFile.from_parent(request.session, path=path)
        strict_nbval.pytest_collectstart(file)  # what a run of the notebooks does
        file.setup_sanitize_files()
        found += list(file.collect())
    return found


def test_every_changed_output_is_caught(cells, record_property):
    rng, tried, missed = random.Random(1), Counter(), []
    for cell in cells:
        stored = coalesce_streams(copy.deepcopy(cell.cell.outputs))
        patterns = list(cell.parent.sanitize_patterns)
        for position, output in enumerate(stored):
            for _ in range(MUTANTS):
                for kind, changed in mutants(output, rng, patterns):
                    new = copy.deepcopy(stored)
                    new[position] = changed
                    tried[kind] += 1
                    if cell.compare_outputs(new, copy.deepcopy(stored)):
                        missed.append(f"{cell.nodeid} {kind}")
    print(f"changed outputs: {dict(tried)}, missed: {len(missed)}")
    record_property("changed", dict(tried))
    assert (
        tried["stream"] > 100 and tried["text/plain"] > 100 and tried["text/html"] > 50
    )
    assert tried["image/png"] > 30 or not COMPARE_FIGURES
    assert not missed, missed[:5]


@pytest.mark.parametrize("levels", [1, TOLERANCE, TOLERANCE + 1, LEVELS])
def test_tolerance_of_figures(cells, levels):
    """A rounding error is forgiven, up to the tolerance and no more."""
    cell = next(
        c
        for c in cells
        if any("image/png" in o.get("data", {}) for o in c.cell.outputs)
    )
    stored = coalesce_streams(copy.deepcopy(cell.cell.outputs))
    new = copy.deepcopy(stored)
    (figure,) = [o for o in new if "image/png" in o.get("data", {})]
    image = Image.open(io.BytesIO(base64.b64decode(figure.data["image/png"])))
    pixels = np.array(image.convert("RGBA"))
    pixels[pixels > 128] -= levels
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    figure.data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
    wanted = levels <= TOLERANCE or not COMPARE_FIGURES
    assert cell.compare_outputs(new, stored) == wanted


def test_unchanged_outputs_are_equal(cells):
    for cell in cells:
        stored = coalesce_streams(copy.deepcopy(cell.cell.outputs))
        assert cell.compare_outputs(copy.deepcopy(stored), stored), cell.nodeid


def test_a_missing_and_an_extra_output_are_caught(cells):
    with_output = [cell for cell in cells if cell.cell.outputs]
    assert len(with_output) > 60
    for cell in with_output:
        stored = coalesce_streams(copy.deepcopy(cell.cell.outputs))
        assert not cell.compare_outputs(copy.deepcopy(stored[:-1]), stored), cell.nodeid
        assert not cell.compare_outputs([], stored), cell.nodeid
        assert not cell.compare_outputs(stored, []), cell.nodeid


def test_sanitizer_is_narrow(cells):
    """Only numbers in the one measured form are blind, and they are few."""
    assert any(cell.parent.sanitize_patterns for cell in cells)
    patterns = list(cells[0].parent.sanitize_patterns)
    assert len(patterns) == 1, "one rule, the measured form"
    text = "score 0.87, [     1.23 s] and 12.5 ms, 40 /s, [0.84, 0.9], 3 s]"
    assert [text[a:b] for a, b in measured_spans(text, patterns)] == ["[     1.23 s]"]
    blind = sum(
        len(measured_spans(text, patterns))
        for cell in cells
        for output in cell.cell.outputs
        for text in [
            output.get("text", ""),
            output.get("data", {}).get("text/plain", ""),
        ]
    )
    print(f"measured values that are not compared: {blind}")
    chapters = [path for path in NOTEBOOKS if path.parent.name == "notebooks"]
    assert blind <= 10 * len(chapters)


def test_configuration_switches_strictness_on():
    """The files that make the check strict are there and wired together."""
    configuration = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "--nbval " in configuration and "tests/tools/sanitize.cfg" in configuration
    assert 'testpaths = ["tests", "notebooks"]' in configuration
    conftest = (ROOT / "notebooks" / "conftest.py").read_text(encoding="utf-8")
    assert re.search(r"^from strict_nbval import \*", conftest, re.M)
