"""The pacer as users see it: the native one, with its options, decorators, asyncio and maps."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate import _native, _policy
from tidegate._errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import timedelta
    from typing import Any, Literal, ParamSpec, TypeVar

    from typing_extensions import Self

    from tidegate._limiter import Limiter
    from tidegate._native import ManualClock, PacerEvent, _Key
    from tidegate._pacer_map import PacedAsyncMap, PacedMap

    _P = ParamSpec("_P")
    _T = TypeVar("_T")
    _Item = TypeVar("_Item")
    _Function = TypeVar("_Function", bound=Callable[..., Any])
    _Class = Literal["passed", "limited", "unauthorized", "forbidden", "retry", "failed", "error"]


class Pacer(_native.Pacer):
    """Calls to somebody else's interface, paced so that they are not refused.

    A limiter, a cap on concurrent calls, retries with backoff, and a breaker, shared by everybody
    who has the pacer: any thread and any event loop may call it at any time. Every attempt pays,
    retries too. A refusal (429) pauses everyone. While a call sleeps its place is free for others.
    What is no refusal passes through at once, unchanged.

    Parameters
    ----------
    limit : str, mapping or Limiter, optional
        The server's limits: a rate string (`"100/minute"`), a policy, or a limiter that is shared
        with others. None: they are learned from the headers of responses.
    key : str, bytes or mapping, optional
        With a limiter: what each attempt asks it for.
    concurrency : int, optional
        Most calls under way at once, 1 to 1,000,000.
    headroom : int, optional
        Units by which bursts of a policy are lowered, so that calls that bunch up on their way
        do not exceed the server's; `concurrency` when left out.
    max_retries : int, optional
        Most retries of a call.
    base, cap : float, int or timedelta, optional
        Before a retry a call waits a random time of at most `base` seconds, doubled with each
        retry up to `cap`, on top of what the server asks for.
    max_retry_after : float, int or timedelta, optional
        A longer wait that the server asks for is an error at once.
    deadline : float, int or timedelta, optional
        How long a call may take in all; None: as long as it takes. An attempt under way is not
        cut short.
    seed : int, optional
        Makes the random times the same in each run.
    clock : ManualClock or {"counter", "system", "coarse"}, optional
        Where time comes from, as for `Limiter`; a limiter brings its own.
    near_limit : float, optional
        When so small a part of a quota is left by the server's headers, an event tells; a quota
        known only from headers is spread until its reset from then on. 0: never.
    max_unauthorized, max_forbidden : int, optional
        So many 401 or 403 in a row open the breaker; 0: none do.
    max_failures : int, optional
        So many calls in a row that were given up open the breaker; 0: none do.
    breaker_cooldown : float, int or timedelta, optional
        How long an open breaker lets nothing through, before one call may try.
    classify : callable, optional
        Called with what each attempt returned or raised. A str says what it means: `passed`,
        `limited`, `unauthorized`, `forbidden`, `retry`, `failed` or `error`; None: as by default.
    on_event : callable, optional
        Called with each `PacerEvent`, in the thread of a call. What it raises goes to
        `sys.unraisablehook`.
    on_near_limit : callable, optional
        As `on_event`, for events of the kind `near_limit` alone.

    Raises
    ------
    PolicyError
        When the policy is wrong.
    ArgumentError
        When an option has a bad value.
    TypeError
        When an argument has the wrong type or an option is unknown.

    Notes
    -----
    Without an adapter it understands results that have `status_code` (or `status` and `headers`),
    and exceptions that carry one as `response`, or are one: those of requests, httpx, aiohttp,
    urllib3, urllib, OpenAI, Anthropic. 429 is a refusal, and 503 when it tells how long to wait.

    After `os.fork` the child's pacer knows nothing of its parent's calls.

    Examples
    --------
    >>> pacer = tidegate.Pacer("100/minute", concurrency=4)
    >>> pacer.call(max, 3, 4)
    4
    >>> pacer.stats().calls
    1
    """

    __slots__ = ()

    def __new__(
        cls,
        limit: str | Mapping[str, Any] | _native.Limiter | None = None,
        *,
        key: _Key | None = None,
        concurrency: int = 10,
        headroom: int | None = None,
        max_retries: int = 5,
        base: float | timedelta = 1.0,
        cap: float | timedelta = 30.0,
        max_retry_after: float | timedelta = 60.0,
        deadline: float | timedelta | None = None,
        seed: int | None = None,
        clock: ManualClock | Literal["counter", "system", "coarse"] | None = None,
        near_limit: float = 0.1,
        max_unauthorized: int = 1,
        max_forbidden: int = 3,
        max_failures: int = 5,
        breaker_cooldown: float | timedelta = 30.0,
        classify: Callable[[Any], _Class | None] | None = None,
        on_event: Callable[[PacerEvent], object] | None = None,
        on_near_limit: Callable[[PacerEvent], object] | None = None,
    ) -> Self:
        settings = {
            "key": key,
            "concurrency": concurrency,
            "headroom": headroom,
            "max_retries": max_retries,
            "base": base,
            "cap": cap,
            "max_retry_after": max_retry_after,
            "deadline": deadline,
            "seed": seed,
            "clock": clock,
            "near_limit": near_limit,
            "max_unauthorized": max_unauthorized,
            "max_forbidden": max_forbidden,
            "max_failures": max_failures,
            "breaker_cooldown": breaker_cooldown,
            **_source(limit, key),
        }
        given = {name: value for name, value in settings.items() if value is not None}
        told = _listener(on_event, on_near_limit)
        _check_callable("classify", classify)
        pacer = super().__new__(cls, None, given, {})
        if classify is not None or told is not None:
            pacer._hook(classify, told)
        return pacer

    def with_options(
        self,
        *,
        label: str | None = None,
        cost: int | None = None,
        max_retries: int | None = None,
        deadline: float | timedelta | None = None,
    ) -> Self:
        """The same pacer, with other options for the calls made by what is returned.

        Everything else is shared: limits, places, pauses, statistics.

        Parameters
        ----------
        label : str, optional
            What errors and events call these calls.
        cost : int, optional
            Units that each attempt takes from count limits.
        max_retries : int, optional
            Most retries of a call.
        deadline : float, int or timedelta, optional
            How long a call may take in all, in seconds.

        Examples
        --------
        >>> pacer = tidegate.Pacer("100/minute")
        >>> pacer.with_options(label="item 17", cost=2).call(max, 3, 4)
        4
        """
        options = {
            "label": label,
            "cost": cost,
            "max_retries": max_retries,
            "deadline": deadline,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return super().__new__(type(self), self, {}, given)

    async def call_async(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """As `call`, for asyncio: no thread, and one timer for all that wait in an event loop.

        A task that is cancelled gives its place back.

        Parameters
        ----------
        function : callable
            Makes one attempt: a coroutine function, or one that returns an awaitable.
        *args, **kwargs
            All go to the function.

        Returns
        -------
        object
            What awaiting gave.
        """
        result: _T = await (_run or _load())(self._begin(), function, args, kwargs)
        return result

    def wrap(self, function: _Function, /) -> _Function:
        """A function that is called through the pacer; also a decorator.

        A coroutine function stays one. Without a label its calls have the function's name.

        Examples
        --------
        >>> pacer = tidegate.Pacer("100/minute")
        >>> @pacer.wrap
        ... def fetch(item):
        ...     return item
        >>> fetch(3)
        3
        """
        import functools
        import inspect

        from tidegate import _retries

        if not callable(function):
            raise TypeError(f"wrap: expected a function, got {type(function).__name__}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                "wrap: a generator function returns before its work is done; "
                "wrap the function that makes each request"
            )
        _retries.warn(function)
        name = getattr(function, "__qualname__", "")
        pacer = self if self.label or not isinstance(name, str) else self.with_options(label=name)

        @functools.wraps(function)
        def paced(*args: Any, **kwargs: Any) -> Any:
            return pacer.call(function, *args, **kwargs)

        @functools.wraps(function)
        async def paced_async(*args: Any, **kwargs: Any) -> Any:
            return await pacer.call_async(function, *args, **kwargs)

        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)
        )
        return paced_async if is_async else paced  # type: ignore[return-value]

    def map(
        self,
        function: Callable[[_Item], _T],
        items: Iterable[_Item],
        *,
        concurrency: int | None = None,
        progress: bool = False,
        return_exceptions: bool = False,
    ) -> PacedMap[_T]:
        """Call a function for each item through the pacer, from several threads.

        Nothing happens before what is returned is iterated over: `list(pacer.map(...))`.

        Parameters
        ----------
        function : callable
            Called with one item.
        items : iterable
            Read at once.
        concurrency : int, optional
            Most threads; the pacer's `concurrency` when left out.
        progress : bool, optional
            Show a progress bar, where tqdm is installed.
        return_exceptions : bool, optional
            Give exceptions as results, instead of raising the first.

        Returns
        -------
        PacedMap
            Its iteration gives the results, in the order of the items. One that an exception or a
            `break` ended keeps what is finished: iterate again to go on.
        """
        from tidegate._pacer_map import PacedMap

        return PacedMap(self, function, items, concurrency, progress, return_exceptions)

    def map_async(
        self,
        function: Callable[[_Item], Awaitable[_T]],
        items: Iterable[_Item],
        *,
        concurrency: int | None = None,
        progress: bool = False,
        return_exceptions: bool = False,
    ) -> PacedAsyncMap[_T]:
        """As `map`, for asyncio: await it for a list, or iterate with `async for`.

        Parameters
        ----------
        function : callable
            Called with one item; a coroutine function, or one that returns an awaitable.
        items : iterable
            Read at once.
        concurrency : int, optional
            Most tasks; the pacer's `concurrency` when left out.
        progress, return_exceptions
            As for `map`.
        """
        from tidegate._pacer_map import PacedAsyncMap

        return PacedAsyncMap(self, function, items, concurrency, progress, return_exceptions)

    def __repr__(self) -> str:
        label = f" {self.label!r}" if self.label else ""
        return f"<tidegate.{type(self).__name__}{label}>"

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError(
            "a Pacer cannot be pickled or copied: its state lives in this process; "
            "make one in the other process"
        )


# What makes a call in asyncio, which is loaded for those who use it.
_run: Callable[..., Awaitable[Any]] | None = None


def _load() -> Callable[..., Awaitable[Any]]:
    global _run
    from tidegate._pacer_async import run

    _run = run
    return run


def _source(
    limit: str | Mapping[str, Any] | _native.Limiter | None, key: _Key | None
) -> dict[str, Any]:
    """Where the limits come from, as the native pacer takes it."""
    if isinstance(limit, _native.Limiter):
        return {"limiter": limit}
    if key is not None:
        remedy = "leave it out, or give a Limiter"
        raise ArgumentError(f"key: without a limiter there are no keys; {remedy}", "key", remedy)
    if limit is None:
        return {}
    if not isinstance(limit, (str, Mapping)):
        raise TypeError(
            f"limit: expected a str, a mapping or a Limiter, got {type(limit).__name__}"
        )
    return {"policy": _policy.read(limit)}


def _listener(
    on_event: Callable[[PacerEvent], object] | None,
    on_near_limit: Callable[[PacerEvent], object] | None,
) -> Callable[[PacerEvent], object] | None:
    _check_callable("on_event", on_event)
    _check_callable("on_near_limit", on_near_limit)
    near = on_near_limit
    if near is None:
        return on_event

    def tell(event: PacerEvent) -> None:
        try:
            if event.kind == "near_limit":
                near(event)
        finally:
            if on_event is not None:
                on_event(event)

    return tell


def _check_callable(name: str, function: Any) -> None:
    if function is not None and not callable(function):
        raise TypeError(f"{name}: expected a callable, got {type(function).__name__}")


Pacer.__module__ = "tidegate"
