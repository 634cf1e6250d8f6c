"""Bad input: the right exception, and a message that names the argument."""

import math
from collections import UserDict
from datetime import timedelta

import pytest
import tidegate

BIG = 1 << 64

# call, arguments, exception, what the message says
BAD = [
    ("acquire", (42,), TypeError, "^key: expected str or bytes, got int"),
    ("acquire", (None,), TypeError, "key: expected"),
    ("acquire", (bytearray(b"a"),), TypeError, "got bytearray"),
    ("acquire", (memoryview(b"a"),), TypeError, "got memoryview"),
    ("acquire", ("\ud800",), tidegate.ArgumentError, "key: the string has lone surrogates"),
    ("acquire", ("a", -1), tidegate.ArgumentError, "cost: the number is negative"),
    ("acquire", ("a", BIG), tidegate.ArgumentError, "cost: the number is more than 64 bits"),
    ("acquire", ("a", 10**5000), tidegate.ArgumentError, "cost: "),
    ("acquire", ("a", -(10**5000)), tidegate.ArgumentError, "cost: the number is negative"),
    ("acquire", ("a", 1.0), TypeError, "^cost: expected an int, got float"),
    ("acquire", ("a", "1"), TypeError, "cost: expected"),
    ("acquire", ("a", True), TypeError, "^cost: expected an int, got bool"),
    ("acquire", ("a", None), TypeError, "cost: expected"),
    ("acquire", (), TypeError, "key"),
    ("acquire", ("a", 1, 5), TypeError, "positional"),
    ("try_acquire", ("a", -1), tidegate.ArgumentError, "cost"),
    ("try_acquire", ([],), TypeError, "key: expected"),
    ("acquire_many", (["a", 42],), TypeError, r"^keys\[1\]: expected str or bytes, got int"),
    ("acquire_many", (["a", b"a", None],), TypeError, r"^keys\[2\]: expected .*NoneType"),
    ("acquire_many", (["a"] * 40 + [bytearray(b"a")],), TypeError, r"^keys\[40\]: .*bytearray"),
    ("acquire_many", (("a", "\ud800"),), tidegate.ArgumentError, r"^keys\[1\]: .*surrogates"),
    ("acquire_many", (iter(["a", ["a"]]),), TypeError, r"^keys\[1\]: .*got list"),
    ("acquire_many", ("a",), TypeError, "^keys: expected an iterable of str or bytes.*got str"),
    ("acquire_many", (b"a",), TypeError, "^keys: expected an iterable.*got bytes"),
    ("acquire_many", (bytearray(),), TypeError, "^keys: expected an iterable.*got bytearray"),
    ("acquire_many", (42,), TypeError, "^keys: expected an iterable.*got int"),
    ("acquire_many", (None,), TypeError, "^keys: expected an iterable.*got NoneType"),
    ("acquire_many", (["a"], -1), tidegate.ArgumentError, "^cost: the number is negative"),
    ("acquire_many", (["a"], 1.0), TypeError, "^cost: expected"),
    ("acquire_many", (["a"], 1, 5), TypeError, "positional"),
    ("acquire_many", (), TypeError, "keys"),
    ("peek", ("a", -1), tidegate.ArgumentError, "cost"),
    ("reserve", ("a", -1), tidegate.ArgumentError, "cost"),
    ("reserve", ("a",), TypeError, "cost"),
    ("refund", ("a", -1), tidegate.ArgumentError, "cost"),
    ("penalize", ("a", -1), tidegate.ArgumentError, "units"),
    ("penalize", ("a", 1.5), TypeError, "units: expected"),
    ("record_latency", ("a", -1), tidegate.ArgumentError, "duration: the duration is negative"),
    ("record_latency", ("a", -0.1), tidegate.ArgumentError, "duration: the duration is negative"),
    ("record_latency", ("a", timedelta(-1)), tidegate.ArgumentError, "duration: .*negative"),
    ("record_latency", ("a", math.nan), tidegate.ArgumentError, "duration: nan"),
    ("record_latency", ("a", math.inf), tidegate.ArgumentError, "duration: an infinite"),
    ("record_latency", ("a", 1e300), tidegate.ArgumentError, "duration: the duration is too long"),
    ("record_latency", ("a", BIG), tidegate.ArgumentError, "duration: the duration is too long"),
    ("record_latency", ("a", "1"), TypeError, "duration: expected"),
    ("record_latency", ("a", True), TypeError, "duration: .*got bool"),
    ("record_latency", ("a",), TypeError, "'duration' .seconds. or 'duration_ns'"),
    ("block", ("a", -1.0), tidegate.ArgumentError, "duration"),
    ("block", ("a",), TypeError, "'duration'"),
    ("wait", ("a", -1), tidegate.ArgumentError, "cost"),
    ("measure", (42,), TypeError, "key: expected"),
    ("measure", ("a", -1), tidegate.ArgumentError, "cost"),
    ("update", (42,), TypeError, "policy: expected a str or a mapping, got int"),
    ("update", (b"1/minute",), TypeError, "policy: .*got bytes"),
    ("update", ("",), tidegate.PolicyError, "policy: .*100/minute"),
]

