"""The notebooks as other machines would run them: python tests/tools/other_machine.py

Each variant changes what differs between machines: the kernels that multiply matrices,
the number of threads, the last digit of the weights that a training begins with, the
speed. All stored outputs must still be equal.
"""

import os
import subprocess
import sys
import time

from strict_nbval import ROOT

ARITHMETIC = {
    "OPENBLAS_CORETYPE": "Nehalem",  # SSE only: no AVX, no fused multiply-add
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "true",
    **{
        f"{library}_NUM_{kind}THREADS": "2"
        for library, kind in [
            ("OPENBLAS", ""),
            ("OMP", ""),
            ("TF", "INTRAOP_"),
            ("TF", "INTEROP_"),
        ]
    },
}
CLOCK = """
import helpers, helpers.timing

def measured(value, unit="s", real=helpers.timing.measured):
    return real(value * {"/s": 1 / FACTOR, "x": 1}.get(unit, FACTOR), unit)

helpers.measured = helpers.timing.measured = measured
"""
ROUNDING = """
import helpers, keras, numpy

def one_rounding_apart(kind):
    def moved(self, *args, real=kind.__call__, **options):
        value = keras.ops.convert_to_numpy(real(self, *args, **options))
        step = numpy.random.default_rng(0).integers(-1, 2, value.shape)
        return (value * (1 + step * numpy.finfo(value.dtype).eps)).astype(value.dtype)
    kind.__call__ = moved

for name in "VarianceScaling", "RandomUniform", "RandomNormal", "Orthogonal":
    one_rounding_apart(getattr(keras.initializers, name))
"""
VARIANTS = {
    "arithmetic": ARITHMETIC,
    "rounding": {"COURSE_STARTUP": ROUNDING},
    "slow": {"COURSE_STARTUP": CLOCK.replace("FACTOR", "100")},
    "fast": {"COURSE_STARTUP": CLOCK.replace("FACTOR", "0.01")},
}


def main(names: list[str]) -> int:
    """Run the named variants, or all; return how many failed."""
    failed = 0
    for name in names or VARIANTS:
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-rf", "notebooks"]
        result = subprocess.run(command, cwd=ROOT, env=os.environ | VARIANTS[name])
        failed += result.returncode != 0
        said = "equal" if result.returncode == 0 else "NOT EQUAL"
        print(f"{name}: {said} ({time.monotonic() - began:.0f} s)\n", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
