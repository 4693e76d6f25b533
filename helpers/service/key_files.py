"""Keys in files: the digests that a service keeps, and a new key to hand over."""

import json
import os
import re
import tempfile
from pathlib import Path

from helpers.errors import CourseError
from helpers.service.keys import Keys

NAME = "service_keys.json"


def read_digests(path: Path) -> dict[str, str]:
    """Owner and digest of each key in a file; empty if there is no file.

    Raises:
        CourseError: it is damaged.

    """
    if not path.exists():
        return {}
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return {owner: str(digest) for owner, digest in saved.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise CourseError(
            f"{path} cannot be read ({error}). Delete it; then new keys are made."
        ) from error


def load_keys(path: Path, owner: str, per_minute: int, burst: int) -> tuple[Keys, str]:
    """The keys of a file, and a new one for an owner who has none.

    Returns:
        The keys, and the new key ("" if there was one already). It is not saved.

    """
    keys, saved = Keys(per_minute, burst), read_digests(path)
    for name, digest in saved.items():
        keys.add(name, digest)
    return keys, "" if owner in saved else keys.new(owner)


def save_key(path: Path, owner: str, key: str) -> None:
    """Add the digest of an owner's key to a file; the other owners keep theirs.

    Raises:
        CourseError: this owner has another key already.

    """
    saved, digest = read_digests(path), Keys.digest(key)
    if saved.get(owner, digest) != digest:
        raise CourseError(
            f"{path} holds another key of {owner}. Give that key, or another folder."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(saved | {owner: digest}, file)  # readable for its owner only
    os.replace(file.name, path)


def write_key(folder: Path, owner: str, key: str) -> Path:
    """Write a new key to a file that only its owner can read."""
    path = folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', owner)}.key"
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key)
    return path
