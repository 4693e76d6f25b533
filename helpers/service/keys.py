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


@dataclass
class ApiKey:
    """Who holds a key, a production line for example, its limit and teaching fault."""

    owner: str
    bucket: Bucket
    fault: str | None = None


class Keys:
    """The keys of all owners. Only SHA-256 digests are kept, never a key.

    A key has 256 random bits, so one round of a fast hash is enough; a password that a
    person chose would need a slow one.
    """

    def __init__(self, per_minute: int, burst: int):
        """Allow each key `per_minute` requests on average and `burst` at once."""
        if per_minute < 1 or burst < 1:
            raise InputError(f"{per_minute=} and {burst=} must be at least 1.")
        self.per_minute, self.burst = per_minute, burst
        self._by_digest: dict[str, ApiKey] = {}

    @staticmethod
    def digest(key: str) -> str:
        """SHA-256 of a key, as 64 hexadecimal digits."""
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def new(self, owner: str) -> str:
        """Make a key for an owner and return it; it cannot be read again later."""
        key = f"plant-{secrets.token_urlsafe(32)}"
        self.add(owner, self.digest(key))
        return key

    def add(self, owner: str, digest: str) -> None:
        """Let an owner in whose key has this digest."""
        if owner in ("", "-"):
            raise InputError(f"The owner of a key needs a name, not {owner!r}.")
        bucket = Bucket(self.burst, self.per_minute / 60)
        self._by_digest[digest] = ApiKey(owner, bucket)

    def revoke(self, owner: str) -> None:
        """Take an owner's keys away; the next request with one gets a 401."""
        kept = {d: key for d, key in self._by_digest.items() if key.owner != owner}
        self._by_digest = kept

    def find(self, authorization: str) -> ApiKey | None:
        """The key in this Authorization header, or None."""
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self._by_digest.get(self.digest(key.strip()))

    def of(self, owner: str) -> list[ApiKey]:
        """All keys of an owner."""
        return [key for key in self._by_digest.values() if key.owner == owner]
