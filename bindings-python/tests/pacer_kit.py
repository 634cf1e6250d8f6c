"""What the tests of the pacer share: responses of no library, and ways to let time pass."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import tidegate


class Answer:
    """A response as most libraries have them."""

    def __init__(self, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = status_code
        self.headers = dict(headers or {})
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Refused(Exception):
    """An exception that carries a response."""

    def __init__(self, response: Any) -> None:
        super().__init__("refused")
        self.response = response


def limited(seconds: float | str | None = None) -> Answer:
    return Answer(429, {} if seconds is None else {"Retry-After": str(seconds)})


def script(*answers: Any) -> Callable[..., Any]:
    """A function that gives one answer after another; exceptions are raised."""
    left = list(answers)

    def attempt(*args: Any, **kwargs: Any) -> Any:
        answer = left.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return attempt


def script_async(*answers: Any) -> Callable[..., Any]:
    attempt = script(*answers)

    async def attempt_async(*args: Any, **kwargs: Any) -> Any:
        return attempt()

    return attempt_async


async def settle() -> None:
    """Lets every task run until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)


def pass_time(
    clock: tidegate.ManualClock, pacer: tidegate.Pacer, work: Callable[[], Any], step: float = 0.05
) -> Any:
    """Runs work in a thread, and moves the clock whenever nothing is under way; its result."""
    result: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        stats = pacer.stats()
        if stats.waiting and not stats.in_flight:
            clock.advance(step)
            # Lets go at once whoever may go now, before its thread has woken up.
            pacer.observe({})
        thread.join(0.0005)
    if failed:
        raise failed[0]
    return result[0]
