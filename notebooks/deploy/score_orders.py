"""Give every work order of a Parquet file its crew: one part of the file at a time.

    python score_orders.py ORDERS.parquet FOLDER [--processes 2] [--draw N]

ORDERS.parquet has the columns order (a number) and text. FOLDER gets one file for each
row group of it, part-00000.parquet and so on, with order, crew and probability. A part
is there as a whole or not at all, so the same command continues after a crash. --draw
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
from helpers.router import BATCH, Router

ROWS = 20_000  # orders of a row group: what is lost at most by a crash


def encode_column(router: Router, texts: pa.Array):
    """Word numbers of a column of texts, the same as router.encode gives for each.

    Arrow cuts the texts at white space and numbers the distinct pieces; only these are
    looked at in Python. Nothing is kept from one call to the next but pieces of text.

    Returns:
        numbers, int32; and for each text, where its own start and how many they are.

    """
    if texts.null_count or pc.max(pc.utf8_length(texts)).as_py() > MAX_CHARACTERS:
        raise helpers.InputError(
            f"There is an empty cell or a text of more than {MAX_CHARACTERS:,} "
            "characters in the column text. Leave such orders out."
        )
    pieces = pc.utf8_split_whitespace(texts)
    coded = pieces.flatten().dictionary_encode()
    known = [router.encode_piece(piece) for piece in coded.dictionary.to_pylist()]
    return join_words(known, coded.indices.to_numpy(), np.diff(pieces.offsets))
