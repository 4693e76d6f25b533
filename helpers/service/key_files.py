"""Keys in files: the digests that a service keeps, and a new key to hand over."""

import json
import os
import re
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from helpers.errors import CourseError
from helpers.service.keys import Keys, Role

NAME = "service_keys.json"
ROLES = "service_roles.json"  # keys that may not do everything; see Role


class Entry(BaseModel):
    """One key of the file ROLES."""

    model_config = ConfigDict(extra="forbid")
    owner: str = Field(min_length=1)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    role: Role


ENTRIES = TypeAdapter(list[Entry])


def read_roles(path: Path) -> list[Entry]:
    """The keys with roles in a file; a damaged one is a CourseError: nobody gets in."""
    try:
        return ENTRIES.validate_json(path.read_bytes()) if path.exists() else []
    except (OSError, ValueError) as error:
        reason = ": ".join(str(error).splitlines()[1:3]) or error
        raise CourseError(f"{path} cannot be read ({reason}). Mend it.") from error


def save_roles(path: Path, keys: Keys) -> None:
    """Write all these keys with their roles; readable for their owner only."""
    rows = [
        {"owner": key.owner, "digest": d, "role": key.role} for d, key in keys.all()
    ]
    _write(path, ENTRIES.dump_json(ENTRIES.validate_python(rows), indent=1).decode())


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
    """The keys of a file and of the roles beside it, and one for an owner without.

    Returns:
        The keys, and the new key ("" if there was one already). It is not saved.

    """
    keys, saved = Keys(per_minute, burst), read_digests(path)
    for name, digest in saved.items():
        keys.add(name, digest)
    for entry in read_roles(path.with_name(ROLES)):
        keys.add(entry.owner, entry.digest, entry.role)
    return keys, "" if keys.of(owner) else keys.new(owner)


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
    _write(path, json.dumps(saved | {owner: digest}))


def _write(path: Path, content: str) -> None:
    """Write a file that only its owner can read; all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"mode": "w", "encoding": "utf-8", "dir": path.parent, "delete": False}
    with tempfile.NamedTemporaryFile(**kind) as file:
        try:
            file.write(content)
            file.close()  # Windows moves no open file
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def write_key(folder: Path, owner: str, key: str) -> Path:
    """Write a new key to a file that only its owner can read."""
    path = folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', owner)}.key"
    _write(path, key)
    return path
