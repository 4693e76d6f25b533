"""Who may call what, how often and until when: hashed keys with roles and buckets."""

import hashlib
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, PositiveFloat, PositiveInt

from helpers.errors import InputError


class Role(BaseModel):
    """What a key may do; without limits of its own, call every model, for ever."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    models: tuple[str, ...] | None = None  # names and aliases; None: all there are
    per_minute: PositiveFloat | None = None  # requests; None: as other keys
    burst: PositiveInt | None = None
    metrics: bool = False  # read /metrics, where that needs a key
    until: AwareDatetime | None = None

    @property
    def ended(self) -> bool:
        """Whether its time is over."""
        return self.until is not None and datetime.now(UTC) >= self.until


FULL = Role()


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
    """Who holds a key, a line for example, its limit, teaching fault and role."""

    owner: str
    bucket: Bucket
    fault: str | None = None
    role: Role = FULL


class Keys:
    """The keys of all owners. Only SHA-256 digests are kept, never a key.

    A key has 256 random bits, so one round of a fast hash is enough; a password that a
    person chose would need a slow one.
    """

    def __init__(self, per_minute: int, burst: int, private_metrics: bool = False):
        """Requests of each key a minute and at once; whether /metrics needs a role."""
        if per_minute < 1 or burst < 1:
            raise InputError(f"{per_minute=} and {burst=} must be at least 1.")
        self.per_minute, self.burst = per_minute, burst
        self.private_metrics = private_metrics
        self._by_digest: dict[str, ApiKey] = {}

    @staticmethod
    def digest(key: str) -> str:
        """SHA-256 of a key, as 64 hexadecimal digits."""
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def new(self, owner: str, role: Role = FULL) -> str:
        """Make a key for an owner and return it; it cannot be read again later."""
        key = f"plant-{secrets.token_urlsafe(32)}"
        self.add(owner, self.digest(key), role)
        return key

    def rotate(self, owner: str, overlap: float) -> str:
        """A second key with the same role and limit; the first ends in `overlap` s.

        At most two are valid: one that was to end already ends at once.

        Raises:
            InputError: the owner has no valid key, or overlap is below 0.

        """
        valid = [key for key in self.of(owner) if not key.role.ended]
        if not valid or not overlap >= 0:
            raise InputError(f"{owner!r} has no valid key, or {overlap=} is below 0.")
        old, table = valid[-1], self._by_digest
        kept = {d: key for d, key in table.items() if key.owner != owner or key is old}
        second = f"plant-{secrets.token_urlsafe(32)}"
        kept[self.digest(second)] = replace(old)  # with the same bucket
        end = datetime.now(UTC) + timedelta(seconds=overlap)
        end = min(end, old.role.until or end)
        old.role = old.role.model_copy(update={"until": end})
        self._by_digest = kept
        return second

    def add(self, owner: str, digest: str, role: Role = FULL) -> None:
        """Let an owner in whose key has this digest."""
        if owner in ("", "-"):
            raise InputError(f"The owner of a key needs a name, not {owner!r}.")
        per_minute = role.per_minute or self.per_minute
        bucket = Bucket(role.burst or self.burst, per_minute / 60)
        self._by_digest[digest] = ApiKey(owner, bucket, role=role)

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

    def all(self) -> list[tuple[str, ApiKey]]:
        """Digest and holder of every key."""
        return list(self._by_digest.items())

    def of(self, owner: str) -> list[ApiKey]:
        """All keys of an owner."""
        return [key for key in self._by_digest.values() if key.owner == owner]
