"""Tidegate as a storage of the `limits` package, and so of Flask-Limiter, slowapi and others that build on it.

>>> from tidegate.limits import URI
>>> limiter = flask_limiter.Limiter(get_remote_address, app=app, storage_uri=URI)

`URI` is `"tidegate://"`; `ASYNC_URI`, for `limits.aio`, is `"async+tidegate://"`. Importing this module makes `limits`
know both: it finds a storage by its class alone (5.8 has no entry points), and who imports a name that it uses cannot
forget to. Each call is one exact decision of the engine, without locks and without a thread that sweeps.

- Fixed windows begin with a key's first request, as in the storages of `limits`.
- A moving window is the engine's strict sliding window: never more than the limit in any span, and units come back up
  to a ninth of the window late.
- A sliding window counter weighs two windows as `limits` does, but exactly: a part of a unit counts.

Options of the storage: `max_keys`, most keys remembered at once for each kind of window (default 1,000,000), and `clock`,
a `ManualClock` for tests.
"""

from __future__ import annotations

import threading
import time

import limits
import limits.aio.storage
from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage

from tidegate._errors import ArgumentError, Error
from tidegate._limiter import Limiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidegate._native import Decision, ManualClock

__all__ = ["ASYNC_URI", "URI", "AsyncTidegateStorage", "TidegateStorage"]

URI = "tidegate://"
ASYNC_URI = "async+tidegate://"

# A counter without an end: more than anybody counts, and what a quota may be at most.
_ENDLESS = 2**53 - 1


class _Windows:
    """A limiter for each kind of window that was asked for: as many as there are different limits."""

    def __init__(self, clock: ManualClock | None, max_keys: int) -> None:
        self._options: dict[str, Any] = {"clock": clock, "max_keys": max_keys}
        self._lock = threading.Lock()
        self._made: dict[tuple[str, int, int], Limiter] = {}

    def fixed(self, expiry: int) -> Limiter:
        return self._of("fixed", _ENDLESS, expiry)

    def moving(self, limit: int, expiry: int) -> Limiter:
        return self._of("moving", limit, expiry)

    def sliding(self, limit: int, expiry: int) -> Limiter:
        return self._of("sliding", limit, expiry)

    def all(self, kind: str, expiry: int | None = None) -> list[Limiter]:
        made = list(self._made.items())
        return [one for key, one in made if key[0] == kind and expiry in (None, key[2])]

    def clear(self, key: str) -> None:
        for limiter in list(self._made.values()):
            limiter.reset(key)

    def reset(self) -> int:
        with self._lock:
            count = sum(limiter.stats().keys for limiter in self._made.values())
            self._made = {}
            return count

    def _of(self, kind: str, limit: int, expiry: int) -> Limiter:
        found = self._made.get((kind, limit, expiry))
        return self._make(kind, limit, expiry) if found is None else found

    def _make(self, kind: str, limit: int, expiry: int) -> Limiter:
        form: dict[str, dict[str, Any]] = {
            "fixed": {"algorithm": "fixed_window", "align": "first_request"},
            "moving": {"algorithm": "sliding_window", "strict": True},
            "sliding": {"algorithm": "sliding_window"},
        }
        with self._lock:
            made = dict(self._made)
            found = made.get((kind, limit, expiry))
            if found is None:
                terms = {"quota": limit, "period": f"{int(expiry)}s", **form[kind]}
                found = made[kind, limit, expiry] = Limiter({"limit": [terms]}, **self._options)
                self._made = made
            return found


def _used(decision: Decision) -> int:
    return decision.limit - decision.remaining


def _counted(limiter: Limiter, key: str) -> tuple[int, float, float]:
    """What is used of a key, when its window is over, and the time now: in seconds since the epoch."""
    peeked = limiter.peek(key, 0)
    return _used(peeked), peeked.made_at + peeked.reset_after, peeked.made_at


class TidegateStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """`tidegate://`: the memory of this process, decided by Tidegate. See the module."""

    STORAGE_SCHEME = ["tidegate"]

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        clock: ManualClock | None = None,
        max_keys: int = 1_000_000,
        **options: Any,
    ) -> None:
        if options:
            remedy = "give max_keys or clock"
            name = sorted(options)[0]
            raise ArgumentError(f"{name}: no option of this storage; {remedy}", name, remedy)
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._windows = _Windows(clock, max_keys)

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return Error

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and say how much was counted: in one step, which the engine's answer tells."""
        return _used(self._windows.fixed(expiry).acquire(key, amount))

    def get(self, key: str) -> int:
        """What was counted of a key."""
        # A key is of one window alone: its text has the period.
        return max((_counted(one, key)[0] for one in self._windows.all("fixed")), default=0)

    def get_expiry(self, key: str) -> float:
        """When a key's window is over, in seconds since the epoch."""
        return max((_counted(one, key)[1] for one in self._windows.all("fixed")), default=time.time())

    def check(self) -> bool:
        """Always healthy."""
        return True

    def reset(self) -> int | None:
        """Forget all keys; returns how many there were."""
        return self._windows.reset()

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._windows.clear(key)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take entries of a moving window, all or none."""
        return self._windows.moving(limit, expiry).try_acquire(key, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Since when entries count, and how many do."""
        limiter = self._windows.moving(limit, expiry)
        used, _, now = _counted(limiter, key)
        if not used:
            return now, 0
        # The oldest come back first: when one more would fit than fits now.
        oldest = limiter.peek(key, limit - used + 1)
        return oldest.made_at + oldest.retry_after - expiry, used

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Take entries of a sliding window, all or none."""
        return self._windows.sliding(limit, expiry).try_acquire(key, amount)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Previous count and its time left, current count and its time left.

        The engine tells the weighted sum alone, rounded up: it stands as the current count.
        """
        counts = [_counted(one, key) for one in self._windows.all("sliding", expiry)]
        used, _, now = max(counts, default=(0, 0.0, time.time()))
        return 0, 0.0, used, 2 * expiry - now % expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key."""
        for limiter in self._windows.all("sliding", expiry):
            limiter.reset(key)


class AsyncTidegateStorage(
    limits.aio.storage.Storage,
    limits.aio.storage.MovingWindowSupport,
    limits.aio.storage.SlidingWindowCounterSupport,
):
    """`async+tidegate://`: the same for `limits.aio`. Nothing waits."""

    STORAGE_SCHEME = ["async+tidegate"]

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        clock: ManualClock | None = None,
        max_keys: int = 1_000_000,
        **options: Any,
    ) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._storage = TidegateStorage(uri, clock=clock, max_keys=max_keys, **options)

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return Error

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self._storage.incr(key, expiry, amount)

    async def get(self, key: str) -> int:
        return self._storage.get(key)

    async def get_expiry(self, key: str) -> float:
        return self._storage.get_expiry(key)

    async def check(self) -> bool:
        return True

    async def reset(self) -> int | None:
        return self._storage.reset()

    async def clear(self, key: str) -> None:
        self._storage.clear(key)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        return self._storage.acquire_entry(key, limit, expiry, amount)

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        return self._storage.get_moving_window(key, limit, expiry)

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        return self._storage.acquire_sliding_window_entry(key, limit, expiry, amount)

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        return self._storage.get_sliding_window(key, expiry)

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        self._storage.clear_sliding_window(key, expiry)
