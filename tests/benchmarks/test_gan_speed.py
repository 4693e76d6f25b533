"""Chapter 07's training loop against the same networks in PyTorch, eager, same cores.

Needs torch (tests/benchmarks/requirements.txt); skipped without it. The two sides
alternate in short rounds, and the median of the ratios counts, as in test_speed.py.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from test_speed import ratio

from helpers import measured
from helpers.inspector import GridAdam
from helpers.lstm import keras, tf

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "07_gan.ipynb"
BATCH, STEPS = 32, 20


def from_the_chapter(*names):
    """The chapter's own functions and settings, so that the benchmark cannot differ."""
    wanted = [f"def {name}(" for name in names] + ["LATENT, BATCH, WIDTH"]
    space = {"keras": keras, "layers": keras.layers, "tf": tf, "GridAdam": GridAdam}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and any(text in source for text in wanted):
            needed = source.split("\nhelpers.check")[0]
            exec(needed.replace("sheet(", "(lambda *a, **k: 0)("), space)
    return space


def keras_rounds(dtype, real, z):
    """A call that trains for STEPS steps with the chapter's loop."""
    before = keras.config.dtype_policy()
    space = from_the_chapter(
        "build_generator", "build_discriminator", "learner", "build_step"
    )
    space["loss"] = lambda score, truth: tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(score.shape, truth), score)
    )
    if dtype == "float64":
        space["loss"] = lambda score, truth: tf.reduce_mean(
            tf.nn.sigmoid_cross_entropy_with_logits(
                tf.fill(score.shape, tf.cast(truth, tf.float64)), score
            )
        )
    keras.config.set_dtype_policy(dtype)
    try:
        step = space["build_step"](
            space["build_generator"](True),
            space["build_discriminator"](),
            rate=1e-3,
            beta=0.5,
            real_is=0.9,
        )
    finally:
        keras.config.set_dtype_policy(before)
    real, z = tf.constant(real, dtype), tf.constant(z, dtype)
    return lambda: [step(real, z) for _ in range(STEPS)][-1][0].numpy()


def torch_rounds(torch, dtype, real, z):
    """The same networks, losses and steps in eager PyTorch, on the threads of Keras."""
    nn = torch.nn
    kind = getattr(torch, dtype)

    def up(inside, outside):
        norm = nn.BatchNorm2d(inside, momentum=0.2)
        grow = nn.ConvTranspose2d(inside, outside, 4, stride=2, padding=1)
        return [norm, nn.ReLU(), grow]

    class Crop(nn.Module):
        def forward(self, x):
            return x[:, :, 1:-1, 1:-1]

    G = nn.Sequential(
        *[nn.Linear(16, 4 * 4 * 24), nn.Unflatten(1, (24, 4, 4))],
        *[*up(24, 12), *up(12, 12), *up(12, 1), nn.Tanh(), Crop()],
    ).to(kind)
    D = nn.Sequential(
        *[nn.Conv2d(1, 12, 5, stride=3, padding=1), nn.LeakyReLU(0.2)],
        *[nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.LeakyReLU(0.2)],
        *[nn.Flatten(), nn.Linear(24 * 5 * 5, 1)],
    ).to(kind)
    learn_g, learn_d = (
        torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.999)) for net in (G, D)
    )
    loss = nn.functional.binary_cross_entropy_with_logits
    real = torch.tensor(np.moveaxis(real, -1, 1), dtype=kind)
    z, one = torch.tensor(z, dtype=kind), torch.ones(BATCH, 1, dtype=kind)

    def rounds():
        for _ in range(STEPS):
            with torch.no_grad():
                made = G(z)
            learn_d.zero_grad()
            (loss(D(real), 0.9 * one) + loss(D(made), 0 * one)).backward()
            learn_d.step()
            learn_g.zero_grad()
            value = loss(D(G(z)), one)
            value.backward()
            learn_g.step()
        return float(value.detach())

    return rounds


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_loop_beside_pytorch(dtype):
    torch = pytest.importorskip(
        "torch", reason="torch is missing: tests/benchmarks/requirements.txt"
    )
    torch.set_num_threads(int(os.environ["TF_NUM_INTRAOP_THREADS"]))
    rng = np.random.default_rng(0)
    real = rng.uniform(-1, 1, (BATCH, 30, 30, 1))
    z = rng.normal(size=(BATCH, 16))
    ours, theirs = keras_rounds(dtype, real, z), torch_rounds(torch, dtype, real, z)
    middle, low, high = ratio((theirs, 1), (ours, 1), 9)
    print(f"\n{dtype}: images/s of the chapter over PyTorch eager", end=" ")
    print(measured(middle, "x"), f"from {low:.2f} to {high:.2f}")
    assert middle > 0.8, "the loop is slower than the same one in PyTorch"
