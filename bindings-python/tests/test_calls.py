"""Every call of the contract, once, with numbers that a reader can check by hand."""

import math
from datetime import timedelta
from types import MappingProxyType

import pytest
import tidegate
from conftest import NOON

MINUTE = 60_000_000_000


def make(policy, clock, **options):
    return tidegate.Limiter(policy, clock=clock, **options)


def test_acquire_counts_down_and_denies(clock):
    limiter = make("3/minute", clock)
    answers = [limiter.acquire("a") for _ in range(4)]
    assert [a.allowed for a in answers] == [True, True, True, False]
    assert [a.remaining for a in answers] == [2, 1, 0, 0]
    assert [a.reason for a in answers] == ["ok", "ok", "ok", "limited"]
    assert all(a.limit == 3 for a in answers)
    assert bool(answers[0]) and not bool(answers[3])
    assert answers[3].retry_after == 20.0
    assert answers[3].retry_after_ns == 20_000_000_000
    assert answers[3].reset_after == 60.0
    assert answers[0].retry_after == 0.0 and answers[0].retry_after_ns == 0


def test_keys_are_apart_and_text_is_its_utf8(clock):
    limiter = make("1/minute", clock)
    assert limiter.try_acquire("é")
    assert not limiter.try_acquire("é".encode())
    assert limiter.try_acquire("e")
    assert limiter.try_acquire(b"\xff\x00")
    assert not limiter.try_acquire(b"\xff\x00")
    assert limiter.try_acquire("") and not limiter.try_acquire(b"")


def test_cost_and_keyword_arguments(clock):
    limiter = make("10/minute", clock)
    assert limiter.acquire(key="a", cost=4).remaining == 6
    assert limiter.try_acquire(key="a", cost=6)
    assert not limiter.try_acquire("a", 1)
    assert limiter.try_acquire("a", 0)


def test_impossible_never_comes_back(clock):
    denied = make("10/minute", clock).acquire("a", 11)
    assert denied.reason == "impossible"
    assert denied.retry_after == math.inf
    assert denied.retry_after_ns is None


def test_acquire_many_is_acquire_of_each(clock):
    many, single = make("2/minute; 5/hour", clock), make("2/minute; 5/hour", clock)
    keys = ["a", b"b", "é", "é".encode(), b"\xff\x00", "a", "", "a", b""]
    for limiter in (many, single):
        limiter.block(b"\xff\x00", 9)
    answers = many.acquire_many(keys)
    assert answers == [single.acquire(key) for key in keys]
    assert isinstance(answers, list)
    assert [seen.remaining for seen in answers] == [1, 1, 1, 0, 0, 0, 1, 0, 0]
    assert [seen.reason for seen in answers].count("blocked") == 1
    assert many.stats() == single.stats()


def test_acquire_many_takes_any_iterable(clock):
    limiter = make("1/minute", clock)
    assert limiter.acquire_many([]) == limiter.acquire_many(()) == limiter.acquire_many({}) == []
    assert limiter.acquire_many(f"user:{number}" for number in range(100)) == limiter.acquire_many(
        f"other:{number}" for number in range(100)
    )
    assert all(limiter.acquire_many({"in a set"}, cost=1))
    assert all(limiter.acquire_many(keys={"in a dict": 1}))
    assert not any(limiter.acquire_many(("in a set", "in a dict")))
    later = clock.now_ns() + MINUTE
    answers = limiter.acquire_many(["in a set", "in a set"], now_ns=later)
    assert [bool(seen) for seen in answers] == [True, False]


def test_peek_changes_nothing(clock):
    limiter = make("2/minute", clock)
    assert limiter.peek("a", 2)
    assert limiter.peek("a", 2).remaining == limiter.acquire("a", 2).remaining == 0
    assert not limiter.peek("a")


@pytest.mark.parametrize("spent", [30, 30.0, timedelta(seconds=30)])
def test_record_latency_spends_time(clock, spent):
    limiter = make("30s/minute", clock)
    assert limiter.try_acquire("a")
    limiter.record_latency("a", spent)
    assert not limiter.try_acquire("a")


def test_record_latency_in_nanoseconds_is_exact(clock):
    limiter = make("30s/minute", clock)
    limiter.record_latency("a", duration_ns=29_999_999_999)
    assert limiter.acquire("a").remaining == 1
    limiter.record_latency("a", duration_ns=1)
    assert not limiter.try_acquire("a")


