"""What the pacer means, line by line; time is moved by hand."""

from __future__ import annotations

import gc
import pickle
import urllib.error
import weakref
from datetime import timedelta
from email.message import Message
from typing import Any

import pytest
import tidegate
from pacer_kit import Answer, Refused, limited, pass_time, script

OPTIONS = {"base": 0, "max_failures": 0}


@pytest.fixture
def events() -> list[tidegate.PacerEvent]:
    return []


@pytest.fixture
def pacer(clock: tidegate.ManualClock, events: list[tidegate.PacerEvent]) -> tidegate.Pacer:
    return tidegate.Pacer(clock=clock, on_event=events.append, **OPTIONS)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 408, 418, 500, 502, 503])
def test_c3_all_but_refusals_passes_at_once_and_unchanged(clock, status):
    pacer = tidegate.Pacer(clock=clock, max_unauthorized=0, max_forbidden=0)
    answer = Answer(status)
    assert pacer.call(script(answer)) is answer
    error = Refused(Answer(status))
    with pytest.raises(Refused) as caught:
        pacer.call(script(error))
    assert caught.value is error and error.__cause__ is None
    assert (answer.closed, error.response.closed, pacer.stats().retries) == (0, 0, 0)


@pytest.mark.parametrize("result", [None, 3, "text", b"bytes", [429], {"status": 429}, object()])
def test_results_that_are_no_responses_pass(pacer, result):
    assert pacer.call(lambda: result) is result


