"""One pacer, many threads, signals and processes."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading

import pytest
import tidegate
from pacer_kit import Answer, limited, script


def test_threads_stress():
    pacer = tidegate.Pacer(concurrency=4, base=0, max_retries=1000, max_failures=0)
    going, most, lock, finished = 0, 0, threading.Lock(), []

    def work(seed: int) -> None:
        rng = random.Random(seed)

        def attempt() -> Answer:
            nonlocal going, most
            with lock:
                going += 1
                most = max(most, going)
            try:
                roll = rng.random()
                if roll < 0.1:
                    raise ValueError("mine")
                return limited(0) if roll < 0.3 else Answer()
            finally:
                with lock:
                    going -= 1

        done = 0
        for _ in range(200):
            try:
                done += pacer.call(attempt).status_code == 200
            except ValueError:
                done += 1
        finished.append(done)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = pacer.stats()
    assert finished == [200] * 16 and stats.calls == 3_200
    assert stats.attempts == stats.calls + stats.retries and stats.limited == stats.retries
    assert (stats.in_flight, stats.waiting) == (0, 0) and most <= 4


def test_waiting_threads_are_let_go_by_close(clock):
    pacer = tidegate.Pacer("1/hour", clock=clock, headroom=0)
    pacer.call(lambda: None)
    raised = []

    def work() -> None:
        try:
            pacer.call(lambda: None)
        except tidegate.PacerClosed as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while pacer.stats().waiting < 3:
        threading.Event().wait(0.0005)
    pacer.close()
    for thread in threads:
        thread.join()
    assert len(raised) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_ends_the_wait_of_the_main_thread(clock):
    pacer = tidegate.Pacer("1/hour", clock=clock, headroom=0)
    pacer.call(lambda: None)

    def interrupt() -> None:
        while not pacer.stats().waiting:
            threading.Event().wait(0.0005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        pacer.call(lambda: None)
    thread.join()
    assert (pacer.stats().waiting, pacer.stats().in_flight) == (0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_begins_anew():
    pacer = tidegate.Pacer(concurrency=1)
    enter, leave = threading.Event(), threading.Event()

    def slow() -> str:
        enter.set()
        leave.wait()
        return "fine"

    results = []
    threads = [threading.Thread(target=lambda: results.append(pacer.call(slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    enter.wait()
    while not pacer.stats().waiting:
        threading.Event().wait(0.0005)
    child = os.fork()
    if child == 0:
        # One call of the parent is under way, and one waits: here none does.
        code = 1
        try:
            code = 0 if pacer.call(lambda: "child") == "child" else 2
            stats = pacer.stats()
            code = code or (0 if (stats.in_flight, stats.waiting) == (0, 0) else 3)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    leave.set()
    for thread in threads:
        thread.join()
    assert results == ["fine", "fine"] and pacer.stats().in_flight == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_begins_anew_with_its_first_call():
    """Also when nothing is in its way: a call of the parent is neither counted nor waited for, nor finished here."""
    limiter = tidegate.Limiter({"limit": [{"method": "concurrency", "quota": 2}]})
    pacer = tidegate.Pacer(limiter, key="k", concurrency=2)
    seen = []

    def look() -> None:
        seen.append((pacer.stats().in_flight, limiter.snapshot("k").buckets[0].used))

    child = pacer.call(lambda: [os.fork(), look()][0])
    if child == 0:
        # The call that it was forked in has ended, and the next one begins.
        code = 1
        try:
            pacer.call(look)
            look()
            code = 0 if seen == [(0, 0), (1, 1), (0, 0)] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    look()
    assert seen == [(1, 1), (0, 0)]


def test_listeners_may_call_the_pacer(clock):
    told = []

    def on_event(event: tidegate.PacerEvent) -> None:
        told.append((event.kind, pacer.stats().retries))
        pacer.with_options(label="nested").label

    pacer = tidegate.Pacer(clock=clock, base=0, on_event=on_event)
    pacer.call(script(limited(0), Answer()))
    assert told == [("pause", 1), ("retry", 1)]