BAD_KEYWORDS = [
    ("acquire", {"now_ns": -1}, tidegate.ArgumentError, "now_ns: the number is negative"),
    ("acquire", {"now_ns": 1 << 62}, tidegate.ArgumentError, "now_ns: the time is beyond"),
    ("acquire", {"now_ns": 1.0}, TypeError, "now_ns: expected"),
    ("acquire", {"now": 1}, TypeError, "now"),
    ("record_latency", {"duration": 1, "duration_ns": 1}, TypeError, "not both"),
    ("record_latency", {"duration_ns": -1}, tidegate.ArgumentError, "duration_ns"),
    ("wait", {"timeout": -1}, tidegate.ArgumentError, "timeout"),
    ("wait", {"timeout": math.nan}, tidegate.ArgumentError, "timeout: nan"),
    ("wait", {"timeout": math.inf}, tidegate.ArgumentError, "timeout: an infinite"),
    ("wait", {"timeout": "5"}, TypeError, "timeout: expected"),
    ("snapshot", {"now_ns": -1}, tidegate.ArgumentError, "now_ns"),
]


@pytest.mark.parametrize(("call", "arguments", "error", "message"), BAD)
def test_bad_arguments(clock, call, arguments, error, message):
    limiter = tidegate.Limiter("5/minute; 5s/minute", clock=clock)
    before = limiter.snapshot("a")
    with pytest.raises(error, match=message):
        getattr(limiter, call)(*arguments)
    assert limiter.snapshot("a") == before


@pytest.mark.parametrize(("call", "keywords", "error", "message"), BAD_KEYWORDS)
def test_bad_keywords(clock, call, keywords, error, message):
    limiter = tidegate.Limiter("5/minute; 5s/minute", clock=clock)
    with pytest.raises(error, match=message):
        getattr(limiter, call)("a", **keywords)


def test_what_an_iterable_raises_comes_through(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)

    def keys(raised):
        yield "a"
        raise raised

    for raised in (TypeError("mine"), KeyboardInterrupt("mine"), LookupError("mine")):
        with pytest.raises(type(raised)) as caught:
            limiter.acquire_many(keys(raised))
        assert caught.value is raised
    with pytest.raises(tidegate.ArgumentError, match="^now_ns: the number is negative"):
        limiter.acquire_many(["a"], now_ns=-1)
    with pytest.raises(tidegate.ArgumentError) as caught:
        limiter.acquire_many(["a", "\ud800"])
    assert caught.value.field == "keys[1]"
    assert limiter.peek("a", 0).remaining == 5


