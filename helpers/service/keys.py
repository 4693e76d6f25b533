"""Who may call, and how often: hashed keys and token buckets."""

import hashlib
import secrets
import time
from dataclasses import dataclass, field

from helpers.errors import InputError


@dataclass
class Bucket:
    """Token bucket: holds up to `size` requests and refills at `per_second`."""

    size: float
    per_second: float
    level: float = field(init=False)
    last: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Start full."""
        self.level = self.size

    def take(self) -> float:
        """Take one token. Return 0.0, or the seconds to wait until there is one."""
        now = time.monotonic()
        self.level = min(self.size, self.level + (now - self.last) * self.per_second)
        self.last = now
        if self.level < 1:
            return (1 - self.level) / self.per_second
        self.level -= 1
        return 0.0

    @property
    def seconds_to_full(self) -> float:
        """Time until the bucket is full again."""
        return (self.size - self.level) / self.per_second


@dataclass
class Line:
    """A caller: one production line with its own key, limit and teaching fault."""

    name: str
    bucket: Bucket
    fault: str | None = None


class Keys:
    """The keys of all lines. Only SHA-256 digests are kept, never a key.

    A key has 256 random bits, so one round of a fast hash is enough; a password that a
    person chose would need a slow one.
    """

    def __init__(self, per_minute: int, burst: int):
        """Allow each line `per_minute` requests on average and `burst` at once."""
        if per_minute < 1 or burst < 1:
            raise InputError(f"{per_minute=} and {burst=} must be at least 1.")
        self.per_minute, self.burst = per_minute, burst
        self._lines: dict[str, Line] = {}

    @staticmethod
    def digest(key: str) -> str:
        """SHA-256 of a key, as 64 hexadecimal digits."""
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def new(self, name: str) -> str:
        """Make a key for a line and return it; it cannot be read again later."""
        key = f"plant-{secrets.token_urlsafe(32)}"
        self.add(name, self.digest(key))
        return key

    def add(self, name: str, digest: str) -> None:
        """Let a line in whose key has this digest."""
        if name in ("", "-"):
            raise InputError(f"A line needs a name, not {name!r}.")
        bucket = Bucket(self.burst, self.per_minute / 60)
        self._lines[digest] = Line(name, bucket)

    def revoke(self, name: str) -> None:
        """Take a line's keys away; the next request with one gets a 401."""
        self._lines = {d: line for d, line in self._lines.items() if line.name != name}

    def find(self, authorization: str) -> Line | None:
        """The line that sent this Authorization header, or None."""
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self._lines.get(self.digest(key.strip()))

    def named(self, name: str) -> list[Line]:
        """All entries of a line."""
        return [line for line in self._lines.values() if line.name == name]
