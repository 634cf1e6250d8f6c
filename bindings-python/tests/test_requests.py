"""Requests with attributes wherever a key may stand, and whose limits they meet."""

import asyncio
import copy
import ipaddress
import pickle
from collections import OrderedDict, UserDict
from types import MappingProxyType

import pytest
import tidegate

POLICY = {
    "limit": [
        {"name": "account", "by": ["account"], "rate": "100/day", "missing": "skip"},
        {"name": "address", "by": ["ip"], "rate": "9/minute", "missing": "skip"},
        {"name": "time", "rate": "10s/minute"},
        {"name": "at once", "method": "concurrency", "quota": 2, "max_hold": "1m"},
        {"name": "writes", "when": {"route": "POST /configs/:id"}, "rate": "3/hour"},
    ]
}
READ = {"key": "k1", "account": "acme", "route": "GET /configs/7"}
WRITE = {**READ, "route": "POST /configs/7"}


@pytest.fixture
def limiter(clock):
    return tidegate.Limiter(POLICY, clock=clock)


def used(limiter, request):
    return {bucket.limit: bucket.used for bucket in limiter.snapshot(request).buckets}


def test_a_request_meets_the_limits_that_concern_it(limiter):
    assert [bool(limiter.acquire(WRITE)) for _ in range(2)] == [True, True]
    limiter.release(WRITE), limiter.release(WRITE)
    third, fourth = limiter.acquire(WRITE), limiter.acquire(WRITE)
    assert third and not fourth and fourth.name == "writes"
    assert limiter.acquire(READ)
    assert used(limiter, READ) == {"account": 4, "time": 0, "at once": 2}


def test_every_call_takes_a_request(limiter, clock):
    now = {"now_ns": clock.now_ns()}
    assert limiter.try_acquire(WRITE) and limiter.acquire(WRITE, cost=2, **now)
    assert limiter.peek(READ).name == "at once" and not limiter.peek(READ, **now)
    assert used(limiter, WRITE) == {"account": 3, "time": 0, "at once": 2, "writes": 3}
    limiter.release(WRITE, **now), limiter.release(READ)
    limiter.refund(WRITE, 1), limiter.refund(WRITE, 1, **now)
    limiter.record_latency(WRITE, 1), limiter.record_latency(WRITE, duration_ns=5, **now)
    limiter.penalize(READ, 4)
    seen = {"account": 5, "time": 1_000_000_005, "at once": 0, "writes": 1}
    assert used(limiter, WRITE) == seen
    limiter.reserve(WRITE, 2).cancel()
    with limiter.reserve(WRITE, 2) as reservation:
        reservation.settle(0)
    limiter.release(WRITE)
    assert used(limiter, WRITE) == seen
    assert limiter.wait(READ, timeout=0)
    assert asyncio.run(limiter.wait_async(READ, timeout=0))
    assert used(limiter, READ)["at once"] == 2
    assert not limiter.wait(READ, timeout=0)
    limiter.reset(WRITE)
    assert used(limiter, WRITE) == {"account": 0, "time": 0, "at once": 2, "writes": 0}


def test_a_key_alone_is_a_request_with_that_key(limiter):
    limiter.acquire("k1"), limiter.acquire({"key": b"k1"})
    assert used(limiter, "k1") == used(limiter, {"key": "k1"}) == {"time": 0, "at once": 2}


@pytest.mark.parametrize("kind", [dict, OrderedDict, UserDict, MappingProxyType])
def test_any_mapping_is_a_request(limiter, kind):
    assert limiter.acquire(kind(WRITE)).limit == 2
    assert used(limiter, kind(READ))["account"] == 1


def test_values_may_be_bytes_and_addresses(limiter):
    for address in (
        "203.0.113.9",
        b"203.0.113.9",
        ipaddress.ip_address("203.0.113.9"),
        "2001:db8::1",
        ipaddress.ip_address("2001:db8::2"),
    ):
        limiter.acquire({"key": str(address), "ip": address})
    assert used(limiter, {"ip": "203.0.113.9"})["address"] == 3
    assert used(limiter, {"ip": ipaddress.ip_address("2001:db8::ff")})["address"] == 2


def test_a_batch_may_mix_keys_and_requests(clock):
    many, single = (tidegate.Limiter(POLICY, clock=clock) for _ in range(2))
    batch = ["k1", WRITE, b"k2", READ, {"key": "k3", "ip": "::1"}, "k1"]
    for limiter in (many, single):
        limiter.block({"ip": "::1"}, 5)
    answers = many.acquire_many(batch)
    assert answers == [single.acquire(subject) for subject in batch]
    assert [seen.reason for seen in answers] == ["ok", "ok", "ok", "limited", "blocked", "limited"]
    assert many.stats() == single.stats()
    later = {"now_ns": clock.now_ns() + 60_000_000_000}
    assert many.acquire_many(iter(batch), 1, **later) == single.acquire_many(batch, **later)


