"""A pacer in asyncio: one timer for all that wait in an event loop, and no thread."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import threading
from types import CoroutineType

from tidegate import _retries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from tidegate._native import _PacerCall


class _Timers:
    """Who wants to be woken when, in one event loop: a heap, and a timer for its first."""

    __slots__ = ("_armed", "_count", "_due", "_live", "_timer", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._due: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0  # tells equal times apart
        self._live = 0  # entries whose future is awaited still
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0.0

    async def wait(self, future: asyncio.Future[None], seconds: float) -> None:
        """Awaits a future, for so long at most."""
        time = self.loop.time() + seconds
        self._count += 1
        self._live += 1
        heapq.heappush(self._due, (time, self._count, future))
        if self._timer is None or time < self._armed:
            self._arm(time)
        try:
            await future
        finally:
            self._live -= 1
            self._tidy()

    def _arm(self, time: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = time
        self._timer = self.loop.call_at(time, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.loop.time()
        due = self._due
        while due and (due[0][0] <= now or due[0][2].done()):
            future = heapq.heappop(due)[2]
            if not future.done():
                future.set_result(None)
        if due:
            self._arm(due[0][0])

    def _tidy(self) -> None:
        """Throws out entries of those that something else woke, once they are most."""
        if self._live and len(self._due) < 64 + 2 * self._live:
            return
        self._due = [entry for entry in self._due if not entry[2].done()]
        heapq.heapify(self._due)
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Local(threading.local):
    timers: _Timers | None = None


_local = _Local()


def _timers() -> _Timers:
    loop = asyncio.get_running_loop()
    timers = _local.timers
    if timers is None or timers.loop is not loop:
        timers = _local.timers = _Timers(loop)
    return timers


class _Waiter:
    """Wakes one coroutine from any thread; remembers a wake-up that comes before the sleep."""

    __slots__ = ("_call", "_future", "_timers")

    def __init__(self, timers: _Timers, call: _PacerCall) -> None:
        self._timers = timers
        self._call = call
        self._future: asyncio.Future[None] = timers.loop.create_future()

    def notify(self) -> None:
        loop = self._timers.loop
        if asyncio._get_running_loop() is loop:
            self._wake()
            return
        try:
            loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # The loop was closed, with its task left: what the call was given is for others.
            self._call.close()

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def turn(self) -> None:
        """Returns when the call may go; raises when it is given up."""
        timers, call = self._timers, self._call
        notify = self.notify
        while True:
            future = self._future = timers.loop.create_future()  # before asking
            turn = call.poll(notify)
            if turn is True:
                return
            if turn is None:
                await future
            else:
                await timers.wait(future, turn)


async def run(
    call: _PacerCall,
    function: Callable[..., Awaitable[Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    try:
        while True:
            if not call.may_go():
                await _Waiter(_timers(), call).turn()
            try:
                made = function(*args, **kwargs)
                # (The first look is the quick one.)
                if type(made) is not CoroutineType and not inspect.isawaitable(made):
                    raise _not_awaitable(made)
                result = await made
            except Exception as error:
                again, response = call.raised(error)
                if not again:
                    raise
            else:
                again, response = call.returned(result)
                if not again:
                    return result
            _retries.warn(function)
            await _release(response)
    finally:
        call.close()  # a cancelled task holds nothing


def _not_awaitable(made: object) -> TypeError:
    return TypeError(
        f"function: expected one that returns an awaitable, got {type(made).__name__}; "
        "use call, or asyncio.to_thread"
    )


async def _release(response: Any) -> None:
    """Lets go of a response that nobody will read, so that its connection is free.

    What goes wrong is not what the call came to: the loop's handler hears of it.
    """
    try:
        for name in ("aclose", "release", "close"):
            release = getattr(response, name, None)
            if release is not None:
                released = release()
                if inspect.isawaitable(released):
                    await released
                return
    except Exception as error:
        context = {"message": "a refused response could not be closed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