def test_reserve_settles_the_difference(clock):
    limiter = make("1000/minute", clock)
    with limiter.reserve("a", 600) as reservation:
        assert reservation.decision.remaining == 400
        reservation.settle(412)
    assert limiter.peek("a", 0).remaining == 588
    limiter.reserve("a", 500).cancel()
    assert limiter.peek("a", 0).remaining == 588
    limiter.reserve("a", 500).settle(588)
    assert limiter.peek("a", 0).remaining == 0


def test_reserve_denied_is_false_or_raises(clock):
    limiter = make("10/minute", clock)
    assert limiter.reserve("a", 8)
    denied = limiter.reserve("a", 3)
    assert not denied and denied.decision.remaining == 2
    with pytest.raises(tidegate.RateLimited) as caught, denied:
        pytest.fail("the block must not run")
    assert caught.value.decision == denied.decision
    assert limiter.peek("a", 0).remaining == 2


def test_reserve_stands_when_left_and_closes_once(clock):
    limiter = make("10/minute", clock)
    with pytest.raises(KeyError), limiter.reserve("a", 8):
        raise KeyError
    assert limiter.peek("a", 0).remaining == 2
    reservation = limiter.reserve("a", 2)
    reservation.settle(1)
    with pytest.raises(tidegate.Error, match="already settled"):
        reservation.settle(0)
    with pytest.raises(tidegate.Error, match="already settled"):
        reservation.cancel()


def test_refund_release_penalize(clock):
    limiter = make({"limit": [{"rate": "10/minute"}]}, clock)
    limiter.acquire("a", 10)
    limiter.refund("a", 4)
    assert limiter.peek("a", 0).remaining == 4
    limiter.penalize("a", 9)
    assert limiter.acquire("a").retry_after == 36.0  # 5 units of debt and one more, 6 s each
    rooms = make({"limit": [{"name": "r", "method": "concurrency", "quota": 1}]}, clock)
    assert rooms.try_acquire("a") and not rooms.try_acquire("a")
    rooms.release("a")
    assert rooms.try_acquire("a")


def test_block_and_reset(clock):
    limiter = make("1/minute", clock)
    limiter.acquire("a")
    limiter.block("a", timedelta(minutes=5))
    denied = limiter.acquire("a")
    assert (denied.reason, denied.retry_after, denied.name) == ("blocked", 300.0, "")
    assert limiter.snapshot("a").blocked_for == 300.0
    limiter.reset("a")
    assert limiter.try_acquire("a")
    limiter.block("b", 10)
    limiter.block("b", 0)
    assert limiter.try_acquire("b")


def test_update_keeps_what_was_used(clock):
    def policy(rate):
        return {"limit": [{"name": "requests", "rate": rate}]}

    limiter = make(policy("100/minute"), clock)
    limiter.acquire("a", 90)
    limiter.update(policy("200/minute"))
    before = limiter.peek("a", 0)
    assert before.limit == 200 and before.remaining == 10
    limiter.update(policy("20/minute"), now_ns=clock.now_ns())
    assert limiter.peek("a", 0).remaining == 10
    limiter.update(policy("200/minute"))
    assert limiter.peek("a", 0).remaining == 10
    before = limiter.peek("a", 0)
    with pytest.raises(tidegate.PolicyError):
        limiter.update("0/minute")
    assert limiter.peek("a", 0) == before


def test_snapshot_names_every_bucket(clock):
    limiter = make(
        {"limit": [{"name": "n", "algorithm": "fixed_window", "cascade": ["2/minute", "5/hour"]}]},
        clock,
    )
    limiter.acquire("a", 3)
    first, second = limiter.snapshot("a").buckets
    assert (first.limit, first.name, first.method) == ("n", "2/minute", "count")
    assert (first.quota, first.capacity, first.used, first.remaining) == (2, 2, 2, 0)
    assert (second.name, second.used, second.remaining) == ("5/hour", 1, 4)
    assert first.refresh_after == 60.0 and first.refresh_after_ns == MINUTE
    assert limiter.snapshot("a") == limiter.snapshot("a")
    assert limiter.snapshot("a") != limiter.snapshot("b")
    assert repr(first).startswith("BucketSnapshot(limit='n', name='2/minute', method='count'")


