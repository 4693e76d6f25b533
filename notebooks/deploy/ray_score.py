"""score_orders.py as a job of Ray Data: the same function on any number of workers.

    python ray_score.py ORDERS.parquet FOLDER [--actors 1 2] [--kill]

FOLDER gets one folder for each run, actors-1 and so on. With --kill, a last run in
which a worker is killed at its second batch. The last line holds the figures.
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would report how it is used
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # one machine: loopback only
os.environ["RAY_enable_metrics_collection"] = "0"  # noqa: SIM112  Ray's spelling

import psutil
import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray_serve import need_not_wait


class Scorer:
    """What each worker is: a process with the model; it gets batch after batch."""

    def __init__(self, model: str, scripts: str, kill: Path | None = None):
        """Load the model once."""
        sys.path.insert(0, scripts)  # a worker does not know where this script lies
        from score_orders import score

        from helpers.router import MODELS, Router

        self.score, self.router = score, Router(MODELS / model)
        self.kill, self.batches = kill, 0

    def __call__(self, orders):
        """Crew and probability of a batch of orders, an Arrow table."""
        self.batches += 1
        if self.kill and self.batches == 2 and not self.kill.exists():
            self.kill.touch()
            os._exit(1)  # as if somebody had pulled the plug
        return self.score(self.router, orders)


def score_with(
    actors: int, orders: Path, folder: Path, kill: Path | None = None
) -> dict:
    """Score the whole file with so many actors, and write it; what it took."""
    from score_orders import ROWS

    started = time.perf_counter()
    blocks = pq.ParquetFile(orders).num_row_groups  # else one actor gets it all
    scored = ray.data.read_parquet(str(orders), override_num_blocks=blocks).map_batches(
        Scorer,
        fn_constructor_args=("crew", str(Path(__file__).parent), kill),
        batch_size=ROWS,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=actors),
        num_cpus=0.5,  # with 1 each, nothing would be left for reading: it would hang
    )
    scored.write_parquet(str(folder))
    return {"seconds": time.perf_counter() - started}


def end_with(parent: int) -> None:
    """End Ray and this process when the parent is gone."""
    psutil.Process(parent).wait()
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(1)


def main() -> None:
    """Start Ray on this machine, run, and end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("orders", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--actors", type=int, nargs="*", default=[1, 2], metavar="N")
    parser.add_argument(
        "--kill", action="store_true", help="one more run, with a crash"
    )
    parser.add_argument("--parent", type=int, help="end when this process is gone")
    options = parser.parse_args()
    if options.parent:
        watch = threading.Thread(target=end_with, args=[options.parent], daemon=True)
        watch.start()
    need_not_wait()
    started = time.perf_counter()
    ray.init(
        address="local",
        num_cpus=2,  # what Ray may plan with
        object_store_memory=200_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        DataContext.get_current().enable_progress_bars = False
        figures = {"start": {"seconds": time.perf_counter() - started}}
        for actors in options.actors:
            folder = options.folder / f"actors-{actors}"
            figures[folder.name] = score_with(actors, options.orders, folder)
        if options.kill:
            flag = options.folder / "killed"
            folder = options.folder / "actors-2-one-killed"
            figures[folder.name] = score_with(2, options.orders, folder, flag)
    finally:
        ray.shutdown()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
