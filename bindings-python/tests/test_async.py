"""asyncio: order, cancellation, timeouts and ten thousand waiters, on a clock that a test moves."""

import asyncio
import threading
import time

import pytest
import tidegate


async def idle():
    """Lets every task run as far as it can."""
    for _ in range(25):
        await asyncio.sleep(0)


def start(*waits):
    return [asyncio.ensure_future(wait) for wait in waits]


def test_wait_async_admits_or_denies_at_once(clock):
    async def main():
        limiter = tidegate.Limiter("1/minute", clock=clock)
        assert await limiter.wait_async("a", timeout=0)
        assert not await limiter.wait_async("a", timeout=59.9)
        assert (await limiter.wait_async("a", 2)).reason == "impossible"
        with pytest.raises(tidegate.ArgumentError, match="timeout"):
            await limiter.wait_async("a", timeout=-1)

    asyncio.run(main())


def test_first_come_first_served(clock):
    async def main():
        limiter = tidegate.Limiter("1/second", clock=clock)
        limiter.acquire("a")
        tasks = start(*(limiter.wait_async("a") for _ in range(3)))
        for served in range(1, 4):
            await idle()
            assert sum(task.done() for task in tasks) == served - 1
            clock.advance(1)
            await idle()
            assert [task.done() for task in tasks] == [index < served for index in range(3)]
        assert all((await asyncio.gather(*tasks)))

    asyncio.run(main())


def test_a_cancelled_waiter_takes_nothing(clock):
    async def main():
        limiter = tidegate.Limiter("1/second", clock=clock)
        limiter.acquire("a")
        first, second = start(limiter.wait_async("a"), limiter.wait_async("a"))
        await idle()
        first.cancel()
        clock.advance(1)
        await idle()
        assert first.cancelled() and second.done() and second.result()
        assert limiter.stats().allowed == 2

    asyncio.run(main())


def test_a_wake_up_from_another_thread(clock):
    async def main():
        limiter = tidegate.Limiter("1/second", clock=clock)
        limiter.acquire("a")
        (task,) = start(limiter.wait_async("a"))
        await idle()
        mover = threading.Thread(target=clock.advance, args=(1,))
        mover.start()
        assert await task
        mover.join()

    asyncio.run(main())


def test_a_clock_that_runs():
    async def main():
        limiter = tidegate.Limiter("1000/second burst 1")
        start = time.monotonic_ns()
        assert all(await asyncio.gather(*(limiter.wait_async("a") for _ in range(3))))
        assert time.monotonic_ns() - start >= 1_900_000  # two pauses of a millisecond
        handles = asyncio.get_running_loop()._scheduled
        assert all(handle.cancelled() for handle in handles)  # no timer outlives its waiter

    asyncio.run(main())


def test_ten_thousand_waiters_need_no_thread(clock):
    async def main():
        limiter = tidegate.Limiter("10000/second", clock=clock)
        limiter.acquire("a", 10_000)
        order = []

        async def wait(index):
            assert await limiter.wait_async("a")
            order.append(index)

        threads = threading.active_count()
        tasks = start(*(wait(index) for index in range(10_000)))
        await idle()
        assert threading.active_count() == threads
        assert not order
        clock.advance(1)
        await asyncio.gather(*tasks)
        assert order == list(range(10_000))
        assert not limiter.try_acquire("a")

    asyncio.run(main())


def test_a_loop_that_is_gone_is_no_trouble(clock):
    limiter = tidegate.Limiter("1/second", clock=clock)
    limiter.acquire("a")
    loop = asyncio.new_event_loop()
    task = loop.create_task(limiter.wait_async("a"))
    loop.run_until_complete(idle())
    task.cancel()
    ticket = limiter._queue("a", 1, None, lambda: loop.call_soon_threadsafe(print))
    assert ticket.poll() is None
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    clock.advance(1)  # notifies the closed loop
    assert ticket.poll().allowed
