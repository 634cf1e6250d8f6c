from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, ParamSpec, TypeAlias, TypeVar, final

from tidegate._errors import PolicyError
from typing_extensions import Self, disjoint_base

__all__ = [
    "VERSION",
    "Admission",
    "Alert",
    "BucketSnapshot",
    "Decision",
    "Limiter",
    "ManualClock",
    "Pacer",
    "PacerEvent",
    "PacerStats",
    "Reservation",
    "ServerLimits",
    "ServerQuota",
    "Snapshot",
    "Stats",
    "Ticket",
    "UsageLimit",
    "UsageReport",
    "Watch",
    "WatchEvent",
    "_PacerCall",
    "_Stop",
    "_check_request",
    "_restore_decision",
    "hash_secret",
    "read_headers",
]

# A key, or a request of attributes; of these only `ip` may be an address.
_Request: TypeAlias = Mapping[str, str | bytes | IPv4Address | IPv6Address]
_Key: TypeAlias = str | bytes | _Request

# Headers as any library has them.
_Field: TypeAlias = str | bytes
_Headers: TypeAlias = Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[_Field, _Field]]

_P = ParamSpec("_P")
_T = TypeVar("_T")

VERSION: Final[str]

@final
class Decision:
    """The answer to one request: true when it is allowed.

    The numbers are those of the limit that decides: of a denied request the one with the
    longest wait, of an allowed one the tightest. Units are requests × cost for count limits,
    nanoseconds for latency limits and permits for concurrency limits.

    Decisions compare by value, whenever they were made; they can be hashed and pickled, and
    never change.
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
        """str: The name of the limit, block or exemption; empty for a blocked key."""
    @property
    def plan(self) -> str | None:
        """str or None: The request's plan, whichever of its limits answers; None where no limit
        answers, or the policy has no plans.
        """
    @property
    def method(self) -> str:
        """str: What the limit counts: `count`, `latency` or `concurrency`."""
    @property
    def window(self) -> float | None:
        """float or None: Seconds in which the limit grants its quota (of a cascade the first
        bucket's); None for permits, blocks and exemptions.
        """
    @property
    def window_ns(self) -> int | None:
        """int or None: `window` in nanoseconds, exact."""
    @property
    def burst_remaining(self) -> int | None:
        """int or None: Units left in the later buckets of a cascade, such as a pool for bursts: of
        the limit that decides, else of the first cascade that the request met; None when it met
        none.
        """
    @property
    def shadow(self) -> str | None:
        """str or None: The name of a limit in shadow that would have denied the request."""
    @property
    def message(self) -> str | None:
        """str or None: The words that the policy has for a denial by this limit."""
    @property
    def closes(self) -> bool:
        """bool: Does the policy advise to close the connection after this denial?"""
    @property
    def made_at(self) -> float:
        """float: When it was made, in seconds since the Unix epoch (to about 0.2 µs)."""
    @property
    def made_at_ns(self) -> int:
        """int: When it was made, in nanoseconds since the Unix epoch (exact)."""
    @property
    def status(self) -> int:
        """int: The status of the HTTP response: 429 for a denial, else 200."""
    def headers(self, style: Literal["legacy", "draft", "both"] = "legacy") -> dict[str, str]:
        """The header fields of the HTTP response, allowed or denied, in the order to send them.

        A denial that waiting ends has `Retry-After`, in whole seconds rounded up. A blocked key
        has nothing else, an exempted request nothing at all.

        Parameters
        ----------
        style : {"legacy", "draft", "both"}, optional
            `X-RateLimit-Limit`, `-Remaining`, `-Reset` (Unix seconds) and `-Burst` (where there
            is a pool); or `RateLimit-Policy` and `RateLimit` of the IETF's draft; or all of them.

        Returns
        -------
        dict of str to str
            Names and values, printable ASCII. Amounts of latency limits are whole milliseconds.

        Raises
        ------
        ArgumentError
            When there is no such style.
        """
    def body(self, style: Literal["error", "message", "problem"] = "error") -> str:
        """The body of the HTTP response to a denied request: one line of JSON.

        Parameters
        ----------
        style : {"error", "message", "problem"}, optional
            An error with a code and details; a message and the status; or problem details of
            RFC 9457.

        Returns
        -------
        str
            Empty for an allowed request.

        Raises
        ------
        ArgumentError
            When there is no such style.
        """
    def content_type(self, style: Literal["error", "message", "problem"] = "error") -> str:
        """The `Content-Type` of `body` in this style.

        Parameters, errors: as `body`.

        Returns
        -------
        str
        """
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
        self, key: _Key, cost: int = 1, *, now_ns: int | None = None
    ) -> Decision:
        """Decide now; never waits.

        All limits pass and are charged, or one denies and nothing changes.

        Parameters
        ----------
        key : str, bytes or mapping
            Who is limited; a string is its UTF-8. A mapping is a request with attributes: `key`,
            `account`, `ip`, `user`, `route`, `plan`, or any other that the policy names, each a
            str or bytes, an `ip` also an address of `ipaddress`.
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
            When `cost` or `now_ns` is out of range, a string has lone surrogates, or a request
            lacks an attribute that the policy insists on or has a wrong one; `field` names it.
        TypeError
            When `key` or an attribute has the wrong type.

        Examples
        --------
        >>> limiter = tidegate.Limiter({"limit": [{"rate": "1/hour", "by": ["ip"]}]})
        >>> request = {"ip": "203.0.113.9", "route": "GET /status"}
        >>> bool(limiter.acquire(request)), bool(limiter.acquire(request))
        (True, False)
        """
    def acquire_many(
        self, keys: Iterable[_Key], cost: int = 1, *, now_ns: int | None = None
    ) -> list[Decision]:
        """As `acquire` of each key in order, all at one moment: many keys in one call.

        Not all or nothing: each key has its own decision. A key that occurs twice is decided
        twice. All keys are looked at before the first is decided, so that a wrong one is refused
        before anything is charged; a request that the policy refuses is found when it is its turn.

        Parameters
        ----------
        keys : iterable of str, bytes or mapping
            Who is limited, each as for `acquire`. One key alone is for `acquire`.
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
            As `acquire`; of a string with lone surrogates, `field` is `keys[3]` or `keys[3].ip`.
        TypeError
            When `keys` is one key or no iterable, or an element is no key (`keys[3]: ...`).

        Examples
        --------
        >>> limiter = tidegate.Limiter("1/hour")
        >>> [bool(decision) for decision in limiter.acquire_many(["a", "b", "a"])]
        [True, True, False]
        """
    def try_acquire(
        self, key: _Key, cost: int = 1, *, now_ns: int | None = None
    ) -> bool:
        """As `acquire`, only yes or no: the fastest call.

        Parameters, errors: as `acquire`; but a request that the policy refuses is a no.

        Returns
        -------
        bool
        """
    def peek(self, key: _Key, cost: int = 1, *, now_ns: int | None = None) -> Decision:
        """What `acquire` would say; changes nothing.

        Parameters, errors: as `acquire`.

        Returns
        -------
        Decision
        """
    def record_latency(
        self,
        key: _Key,
        duration: float | timedelta | None = None,
        *,
        duration_ns: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """Charge time spent to every latency limit, even beyond its budget.

        Parameters
        ----------
        key : str, bytes or mapping
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
    def reserve(self, key: _Key, cost: int, *, now_ns: int | None = None) -> Reservation:
        """Take an estimate now; settle or cancel it later.

        Parameters, errors: as `acquire`.

        Returns
        -------
        Reservation
            True when admitted. In a `with` statement a denied one raises `RateLimited`.
        """
    def refund(self, key: _Key, cost: int, *, now_ns: int | None = None) -> None:
        """Give units back to every count limit, never above its capacity.

        Parameters
        ----------
        key : str, bytes or mapping
            Who gets them.
        cost : int
            Units, 0 to 2**64 - 1.
        """
    def release(self, key: _Key, *, now_ns: int | None = None) -> None:
        """Give back one permit of every concurrency limit."""
    def renew(self, key: _Key, *, now_ns: int | None = None) -> bool:
        """Begin the time of the oldest permit of every concurrency limit anew (`max_hold` in the
        policy), for work that lasts long.

        Returns
        -------
        bool
            False when no permit is out any more.
        """
    def reset(self, key: _Key, *, now_ns: int | None = None) -> None:
        """Fill every count and latency bucket of the key and lift a block; permits stay out. Of a
        request: all buckets and blocks of its attributes.
        """
    def block(
        self,
        key: _Key,
        duration: float | timedelta | None = None,
        *,
        duration_ns: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """Deny every request of the key, or with one attribute, for a while.

        Parameters
        ----------
        key : str, bytes or mapping
            Who is blocked; a mapping has one attribute, such as an `ip`: of an IPv6 address its
            network, by the policy's `ipv6_prefix`.
        duration : float, int or timedelta
            Seconds from now; 0 lifts the block.
        duration_ns : int
            The same in nanoseconds, instead of `duration`.
        """
    def penalize(self, key: _Key, units: int, *, now_ns: int | None = None) -> None:
        """Charge units to every count limit, even beyond what is left.

        Parameters
        ----------
        key : str, bytes or mapping
            Who pays.
        units : int
            Units, 0 to 2**64 - 1.
        """
    def snapshot(self, key: _Key, *, now_ns: int | None = None) -> Snapshot:
        """Every bucket of the key, in the order of the policy; of a request those of all limits that
        count by attributes it has.
        """
    def assign(
        self,
        value: str | bytes,
        plan: str,
        duration: float | timedelta | None = None,
        *,
        duration_ns: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """Give a plan to a customer: for good, or for a while.

        It goes before the plan that requests name, and keeps what was used. When its time ends,
        what was assigned for good holds again, or nothing.

        Parameters
        ----------
        value : str or bytes
            Whose plan it is: a value of the attribute `plan_by` of the policy (default: `key`).
        plan : str
            The name of a plan of the policy.
        duration : float, int or timedelta, optional
            Seconds from now; None is for good.
        duration_ns : int, optional
            The same in nanoseconds, instead of `duration`.
        now_ns : int, optional
            The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.

        Raises
        ------
        ArgumentError
            When the policy has no such plan, or the duration is negative or not finite.
        """
    def unassign(self, value: str | bytes) -> None:
        """Take back the plans assigned to a customer, for good and for a while.

        Parameters
        ----------
        value : str or bytes
            As for `assign`; one without a plan is no error.
        """
    def plan_of(self, request: _Key, *, now_ns: int | None = None) -> str | None:
        """The name of the plan that holds for a request now.

        Parameters
        ----------
        request : str, bytes or mapping
            As `key` of `acquire`.
        now_ns : int, optional
            As for `acquire`.

        Returns
        -------
        str or None
            None where the policy has no plans, or the request meets none.
        """
    def usage(
        self,
        request: _Key,
        window: float | timedelta | None = None,
        *,
        window_ns: int | None = None,
        now_ns: int | None = None,
    ) -> UsageReport:
        """What a customer used, by kind of call, where the policy has `[usage]`.

        Parameters
        ----------
        request : str, bytes or mapping
            Whose use it is: the attribute `plan_by` of the policy (default: `key`). The others
            say which limit the report looks at.
        window : float, int or timedelta, optional
            Seconds up to now; at most, and when left out, the window of `[usage]`.
        window_ns : int, optional
            The same in nanoseconds, instead of `window`.
        now_ns : int, optional
            The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.

        Returns
        -------
        UsageReport

        Raises
        ------
        ArgumentError
            When the policy has no `[usage]`, or the request not the attribute it is kept by.
        """
    def on_alert(self, listener: Callable[[Alert], object] | None) -> None:
        """Have a function called whenever use passes one of a limit's thresholds (`alerts` in the
        policy).

        It is called with an `Alert`, in the thread whose call passed the threshold, after the
        decision was made, and may call the limiter. What it raises goes to `sys.unraisablehook`.

        Parameters
        ----------
        listener : callable or None
            Takes the place of the one before; None: nobody is told.

        Examples
        --------
        >>> limiter = tidegate.Limiter({"limit": [{"rate": "10/day", "alerts": [0.8]}]})
        >>> limiter.on_alert(lambda alert: print(alert.threshold, alert.used, alert.request))
        >>> decisions = [limiter.acquire("user:42") for _ in range(10)]
        0.8 8 {'key': 'user:42'}
        """
    def stats(self) -> Stats:
        """Counters since the creation of the limiter."""
    def wait(
        self, key: _Key, cost: int = 1, *, timeout: float | timedelta | None = None
    ) -> Decision:
        """Block this thread until admitted, first come first served among the waiters of a key.

        Other threads of Python run meanwhile, and Ctrl-C ends the wait and takes nothing. In
        a coroutine use `wait_async`.

        Parameters
        ----------
        key : str, bytes or mapping
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
        key: _Key,
        cost: int,
        timeout: float | timedelta | None,
        notify: Callable[[], object],
    ) -> Ticket:
        """A place in the queue of the key; `notify` is called from any thread."""
    def _admit(self, key: _Key, cost: int) -> Admission:
        """Acquire, and remember when."""

    def _client_at(self, ip: str) -> str:
        """By what the client of an address is known; text that is no address as it is."""

    def _update(self, policy: str, form: str, now_ns: int | None) -> None:
        """Change the limits."""

    def _watch(self, path: str | PathLike[str], on_event: Callable[[WatchEvent], object]) -> Watch:
        """Put the policy of a file in force, and follow the file."""

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
    def renew(self) -> bool:
        """Begin the time of its permits anew; false when they are gone."""
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

@final
class UsageLimit:
    """How far a subject is with a limit."""

    @property
    def name(self) -> str:
        """str: Name of the limit."""
    @property
    def quota(self) -> int:
        """int: Its quota."""
    @property
    def remaining(self) -> int:
        """int: Units left now."""
    @property
    def utilization(self) -> float:
        """float: The part of the quota that is used now, 0.0 to 1.0, rounded down to thousandths."""
    @property
    def utilization_permille(self) -> int:
        """int: `utilization` in thousandths, rounded down, 0 to 1000."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class UsageReport:
    """What a customer used, from `Limiter.usage`."""

    @property
    def plan(self) -> str | None:
        """str or None: The plan that holds now; None where the policy has none."""
    @property
    def window(self) -> float:
        """float: Seconds that the report covers, up to now."""
    @property
    def window_ns(self) -> int:
        """int: `window` in nanoseconds, exact."""
    @property
    def total(self) -> int:
        """int: Units admitted in the window."""
    @property
    def by_kind(self) -> dict[str, int]:
        """dict of str to int: Units admitted by kind of call, the largest first; calls without the
        attribute that kinds are told by are the kind `""`. A new dict each time.
        """
    @property
    def limit(self) -> UsageLimit | None:
        """UsageLimit or None: The count limit of the longest window; None when there is none."""
    @property
    def utilization(self) -> float | None:
        """float or None: The part of the limit's quota that is used now, 0.0 to 1.0; None when there
        is no limit.
        """
    @property
    def dropped(self) -> int:
        """int: Requests of anybody that were not recorded, for want of room (`max_keys`)."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Alert:
    """Use of a limit has passed one of its thresholds (`alerts` in the policy).

    What `Limiter.on_alert` tells. Units are requests × cost (method `count`), nanoseconds
    (`latency`) or permits (`concurrency`).
    """

    @property
    def limit(self) -> str:
        """str: Name of the limit."""
    @property
    def plan(self) -> str | None:
        """str or None: The request's plan, also of a limit of every plan; None where the policy has
        none.
        """
    @property
    def method(self) -> str:
        """str: `count`, `latency` or `concurrency`."""
    @property
    def threshold(self) -> float:
        """float: The threshold, as a part of the capacity: 0.8 for 80 %."""
    @property
    def threshold_permille(self) -> int:
        """int: `threshold` in thousandths, exact."""
    @property
    def used(self) -> int:
        """int: Units used."""
    @property
    def capacity(self) -> int:
        """int: Most units that can be spent at once."""
    @property
    def request(self) -> dict[str, str | bytes]:
        """dict of str to str or bytes: The attributes of the request that passed it (of a plain
        key: `key`); bytes where a value is no UTF-8. A new dict each time. The `repr` of an
        alert shows its names alone: values may be secrets.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class WatchEvent:
    """What became of a policy file that changed; what `Limiter.watch` tells."""

    @property
    def updated(self) -> bool:
        """bool: Does the limiter go by the file as it is now? Else it goes by the policy it had."""
    @property
    def error(self) -> PolicyError | OSError | None:
        """PolicyError, OSError or None: Why the file was refused; None when it was not."""

@final
class Watch:
    """A file that is followed, for `tidegate.Watch`."""

    def close(self) -> None:
        """Follow the file no longer; waits for a function that is being told."""

def hash_secret(secret: str) -> str:
    """The line for a policy that lets requests with this secret pass (`secrets` of `[[bypass]]`).

    The hash is SHA-256 without salt: it hides a secret that cannot be guessed. Take one of
    128 random bits at least, not a word that somebody might try.

    Parameters
    ----------
    secret : str
        The secret; what is hashed is its UTF-8.

    Returns
    -------
    str
        `sha256:` and 64 hexadecimal digits.

    Raises
    ------
    ArgumentError
        When the secret has lone surrogates.

    Examples
    --------
    >>> tidegate.hash_secret("open sesame")[:39]
    'sha256:41ef4bb0b23661e66301aac36066912d'
    """
def _restore_decision(
    answer: tuple[str, int, int, int, int, int, int | None, str],
    terms: tuple[str, str, str, int, bool, str, bool],
) -> Decision:
    """Rebuild a pickled decision."""
def _check_request(key: _Key, cost: int) -> _Key:
    """Refuse a bad key or cost now, for requests that are made later. Returns the key, of a mapping
    a copy.
    """

@final
class ServerQuota:
    """One quota of a server, as its headers tell it."""

    @property
    def name(self) -> str:
        """str: What tells it from others (`requests`, `tokens`, `day`), in lower case; empty when it
        is alone.
        """
    @property
    def limit(self) -> int | None:
        """int or None: Units in a window."""
    @property
    def remaining(self) -> int | None:
        """int or None: Units left."""
    @property
    def reset_after(self) -> float | None:
        """float or None: Seconds until it is reset; 0 when that time is past."""
    @property
    def reset_after_ns(self) -> int | None:
        """int or None: The same in nanoseconds (exact)."""
    @property
    def window(self) -> float | None:
        """float or None: Length of its window, in seconds."""
    @property
    def window_ns(self) -> int | None:
        """int or None: The same in nanoseconds (exact)."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ServerLimits:
    """What the headers of a response tell of the server's limits."""

    @property
    def near_limit(self) -> bool:
        """bool: Does the server say that little is left?"""
    @property
    def retry_after(self) -> float | None:
        """float or None: How long the server asks us to wait, in seconds."""
    @property
    def retry_after_ns(self) -> int | None:
        """int or None: The same in nanoseconds (exact)."""
    @property
    def quotas(self) -> tuple[ServerQuota, ...]:
        """tuple of ServerQuota: Each quota that the server tells of, in the order of the headers."""
    @property
    def delay(self) -> float | None:
        """float or None: Seconds to wait after a refusal: `retry_after`, else until the last quota
        with nothing left is reset; None when the headers do not tell.
        """
    @property
    def delay_ns(self) -> int | None:
        """int or None: The same in nanoseconds (exact)."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class PacerEvent:
    """Something that happened to a pacer; what `on_event` is told.

    Fields that the kind does not have are None.
    """

    @property
    def kind(self) -> str:
        """str: `retry`, `pause`, `exhausted`, `breaker_opened`, `breaker_closed` or `near_limit`."""
    @property
    def label(self) -> str | None:
        """str or None: `retry`, `exhausted`: the label of the call; may be empty."""
    @property
    def attempts(self) -> int | None:
        """int or None: `retry`, `exhausted`: attempts that were made so far."""
    @property
    def status(self) -> int | None:
        """int or None: Status of the answer that it follows; None where there is none."""
    @property
    def delay(self) -> float | None:
        """float or None: `retry`, `pause`: seconds until calls go again; `breaker_opened`: until one
        is let through to see.
        """
    @property
    def reason(self) -> str | None:
        """str or None: `pause`: `limited` (by an answer) or `exhausted` (by headers, a quota);
        `breaker_opened`: `authentication` or `failures`.
        """
    @property
    def quota(self) -> str | None:
        """str or None: `near_limit`, and a `pause` for a quota: its name; empty when it has none."""
    @property
    def limit(self) -> int | None:
        """int or None: `near_limit`: the quota, when the server tells it."""
    @property
    def remaining(self) -> int | None:
        """int or None: `near_limit`: units left, when the server tells them."""
    @property
    def reset_after(self) -> float | None:
        """float or None: `near_limit`: seconds until the quota is reset, when the server tells them."""

@final
class PacerStats:
    """Counts of a pacer since it was made; from `Pacer.stats`."""

    @property
    def calls(self) -> int:
        """int: Calls that were begun."""
    @property
    def attempts(self) -> int:
        """int: Attempts that were let go, the first of each call included."""
    @property
    def retries(self) -> int:
        """int: Attempts that answers asked to make again."""
    @property
    def limited(self) -> int:
        """int: Answers that said that the server limits us: 429, and 503 with a delay."""
    @property
    def wait(self) -> float:
        """float: Seconds that calls stood waiting, for their turn and for retries, in all."""
    @property
    def wait_ns(self) -> int:
        """int: The same in nanoseconds (exact)."""
    @property
    def waits(self) -> dict[str, int]:
        """dict of str to int: How many calls had to wait for each limit, by its name, for the cap
        (`concurrency`), for a pause (`pause`) and for a quota of the headers (`quota`).
        """
    @property
    def pauses(self) -> int:
        """int: Times everybody had to wait."""
    @property
    def exhausted(self) -> int:
        """int: Calls given up because every attempt was refused."""
    @property
    def breaker_opened(self) -> int:
        """int: Times the breaker opened."""
    @property
    def in_flight(self) -> int:
        """int: Calls under way now."""
    @property
    def waiting(self) -> int:
        """int: Calls that wait now, for their turn or for a retry."""
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@disjoint_base
class Pacer:
    def __new__(
        cls, source: Pacer | None, settings: dict[str, Any], call: dict[str, Any]
    ) -> Self: ...
    @property
    def limiter(self) -> Limiter | None:
        """Limiter or None: The limiter that was given."""
    @property
    def concurrency(self) -> int:
        """int: Most calls under way at once."""
    @property
    def label(self) -> str:
        """str: The label of calls made by this handle; may be empty."""
    def call(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Call a function when its turn comes, again while the server refuses it; blocks meanwhile.

        What the function returns or raises is handed on unchanged, unless it says that the server
        limits us (status 429, or 503 with a delay), or `classify` says so. While it waits the GIL
        is released, and the place under `concurrency` is free.

        Parameters
        ----------
        function : callable
            Makes one attempt.
        *args, **kwargs
            All go to the function. For a label, a cost, ... see `with_options`.

        Returns
        -------
        object
            What the function returned.

        Raises
        ------
        RetriesExhausted
            When the server refused every attempt.
        RetryAfterTooLong
            When the server asks for a wait longer than `max_retry_after`.
        DeadlineExceeded
            When the deadline has passed, or would before the next attempt.
        BreakerOpen
            When nothing is sent any more, after failures that no retry fixes.
        PacerClosed
            When the pacer is closed.
        ArgumentError
            When the cost can never fit the limits.

        Examples
        --------
        >>> pacer = tidegate.Pacer("100/minute", concurrency=4)
        >>> pacer.call(max, 3, 4)
        4
        """
    def observe(self, response: Any) -> None:
        """Tell the pacer of an answer that is not of one of its calls.

        Parameters
        ----------
        response : response, exception, mapping or iterable of pairs
            An object with `headers`, an exception that carries one, or the headers themselves.

        Raises
        ------
        TypeError
            When it is none of these.
        """
    def stats(self) -> PacerStats:
        """What has happened since the pacer was made.

        Returns
        -------
        PacerStats
            Counts of calls, attempts, retries and waits; a copy.
        """
    def reset(self) -> None:
        """End a pause and close the breaker, when whoever operates it knows better."""
    def close(self) -> None:
        """Let nothing go any more: who waits, and each new call, gets `PacerClosed`.

        Calls under way may finish. Again: does nothing.
        """
    def _hook(
        self,
        classify: Callable[[Any], str | None] | None,
        on_event: Callable[[PacerEvent], object] | None,
    ) -> None: ...
    def _call_until(
        self, stop: _Stop, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T: ...
    def _begin(self) -> _PacerCall: ...

@final
class _PacerCall:
    def may_go(self) -> bool: ...
    def poll(self, notify: Callable[[], object]) -> Literal[True] | float | None: ...
    def returned(self, result: object) -> tuple[bool, Any]: ...
    def raised(self, error: BaseException) -> tuple[bool, Any]: ...
    def close(self) -> None: ...

@final
class _Stop:
    def __new__(cls) -> Self: ...
    def set(self) -> None: ...
    def is_set(self) -> bool: ...

def read_headers(
    headers: _Headers,
    *,
    now: float | timedelta | None = None,
    now_ns: int | None = None,
) -> ServerLimits:
    """Read what the headers of a response tell of the server's limits.

    Understood are `retry-after-ms`, `Retry-After` (whole or broken seconds, HTTP dates),
    `RateLimit` and `RateLimit-Policy` of every draft, `X-RateLimit-*` (resets as seconds, epoch
    seconds, milliseconds or microseconds), and the forms of well-known providers. A field that
    makes no sense is as one that is not there.

    Parameters
    ----------
    headers : mapping or iterable of pairs
        Names in any case; names and values str or bytes. Also the `headers` of httpx, requests,
        aiohttp and urllib.
    now : float, int or timedelta, optional
        What absolute times are compared with where the response has no `Date`, in seconds since
        the Unix epoch; the wall clock's time when left out.
    now_ns : int, optional
        The same in nanoseconds, instead of `now`.

    Returns
    -------
    ServerLimits
        What they tell; all None and empty when they tell nothing.

    Raises
    ------
    TypeError
        When `headers` is neither, or has other things than str and bytes.

    Examples
    --------
    >>> tidegate.read_headers({"Retry-After": "2.5"}).retry_after
    2.5
    """