def test_one_attribute_is_blocked(limiter):
    request = {**READ, "ip": "203.0.113.9"}
    limiter.block({"ip": "203.0.113.9"}, 60)
    assert limiter.acquire(READ)
    denied = limiter.acquire(request)
    assert (denied.reason, denied.retry_after) == ("blocked", 60.0)
    limiter.block({"ip": "203.0.113.9"}, 0)
    assert limiter.acquire(request)
    with pytest.raises(tidegate.ArgumentError, match="one attribute") as caught:
        limiter.block(request, 60)
    assert caught.value.field == "request"


def test_permits_are_renewed(limiter, clock):
    limiter.acquire(READ)
    clock.advance(59)
    assert limiter.renew(READ) is True
    clock.advance(59)
    assert used(limiter, READ)["at once"] == 1
    clock.advance(16)  # a permit is reclaimed a quarter of max_hold late at most
    assert used(limiter, READ)["at once"] == 0
    assert limiter.renew(READ, now_ns=clock.now_ns()) is False


def test_without_a_permit_there_is_none_to_renew(clock):
    measure = tidegate.Limiter("9/minute", clock=clock).measure("a")
    with measure:
        assert measure.renew() is False


def test_measured_work_renews_its_own_permit(limiter, clock):
    measure = limiter.measure(READ)
    assert measure.renew() is False
    with measure:
        clock.advance(59)
        assert measure.renew() is True
        clock.advance(59)
        assert used(limiter, READ)["at once"] == 1
        clock.advance(16)
        assert measure.renew() is False
    assert measure.renew() is False


def test_measured_work_keeps_the_request_that_it_was_given(limiter):
    request = dict(READ)

    @limiter.measure(request, 2)
    def work():
        return used(limiter, READ)["account"]

    request["account"] = "other"
    assert (work(), work()) == (2, 4)


MISTAKES = [
    ({}, tidegate.ArgumentError, "key", "^key: the request has none"),
    ({"account": "a"}, tidegate.ArgumentError, "key", "^key: the request has none"),
    ({**READ, "ip": "nowhere"}, tidegate.ArgumentError, "ip", "^ip: "),
    ({"key": "\ud800"}, tidegate.ArgumentError, "key", "^key: the string has lone surrogates"),
    ({"user": "\ud800"}, tidegate.ArgumentError, "user", "^user: the string has lone surrogates"),
    ({"\ud800": "a"}, tidegate.ArgumentError, "key", "^key: the name of an attribute has lone"),
    ({"key": 42}, TypeError, None, "^key: expected str or bytes, got int"),
    ({"key": "a", "user": None}, TypeError, None, "^user: expected str or bytes, got NoneType"),
    ({"key": "a", "user": bytearray()}, TypeError, None, "^user: .*got bytearray"),
    ({"ip": 3221225985}, TypeError, None, "^ip: expected str, bytes or an address of ipaddress"),
    ({"host": ipaddress.ip_address("::1")}, TypeError, None, "^host: .*got IPv6Address"),
    ({1: "a"}, TypeError, None, "^key: names of attributes are str, got int"),
    ({b"key": "a"}, TypeError, None, "^key: names of attributes are str, got bytes"),
]
CALLS = {
    "acquire": (),
    "peek": (),
    "reserve": (1,),
    "refund": (1,),
    "release": (),
    "renew": (),
    "penalize": (1,),
    "record_latency": (1,),
    "wait": (),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("request_", "error", "field", "message"), MISTAKES)
def test_a_bad_request_names_the_attribute(limiter, call, request_, error, field, message):
    with pytest.raises(error, match=message) as caught:
        getattr(limiter, call)(request_, *CALLS[call])
    assert getattr(caught.value, "field", None) == field
    assert limiter.stats().allowed == limiter.stats().limited == 0


def test_a_bad_request_is_a_no_where_there_is_no_other_answer(limiter):
    assert limiter.try_acquire({"account": "a"}) is False
    with pytest.raises(TypeError, match="^user: expected"):
        limiter.try_acquire({"key": "a", "user": 1})
    with pytest.raises(TypeError, match="^user: expected"):
        limiter.measure({"key": "a", "user": 1})
    with pytest.raises(tidegate.ArgumentError, match="^user: .*surrogates"):
        limiter.measure({"key": "a", "user": "\ud800"})


