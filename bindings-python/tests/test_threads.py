"""Threads: sums are exact, waiting lets others run, and Ctrl-C ends it."""

import _thread
import sys
import threading
import time

import pytest
import tidegate


def in_threads(count, work):
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(index):
        barrier.wait()
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_eight_threads_never_exceed_a_limit(clock):
    limiter = tidegate.Limiter("5000/minute; 20000/hour", clock=clock)

    def work(_):
        return sum(limiter.try_acquire("a") for _ in range(2000))

    assert sum(in_threads(8, work)) == 5000
    assert limiter.stats().allowed == 5000
    assert limiter.stats().limited == 11_000


def test_threads_that_meet_a_key_first_share_its_state(clock):
    limiter = tidegate.Limiter("100/hour", clock=clock)

    def work(_):
        return [limiter.try_acquire(f"key:{index}", 30) for index in range(500)]

    admitted = [sum(answers) for answers in zip(*in_threads(8, work), strict=True)]
    assert admitted == [3] * 500


def test_wait_admits_at_once_or_denies_at_once(clock):
    limiter = tidegate.Limiter("1/minute", clock=clock)
    assert limiter.wait("a", timeout=0)
    denied = limiter.wait("a", timeout=59.9)
    assert not denied and denied.reason == "limited" and denied.retry_after == 60.0
    assert limiter.wait("a", 2).reason == "impossible"


def test_wait_sleeps_until_the_clock_moves(clock):
    limiter = tidegate.Limiter("1/second", clock=clock)
    assert limiter.try_acquire("a")
    done = []
    waiting = threading.Thread(target=lambda: done.append(limiter.wait("a")))
    waiting.start()
    assert not done  # the clock stands still, so it cannot be done
    clock.advance(1)
    waiting.join()
    assert done[0] and done[0].remaining == 0
    assert not limiter.try_acquire("a")


def test_wait_with_a_clock_that_runs():
    limiter = tidegate.Limiter("1000/second burst 1")
    start = time.monotonic_ns()
    assert all(limiter.wait("a") for _ in range(3))
    assert time.monotonic_ns() - start >= 1_900_000  # two pauses of a millisecond


def test_a_release_wakes_a_waiter(clock):
    limiter = tidegate.Limiter(
        {"limit": [{"name": "r", "method": "concurrency", "quota": 1}]}, clock=clock
    )
    assert limiter.try_acquire("a")
    done = []
    waiting = threading.Thread(target=lambda: done.append(limiter.wait("a")))
    waiting.start()
    limiter.release("a")
    waiting.join()
    assert done[0]


def test_many_waiters_share_what_drips_in(clock):
    limiter = tidegate.Limiter("4/second", clock=clock)
    limiter.acquire("a", 4)
    threads = [threading.Thread(target=limiter.wait, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    rounds = 0
    while any(thread.is_alive() for thread in threads):
        clock.advance(0.25)
        rounds += 1
        for thread in threads:
            thread.join(0.001)
    assert rounds >= 8  # eight units take eight drips
    assert limiter.stats().allowed == 9


def test_ctrl_c_ends_a_wait_and_takes_nothing(clock):
    limiter = tidegate.Limiter("1/second", clock=clock)
    limiter.acquire("a")
    main = threading.get_ident()

    def blocked():
        limiter.wait("a")

    def interrupt():
        # The clock stands still: once main is in `blocked`, only the signal gets it out.
        while sys._current_frames()[main].f_code is not blocked.__code__:
            pass
        _thread.interrupt_main()

    helper = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):
        helper.start()
        blocked()
    helper.join()
    clock.advance(1)
    assert limiter.try_acquire("a")


def test_a_queue_is_first_come_first_served(clock):
    limiter = tidegate.Limiter("1/second burst 3", clock=clock)
    limiter.acquire("a", 3)
    woken = []
    big = limiter._queue("a", 3, None, lambda: woken.append("big"))
    small = limiter._queue("a", 1, None, lambda: woken.append("small"))
    assert big.poll() is None and small.poll() is None
    clock.advance(1)
    assert not isinstance(small.poll(), tidegate.Decision)  # one unit, but big came first
    assert not isinstance(big.poll(), tidegate.Decision)
    clock.advance(2)
    assert "big" in woken
    assert big.poll().allowed
    assert not isinstance(small.poll(), tidegate.Decision)
    clock.advance(1)
    assert small.poll().allowed
    with pytest.raises(tidegate.Error, match="closed already"):
        small.poll()


def test_a_waiter_that_gives_up_takes_nothing_and_lets_the_next_one_go(clock):
    limiter = tidegate.Limiter("1/second", clock=clock)
    limiter.acquire("a")
    woken = []
    first = limiter._queue("a", 1, None, lambda: woken.append("first"))
    second = limiter._queue("a", 1, None, lambda: woken.append("second"))
    assert first.poll() is None and second.poll() is None
    first.close()
    first.close()
    clock.advance(1)
    assert "second" in woken
    assert second.poll().allowed