def test_a_batch_is_what_it_was_when_it_was_given(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    keys = ["first " * 9, "second " * 9]

    class Clearing:
        def __index__(self):
            keys.clear()
            return 2

    assert [seen.remaining for seen in limiter.acquire_many(keys, Clearing())] == [3, 3]
    assert keys == []
    assert limiter.peek("first " * 9, 0).remaining == 3


def test_argument_errors_tell_the_field(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    with pytest.raises(tidegate.ArgumentError) as caught:
        limiter.acquire("a", -1)
    assert caught.value.field == "cost"
    assert "0 to 18446744073709551615" in caught.value.remedy
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, tidegate.Error)


def test_a_bad_settlement_leaves_the_reservation_open(clock):
    limiter = tidegate.Limiter("10/minute", clock=clock)
    reservation = limiter.reserve("a", 5)
    with pytest.raises(tidegate.ArgumentError, match="actual"):
        reservation.settle(-1)
    with pytest.raises(tidegate.ArgumentError, match="now_ns"):
        reservation.settle(1, now_ns=-1)
    reservation.settle(1)
    assert limiter.peek("a", 0).remaining == 9


BAD_OPTIONS = [
    ({"max_keys": 0}, tidegate.ArgumentError, "max_keys"),
    ({"max_keys": -1}, tidegate.ArgumentError, "max_keys: the number is negative"),
    ({"max_keys": 1.5}, TypeError, "max_keys"),
    ({"on_full": "explode"}, tidegate.ArgumentError, "on_full.*inherit"),
    ({"on_full": None}, TypeError, "on_full: expected a str, got NoneType"),
    ({"store": "floppy:"}, tidegate.ArgumentError, "store"),
    ({"store": 1}, TypeError, "store: expected a str, got int"),
    ({"clock": "sundial"}, tidegate.ArgumentError, "clock"),
    ({"clock": "sundial"}, tidegate.ArgumentError, '"counter", "system", "coarse"'),
    (
        {"clock": 5},
        TypeError,
        "clock: expected None, 'counter', 'system', 'coarse' or a ManualClock, got int",
    ),
    ({"name": 5}, TypeError, "name: expected a str, got int"),
    ({"max_key": 5}, TypeError, "max_key"),
    ({"name": "a\ud800"}, tidegate.ArgumentError, "^name: the string has lone surrogates"),
    ({"store": "memory:\udfff"}, tidegate.ArgumentError, "^store: the string has lone surrogates"),
    ({"on_full": "\ud800"}, tidegate.ArgumentError, "^on_full: the string has lone surrogates"),
    ({"clock": "\ud800"}, tidegate.ArgumentError, "^clock: the string has lone surrogates"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        tidegate.Limiter("5/minute", **options)


class Number:
    """Stands for an int, or raises what it was given."""

    def __init__(self, outcome):
        self.outcome = outcome

    def __index__(self):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def __float__(self):
        raise ZeroDivisionError("never asked")


def test_numbers_of_other_types(clock):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    assert limiter.acquire("a", Number(3), now_ns=Number(clock.now_ns())).remaining == 2
    with pytest.raises(tidegate.ArgumentError, match="^cost: the number is negative"):
        limiter.acquire("a", Number(-1))
    with pytest.raises(tidegate.ArgumentError, match="^cost: the number is more than 64 bits"):
        limiter.acquire("a", Number(BIG))
    with pytest.raises(TypeError, match="^duration: expected seconds .*got Number"):
        limiter.record_latency("a", Number(1))


@pytest.mark.parametrize(
    "raised",
    [TypeError("mine"), OverflowError("mine"), KeyboardInterrupt("mine"), LookupError("mine")],
    ids=repr,
)
def test_what_a_number_raises_comes_through(clock, raised):
    limiter = tidegate.Limiter("5/minute", clock=clock)
    for call in (
        lambda: limiter.acquire("a", Number(raised)),
        lambda: limiter.try_acquire("a", cost=Number(raised)),
        lambda: limiter.peek("a", now_ns=Number(raised)),
        lambda: limiter.penalize("a", Number(raised)),
        lambda: tidegate.Limiter("1/minute", max_keys=Number(raised)),
    ):
        with pytest.raises(type(raised)) as caught:
            call()
        assert caught.value is raised


def test_options_are_keywords_only():
    with pytest.raises(TypeError):
        tidegate.Limiter("5/minute", None)
    with pytest.raises(TypeError):
        tidegate.Limiter()


BAD_MAPPINGS = [
    ({"limit": [{"rate": math.nan}]}, tidegate.PolicyError, r"limit\[0\]\.rate: nan is NaN or inf"),
    ({"scale": -math.inf}, tidegate.PolicyError, "policy: scale: -inf is NaN or infinite"),
    ({"limit": [{"quota": 10**5000}]}, tidegate.PolicyError, r"limit\[0\]\.quota: .*64 bits"),
    ({"limit": [{"quota": 2**64}]}, tidegate.PolicyError, r"limit\[0\]\.quota: .*64 bits"),
    ({1: "x"}, TypeError, "policy: field names are str, got int 1"),
    ({"limit": [{2: "x"}]}, TypeError, r"limit\[0\]: field names are str"),
    ({"limit": [{"rate": b"1/minute"}]}, TypeError, r"limit\[0\]\.rate: .*got bytes"),
    ({"limit": {"a", "b"}}, TypeError, "limit: .*got set"),
    ({"limit": []}, tidegate.PolicyError, "limit"),
    ({}, tidegate.PolicyError, "limit"),
    ("\ud800", tidegate.PolicyError, "lone surrogates"),
    (None, TypeError, "policy: expected a str or a mapping, got NoneType"),
    (["1/minute"], TypeError, "policy: .*got list"),
]


@pytest.mark.parametrize(("policy", "error", "message"), BAD_MAPPINGS)
def test_bad_mappings(policy, error, message):
    with pytest.raises(error, match=message):
        tidegate.Limiter(policy)


def test_what_a_mapping_raises_comes_through():
    class Own(UserDict):
        reads = 0

        def __getitem__(self, name):
            self.reads += 1
            if self.reads > self.allowed:
                raise ValueError("mine")
            return super().__getitem__(name)

    for allowed in (0, 1):  # a policy is looked over, and then read
        policy = Own(limit=[])
        policy.allowed = allowed
        with pytest.raises(ValueError, match="^mine$"):
            tidegate.Limiter(policy)


def test_a_circle_is_refused():
    policy = {}
    policy["limit"] = [policy]
    with pytest.raises(tidegate.PolicyError, match="nested too deeply"):
        tidegate.Limiter(policy)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        ((-1,), {}, tidegate.ArgumentError),
        ((math.nan,), {}, tidegate.ArgumentError),
        ((1e11,), {}, tidegate.ArgumentError),
        (("x",), {}, TypeError),
        ((1,), {"now_ns": 1}, TypeError),
        ((), {"now_ns": 1 << 62}, tidegate.ArgumentError),
    ],
)
def test_bad_clocks(arguments, keywords, error):
    with pytest.raises(error, match="now"):
        tidegate.ManualClock(*arguments, **keywords)


def test_bad_clock_moves(clock):
    for call in (clock.advance, clock.set):
        with pytest.raises(TypeError, match="missing argument"):
            call()
        with pytest.raises(tidegate.ArgumentError, match="negative"):
            call(-1)


def test_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.toml") as missing:
        tidegate.Limiter.from_file(tmp_path / "nowhere.toml")
    with pytest.raises(FileNotFoundError) as expected:
        (tmp_path / "nowhere.toml").open()
    assert str(missing.value) == str(expected.value)
    assert missing.value.filename == str(tmp_path / "nowhere.toml")
    with pytest.raises(IsADirectoryError):
        tidegate.Limiter.from_file(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(tidegate.PolicyError, match="UTF-8"):
        tidegate.Limiter.from_file(tmp_path / "latin.toml")
    (tmp_path / "wrong.toml").write_text('[[limit]]\nrate = "0/minute"\n')
    with pytest.raises(tidegate.PolicyError, match="wrong.toml") as caught:
        tidegate.Limiter.from_file(tmp_path / "wrong.toml")
    assert caught.value.line == 2
    with pytest.raises(TypeError):
        tidegate.Limiter.from_file(42)
