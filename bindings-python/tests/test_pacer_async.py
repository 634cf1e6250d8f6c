"""The pacer in asyncio: no thread, one timer a loop, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
import tidegate
from pacer_kit import Answer, Refused, limited, script, script_async, settle


class Slots:
    """Attempts that last until they are let go."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.most = 0
        self._going = 0
        self._gate = asyncio.Event()

    async def attempt(self, item: Any = None) -> Any:
        self.begun.append(item)
        self._going += 1
        self.most = max(self.most, self._going)
        try:
            await self._gate.wait()
        finally:
            self._going -= 1
        return item

    def open(self) -> None:
        self._gate.set()


def test_c6_the_number_of_calls_under_way_is_capped(clock):
    async def main() -> None:
        pacer, slots = tidegate.Pacer(clock=clock, concurrency=3), Slots()
        tasks = [asyncio.create_task(pacer.call_async(slots.attempt, i)) for i in range(8)]
        await settle()
        assert slots.begun == [0, 1, 2] and pacer.stats().waiting == 5
        slots.open()
        assert await asyncio.gather(*tasks) == list(range(8))
        assert slots.begun == list(range(8)) and slots.most == 3

    asyncio.run(main())


def test_the_place_is_free_while_a_call_sleeps(clock):
    async def main() -> None:
        pacer = tidegate.Pacer(clock=clock, concurrency=1, classify=lambda a: a, base=1, seed=1)
        sleeper = asyncio.create_task(pacer.call_async(script_async("retry", "passed")))
        await settle()
        assert pacer.stats().waiting == 1
        # (One that fails by itself pauses nobody.)
        assert await pacer.call_async(script_async("passed")) == "passed"
        clock.advance(1)
        assert await sleeper == "passed"

    asyncio.run(main())


def test_a_refusal_pauses_the_others(clock):
    async def main() -> None:
        pacer, log = tidegate.Pacer("100/second", clock=clock, base=0), []
        begun = clock.now()

        async def attempt(name: str) -> Answer:
            log.append((name, clock.now() - begun))
            return limited(3) if len(log) == 1 else Answer()

        first = asyncio.create_task(pacer.call_async(attempt, "first"))
        await settle()
        others = [asyncio.create_task(pacer.call_async(attempt, "other")) for _ in range(4)]
        await settle()
        assert log == [("first", 0)]
        clock.advance(2.999)
        await settle()
        assert len(log) == 1
        for _ in range(10):
            clock.advance(0.011)
            await settle()
        assert (await first).status_code == 200
        await asyncio.gather(*others)
        assert all(at >= 3.0 for _, at in log[1:]) and len(log) == 6

    asyncio.run(main())


def test_outcomes_pass_and_are_raised_as_in_threads(clock):
    async def main() -> None:
        pacer = tidegate.Pacer(clock=clock, base=0, max_failures=0)
        error = ValueError("mine")
        with pytest.raises(ValueError) as caught:
            await pacer.call_async(script_async(error))
        assert caught.value is error
        last = Refused(limited())
        with pytest.raises(tidegate.RetriesExhausted) as given_up:
            await pacer.with_options(max_retries=1, label="a").call_async(
                script_async(limited(), last)
            )
        assert given_up.value.__cause__ is last
        assert (given_up.value.attempts, given_up.value.label) == (2, "a")
        with pytest.raises(TypeError, match="awaitable"):
            await pacer.call_async(script(3))
        assert pacer.stats().in_flight == 0

    asyncio.run(main())


@pytest.mark.parametrize("name", ["aclose", "release", "close"])
def test_a_response_that_is_retried_is_let_go(clock, name):
    released = []

    class Response:
        status, headers = 429, {"Retry-After": "0"}

    async def aclose(self: Any) -> None:
        released.append(name)

    def release(self: Any) -> None:
        released.append(name)

    setattr(Response, name, aclose if name == "aclose" else release)
    if name == "aclose":
        Response.close = lambda self: pytest.fail("a stream of asyncio")

    async def main() -> None:
        pacer = tidegate.Pacer(clock=clock, base=0)
        assert await pacer.call_async(script_async(Response(), "fine")) == "fine"

    asyncio.run(main())
    assert released == [name]


def test_cancelled_tasks_hold_nothing(clock):
    async def main() -> None:
        limiter = tidegate.Limiter(
            {"limit": [{"name": "slots", "method": "concurrency", "quota": 2}]}, clock=clock
        )
        pacer, slots = tidegate.Pacer(limiter, key="a", concurrency=5), Slots()
        tasks = [asyncio.create_task(pacer.call_async(slots.attempt, i)) for i in range(4)]
        await settle()
        assert slots.begun == [0, 1]
        for task in (tasks[0], tasks[2]):  # one under way, one that waits
            task.cancel()
        await settle()
        assert slots.begun == [0, 1, 3]
        slots.open()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [
            True,
            False,
            True,
            False,
        ]
        assert pacer.stats().in_flight == pacer.stats().waiting == 0
        assert limiter.snapshot("a").buckets[0].used == 0

    asyncio.run(main())


def test_cancelled_while_asleep_before_a_retry(clock):
    async def main() -> None:
        pacer = tidegate.Pacer(clock=clock)
        task = asyncio.create_task(pacer.call_async(script_async(limited(10))))
        await settle()
        assert pacer.stats().waiting == 1
        task.cancel()
        await settle()
        assert task.cancelled() and pacer.stats().waiting == 0

    asyncio.run(main())


