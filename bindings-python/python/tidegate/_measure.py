"""Measuring work: acquire before it, record its latency and release its permit after it."""

from __future__ import annotations

from tidegate._errors import Error, RateLimited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    from tidegate._native import Admission, Decision, Limiter, _Key

    _Function = TypeVar("_Function", bound=Callable[..., Any])


class Measure:
    """What `Limiter.measure` returns: a context manager (also async) and a decorator."""

    __slots__ = ("_admission", "_cost", "_key", "_limiter")

    _admission: Admission | None

    def __init__(self, limiter: Limiter, key: _Key, cost: int) -> None:
        self._limiter = limiter
        self._key = key
        self._cost = cost
        self._admission = None

    def __enter__(self) -> Decision:
        if self._admission is not None:
            raise Error("measure: entered already; call limiter.measure() for each block")
        admission = self._limiter._admit(self._key, self._cost)
        if not admission.decision:
            raise RateLimited(admission.decision)
        self._admission = admission
        return admission.decision

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.finish()

    async def __aenter__(self) -> Decision:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, value, traceback)

    def renew(self) -> bool:
        """Begin the time of the block's permits anew (`max_hold` in the policy).

        For work that lasts long; call it inside the block.

        Returns
        -------
        bool
            False when the permits have been reclaimed, or the block is not entered.
        """
        return self._admission is not None and self._admission.renew()

    def __call__(self, function: _Function) -> _Function:
        """Measure every call of a function or coroutine function; its signature stays."""
        import functools
        import inspect

        if not callable(function):
            raise TypeError(f"measure: expected a function, got {type(function).__name__}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                "measure: a generator function returns before its work is done; "
                "use `with limiter.measure(...)` inside it"
            )
        limiter, key, cost = self._limiter, self._key, self._cost

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with Measure(limiter, key, cost):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def measured_async(*args: Any, **kwargs: Any) -> Any:
            with Measure(limiter, key, cost):
                return await function(*args, **kwargs)

        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)
        )
        return measured_async if is_async else measured  # type: ignore[return-value]
