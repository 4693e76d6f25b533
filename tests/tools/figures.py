"""Figures are compared as decoded pixels, with a small tolerance."""

import base64
import copy
import io
import os
import sys

import numpy as np
from PIL import Image

# PNG figures are compared where the pinned fonts and libraries are the same. A figure
# of measured times is a JPEG (helpers.show): nbval compares none, but it compares the
# alternative text and the reading line beside it.
COMPARE_FIGURES = sys.platform == "linux" and not os.environ.get("COURSE_TEXT_ONLY")
# Another processor may move the edge of a line by a rounding error: that many of the
# 256 levels of a colour may differ. The smallest change that is planted as proof is 8.
TOLERANCE = 2


def levels_apart(one: str, other: str) -> int:
    """Largest difference of two base64 PNG in a channel of a pixel; 256: in size."""
    pixels = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"), int)
        for png in (one, other)
    ]
    if pixels[0].shape != pixels[1].shape:
        return 256
    return int(np.abs(pixels[0] - pixels[1]).max())


def forgive(test: list, reference: list) -> tuple[list, list[int]]:
    """Replace each new PNG that is within TOLERANCE of the stored one by that one.

    Returns the new outputs and the differences that were forgiven.
    """
    test, forgiven = copy.deepcopy(test), []
    if not COMPARE_FIGURES:
        return test, forgiven
    new, stored = (
        [o["data"] for o in outputs if "image/png" in o.get("data", {})]
        for outputs in (test, reference)
    )
    for one, other in zip(new, stored, strict=False):
        png, wanted = one["image/png"], other["image/png"]
        if png.strip() != wanted.strip():
            apart = levels_apart(png, wanted)
            if apart <= TOLERANCE:
                one["image/png"] = wanted
                forgiven.append(apart)
    return test, forgiven
