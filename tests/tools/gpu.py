"""Measure the course's network on a GPU: python tests/tools/gpu.py

Prints one table with hardware, driver and date: an epoch of training and microseconds a
note, on the processor and on the GPU. Needs a TensorFlow that sees a GPU (on Linux
`pip install "tensorflow[and-cuda]"`); without one it says so, and prints no figures.
"""

import subprocess
import sys
import time
from datetime import date

import helpers  # isort: skip  first: settings of all others

import numpy as np

from helpers.lstm import build_lstm, compile_model, keras, targets, tf

BATCHES = (32, 1024)


def driver() -> str:
    """Name and driver of the GPU, as NVIDIA's tool says it, else as TensorFlow does."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        return said.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return str(tf.config.experimental.get_device_details(gpus()[0]))


def gpus() -> list:
    """GPUs that TensorFlow sees."""
    return tf.config.list_physical_devices("GPU")


def measure(device: str) -> dict[str, float]:
    """Seconds of an epoch for each batch size, and of a note in batches of 4,096."""
    train = helpers.split_by_time(helpers.load_orders()).train
    vocabulary = helpers.Vocabulary.fit(train["clean"])
    x, y = vocabulary.encode(train["clean"]), targets(train, "crew")
    found = {}
    with tf.device(device):
        model = compile_model(build_lstm(len(vocabulary), 8), 8)
        for batch in BATCHES:
            model.fit(x, y, batch_size=batch, verbose=0)
            start = time.perf_counter()
            model.fit(x, y, batch_size=batch, verbose=0)
            found[f"epoch, batch {batch}"] = time.perf_counter() - start
        graph, many = tf.function(model), tf.constant(np.resize(x, (4096, x.shape[1])))
        seconds = helpers.median_seconds(lambda: graph(many).numpy())
        found["a note, batch 4096"] = seconds / len(many)
    return found


def main() -> None:
    """Print the table, or say that there is no GPU."""
    if not gpus():
        sys.exit("TensorFlow sees no GPU on this machine: nothing is measured.")
    keras.utils.set_random_seed(0)
    print(f"{driver()}; TensorFlow {tf.__version__}; {date.today()}")
    by_cpu, by_gpu = measure("/CPU:0"), measure("/GPU:0")
    for name, seconds in by_cpu.items():
        ratio = helpers.measured(seconds / by_gpu[name], "x")
        unit = "µs" if name.startswith("a note") else "s"
        times = [helpers.measured(value, unit) for value in (seconds, by_gpu[name])]
        print(f"{name:<20} processor {times[0]} GPU {times[1]} {ratio}")


if __name__ == "__main__":
    main()
