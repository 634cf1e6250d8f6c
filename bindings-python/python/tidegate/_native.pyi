from collections.abc import Callable, Iterable
from datetime import timedelta
from os import PathLike
from types import TracebackType
from typing import Any, Final, final

from typing_extensions import Self, disjoint_base

__all__ = [
    "VERSION",
    "Admission",
    "BucketSnapshot",
    "Decision",
    "Limiter",
    "ManualClock",
    "Reservation",
    "Snapshot",
    "Stats",
    "Ticket",
    "_check_request",
    "_restore_decision",
]

VERSION: Final[str]

@final
class Decision:
    """The answer to one request: true when it is allowed.

    The numbers are those of the limit that decides: of a denied request the one with the
    longest wait, of an allowed one the tightest. Units are requests × cost for count limits,
    nanoseconds for latency limits and permits for concurrency limits.

    Decisions compare by value, can be hashed and pickled, and never change.
    """

    @property
    def allowed(self) -> bool:
        """bool: May the request go on?"""
    @property
    def reason(self) -> str:
        """str: `ok`, `limited`, `blocked`, `bypass`, or `impossible` (no waiting helps)."""
    @property
    def limit(self) -> int:
        """int: The quota of the limit; of a cascade, the sum of its quotas."""
    @property
    def remaining(self) -> int:
        """int: Units left in the limit after this decision."""
    @property
    def retry_after(self) -> float:
        """float: Seconds until the same request passes: 0.0 when allowed, `math.inf` when never."""
    @property
    def reset_after(self) -> float:
        """float: Seconds until the limit is full again when nobody uses it."""
    @property
    def retry_after_ns(self) -> int | None:
        """int or None: `retry_after` in nanoseconds, exact; None when never."""
    @property
    def reset_after_ns(self) -> int | None:
        """int or None: `reset_after` in nanoseconds, exact; None when never."""
    @property
    def name(self) -> str:
        """str: The name of the limit; empty for a blocked key."""
    def __bool__(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class ManualClock:
    """A clock that stands still until it is moved: tests without sleeping.

    Parameters
    ----------
    now : float, int or timedelta, optional
        Seconds since the Unix epoch; 0 when left out.
    now_ns : int, optional
        The same in nanoseconds, instead of `now`.

    Raises
    ------
    ArgumentError
        When the time is negative, not finite, or beyond the year 2116.

    Examples
    --------
    >>> clock = tidegate.ManualClock(1_700_000_000)
    >>> limiter = tidegate.Limiter("1/second", clock=clock)
    >>> limiter.try_acquire("user:42"), limiter.try_acquire("user:42")
    (True, False)
    >>> clock.advance(1.0)
    >>> limiter.try_acquire("user:42")
    True
    """

    def __new__(
        cls, now: float | timedelta | None = None, *, now_ns: int | None = None
    ) -> Self: ...
    def now(self) -> float:
        """Where the clock stands, in seconds since the Unix epoch (float: to about 0.2 µs)."""
    def now_ns(self) -> int:
        """Where the clock stands, in nanoseconds since the Unix epoch (exact)."""
    def set(self, now: float | timedelta | None = None, *, now_ns: int | None = None) -> None:
        """Move the clock to a time, also back, and wake those who wait.

        Parameters
        ----------
        now : float, int or timedelta
            Seconds since the Unix epoch.
        now_ns : int
            The same in nanoseconds, instead of `now`.
        """
    def advance(
        self, duration: float | timedelta | None = None, *, duration_ns: int | None = None
    ) -> None:
        """Move the clock on, and wake those who wait.

        Parameters
        ----------
        duration : float, int or timedelta
            Seconds, not negative.
        duration_ns : int
            The same in nanoseconds, instead of `duration`.
        """

@disjoint_base
class Limiter:
    """The native part of `tidegate.Limiter`."""

    def __new__(
        cls,
        policy: str | PathLike[str],
        form: str,
        clock: ManualClock | str,
        max_keys: int,
        on_full: str,
        store: str,
        name: str,
    ) -> Self: ...
    @property
    def name(self) -> str:
        """str: The name given to the limiter, for logs."""
    def acquire(
        self, key: str | bytes, cost: int = 1, *, now_ns: int | None = None
    ) -> Decision:
        """Decide now; never waits.

        All limits pass and are charged, or one denies and nothing changes.

        Parameters
        ----------
        key : str or bytes
            Who is limited; a string is its UTF-8.
        cost : int, optional
            Units taken from every count limit, 0 to 2**64 - 1.
        now_ns : int, optional
            The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.

        Returns
        -------
        Decision
            True when allowed. A denial is a value, never an exception.

        Raises
        ------
        ArgumentError
            When `cost` or `now_ns` is out of range, or `key` has lone surrogates.
        """
    def acquire_many(
        self, keys: Iterable[str | bytes], cost: int = 1, *, now_ns: int | None = None
    ) -> list[Decision]:
        """As `acquire` of each key in order, all at one moment: many keys in one call.

        Not all or nothing: each key has its own decision. A key that occurs twice is decided
        twice. All keys are looked at before the first is decided, so that a wrong one is refused
        before anything is charged.

        Parameters
        ----------
        keys : iterable of str or bytes
            Who is limited; strings are their UTF-8. One key alone is for `acquire`.
        cost : int, optional
            Units taken from every count limit of each key, 0 to 2**64 - 1.
        now_ns : int, optional
            The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.

        Returns
        -------
        list of Decision
            One for each key, in their order.

        Raises
        ------
        ArgumentError
            When `cost` or `now_ns` is out of range, or a key has lone surrogates (`keys[3]: ...`).
        TypeError
            When `keys` is one key or no iterable, or an element is no key (`keys[3]: ...`).

        Examples
        --------
        >>> limiter = tidegate.Limiter("1/hour")
        >>> [bool(decision) for decision in limiter.acquire_many(["a", "b", "a"])]
        [True, True, False]
        """
    def try_acquire(
        self, key: str | bytes, cost: int = 1, *, now_ns: int | None = None
    ) -> bool:
        """As `acquire`, only yes or no: the fastest call.

        Parameters, errors: as `acquire`.

        Returns
        -------
        bool
        """
    def peek(self, key: str | bytes, cost: int = 1, *, now_ns: int | None = None) -> Decision:
        """What `acquire` would say; changes nothing.

        Parameters, errors: as `acquire`.

        Returns
        -------
        Decision
        """
    def record_latency(
        self,
        key: str | bytes,
        duration: float | timedelta | None = None,
        *,
        duration_ns: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """Charge time spent to every latency limit, even beyond its budget.

        Parameters
        ----------
        key : str or bytes
            Whose time it was.
        duration : float, int or timedelta
            Seconds spent, not negative.
        duration_ns : int
            The same in nanoseconds, instead of `duration`.

        Raises
        ------
        ArgumentError
            When the duration is negative, not finite or beyond 64 bits.
        """
    def reserve(self, key: str | bytes, cost: int, *, now_ns: int | None = None) -> Reservation:
        """Take an estimate now; settle or cancel it later.

        Parameters, errors: as `acquire`.

        Returns
        -------
        Reservation
            True when admitted. In a `with` statement a denied one raises `RateLimited`.
        """
    def refund(self, key: str | bytes, cost: int, *, now_ns: int | None = None) -> None:
        """Give units back to every count limit, never above its capacity.

        Parameters
        ----------
        key : str or bytes
            Who gets them.
        cost : int
            Units, 0 to 2**64 - 1.
        """
    def release(self, key: str | bytes, *, now_ns: int | None = None) -> None:
        """Give back one permit of every concurrency limit."""
    def reset(self, key: str | bytes, *, now_ns: int | None = None) -> None:
        """Fill every count and latency bucket of the key and lift a block; permits stay out."""
    def block(
        self,
        key: str | bytes,
        duration: float | timedelta | None = None,
        *,
        duration_ns: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """Deny every request of the key for a while.

        Parameters
        ----------
        key : str or bytes
            Who is blocked.
        duration : float, int or timedelta
            Seconds from now; 0 lifts the block.
        duration_ns : int
            The same in nanoseconds, instead of `duration`.
        """
    def penalize(self, key: str | bytes, units: int, *, now_ns: int | None = None) -> None:
        """Charge units to every count limit, even beyond what is left.

        Parameters
        ----------
        key : str or bytes
            Who pays.
        units : int
            Units, 0 to 2**64 - 1.
        """
    def snapshot(self, key: str | bytes, *, now_ns: int | None = None) -> Snapshot:
        """Every bucket of the key, in the order of the policy."""
    def stats(self) -> Stats:
        """Counters since the creation of the limiter."""
    def wait(
        self, key: str | bytes, cost: int = 1, *, timeout: float | timedelta | None = None
    ) -> Decision:
        """Block this thread until admitted, first come first served among the waiters of a key.

        Other threads of Python run meanwhile, and Ctrl-C ends the wait and takes nothing. In
        a coroutine use `wait_async`.

        Parameters
        ----------
        key : str or bytes
            Who is limited.
        cost : int, optional
            Units taken from every count limit, 0 to 2**64 - 1.
        timeout : float, int or timedelta, optional
            Seconds to wait at most; None waits as long as it takes.

        Returns
        -------
        Decision
            True when admitted. False at once when waiting cannot help or cannot succeed in
            time, else after the timeout.

        Raises
        ------
        ArgumentError
            When `cost` is out of range, or `timeout` negative or not finite.
        """
    def _queue(
        self,
        key: str | bytes,
        cost: int,
        timeout: float | timedelta | None,
        notify: Callable[[], object],
    ) -> Ticket:
        """A place in the queue of the key; `notify` is called from any thread."""
    def _admit(self, key: str | bytes, cost: int) -> Admission:
        """Acquire, and remember when."""
    def _update(self, policy: str, form: str, now_ns: int | None) -> None:
        """Change the limits."""

@final
class Reservation:
    """An estimate taken now, to be settled or cancelled later; true when it was admitted.

    Made by `Limiter.reserve`. As a context manager it raises `RateLimited` when it was denied.
    Left without `settle` or `cancel` (also by an exception), the estimate stands: what was
    begun may have been spent.
    """

    @property
    def decision(self) -> Decision:
        """Decision: The answer to the reservation."""
    def settle(self, actual: int, *, now_ns: int | None = None) -> None:
        """Replace the estimate by what was really used.

        Less than the estimate: the difference goes back to the buckets that paid it. More: the
        difference is charged, even beyond the limits. Of a denied reservation: does nothing.

        Parameters
        ----------
        actual : int
            Units really used.

        Raises
        ------
        ArgumentError
            When `actual` is negative or beyond 64 bits.
        Error
            When it is settled or cancelled already.
        """
    def cancel(self, *, now_ns: int | None = None) -> None:
        """Give everything back, permits too.

        Raises
        ------
        Error
            When it is settled or cancelled already.
        """
    def __bool__(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Admission:
    """One request under way, for `Limiter.measure`."""

    @property
    def decision(self) -> Decision:
        """Decision: The answer to the request."""
    def finish(self) -> None:
        """Record the time since the admission and release the permit; once, then nothing."""

@final
class Ticket:
    """A place in the queue of a key, for `Limiter.wait_async`."""

    def poll(self) -> Decision | float | None:
        """Ask whether it is this waiter's turn.

        Returns
        -------
        Decision, float or None
            The decision; or ask again when notified, and after this many seconds at the latest
            (None: only when notified).
        """
    def close(self) -> None:
        """Give the place up; takes nothing."""

@final
class BucketSnapshot:
    """One bucket of a key.

    Units are requests × cost (method `count`), nanoseconds (`latency`) or permits
    (`concurrency`).
    """

    @property
    def limit(self) -> str:
        """str: Name of the limit."""
    @property
    def name(self) -> str:
        """str: Name of the bucket: its own, else the text of its rate (`100/minute`)."""
    @property
    def method(self) -> str:
        """str: `count`, `latency` or `concurrency`."""
    @property
    def quota(self) -> int:
        """int: Units per period."""
    @property
    def capacity(self) -> int:
        """int: Most units that can be spent at once (gcra: the burst)."""
    @property
    def used(self) -> int:
        """int: Units used; more than the capacity when in debt."""
    @property
    def remaining(self) -> int:
        """int: Units left, never below zero."""
    @property
    def refresh_after(self) -> float:
        """float: Seconds until the bucket refreshes (windows: their end; gcra: full again)."""
    @property
    def refresh_after_ns(self) -> int:
        """int: Nanoseconds until the bucket refreshes; 0 when it is full."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Snapshot:
    """Every bucket of a key, in the order of the policy."""

    @property
    def buckets(self) -> tuple[BucketSnapshot, ...]:
        """tuple of BucketSnapshot: The buckets."""
    @property
    def blocked_for(self) -> float:
        """float: Seconds that the key stays blocked by `block`; 0.0 when it is not."""
    @property
    def blocked_for_ns(self) -> int:
        """int: Nanoseconds that the key stays blocked; 0 when it is not."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Stats:
    """Counters of a limiter since its creation."""

    @property
    def keys(self) -> int:
        """int: Keys remembered now."""
    @property
    def capacity(self) -> int:
        """int: Most keys that can be remembered (`max_keys`)."""
    @property
    def allowed(self) -> int:
        """int: Requests allowed."""
    @property
    def limited(self) -> int:
        """int: Requests denied by a limit."""
    @property
    def blocked(self) -> int:
        """int: Requests denied because their key was blocked."""
    @property
    def bypassed(self) -> int:
        """int: Requests allowed without being counted."""
    @property
    def impossible(self) -> int:
        """int: Requests whose cost no limit can ever hold."""
    @property
    def evictions(self) -> int:
        """int: Keys in use whose place was taken by others (`on_full="inherit"`)."""
    @property
    def saturated(self) -> int:
        """int: Requests of new keys that found the store full (`on_full` `"deny"` or `"allow"`)."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def _restore_decision(
    allowed: bool,
    reason: str,
    limit: int,
    remaining: int,
    retry_after_ns: int | None,
    reset_after_ns: int | None,
    name: str,
) -> Decision:
    """Rebuild a pickled decision."""
def _check_request(key: str | bytes, cost: int) -> None:
    """Refuse a bad key or cost now, for requests that are made later."""
