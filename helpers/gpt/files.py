"""The trained model in one file."""

import json
from pathlib import Path

import numpy as np

from helpers.data import DATA
from helpers.errors import ModelError
from helpers.gpt.inference import Size, WorkorderGPT
from helpers.gpt.tokenizer import Tokenizer

FILE = DATA / "workorder-gpt.npz"
RUNS = DATA / "workorder-gpt-runs.csv"  # losses and scores by width and seed
COMMAND = "python -m helpers.gpt"  # trains; writes FILE and RUNS


def save_gpt(model: WorkorderGPT, path: Path = FILE) -> None:
    """Write the arrays, as float16, and a JSON card into one file."""
    card = {
        "size": model.size._asdict(),
        "names": model.tokenizer.names,
        "words": model.tokenizer.words,
    }
    arrays = {name: array.astype(np.float16) for name, array in model.weights.items()}
    arrays["card"] = np.frombuffer(json.dumps(card).encode(), np.uint8)
    np.savez_compressed(path, **arrays)


def load_gpt(path: Path = FILE) -> WorkorderGPT:
    """Load the trained workorder-gpt; nothing is trained.

    Raises:
        ModelError: the file is missing or damaged.

    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        card = json.loads(arrays.pop("card").tobytes().decode())
        weights = {name: array.astype(np.float32) for name, array in arrays.items()}
        tokenizer = Tokenizer(card["names"], card["words"])
        model = WorkorderGPT(tokenizer, weights, Size(**card["size"]))
        model.logits([tokenizer.END])  # an array that is missing or does not fit
    except Exception as error:  # a damaged file raises many kinds, BadZipFile first
        raise ModelError(
            f"The model in {path} cannot be loaded: {error}. It belongs to the "
            f"repository: restore it with git restore {path.parent.name}/{path.name}, "
            f"or make it anew with {COMMAND} (some minutes)."
        ) from error
    return model