def test_coroutines_that_are_forgotten_hold_nothing(clock):
    async def main() -> None:
        pacer, slots = tidegate.Pacer(clock=clock, concurrency=1), Slots()
        under_way, waiting = (pacer.call_async(slots.attempt) for _ in range(2))
        under_way.send(None)
        waiting.send(None)
        assert (pacer.stats().in_flight, pacer.stats().waiting) == (1, 1)
        del waiting
        gc.collect()
        assert (pacer.stats().in_flight, pacer.stats().waiting) == (1, 0)
        del under_way
        gc.collect()
        assert (pacer.stats().in_flight, pacer.stats().waiting) == (0, 0)

    asyncio.run(main())


def test_ten_thousand_wait_with_no_thread_and_one_timer(clock):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        threads = threading.active_count()
        pacer, slots = tidegate.Pacer(concurrency=10, deadline=3600), Slots()
        tasks = [
            asyncio.create_task(pacer.call_async(slots.attempt, i)) for i in range(10_000)
        ]
        await settle()
        assert (pacer.stats().in_flight, pacer.stats().waiting) == (10, 9_990)
        assert threading.active_count() == threads
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]
        assert len(timers) == 1
        slots.open()
        assert await asyncio.gather(*tasks) == list(range(10_000))
        await settle()
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []

    asyncio.run(main())


def test_timers_ring_in_order():
    from tidegate._pacer_async import _Timers

    class Loop(asyncio.SelectorEventLoop):
        now = 0.0

        def time(self) -> float:
            return self.now

    loop, rung = Loop(), []
    timers = _Timers(loop)

    async def wait(seconds: float) -> None:
        await timers.wait(loop.create_future(), seconds)
        rung.append(seconds)

    def pending() -> list[float]:
        return [timer.when() for timer in loop._scheduled if not timer.cancelled()]

    try:
        tasks = [loop.create_task(wait(seconds)) for seconds in (5.0, 3.0, 9.0, 3.0, 1.0)]
        loop.run_until_complete(settle())
        tasks.pop().cancel()
        for now, expected in [(2.0, []), (3.0, [3.0, 3.0]), (8.0, [3.0, 3.0, 5.0])]:
            loop.now = now
            loop.run_until_complete(settle())
            assert rung == expected and len(pending()) == 1
        loop.now = 9.0
        loop.run_until_complete(settle())
        assert rung == [3.0, 3.0, 5.0, 9.0] and pending() == []
        # Those that something else wakes are thrown out, while others wait.
        tasks = [loop.create_task(wait(100.0 + n)) for n in range(1000)]
        loop.run_until_complete(settle())
        for task in tasks[1:]:
            task.cancel()
        loop.run_until_complete(settle())
        assert len(timers._due) < 100 and pending() == [109.0]
        tasks[0].cancel()
        loop.run_until_complete(settle())
        assert pending() == []
    finally:
        loop.close()


def test_loops_in_several_threads_share_a_pacer():
    pacer = tidegate.Pacer(concurrency=4)
    going, most, lock = 0, 0, threading.Lock()

    async def attempt() -> None:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        await asyncio.sleep(0)
        with lock:
            going -= 1

    async def many() -> None:
        await asyncio.gather(*(pacer.call_async(attempt) for _ in range(500)))

    def threaded() -> None:
        for _ in range(500):
            pacer.call(lambda: None)

    work = [lambda: asyncio.run(many())] * 4 + [threaded] * 2
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = pacer.stats()
    assert (stats.calls, stats.in_flight, stats.waiting) == (3_000, 0, 0)
    assert 1 < most <= 4


def test_a_loop_that_is_closed_with_waiters(clock):
    pacer = tidegate.Pacer("1/hour", clock=clock, headroom=0)
    pacer.call(lambda: None)

    async def main() -> None:
        task = asyncio.create_task(pacer.call_async(script_async("never")))
        await settle()
        assert not task.done()

    asyncio.run(main())  # cancels the task
    assert pacer.stats().waiting == 0
    clock.advance(3600)
    assert pacer.call(lambda: "fine") == "fine"


def test_clients_that_retry_themselves_are_told_of(clock):
    class Client:
        max_retries = 2
        answers = script_async(limited(0), "fine")

        async def create(self) -> Any:
            return await type(self).answers()

    pacer = tidegate.Pacer(clock=clock, base=0)
    with pytest.warns(tidegate.RetryWarning, match="Client has max_retries=2"):
        assert asyncio.run(pacer.call_async(Client().create)) == "fine"


def test_wrap_keeps_coroutine_functions(clock):
    pacer = tidegate.Pacer(clock=clock, base=0)

    @pacer.wrap
    async def fetch(item: int) -> int:
        return item

    assert asyncio.iscoroutinefunction(fetch) and asyncio.run(fetch(3)) == 3
    assert pacer.stats().calls == 1


def test_what_others_give_back_wakes_whoever_waits(clock):
    """From this thread or another one; the clock stands still, so that nobody comes back by itself."""

    def release() -> None:
        limiter.release("k")

    async def main() -> None:
        pacer = tidegate.Pacer(limiter, key="k")
        for give in (release, lambda: asyncio.to_thread(release)):
            assert limiter.acquire("k")
            waiting = asyncio.create_task(pacer.call_async(script_async("fine")))
            await settle()
            assert pacer.stats().waiting == 1
            given = give()
            if given is not None:
                await given
            assert await waiting == "fine"

    policy = {"limit": [{"method": "concurrency", "quota": 1}]}
    limiter = tidegate.Limiter(policy, clock=clock)
    asyncio.run(main())
    assert limiter.snapshot("k").buckets[0].used == 0
