"""Small wrong changes of stored outputs: each must be noticed by the notebook check."""

import base64
import copy
import io
import re

from figures import COMPARE_FIGURES
from PIL import Image


def measured_spans(text, patterns):
    """Where the sanitizer makes a text blind: [(start, end)]."""
    return [m.span() for pattern in patterns for m in re.finditer(pattern, text)]


def change_text(text, rng, patterns=()):
    """Change one character that is compared: a digit if there is one."""
    blind = measured_spans(text, patterns)
    places = [
        i
        for i, character in enumerate(text)
        if character.isalnum() and not any(a <= i < b for a, b in blind)
    ]
    digits = [i for i in places if text[i].isdigit()]
    if not places:
        return text + "~"
    i = rng.choice(digits or places)
    new = str((int(text[i]) + 1) % 10) if text[i] in "0123456789" else "~"
    return text[:i] + new + text[i + 1 :]


LEVELS = 8  # of 256: the smallest planted change of a figure, in one pixel


def change_png(data, rng):
    """Change one pixel by a little, four times the tolerance."""
    image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    place = rng.randrange(image.width), rng.randrange(image.height)
    red, *rest = image.getpixel(place)
    step = LEVELS if red < 256 - LEVELS else -LEVELS
    image.putpixel(place, (red + step, *rest))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def mutants(output, rng, patterns=()):
    """Yield (kind, changed copy) for each comparable part of one output."""
    if output.output_type == "stream":
        changed = copy.deepcopy(output)
        changed.text = change_text(output.text, rng, patterns)
        yield "stream", changed
    for kind, value in output.get("data", {}).items():
        if kind == "image/jpeg" or (kind == "image/png" and not COMPARE_FIGURES):
            continue
        changed = copy.deepcopy(output)
        change = change_png if kind == "image/png" else change_text
        extra = () if kind == "image/png" else (patterns,)
        changed.data[kind] = change(value, rng, *extra)
        yield kind, changed