def test_a_bad_request_in_a_batch_is_found_before_anything_is_charged(limiter):
    for bad, error, message in (
        ({"user": 1}, TypeError, r"^keys\[2\]\.user: expected str or bytes, got int"),
        ({1: "a"}, TypeError, r"^keys\[2\]: names of attributes are str"),
        ({"user": "\ud800"}, tidegate.ArgumentError, r"^keys\[2\]\.user: .*surrogates"),
        (42, TypeError, r"^keys\[2\]: expected str or bytes, got int"),
    ):
        with pytest.raises(error, match=message):
            limiter.acquire_many(["k1", READ, bad])
    assert used(limiter, READ) == {"account": 0, "time": 0, "at once": 0}


def test_a_request_is_what_it_was_when_it_was_given(limiter):
    request = {"key": "k" * 99, "account": "a" * 99}

    class Clearing:
        def __index__(self):
            request.clear()
            return 2

    assert limiter.acquire(request, Clearing())
    assert request == {}
    assert used(limiter, {"account": "a" * 99, "key": "k" * 99})["account"] == 2


def test_an_address_that_changes_the_request_as_it_is_read(limiter):
    class Address(ipaddress.IPv4Address):
        def __str__(self):
            request.clear()
            return "203.0.113.9"

    request = {"key": "a", "ip": Address("192.0.2.1"), "account": "acme"}
    assert limiter.acquire(request)
    assert used(limiter, {"key": "a", "ip": "203.0.113.9", "account": "acme"}) == {
        "account": 1,
        "address": 1,
        "time": 0,
        "at once": 1,
    }


def test_what_a_mapping_raises_comes_through(limiter):
    class Own(UserDict):
        def items(self):
            raise raised

    for raised in (TypeError("mine"), KeyboardInterrupt("mine"), LookupError("mine")):
        with pytest.raises(type(raised)) as caught:
            limiter.acquire(Own(READ))
        assert caught.value is raised


SHADOWED = """
default_plan = "free"
[[plan.free.limit]]
name    = "calls"
message = "Ask for more."
close   = true
cascade = [{ rate = "2/minute", algorithm = "fixed_window" }, { rate = "1/second", burst = 3 }]
[[limit]]
name   = "sooner"
rate   = "1/minute"
shadow = true
"""


def test_what_a_decision_tells_of_its_limit(clock):
    limiter = tidegate.Limiter(SHADOWED, clock=clock)
    first, second = limiter.acquire("a"), limiter.acquire("a")
    assert (first.plan, first.method, first.burst_remaining) == ("free", "count", 3)
    assert (first.window, first.window_ns) == (60.0, 60_000_000_000)
    assert (first.shadow, second.shadow) == (None, "sooner")
    assert (first.made_at, first.made_at_ns) == (clock.now(), clock.now_ns())
    denied = limiter.acquire("a", 4)
    assert (denied.message, denied.closes, denied.status) == ("Ask for more.", True, 429)
    assert (first.message, first.closes, first.status) == (None, False, 200)
    assert repr(second).endswith(
        "name='calls', plan='free', shadow='sooner', burst_remaining=3)"
    )
    permits = tidegate.Limiter({"limit": [{"method": "concurrency", "quota": 1}]}, clock=clock)
    held = permits.acquire("a")
    assert (held.plan, held.method) == (None, "concurrency")
    assert held.window is held.window_ns is held.burst_remaining is held.shadow is None


def test_when_it_was_made_is_no_part_of_a_decision(clock):
    limiter = tidegate.Limiter("1/hour", clock=clock)
    first = limiter.acquire("a")
    later = limiter.acquire("b", now_ns=clock.now_ns() + 1)
    assert first == later and hash(first) == hash(later) and first.made_at_ns != later.made_at_ns


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_decision_says_the_same(clock, protocol):
    limiter = tidegate.Limiter(SHADOWED, clock=clock)
    for cost in (1, 1, 4, 99):
        decision = limiter.acquire("a", cost)
        again = pickle.loads(pickle.dumps(decision, protocol))
        assert again == decision == copy.copy(decision) and hash(again) == hash(decision)
        assert repr(again) == repr(decision)
        for field in ("made_at_ns", "message", "closes", "status", "window_ns", "method"):
            assert getattr(again, field) == getattr(decision, field), field
        for style in ("legacy", "draft", "both"):
            assert again.headers(style) == decision.headers(style)
        for style in ("error", "message", "problem"):
            assert again.body(style) == decision.body(style)
