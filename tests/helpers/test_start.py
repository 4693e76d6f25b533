"""The start: quiet, quick, seeded, and without the reader's personal settings."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import helpers
from helpers.start import NUMPY_PRINTS, PREFERRED, REQUIRED, SETTINGS

SET_BY_START = [*PREFERRED, *REQUIRED]


def run(program, **environment):
    """Run a program as a new process that this one's start has not prepared."""
    kept = {k: v for k, v in os.environ.items() if k not in SET_BY_START}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=kept | environment,
    )


def test_start_is_quiet_and_seeded():
    program = (
        "import helpers, random, numpy as np\nprint(random.random(), np.random.rand())"
    )
    first, second = run(program), run(program)
    assert first.stderr == "" and first.returncode == 0, first.stderr
    random.seed(helpers.SEED)
    state = np.random.RandomState(helpers.SEED)
    assert first.stdout.split() == [str(random.random()), str(state.rand())]
    assert first.stdout == second.stdout


HEAVY = "matplotlib IPython tensorflow keras sklearn scipy onnxruntime openai fastapi"


@pytest.mark.parametrize("package", ["helpers", "helpers.service", "helpers.hosted"])
def test_importing_helpers_loads_nothing_heavy(package):
    program = (
        f"import {package}, sys; print(*set('{HEAVY}'.split()) & set(sys.modules))"
    )
    assert run(program).stdout == "\n"


def test_one_thread_before_numpy_unless_you_say_otherwise():
    program = "import helpers, os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    assert run(program).stdout == "1\n"
    assert run(program, OPENBLAS_NUM_THREADS="2").stdout == "2\n"
    program = (
        "import sys; sys.modules['numpy'] = None\n"  # importing it would fail
        "import os\n"
        "try:\n    import helpers\n"
        "except ImportError:\n    print(os.environ['OMP_NUM_THREADS'])"
    )
    assert run(program).stdout == "1\n"


def bare(options, program):
    """Import the course in a Python that has none of its packages, or is another."""
    root = str(Path(helpers.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {root!r})\n{program}"
    command = [sys.executable, *options, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, cwd=root)


@pytest.mark.parametrize("module", ["helpers", "helpers.doctor", "helpers.service"])
def test_python_without_packages_is_told_how_to_install_them(module):
    found = bare(["-I", "-S"], f"import {module}")
    last = found.stderr.strip().splitlines()[-1]
    assert found.returncode == 1 and last.startswith("ImportError: The package "), last
    assert last.endswith(
        "is missing. Run: python -m pip install -r requirements.txt "
        "-c tests/constraints.txt"
    )


def test_python_that_is_too_old_is_told_so_first():
    program = "sys.version_info = (3, 10, 12, 'final', 0)\nimport helpers.doctor"
    for options in (["-I"], ["-I", "-S"]):  # with packages and without
        last = bare(options, program).stderr.strip().splitlines()[-1]
        assert last == (
            "ImportError: The course needs Python 3.11, 3.12 or 3.13; this is 3.10. "
            "Install one of them and make the environment anew."
        )


def test_a_fault_of_the_course_itself_is_not_called_a_missing_package():
    program = "sys.modules['helpers.hosted'] = None\nimport helpers"
    last = bare(["-I"], program).stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError") and "helpers.hosted" in last


@pytest.fixture
def home(tmp_path):
    """A home folder with settings that would change or stop the notebooks."""
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(
        '{"floatx": "float64", "epsilon": 0.1, "backend": "torch",'
        ' "image_data_format": "channels_first"}'
    )
    folder = tmp_path / ".config" / "matplotlib"
    folder.mkdir(parents=True)
    (folder / "matplotlibrc").write_bytes(
        b"text.usetex: True\nlines.linewidth: 9\nno.such: key\nfont.size: x\n# \xff\n"
    )
    return tmp_path


KERAS = """
import helpers, keras
from keras import config
print(config.backend(), config.floatx(), config.epsilon(), config.image_data_format())
"""
PINNED = "tensorflow float32 1e-07 channels_last"


def at_home(home):
    return {"HOME": str(home), "USERPROFILE": str(home), "XDG_CONFIG_HOME": ""}


def test_keras_has_the_settings_of_the_course(home):
    settings = at_home(home) | {"KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1"}
    found = run(
        KERAS + "import os; print('KERAS_MAX_EPOCHS' in os.environ)", **settings
    )
    assert found.stdout.split("\n")[:2] == [PINNED, "False"], found.stderr


def test_keras_on_another_backend_is_refused(monkeypatch):
    from types import SimpleNamespace

    from helpers.start import pin_keras

    config = SimpleNamespace(backend=lambda: "torch", floatx=lambda: "float32")
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(config=config))
    with pytest.raises(helpers.ModelError, match="runs on torch. Restart the kernel"):
        pin_keras()


FIGURES = """
import matplotlib
print(matplotlib.rcParams["text.usetex"], matplotlib.rcParams["lines.linewidth"],
      matplotlib.rcParams["axes.titleweight"])
"""


@pytest.mark.parametrize("first", ["", "import matplotlib\n"])
def test_figures_have_the_settings_of_the_course(home, first):
    (home / ".config" / "matplotlib" / "matplotlibrc").write_text(
        "text.usetex: True\nlines.linewidth: 9"
    )
    found = run(first + "import helpers" + FIGURES, **at_home(home))
    assert found.stdout == "False 1.5 bold\n", found.stderr


def test_a_broken_or_unwritable_configuration_of_matplotlib_is_not_met(home):
    program = "import helpers, matplotlib.pyplot" + FIGURES
    found = run(
        program, **at_home(home), MPLCONFIGDIR=str(home / "file" / "in the way")
    )
    assert found.stdout == "False 1.5 bold\n"
    (home / "file").touch()
    found = run(
        program, **at_home(home), MPLCONFIGDIR=str(home / "file" / "in the way")
    )
    assert (found.stdout, found.stderr) == ("False 1.5 bold\n", "")


def test_figures_need_no_window(home):
    program = "import helpers, matplotlib.pyplot as plt; plt.subplots(); print('drawn')"
    assert run(program, MPLBACKEND="TkAgg", DISPLAY="").stdout == "drawn\n"
    keep = "import helpers, os; print(os.environ['MPLBACKEND'])"
    assert run(keep, MPLBACKEND="module://own").stdout == "module://own\n"
    kernel = "import sys, ipykernel\n" + keep
    assert (
        run(kernel, MPLBACKEND="QtAgg").stdout
        == "module://matplotlib_inline.backend_inline\n"
    )


def test_palette_is_the_one_of_the_settings():
    import matplotlib

    from helpers.plots import PALETTE

    rc = matplotlib.rc_params_from_file(SETTINGS / "matplotlibrc")
    assert rc["axes.prop_cycle"].by_key()["color"] == PALETTE


def test_options_of_a_startup_file_are_undone():
    program = (
        "import numpy as np, pandas as pd\n"
        "defaults = np.get_printoptions(), pd.get_option('display.max_rows')\n"
        "np.set_printoptions(precision=1, suppress=True, threshold=3)\n"
        "pd.set_option('display.max_rows', 4, 'display.precision', 1)\n"
        "import helpers\n"
        "print(defaults == (np.get_printoptions(), pd.get_option('display.max_rows')))"
        "\nprint(pd.get_option('display.precision'))"
    )
    found = run(program)
    assert (found.stdout, found.stderr) == ("True\n6\n", "")
    assert NUMPY_PRINTS.items() <= np.get_printoptions().items()
