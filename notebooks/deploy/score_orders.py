"""Give every work order of a Parquet file its crew, one part of the file at a time.

    python score_orders.py ORDERS.parquet FOLDER [--processes N] [--draw N]

ORDERS.parquet has the columns order (a number) and text. FOLDER gets one file for each
row group of it, part-00000.parquet and so on, with order, crew and probability. A part
is there as a whole or not at all, so the same command goes on after a crash. --draw
writes ORDERS.parquet first: N real orders drawn with replacement.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

import helpers
from helpers.prepare import LENGTH, MAX_CHARACTERS
from helpers.router import MODELS, Router

ROWS = 20_000  # orders of a row group: the most that a process loses by a crash
COLUMNS = {"order": pa.int64(), "text": pa.string()}


def encode_column(router: Router, texts: pa.Array) -> tuple[np.ndarray, ...]:
    """Word numbers of a column of texts, the same as router.encode gives for each.

    Arrow, in C++, cuts the texts at white space and numbers the distinct pieces; Python
    sees each piece once. The router remembers pieces of text, never a whole order.

    Returns:
        What router.probabilities_of needs: numbers, starts, lengths.

    """
    pieces = pc.utf8_split_whitespace(texts)
    coded = pieces.flatten().dictionary_encode()
    known = [router.encode_piece(piece) for piece in coded.dictionary.to_pylist()]
    table = np.array([number for piece in known for number in piece], np.int32)
    sizes = np.fromiter(map(len, known), np.int64, len(known))
    which = coded.indices.to_numpy()
    words = sizes[which]  # of each piece, as it comes in the texts
    ends = np.concatenate([[0], np.cumsum(words)])
    shift = np.repeat((np.cumsum(sizes) - sizes)[which] - ends[:-1], words)
    numbers = np.append(table[np.arange(ends[-1]) + shift], np.int32(1))
    borders = ends[pieces.offsets.to_numpy() - pieces.offsets[0].as_py()]
    lengths = np.diff(borders)
    starts = np.where(lengths > 0, borders[:-1], ends[-1])  # no word: one unknown word
    return numbers, starts, lengths.clip(1, LENGTH)


def score(router: Router, orders: pa.Table) -> pa.Table:
    """Crew and probability of each order.

    Raises:
        InputError: a text is missing, or longer than a model reads.

    """
    texts = orders["text"].combine_chunks()
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    if texts.null_count or longest > MAX_CHARACTERS:
        raise helpers.InputError(
            f"{texts.null_count} texts are missing, and the longest has {longest:,} "
            f"characters (limit {MAX_CHARACTERS:,}). Leave such orders out."
        )
    probabilities = router.probabilities_of(*encode_column(router, texts))
    best = pa.array(probabilities.argmax(1).astype(np.int8))
    crew = pa.DictionaryArray.from_arrays(best, router.labels)
    columns = {"order": orders["order"], "crew": crew}
    return pa.table(columns | {"probability": pa.array(probabilities.max(1))})


def draw(path: Path, count: int, seed: int = 0) -> None:
    """Write a file of real orders, drawn with replacement, in row groups of ROWS."""
    texts = pa.array(helpers.load_orders()["text"].tolist())
    rng = np.random.default_rng(seed)
    new = path.with_name(f".{path.name}.new")
    try:
        with pq.ParquetWriter(new, pa.schema(COLUMNS)) as writer:
            for start in range(0, count, ROWS):
                rows = min(ROWS, count - start)
                text = texts.take(pa.array(rng.integers(0, len(texts), rows)))
                order = pa.array(np.arange(start, start + rows))
                writer.write_table(pa.table({"order": order, "text": text}))
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def begin(model: str, orders: Path, folder: Path) -> None:
    """What each process does first: load the model, open the file, watch its parent."""
    global work
    work = Router(MODELS / model), pq.ParquetFile(orders), folder
    parent = multiprocessing.parent_process()

    def end_with_parent():
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def score_part(part: int) -> tuple[int, int]:
    """Score one row group; its orders, and the memory of this process in bytes."""
    router, file, folder = work
    orders = file.read_row_group(part, columns=list(COLUMNS))
    new = folder / f".part-{part:05}.new"
    pq.write_table(score(router, orders), new)
    os.replace(new, folder / f"part-{part:05}.parquet")  # all of it, or nothing
    return len(orders), psutil.Process().memory_info().rss


def open_parts(orders: Path, folder: Path, model: str) -> tuple[list[int], int]:
    """Parts that are still to do, and how many there are.

    Raises:
        InputError: no such file, other columns, or the folder belongs to another run.

    """
    try:
        file = pq.ParquetFile(orders)
    except (OSError, pa.ArrowInvalid) as error:
        raise helpers.InputError(f"{orders} is no Parquet file: {error}") from error
    if missing := set(COLUMNS) - set(file.schema_arrow.names):
        raise helpers.InputError(
            f"{orders} has no column {', '.join(sorted(missing))}."
        )
    kind = file.schema_arrow.field("text").type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise helpers.InputError(f"Column text of {orders} holds {kind}, not strings.")
    card = (MODELS / model / "model.json").read_bytes()
    belongs = hashlib.sha256(card + str(file.metadata.to_dict()).encode()).hexdigest()
    note = folder / "run.json"
    if not note.exists():
        note.write_text(json.dumps({"model_and_orders": belongs}))
    elif json.loads(note.read_text())["model_and_orders"] != belongs:
        raise helpers.InputError(
            f"{folder} holds answers to another file or of another model. "
            "Give a new folder."
        )
    for half in folder.glob(".part-*.new"):
        half.unlink()
    every = range(file.num_row_groups)
    left = [n for n in every if not (folder / f"part-{n:05}.parquet").exists()]
    return left, len(every)


def run(orders: Path, folder: Path, model: str, processes: int) -> dict:
    """Score what is not scored yet, and show progress; figures of this run."""
    parts, total = open_parts(orders, folder, model)
    started, scored, memory = time.perf_counter(), 0, {}
    spawn = multiprocessing.get_context("spawn")  # the same on every system
    options = {"initializer": begin, "initargs": (model, orders, folder)}
    with ProcessPoolExecutor(processes, spawn, **options) as pool:
        waiting = [pool.submit(score_part, part) for part in parts]
        try:
            for done, future in enumerate(
                as_completed(waiting), total - len(parts) + 1
            ):
                rows, bytes_used = future.result()
                scored += rows
                memory[done] = bytes_used
                if done * 20 // total > (done - 1) * 20 // total:  # 20 lines at most
                    print(f"{done} of {total} parts", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # waits for the parts in work
            raise
    own = psutil.Process().memory_info().rss
    return {
        "orders": scored,
        "seconds": time.perf_counter() - started,
        "memory": own + processes * max(memory.values(), default=0),
        "memory_of_a_process": list(memory.values()),
    }


def make_folder(folder: Path) -> None:
    """Make the folder of the parts, or say why it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"No folder can be made at {folder}: {error}"
        raise helpers.InputError(text) from error


def at_least_one(text: str) -> int:
    """A number of the command line; argparse names the option when it is refused."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def main() -> None:
    """Read the command line, run, and print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("orders", type=Path, help="Parquet file to read")
    parser.add_argument("folder", type=Path, help="where the parts go")
    parser.add_argument("--model", default="crew", help="folder of data/models")
    parser.add_argument("--processes", type=at_least_one, default=2, metavar="N")
    parser.add_argument(
        "--draw", type=at_least_one, metavar="N", help="write N orders first"
    )
    options = parser.parse_args()
    try:
        helpers.load_router(options.model)  # trains it if it is missing
        if options.draw:
            draw(options.orders, options.draw)
        make_folder(options.folder)
        lock = options.folder / ".lock"
        with FileLock(lock, timeout=0):
            settings = options.model, options.processes
            figures = run(options.orders, options.folder, *settings)
        lock.unlink(missing_ok=True)
    except helpers.CourseError as error:
        sys.exit(f"{error}")
    except Timeout:
        sys.exit(f"Another run is writing to {options.folder}.")
    except BrokenProcessPool:
        sys.exit("A process was killed. Give the same command again: it goes on.")
    except KeyboardInterrupt:
        sys.exit("Interrupted. Give the same command again: it goes on.")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