def test_stats_count_decisions(clock):
    limiter = make("1/minute", clock, max_keys=1000, name="api")
    limiter.acquire("a"), limiter.acquire("a"), limiter.acquire("a", 2)
    stats = limiter.stats()
    assert (stats.allowed, stats.limited, stats.impossible) == (1, 1, 1)
    assert stats.keys == 1
    assert stats.capacity >= 1000
    assert limiter.name == "api" and repr(limiter) == "<tidegate.Limiter 'api'>"


def test_explicit_time(clock):
    limiter = make("1/second", clock)
    start = clock.now_ns()
    assert limiter.try_acquire("a", now_ns=start)
    assert not limiter.try_acquire("a", now_ns=start + 999_999_999)
    assert limiter.peek("a", now_ns=start + 1_000_000_000)
    assert limiter.acquire("a", now_ns=start + 1_000_000_000)
    assert clock.now_ns() == start


def test_retry_after_in_seconds_is_never_too_short(clock):
    limiter = make("7/month", clock)
    limiter.acquire("a", 7)
    denied = limiter.acquire("a")
    clock.advance(denied.retry_after)
    assert limiter.try_acquire("a")


@pytest.mark.parametrize("span", range(10**17, 10**17 + 5))
def test_a_float_of_seconds_is_rounded_up(clock, span):
    limiter = make("1/minute", clock)
    limiter.block("a", duration_ns=span)  # floats this large lie 15 nanoseconds apart
    denied = limiter.acquire("a")
    assert denied.retry_after_ns == span
    clock.advance(denied.retry_after)
    assert limiter.try_acquire("a")


def test_decision_is_a_value(clock):
    limiter = make({"limit": [{"name": "it's", "rate": "5/minute"}]}, clock)
    one, same, other = limiter.peek("a"), limiter.peek("b"), limiter.peek("a", 2)
    assert one == same and hash(one) == hash(same) and one is not same
    assert one != other and one != "decision"
    assert repr(one) == (
        "Decision(allowed=True, reason='ok', limit=5, remaining=4, retry_after=0.0, "
        'reset_after=12.0, name="it\'s")'
    )
    with pytest.raises(AttributeError):
        one.allowed = False
    with pytest.raises(TypeError):
        tidegate.Decision()


def test_manual_clock():
    clock = tidegate.ManualClock(NOON + 0.5)
    assert clock.now() == NOON + 0.5
    assert clock.now_ns() == NOON * 10**9 + 500_000_000
    clock.advance(1)
    clock.advance(timedelta(microseconds=1))
    clock.advance(duration_ns=1)
    assert clock.now_ns() == NOON * 10**9 + 1_500_001_001
    clock.set(timedelta(seconds=5))
    assert clock.now() == 5.0 and repr(clock) == "ManualClock(5.0)"
    clock.set(now_ns=7)
    assert clock.now_ns() == 7
    assert tidegate.ManualClock().now_ns() == 0


def test_mapping_policies(clock):
    rate = MappingProxyType({"name": "x", "rate": "2/minute"})
    limiter = make(MappingProxyType({"limit": (rate,)}), clock)
    assert limiter.acquire("a").name == "x"


def test_system_clock_by_name():
    assert tidegate.Limiter("5/minute", clock="system").try_acquire("a")
    assert tidegate.Limiter("5/minute", clock=None).try_acquire("a")


@pytest.mark.parametrize("name", [None, "counter", "system", "coarse"])
def test_clocks_run(name):
    # A token drips each nanosecond: an empty bucket has some again once time has passed.
    limiter = tidegate.Limiter("1000000000/second", clock=name)
    assert limiter.try_acquire("a", 1_000_000_000)
    while limiter.peek("a", 0).remaining == 0:
        pass
    limiter.block("b", 3600)
    assert 3000 < limiter.peek("b").retry_after <= 3600


def test_from_file(tmp_path, clock):
    path = tmp_path / "policy.toml"
    path.write_text('[[limit]]\nname = "n"\nrate = "2/minute"\n')
    assert tidegate.Limiter.from_file(path, clock=clock).acquire("a").name == "n"
    assert tidegate.Limiter.from_file(str(path)).acquire("a").limit == 2


def test_a_subclass_of_the_users(clock):
    class Mine(tidegate.Limiter):
        pass

    assert isinstance(Mine("1/minute", clock=clock), Mine)
