"""Waiting in asyncio: a future and at most one timer for each waiter, and no thread."""

from __future__ import annotations

import asyncio

from tidegate._native import Decision, Limiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta

    from tidegate._native import _Key


class _Wakeup:
    """Wakes one coroutine from any thread; remembers a wake-up that comes before the sleep."""

    __slots__ = ("_future", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future = loop.create_future()

    def arm(self) -> asyncio.Future[None]:
        if self._future.done():
            self._future = self._loop.create_future()
        return self._future

    def notify(self) -> None:
        self._loop.call_soon_threadsafe(self.wake)

    def wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


async def wait(
    limiter: Limiter, key: _Key, cost: int, timeout: float | timedelta | None
) -> Decision:
    loop = asyncio.get_running_loop()
    wakeup = _Wakeup(loop)
    ticket = limiter._queue(key, cost, timeout, wakeup.notify)
    try:
        while True:
            woken = wakeup.arm()  # before asking, or a wake-up in between were lost
            turn = ticket.poll()
            if isinstance(turn, Decision):
                return turn
            timer = None if turn is None else loop.call_later(turn, wakeup.wake)
            try:
                await woken
            finally:
                if timer is not None:
                    timer.cancel()
    finally:
        ticket.close()  # a cancelled waiter takes nothing
