"""Processes: fork before and after use, spawn, and what can be pickled."""

import copy
import multiprocessing
import os
import pickle

import pytest
import tidegate


def in_child(work):
    """What `work()` returns in a forked child, and that the child came to its end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        answer = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return answer


fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@fork_only
def test_fork_before_the_first_use(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    assert in_child(lambda: sum(limiter.try_acquire("a") for _ in range(9))) == "5"
    assert sum(limiter.try_acquire("a") for _ in range(9)) == 5


@fork_only
def test_fork_after_use(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    limiter.acquire("a", 2)

    def work():
        admitted = sum(limiter.try_acquire("a") for _ in range(9))
        clock.advance(60)
        return admitted, limiter.wait("a", 5, timeout=1).allowed, limiter.try_acquire("new")

    assert in_child(work) == "(3, True, True)"
    assert sum(limiter.try_acquire("a") for _ in range(9)) == 3


@fork_only
def test_fork_with_the_system_clock():
    limiter = tidegate.Limiter("5/hour")
    limiter.acquire("a", 5)
    assert in_child(lambda: limiter.try_acquire("a")) == "False"


def spawned(policy):
    limiter = tidegate.Limiter(policy, clock=tidegate.ManualClock(1_700_000_000))
    return [limiter.acquire("a") for _ in range(3)]


def test_spawn_makes_its_own_limiter():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(spawned, ("2/minute",))
    assert there == spawned("2/minute")
    assert [decision.allowed for decision in there] == [True, True, False]


@pytest.mark.parametrize("pack", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_limiter_cannot_be_pickled_or_copied(pack):
    with pytest.raises(TypeError, match="its state lives in this process"):
        pack(tidegate.Limiter("5/minute"))


def test_live_things_cannot_be_pickled(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    for live in (clock, limiter.reserve("a", 1)):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(live)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_decisions_and_errors_can_be_pickled(clock, protocol):
    def again(value):
        return pickle.loads(pickle.dumps(value, protocol))

    limiter = tidegate.Limiter("5/minute", clock=clock)
    limiter.block("b", 5)
    for decision in (limiter.acquire("a"), limiter.acquire("a", 9), limiter.acquire("b")):
        assert again(decision) == decision
        assert copy.deepcopy(decision) == decision
    with pytest.raises(tidegate.RateLimited) as limited:
        limiter.measure("b").__enter__()
    assert again(limited.value).decision == limited.value.decision
    assert str(again(limited.value)) == str(limited.value)
    with pytest.raises(tidegate.PolicyError) as refused:
        tidegate.Limiter("5/fortnight")
    assert vars(again(refused.value)) == vars(refused.value)
    assert str(again(refused.value)) == str(refused.value)