def test_arguments_go_to_the_function(pacer):
    # Also those named as options of a pacer.
    def work(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    answer = pacer.call(work, 1, 2, label="mine", function="f", cost=3, max_retries=9)
    assert answer == ((1, 2), {"label": "mine", "function": "f", "cost": 3, "max_retries": 9})


def test_every_attempt_pays(clock):
    limiter = tidegate.Limiter("10/hour", clock=clock)
    # A pause is followed by a careful start, which pays as well: so none is asked for here.
    classes = iter(["retry", "retry", "passed"])
    pacer = tidegate.Pacer(limiter, key="api", classify=lambda _: next(classes), **OPTIONS)
    pacer.with_options(cost=2).call(script(Answer(500), Answer(500), Answer()))
    assert limiter.snapshot("api").buckets[0].used == 3 * 2
    assert pacer.limiter is limiter
    assert (pacer.stats().attempts, pacer.stats().retries) == (3, 2)


def test_a_refusal_pauses_everybody(clock, pacer, events):
    log = []

    def first() -> Any:
        answer = limited(5) if not log else Answer()
        log.append(("first", clock.now()))
        return answer

    begun = clock.now()
    assert pass_time(clock, pacer, lambda: pacer.call(first), step=1.0).status_code == 200
    assert [at - begun for _, at in log] == [0, 5]
    assert [event.kind for event in events] == ["pause", "retry"]
    assert (events[0].reason, events[0].status, events[0].delay) == ("limited", 429, 5.0)
    assert pacer.stats().wait == 5.0 and pacer.stats().pauses == 1


def test_the_wait_is_what_the_server_asks_for_and_jitter(clock):
    for seed in range(20):
        told: list[tidegate.PacerEvent] = []
        pacer = tidegate.Pacer(clock=clock, base=1.0, seed=seed, on_event=told.append)
        pass_time(clock, pacer, lambda: pacer.call(script(limited(10), Answer())), step=1.0)
        delay = next(event.delay for event in told if event.kind == "retry")
        assert 10.0 <= delay <= 11.0
        if delay > 10.25:
            break
    else:
        pytest.fail("no jitter")


def test_backoff_doubles_up_to_the_cap(clock):
    told: list[tidegate.PacerEvent] = []
    options = {"base": 1.0, "cap": 4.0, "max_retries": 40, "on_event": told.append, "seed": 1}
    pacer = tidegate.Pacer(clock=clock, **options)
    answers = [limited() for _ in range(40)]
    pass_time(clock, pacer, lambda: pacer.call(script(*answers, Answer())), step=0.5)
    delays = [event.delay for event in told if event.kind == "retry"]
    assert len(delays) == 40
    bounds = [min(4.0, 2.0**n) for n in range(40)]
    assert all(delay <= bound for delay, bound in zip(delays, bounds, strict=True))
    assert max(delays) > 3.0
    again = tidegate.Pacer(clock=clock, **{**options, "on_event": lambda event: None})
    assert again.stats().calls == 0


def test_a_delay_above_max_retry_after_is_an_error_at_once(pacer):
    answer = limited(61)
    with pytest.raises(tidegate.RetryAfterTooLong) as caught:
        pacer.with_options(label="item 17").call(script(answer))
    error = caught.value
    assert (error.retry_after, error.max_retry_after) == (61.0, 60.0)
    assert (error.label, error.attempts, error.response) == ("item 17", 1, answer)
    assert "61s" in str(error) and "item 17" in str(error)
    # Whoever comes next is not sent early, either.
    with pytest.raises(tidegate.RetryAfterTooLong) as caught:
        pacer.call(script())
    assert (caught.value.attempts, caught.value.response) == (0, None)


def test_c4_after_max_retries_a_typed_error_tells_attempts_and_label(pacer, events):
    answers = [limited() for _ in range(3)]
    with pytest.raises(tidegate.RetriesExhausted) as caught:
        pacer.with_options(label="item 17", max_retries=2).call(script(*answers))
    error = caught.value
    assert (error.attempts, error.label, error.status) == (3, "item 17", 429)
    assert error.response is answers[-1] and error.__cause__ is None
    # Those that were tried again are closed; the last one is the caller's.
    assert [answer.closed for answer in answers] == [1, 1, 0]
    assert (events[-1].kind, events[-1].attempts, events[-1].label) == ("exhausted", 3, "item 17")
    assert pacer.stats().exhausted == 1 and pacer.stats().in_flight == 0


def test_the_exception_that_was_raised_last_is_the_cause(pacer):
    errors = [Refused(limited()) for _ in range(2)]
    with pytest.raises(tidegate.RetriesExhausted) as caught:
        pacer.with_options(max_retries=1).call(script(*errors))
    assert caught.value.__cause__ is errors[1]
    assert caught.value.response is errors[1].response
    assert [error.response.closed for error in errors] == [1, 0]


def test_r4_one_refused_credential_opens_the_breaker(clock, pacer, events):
    answer = Answer(401)
    assert pacer.call(script(answer)) is answer
    with pytest.raises(tidegate.BreakerOpen) as caught:
        pacer.with_options(label="next").call(script())
    error = caught.value
    assert (error.reason, error.status, error.failures) == ("authentication", 401, 1)
    assert (error.retry_after, error.label, error.attempts) == (30.0, "next", 0)
    assert "credential" in str(error)
    assert (events[-1].kind, events[-1].reason, events[-1].status) == (
        "breaker_opened",
        "authentication",
        401,
    )
    clock.advance(30)
    assert pacer.call(script(Answer())).status_code == 200
    assert events[-1].kind == "breaker_closed"


def test_403_counts_apart_and_reset_closes_the_breaker(clock):
    pacer = tidegate.Pacer(clock=clock, max_forbidden=2)
    pacer.call(script(Answer(403)))
    pacer.call(script(Answer(403)))
    with pytest.raises(tidegate.BreakerOpen):
        pacer.call(script())
    pacer.reset()
    pacer.call(script(Answer()))


def test_a_deadline(clock):
    pacer = tidegate.Pacer("1/minute", clock=clock, deadline=10)
    pacer.call(script(Answer()))
    with pytest.raises(tidegate.DeadlineExceeded) as caught:
        pacer.with_options(label="late").call(script())
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.label, caught.value.attempts) == ("late", 0)
    longer = pacer.with_options(deadline=timedelta(minutes=2))
    assert pass_time(clock, pacer, lambda: longer.call(script(Answer())), 5).status_code == 200


def test_impossible_costs_are_refused(clock):
    pacer = tidegate.Pacer("10/minute", clock=clock, headroom=0)
    with pytest.raises(tidegate.ArgumentError) as caught:
        pacer.with_options(cost=11).call(script())
    assert caught.value.field == "cost" and "11" in str(caught.value)


def test_close(clock, pacer):
    pacer.close()
    pacer.close()
    with pytest.raises(tidegate.PacerClosed, match="closed"):
        pacer.call(script())


def test_exceptions_that_carry_what_is_needed(clock):
    class Status(Exception):
        def __init__(self, **fields: Any) -> None:
            self.__dict__.update(fields)

    headers = Message()
    headers["Retry-After"] = "0"
    carried = [
        Refused(limited(0)),
        Status(status=429, headers={"Retry-After": "0"}),
        Status(status=429, headers=None),
        Status(status_code=429),
        Status(response=None, status_code=429, headers={}),
        urllib.error.HTTPError("http://localhost", 429, "no", headers, None),
    ]
    for error in carried:
        pacer = tidegate.Pacer(clock=clock, base=0)
        assert pacer.call(script(error, "fine")) == "fine"
        assert pacer.stats().limited == 1, error
    nothing = [
        Status(code=429),
        Status(status="429", headers={}),
        Status(status=True, headers={}),
        Status(status_code=7, headers={}),
        Status(response=object()),
        ValueError("429"),
    ]
    for error in nothing:
        pacer = tidegate.Pacer(clock=clock, base=0)
        with pytest.raises(type(error)):
            pacer.call(script(error))
        assert pacer.stats().limited == 0, error


