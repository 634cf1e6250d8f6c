"""The limiter as users see it: the native one, with policies, `measure` and `wait_async`."""

from __future__ import annotations

from tidegate import _native, _policy
from tidegate._errors import ArgumentError
from tidegate._measure import Measure
from tidegate._watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from typing import Any, Literal

    from typing_extensions import Self

    from tidegate._native import Decision, ManualClock, _Key


class Limiter(_native.Limiter):
    """A policy, the state of its keys, and a clock; any thread may call it at any time.

    Parameters
    ----------
    policy : str or mapping
        A rate string (`"100/minute"`, `"10/second burst 20; 500/hour"`), the text of a TOML or
        JSON document, or a document as a dict.
    clock : ManualClock or {"counter", "system", "coarse"}, optional
        Where time comes from. `"counter"` (the default) is the processor's counter, within 10 µs
        of the system's clock; where there is no steady one it is `"system"`: the system's
        monotonic clock, asked each time. `"coarse"` is the system's coarse clock (Linux;
        elsewhere `"system"`), in steps of 1 to 10 ms, and late by as much.
    max_keys : int, optional
        Most keys remembered at once, at least 1.
    on_full : {"inherit", "deny", "allow"}, optional
        What happens to a new key beyond `max_keys`: it takes the place of the key closest to
        full and inherits the larger use, or is denied, or is allowed and not remembered.
    store : str, optional
        Where state is kept; `"memory:"` is the memory of this process.
    name : str, optional
        A name for logs.

    Raises
    ------
    PolicyError
        When the policy is wrong; it says where, and what would be right.
    ArgumentError
        When an option has a bad value.
    TypeError
        When an argument has the wrong type or an option is unknown.

    Notes
    -----
    Every call happens at the clock's time, or at `now_ns`, nanoseconds since the Unix epoch.

    A limiter lives in one process: after `os.fork` parent and child count for themselves, and
    pickling or copying one is a `TypeError`.

    A limiter is complete when it is made, so a subclass that takes arguments of its own takes
    them in `__new__`, not in `__init__` alone: Python hands them to both.

    Examples
    --------
    >>> limiter = tidegate.Limiter("100/minute; 30s/minute")
    >>> if decision := limiter.acquire("user:42"):
    ...     limiter.record_latency("user:42", 0.153)
    ... else:
    ...     print(f"retry after {decision.retry_after} s")

    A subclass with an argument of its own:

    >>> class TenantLimiter(tidegate.Limiter):
    ...     def __new__(cls, policy, *, tenant, **options):
    ...         limiter = super().__new__(cls, policy, **options)
    ...         limiter.tenant = tenant
    ...         return limiter
    >>> TenantLimiter("100/minute", tenant="acme").tenant
    'acme'
    """

    __slots__ = ()

    def __new__(
        cls,
        policy: str | Mapping[str, Any],
        *,
        clock: ManualClock | Literal["counter", "system", "coarse"] | None = None,
        max_keys: int = 1_000_000,
        on_full: Literal["inherit", "deny", "allow"] = "inherit",
        store: str = "memory:",
        name: str = "",
    ) -> Self:
        text, form = _policy.read(policy)
        return cls._build(text, form, clock, max_keys, on_full, store, name)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        clock: ManualClock | Literal["counter", "system", "coarse"] | None = None,
        max_keys: int = 1_000_000,
        on_full: Literal["inherit", "deny", "allow"] = "inherit",
        store: str = "memory:",
        name: str = "",
    ) -> Self:
        """A limiter whose policy is in a file: `.toml`, `.json`, or the text of either.

        Parameters
        ----------
        path : str or os.PathLike
            The file, in UTF-8.
        clock, max_keys, on_full, store, name
            As for `Limiter`.

        Raises
        ------
        OSError
            When the file cannot be read (`FileNotFoundError`, `PermissionError`, ...).
        PolicyError
            When the policy is wrong; the message names the file.
        """
        return cls._build(path, "file", clock, max_keys, on_full, store, name)

    @classmethod
    def _build(
        cls,
        policy: str | os.PathLike[str],
        form: str,
        clock: ManualClock | str | None,
        max_keys: int,
        on_full: str,
        store: str,
        name: str,
    ) -> Self:
        chosen = "counter" if clock is None else clock
        for option, value in (("on_full", on_full), ("store", store), ("name", name)):
            if not isinstance(value, str):
                raise TypeError(f"{option}: expected a str, got {type(value).__name__}")
            _check_utf8(option, value)
        if isinstance(chosen, str):
            _check_utf8("clock", chosen)
        return super().__new__(cls, policy, form, chosen, max_keys, on_full, store, name)

    def update(self, policy: str | Mapping[str, Any], *, now_ns: int | None = None) -> None:
        """Change the limits while running: use so far is kept, nothing is granted for the past.

        Limits are matched by name, their buckets by position.

        Parameters
        ----------
        policy : str or mapping
            As for `Limiter`.

        Raises
        ------
        PolicyError
            When the policy is wrong; the old one stays.
        """
        text, form = _policy.read(policy)
        self._update(text, form, now_ns)

    def measure(self, key: _Key, cost: int = 1) -> Measure:
        """Acquire, run a block or a function, record its latency and release its permit.

        Use it as `with limiter.measure(key):`, `async with limiter.measure(key):`, or as the
        decorator `@limiter.measure(key)` of a function or a coroutine function. The latency is
        recorded also when the block raises.

        Parameters
        ----------
        key : str, bytes or mapping
            Who is limited, as for `acquire`.
        cost : int, optional
            Units taken from every count limit.

        Raises
        ------
        RateLimited
            On entering the block or calling the function, when denied.
        """
        return Measure(self, _native._check_request(key, cost), cost)

    def watch(
        self, path: str | os.PathLike[str], on_event: Callable[[_native.WatchEvent], object]
    ) -> Watch:
        """Put the policy of a file in force, and follow the file from then on.

        When the file changes, its policy is put in force as by `update`, within a second. A file
        that cannot be read or is wrong changes nothing. It may be written in place, replaced, or
        reached through symbolic links that change; it may vanish and come back.

        Parameters
        ----------
        path : str or os.PathLike
            The file: `.toml`, `.json`, or the text of either, in UTF-8.
        on_event : callable
            Called with a `WatchEvent` after each change, in the watching thread. What it raises
            goes to `sys.unraisablehook`.

        Returns
        -------
        Watch
            Keep it: the file is followed until it is closed, or nobody refers to it any more.

        Raises
        ------
        OSError
            When the file cannot be read now, or cannot be followed.
        PolicyError
            When its policy is wrong now. The limiter keeps the policy it has.
        """
        if not callable(on_event):
            raise TypeError(f"on_event: expected a callable, got {type(on_event).__name__}")
        return Watch(self._watch(path, on_event))

    async def wait_async(
        self, key: _Key, cost: int = 1, *, timeout: float | timedelta | None = None
    ) -> Decision:
        """As `wait`, for asyncio: other tasks run meanwhile, and no thread is used.

        A cancelled task gives up its place and takes nothing.

        Parameters
        ----------
        key : str, bytes or mapping
            Who is limited, as for `acquire`.
        cost : int, optional
            Units taken from every count limit.
        timeout : float, int or timedelta, optional
            Seconds to wait at most; None waits as long as it takes.

        Returns
        -------
        Decision
            True when admitted; False when waiting cannot help, or not in time.
        """
        from tidegate import _wait  # asyncio is loaded for those who use it

        return await _wait.wait(self, key, cost, timeout)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<tidegate.{type(self).__name__}{name}>"

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError(
            "a Limiter cannot be pickled or copied: its state lives in this process; "
            "give the other process the policy and make a limiter there"
        )


def _check_utf8(option: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        remedy = "give text that has a UTF-8 form"
        message = f"{option}: the string has lone surrogates; {remedy}"
        raise ArgumentError(message, option, remedy) from None


Limiter.__module__ = "tidegate"
