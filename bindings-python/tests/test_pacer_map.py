"""Maps through a pacer: in order, capped, resumable."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import ModuleType
from typing import Any

import pytest
import tidegate
from pacer_kit import Refused, limited, settle


class Flaky:
    """Fails for some items until it is mended; counts its calls."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.calls: list[int] = []
        self.going = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, item: int) -> int:
        with self._lock:
            self.calls.append(item)
            self.going += 1
            self.most = max(self.most, self.going)
        try:
            threading.Event().wait(0.0001)
            if item in self.bad:
                raise ValueError(item)
            return item * item
        finally:
            with self._lock:
                self.going -= 1

    async def awaited(self, item: int) -> int:
        await asyncio.sleep(0)
        return self(item)


@pytest.fixture
def pacer() -> tidegate.Pacer:
    return tidegate.Pacer(concurrency=4, base=0)


def test_results_are_in_order_and_calls_capped(pacer):
    work = Flaky()
    assert list(pacer.map(work, range(50))) == [item * item for item in range(50)]
    assert sorted(work.calls) == list(range(50)) and 1 < work.most <= 4
    assert list(pacer.map(work, (item for item in ()))) == []
    work.most = 0
    list(pacer.map(work, range(10), concurrency=1))
    assert work.most == 1


def test_an_exception_ends_it_and_iterating_again_resumes(pacer):
    work = Flaky(20)
    squares = pacer.map(work, range(40))
    got = []
    with pytest.raises(ValueError, match="20"):
        for square in squares:
            got.append(square)
    assert got == [item * item for item in range(20)]
    assert work.going == 0 and list(squares.failed) == [20]
    assert set(range(20)) <= set(squares.finished) and 20 in squares.pending
    kept = set(squares.finished)
    assert "finished" in repr(squares) and len(squares) == 40
    work.bad.clear()
    work.calls.clear()
    assert list(squares) == [item * item for item in range(40)]
    assert sorted(work.calls) == sorted(set(range(40)) - kept)
    assert squares.pending == [] and squares.failed == {}
    work.calls.clear()
    assert list(squares)[-1] == 39 * 39 and work.calls == []


def test_exceptions_as_results(pacer):
    results = list(pacer.map(Flaky(1), range(3), return_exceptions=True))
    assert (results[0], results[2]) == (0, 4) and isinstance(results[1], ValueError)


def test_a_break_ends_the_threads(pacer):
    squares = pacer.map(Flaky(), range(1000))
    before = threading.active_count()
    for square in squares:
        if square == 9:
            break
    assert threading.active_count() == before
    assert 4 <= len(squares.finished) < 1000
    assert len(list(squares)) == 1000


def test_who_waits_gives_up_when_the_map_ends(clock):
    pacer = tidegate.Pacer("1/hour", clock=clock, headroom=0, concurrency=3)
    squares = iter(pacer.map(Flaky(), range(10)))
    assert next(squares) == 0
    while pacer.stats().waiting < 3:
        threading.Event().wait(0.0005)
    squares.close()  # else it would last an hour
    assert pacer.stats().waiting == 0


def test_refusals_are_retried_and_what_is_given_up_is_raised():
    pacer = tidegate.Pacer(concurrency=2, base=0, max_retries=1, max_failures=0)
    seen: set[int] = set()

    def work(item: int) -> int:
        if item == 3 or item not in seen:
            seen.add(item)
            raise Refused(limited(0))
        return item

    with pytest.raises(tidegate.RetriesExhausted):
        list(pacer.map(work, range(5)))


def test_bad_arguments(pacer):
    with pytest.raises(TypeError, match="function"):
        pacer.map(3, [])
    with pytest.raises(TypeError, match="not iterable"):
        pacer.map(str, 3)
    with pytest.raises(TypeError, match="concurrency"):
        pacer.map(str, [], concurrency="many")
    with pytest.raises(ValueError, match="concurrency"):
        pacer.map(str, [], concurrency=0)
    squares = pacer.map(Flaky(), range(3))
    first = iter(squares)
    next(first)
    with pytest.raises(RuntimeError, match="once at a time"):
        next(iter(squares))


def test_progress(pacer, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total: int, initial: int) -> None:
            self.total, self.count, self.closed = total, initial, False
            bars.append(self)

        def update(self) -> None:
            self.count += 1

        def close(self) -> None:
            self.closed = True

    tqdm = ModuleType("tqdm")
    tqdm.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm", tqdm)
    list(pacer.map(Flaky(), range(7), progress=True))

    async def main() -> None:
        await pacer.map_async(Flaky().awaited, range(7), progress=True)

    asyncio.run(main())
    assert [(bar.total, bar.count, bar.closed) for bar in bars] == [(7, 7, True)] * 2
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert list(pacer.map(Flaky(), range(3), progress=True)) == [0, 1, 4]


def test_map_async(pacer):
    async def main() -> None:
        work = Flaky()
        assert await pacer.map_async(work.awaited, range(20)) == [i * i for i in range(20)]
        got: list[Any] = []
        work.bad.add(5)
        squares = pacer.map_async(work.awaited, range(12))
        with pytest.raises(ValueError, match="5"):
            async for square in squares:
                got.append(square)
        assert got == [0, 1, 4, 9, 16] and list(squares.failed) == [5]
        work.bad.clear()
        work.calls.clear()
        assert await squares == [i * i for i in range(12)]
        assert set(work.calls).isdisjoint(range(5)) and 5 in work.calls
        results = await pacer.map_async(Flaky(0).awaited, [0, 1], return_exceptions=True)
        assert isinstance(results[0], ValueError) and results[1] == 1

    asyncio.run(main())


def test_map_async_that_is_cancelled(clock):
    async def main() -> None:
        pacer = tidegate.Pacer("2/hour", clock=clock, headroom=0)
        squares = pacer.map_async(Flaky().awaited, range(10))
        task = asyncio.ensure_future(squares._all())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pacer.stats().waiting == 0 and squares.finished == {0: 0, 1: 1}

    asyncio.run(main())