def test_results_by_status_and_headers(clock):
    class Other:
        def __init__(self, **fields: Any) -> None:
            self.__dict__.update(fields)

    for answer in [Other(status=429, headers={"retry-after": "0"}), Other(status_code=429)]:
        pacer = tidegate.Pacer(clock=clock, base=0)
        assert pacer.call(script(answer, "fine")) == "fine"
    for answer in [Other(status=429), Other(status_code="429", headers={})]:
        pacer = tidegate.Pacer(clock=clock, base=0)
        assert pacer.call(script(answer)) is answer


def test_a_property_that_raises_is_no_response(pacer):
    class Odd:
        @property
        def status_code(self) -> int:
            raise RuntimeError("not read yet")

    odd = Odd()
    assert pacer.call(lambda: odd) is odd


def test_503_is_a_refusal_when_it_tells_how_long(pacer):
    busy = Answer(503, {"Retry-After": "0"})
    assert pacer.call(script(busy, "fine")) == "fine"
    assert busy.closed == 1


def test_what_closing_raises_changes_nothing(pacer, monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    answer = limited(0)
    answer.close = lambda: 1 / 0
    assert pacer.call(script(answer, "fine")) == "fine"
    assert told[0].exc_type is ZeroDivisionError


def test_classify_says_what_an_outcome_means(clock):
    seen = []

    def classify(outcome: Any) -> str | None:
        seen.append(outcome)
        if isinstance(outcome, ConnectionError):
            return "retry"
        return "limited" if outcome == "slow down" else None

    pacer = tidegate.Pacer(clock=clock, base=0, classify=classify)
    broken = ConnectionError()
    assert pacer.call(script(broken, "slow down", "fine")) == "fine"
    assert seen == [broken, "slow down", "fine"]
    assert (pacer.stats().retries, pacer.stats().limited) == (2, 1)


def test_a_bad_classify_is_told_and_holds_no_place(clock):
    pacer = tidegate.Pacer(clock=clock, concurrency=1, classify=lambda _: "banana")
    for _ in range(3):
        with pytest.raises(tidegate.ArgumentError, match="banana"):
            pacer.call(script("fine"))
    pacer = tidegate.Pacer(clock=clock, concurrency=1, classify=lambda _: 429)
    with pytest.raises(TypeError, match="classify"):
        pacer.call(script("fine"))
    assert pacer.stats().in_flight == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, GeneratorExit])
def test_no_exception_keeps_a_place_or_a_permit(clock, error):
    limiter = tidegate.Limiter(
        {"limit": [{"name": "slots", "method": "concurrency", "quota": 1}]}, clock=clock
    )
    pacer = tidegate.Pacer(limiter, key="api", concurrency=1)
    for _ in range(3):
        with pytest.raises(error):
            pacer.call(script(error()))
    assert pacer.stats().in_flight == 0
    assert limiter.snapshot("api").buckets[0].used == 0
    assert pacer.call(script("fine")) == "fine"


def test_what_another_pacer_gave_up_is_not_tried_again(clock):
    inner = tidegate.Pacer(clock=clock, base=0, max_retries=1)
    outer = tidegate.Pacer(clock=clock, base=0)
    with pytest.raises(tidegate.RetriesExhausted):
        outer.call(inner.call, script(limited(), limited()))
    assert (outer.stats().attempts, outer.stats().limited) == (1, 0)


def test_a_coroutine_that_nobody_awaits_is_a_slip(pacer):
    async def work() -> None: ...

    with pytest.raises(TypeError, match="call_async"):
        pacer.call(work)


def test_observe(clock, events, pacer):
    headers = {
        "X-RateLimit-Limit": "100",
        "X-RateLimit-Remaining": "5",
        "X-RateLimit-Reset": "60",
    }
    pacer.observe(Answer(200, headers))
    assert [event.kind for event in events] == ["near_limit"]
    near = events[0]
    assert (near.quota, near.limit, near.remaining, near.reset_after) == ("", 100, 5, 60.0)
    assert (near.label, near.delay) == (None, None)
    for source in [headers, list(headers.items()), Refused(Answer(200, headers))]:
        other = tidegate.Pacer(clock=clock, on_event=events.append)
        events.clear()
        other.observe(source)
        assert [event.kind for event in events] == ["near_limit"], source
    for wrong in [3, "text", None, ["ab"], [("a", 3)]]:
        with pytest.raises(TypeError, match="headers"):
            pacer.observe(wrong)


