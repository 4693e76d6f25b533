"""notebooks/deploy/score_orders.py: it refuses, is locked, crashes and goes on."""

import sys
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

import helpers

DEPLOY = Path(__file__).parents[2] / "notebooks" / "deploy"
TEXTS = ["two lights u/s", "replace hydraulic hose", "", "grease bucket pins"]
PLANTED = """
import os, score_orders
real = score_orders.score_part
def dies(part):  # the second part kills its process while it writes
    if part == 1:
        (score_orders.work[2] / ".part-00001.new").write_text("half")
        os._exit(9)
    return real(part)
"""


@pytest.fixture
def job(monkeypatch, tmp_path):
    """The script as a module, with its command line as job.command(*arguments)."""
    (tmp_path / "planted.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(str(DEPLOY))  # the processes it starts get this path
    monkeypatch.syspath_prepend(str(tmp_path))
    import score_orders

    def command(*arguments):
        words = ["score_orders.py", *map(str, arguments), "--processes", "1"]
        monkeypatch.setattr(sys, "argv", words)
        score_orders.main()

    monkeypatch.setattr(score_orders, "command", command, raising=False)
    return score_orders


@pytest.fixture
def source(tmp_path):
    """Forty orders in ten row groups."""
    path = tmp_path / "orders.parquet"
    pq.write_table(orders(TEXTS * 10), path, row_group_size=4)
    return path


def orders(texts, kind=None):
    kind = kind or pa.string()
    return pa.table({"order": range(len(texts)), "text": pa.array(texts, kind)})


def scored(folder):
    return ds.dataset(sorted(folder.glob("part-*.parquet"))).to_table()


def processes_of_the_pool():
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("none", r"orders\.parquet is no Parquet file: "),
        ("text", r"orders\.parquet is no Parquet file: "),
        (pa.table({"order": [1], "note": ["x"]}), r"has no column text\.$"),
        (pa.table({"text": ["x"]}), r"has no column order\.$"),
        (orders([1, 2], pa.int64()), "Column text of .* holds int64, not strings"),
    ],
)
def test_a_file_of_another_kind_is_refused(job, tmp_path, table, said):
    path, folder = tmp_path / "orders.parquet", tmp_path / "out"
    if table == "text":
        path.write_text("order,text\n1,two lights u/s\n")
    elif table != "none":
        pq.write_table(table, path)
    with pytest.raises(SystemExit, match=said):
        job.command(path, folder)
    assert not [file for file in folder.iterdir() if file.name != ".lock"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["two lights u/s", None], "1 texts are missing"),
        (["x" * 1001], r"the longest has 1,001 characters \(limit 1,000\)"),
    ],
)
def test_a_text_that_no_model_reads_is_refused(job, texts, said):
    with pytest.raises(helpers.InputError, match=said + r".*Leave such orders out\.$"):
        job.score(helpers.load_router("crew"), orders(texts))


def test_a_refused_text_stops_the_job_with_one_line(job, tmp_path):
    path = tmp_path / "orders.parquet"
    pq.write_table(orders(["two lights u/s", None]), path, row_group_size=1)
    with pytest.raises(SystemExit, match="1 texts are missing"):
        job.command(path, tmp_path / "out")
    assert scored(tmp_path / "out")["order"].to_pylist() == [0]


@pytest.mark.parametrize("number", ["0", "-5"])
@pytest.mark.parametrize("option", ["--draw", "--processes"])
def test_a_number_below_one_is_refused(job, source, capsys, option, number):
    with pytest.raises(SystemExit):
        job.command(source, source.parent / "out", f"{option}={number}")
    assert f"argument {option}: must be 1 or more, not" in capsys.readouterr().err
    assert not (source.parent / "out").exists()


def test_a_folder_that_cannot_be_is_refused(job, source):
    with pytest.raises(SystemExit, match=r"No folder can be made at .*orders\.parquet"):
        job.command(source, source)


def test_a_second_run_in_the_same_folder_is_refused(job, source, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    with (
        FileLock(folder / ".lock"),
        pytest.raises(SystemExit, match=r"Another run is writing to .*out\.$"),
    ):
        job.command(source, folder)
    assert [file.name for file in folder.iterdir() if file.name != ".lock"] == []


def test_a_dead_process_loses_one_part_and_the_next_run_goes_on(
    job, source, tmp_path, monkeypatch, capsys
):
    import planted

    folder = tmp_path / "out"
    with monkeypatch.context() as planting:
        planting.setattr(job, "score_part", planted.dies)
        with pytest.raises(SystemExit, match="A process was killed.* it goes on"):
            job.command(source, folder)
    assert scored(folder)["order"].to_pylist() == [0, 1, 2, 3]
    assert (folder / ".part-00001.new").exists() and not processes_of_the_pool()
    before = (folder / "part-00000.parquet").stat().st_mtime_ns
    job.command(source, folder)
    assert '"orders": 36,' in capsys.readouterr().out.splitlines()[-1]
    assert (folder / "part-00000.parquet").stat().st_mtime_ns == before
    assert not list(folder.glob(".part*"))
    table = scored(folder)
    assert table["order"].to_pylist() == list(range(40))
    router = helpers.load_router("crew")
    wanted = [router.labels[p.argmax()] for p in router.probabilities(TEXTS)] * 10
    assert table["crew"].to_pylist() == wanted
    pq.write_table(orders(TEXTS), source)  # the folder belongs to the file before
    with pytest.raises(SystemExit, match="answers to another file .* a new folder"):
        job.command(source, folder)


def test_an_interrupted_run_leaves_whole_parts_and_no_process(
    job, source, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "out"

    def one_then_interrupt(futures, real=job.as_completed):
        yield next(real(futures))
        raise KeyboardInterrupt

    with monkeypatch.context() as planting:
        planting.setattr(job, "as_completed", one_then_interrupt)
        with pytest.raises(SystemExit, match="Interrupted.* it goes on"):
            job.command(source, folder)
    assert not processes_of_the_pool() and not list(folder.glob(".part*"))
    there = len(scored(folder))
    assert there >= 4 and there % 4 == 0
    job.command(source, folder)
    assert f'"orders": {40 - there},' in capsys.readouterr().out.splitlines()[-1]
    assert scored(folder)["order"].to_pylist() == list(range(40))


def test_an_interrupted_draw_leaves_no_file(job, tmp_path, monkeypatch):
    class Interrupted(pq.ParquetWriter):
        def write_table(self, *given, **options):
            super().write_table(*given, **options)
            raise KeyboardInterrupt

    monkeypatch.setattr(job.pq, "ParquetWriter", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        job.draw(tmp_path / "orders.parquet", 30)
    assert [path.name for path in tmp_path.iterdir()] == ["planted.py"]