def test_r2_it_slows_down_before_the_limit_is_reached(clock):
    near = []
    pacer = tidegate.Pacer(clock=clock, on_near_limit=near.append, near_limit=0.5)
    told = {"RateLimit": '"default";r=4;t=60', "RateLimit-Policy": '"default";q=10;w=60'}
    begun, sent = clock.now(), []

    def work() -> Answer:
        sent.append(clock.now() - begun)
        return Answer(200, told if len(sent) == 1 else None)

    pass_time(clock, pacer, lambda: [pacer.call(work) for _ in range(5)], step=0.5)
    assert [event.kind for event in near] == ["near_limit"]
    gaps = [later - earlier for earlier, later in zip(sent, sent[1:], strict=False)]
    assert min(gaps) > 5.0 and sent[-1] < 60.0
    assert pacer.stats().waits == {"quota": 4}


def test_events_of_both_kinds_and_what_listeners_raise(clock, monkeypatch):
    told, all_of_them, near = [], [], []
    monkeypatch.setattr("sys.unraisablehook", told.append)

    def bad(event: tidegate.PacerEvent) -> None:
        near.append(event)
        raise ValueError("mine")

    pacer = tidegate.Pacer(clock=clock, on_near_limit=bad, on_event=all_of_them.append)
    pacer.observe({"X-RateLimit-NearLimit": "true"})
    assert len(near) == len(all_of_them) == 1
    assert told[0].exc_type is ValueError
    assert repr(all_of_them[0]) == "PacerEvent(kind='near_limit', quota='')"
    pacer.call(script(Answer(401)))
    assert [event.kind for event in all_of_them] == ["near_limit", "breaker_opened"]
    assert len(near) == 1


def test_c5_stats(clock):
    pacer = tidegate.Pacer("2/second", clock=clock, headroom=0, **OPTIONS)
    work = script(*[Answer()] * 4)
    pass_time(clock, pacer, lambda: [pacer.call(work) for _ in range(4)])
    stats = pacer.stats()
    assert (stats.calls, stats.attempts, stats.limited, stats.retries) == (4, 4, 0, 0)
    assert stats.waits == {"2/second": 2} and stats.wait == stats.wait_ns / 1e9 == 1.0
    assert stats == pacer.stats() and stats.waits is not stats.waits
    assert "waits={'2/second': 2}" in repr(stats)


def test_handles_share_all_but_their_options(pacer):
    handle = pacer.with_options(label="a").with_options(cost=0)
    handle.call(script("fine"))
    assert (handle.label, pacer.label) == ("a", "")
    assert pacer.stats().calls == handle.stats().calls == 1
    assert repr(handle) == "<tidegate.Pacer 'a'>" and isinstance(handle, tidegate.Pacer)


def test_a_subclass_keeps_its_class():
    class Mine(tidegate.Pacer):
        pass

    mine = Mine("1/second")
    assert type(mine.with_options(label="x")) is Mine


def test_wrap(pacer):
    @pacer.wrap
    def fetch(item: int, *, twice: bool = False) -> int:
        """Fetch it."""
        return item * (2 if twice else 1)

    assert fetch(2, twice=True) == 4
    assert (fetch.__name__, fetch.__doc__) == ("fetch", "Fetch it.")
    failing = pacer.with_options(max_retries=0).wrap(script(limited()))
    with pytest.raises(tidegate.RetriesExhausted) as caught:
        failing()
    assert "attempt" in caught.value.label
    with pytest.raises(TypeError, match="generator"):
        pacer.wrap(lambda: (yield))
    with pytest.raises(TypeError, match="wrap"):
        pacer.wrap(3)


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        ({"concurrency": 0}, tidegate.ArgumentError, "concurrency"),
        ({"concurrency": 1.5}, TypeError, "concurrency"),
        ({"max_retries": -1}, tidegate.ArgumentError, "max_retries"),
        ({"max_retries": 2**40}, tidegate.ArgumentError, "max_retries"),
        ({"base": -1}, tidegate.ArgumentError, "base"),
        ({"cap": float("nan")}, tidegate.ArgumentError, "cap"),
        ({"max_retry_after": "long"}, TypeError, "max_retry_after"),
        ({"deadline": "soon"}, TypeError, "deadline"),
        ({"near_limit": 1.5}, tidegate.ArgumentError, "near_limit"),
        ({"near_limit": 0.00001}, tidegate.ArgumentError, "near_limit"),
        ({"near_limit": "few"}, TypeError, "near_limit"),
        ({"clock": 3}, TypeError, "clock"),
        ({"clock": "sundial"}, tidegate.ArgumentError, "clock"),
        ({"key": "a"}, tidegate.ArgumentError, "key"),
        ({"on_event": 3}, TypeError, "on_event"),
        ({"classify": 3}, TypeError, "classify"),
        ({"limit": 3}, TypeError, "limit"),
        ({"limit": "fast"}, tidegate.PolicyError, "quota"),
        ({"limits": "1/second"}, TypeError, "limits"),
    ],
)
def test_bad_options_are_told_by_name(options, error, field):
    with pytest.raises(error, match=field):
        tidegate.Pacer(**options)


def test_a_number_out_of_range_is_told_the_range_of_its_option():
    ranges = {"concurrency": ("1 to 1000000", [-1, 0, 1_000_001, 2**32, 2**64])}
    for name in ("max_retries", "max_unauthorized", "max_forbidden", "max_failures"):
        ranges[name] = ("a whole number from 0 to 4294967295", [-1, 2**32, 2**64])
    ranges["headroom"] = ("a whole number from 0 to 18446744073709551615", [-1, 2**64])
    for name, (right, numbers) in ranges.items():
        for number in numbers:
            with pytest.raises(tidegate.ArgumentError) as caught:
                tidegate.Pacer(**{name: number})
            assert (caught.value.field, caught.value.remedy) == (name, f"give {right}"), number


def test_bad_options_of_calls_are_told_by_name(pacer):
    for options, error in [
        ({"cost": -1}, tidegate.ArgumentError),
        ({"cost": "many"}, TypeError),
        ({"label": 3}, TypeError),
        ({"max_retries": 2**40}, tidegate.ArgumentError),
        ({"deadline": -1}, tidegate.ArgumentError),
        ({"retries": 1}, TypeError),
    ]:
        with pytest.raises(error, match=next(iter(options))):
            pacer.with_options(**options)


def test_a_limiter_brings_its_clock(clock):
    limiter = tidegate.Limiter("1/second", clock=clock)
    with pytest.raises(tidegate.ArgumentError, match="clock"):
        tidegate.Pacer(limiter, clock=clock)
    request = tidegate.Pacer(
        tidegate.Limiter({"limit": [{"rate": "1/hour", "by": ["ip"]}]}), key={"user": "u"}
    )
    with pytest.raises(tidegate.ArgumentError, match="ip"):
        request.call(script())


def test_pickling_and_copying():
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(tidegate.Pacer())
    fields = {"label": "a", "attempts": 2, "response": open}
    for error in [
        tidegate.RetriesExhausted("message", status=429, **fields),
        tidegate.RetryAfterTooLong("message", retry_after=61.0, **fields),
        tidegate.DeadlineExceeded("message", **fields),
        tidegate.BreakerOpen("message", reason="authentication", **fields),
        tidegate.PacerClosed("message", **fields),
    ]:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error) and str(copy) == "message"
        assert copy.__dict__ == {**error.__dict__, "response": None}


def test_circles_are_collected():
    class Owner:
        def __init__(self) -> None:
            self.limiter = tidegate.Limiter("1/second")
            self.limiter.on_alert(self.hear)
            self.pacer = tidegate.Pacer(
                self.limiter, key="a", on_event=self.hear, classify=self.classify
            )
            self.handle = self.pacer.with_options(label="a")
            self.call = self.handle._begin()

        def hear(self, told: object) -> None: ...

        def classify(self, outcome: object) -> None: ...

    owner = weakref.ref(Owner())
    gc.collect()
    assert owner() is None


def test_wrapped_clients_that_retry_themselves_are_told_of(pacer):
    class Client:
        max_retries = 2

        def __init__(self) -> None:
            self.completions = Resource(self)

    class Resource:
        def __init__(self, client: Client) -> None:
            self._client = client

        def create(self) -> Answer:
            return limited(0) if pacer.stats().retries == 0 else Answer()

    client = Client()
    with pytest.warns(tidegate.RetryWarning, match="Client has max_retries=2"):
        pacer.wrap(client.completions.create)
    with pytest.warns(tidegate.RetryWarning):
        pacer.call(client.completions.create)
