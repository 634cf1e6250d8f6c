"""Alerts: one call a crossing, in the thread that crossed; what listeners raise, and when they die."""

import gc
import sys
import threading
import weakref

import pytest
import tidegate

POLICY = {"limit": [{"name": "calls", "rate": "10/day", "alerts": [0.5, 0.8]}]}


@pytest.fixture
def limiter(clock):
    return tidegate.Limiter(POLICY, clock=clock)


def test_p12_a_crossing_is_told_once(limiter, clock):
    told = []
    assert limiter.on_alert(told.append) is None
    for _ in range(10):
        limiter.acquire({"key": "a", "route": "GET /"})
    limiter.acquire(b"\xff", 9, now_ns=clock.now_ns())
    seen = [(alert.threshold, alert.used) for alert in told]
    assert seen == [(0.5, 5), (0.8, 8), (0.5, 9), (0.8, 9)]
    alert = told[0]
    assert (alert.limit, alert.plan, alert.method, alert.capacity) == ("calls", None, "count", 10)
    assert alert.threshold_permille == 500
    assert alert.request == {"key": "a", "route": "GET /"}
    assert told[2].request == {"key": b"\xff"}
    assert repr(alert) == (
        "Alert(limit='calls', plan=None, method='count', threshold=0.5, used=5, capacity=10, "
        "request=['key', 'route'])"
    )


def test_an_alert_is_a_value(clock):
    told = []
    for _ in range(2):
        limiter = tidegate.Limiter(POLICY, clock=clock)
        limiter.on_alert(told.append)
        limiter.acquire("a", 9)
    first, second, same, _ = told
    assert first == same and hash(first) == hash(same) and first != second
    with pytest.raises(AttributeError):
        first.used = 0
    first.request.clear()
    assert first.request == {"key": "a"}


def test_every_call_that_charges_tells(limiter):
    told = []
    limiter.on_alert(told.append)
    limiter.try_acquire("a", 5)
    limiter.acquire_many(["b", {"key": "c"}], 5)
    limiter.penalize("d", 5)
    limiter.reserve("e", 5).settle(8)
    limiter.wait("f", 5, timeout=0)
    with limiter.measure("g", 5):
        pass
    assert "".join(alert.request["key"] for alert in told) == "abcdeefg"


def test_another_listener_takes_the_place_and_none_ends_it(limiter):
    first, second = [], []
    limiter.on_alert(first.append)
    limiter.on_alert(second.append)
    limiter.acquire("a", 5)
    limiter.on_alert(None)
    limiter.acquire("a", 3)
    assert (len(first), len(second)) == (0, 1)
    limiter.on_alert(None)
    limiter.on_alert(first.append)
    limiter.acquire("b", 5)
    assert (len(first), len(second)) == (1, 1)


def test_a_listener_may_call_the_limiter(limiter):
    def listener(alert):
        seen.append(limiter.peek("a", 0).remaining)
        limiter.on_alert(None)
        limiter.acquire("a", 4)

    seen = []
    limiter.on_alert(listener)
    assert limiter.acquire("a", 5).remaining == 5
    assert seen == [5] and limiter.peek("a", 0).remaining == 1


@pytest.mark.parametrize("raised", [ValueError("mine"), KeyboardInterrupt("mine")], ids=repr)
def test_what_a_listener_raises_goes_to_the_hook(limiter, monkeypatch, raised):
    caught = []

    def hook(unraisable):
        caught.append((unraisable.exc_value, unraisable.object))

    monkeypatch.setattr(sys, "unraisablehook", hook)

    def listener(alert):
        raise raised

    limiter.on_alert(listener)
    assert limiter.acquire("a", 9).remaining == 1
    assert caught == [(raised, listener)] * 2


def test_only_callables_listen(limiter):
    with pytest.raises(TypeError, match="^listener: expected a callable or None, got int"):
        limiter.on_alert(42)
    with pytest.raises(TypeError):
        limiter.on_alert()


def test_a_listener_is_called_in_the_thread_that_crossed(limiter):
    told = []
    limiter.on_alert(lambda alert: told.append((alert.request["key"], threading.get_ident())))
    threads = [threading.Thread(target=limiter.acquire, args=(key, 5)) for key in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    idents = {key: thread.ident for key, thread in zip("abcdefgh", threads, strict=True)}
    assert sorted(told) == sorted(idents.items())


def test_threads_that_replace_the_listener_while_it_is_called(limiter):
    told = []

    class Listener:
        def __call__(self, alert):
            told.append(alert)

        def __del__(self):
            limiter.peek("a")  # dies in whatever thread lets go of it last

    def work(name):
        for number in range(200):
            limiter.on_alert(Listener())
            limiter.acquire(f"{name}{number}", 9)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 4 * 200 * 2


def test_a_listener_that_knows_its_limiter_does_not_keep_it(clock):
    class Service:
        def __init__(self):
            self.limiter = tidegate.Limiter(POLICY, clock=clock)
            self.limiter.on_alert(self.alert)

        def alert(self, alert):
            pytest.fail("nobody asks")

    service = Service()
    gone = weakref.ref(service), weakref.ref(service.limiter)
    del service
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_a_listener_dies_when_another_takes_its_place(limiter):
    class Listener:
        def __call__(self, alert):
            pass

    listener = Listener()
    gone = weakref.ref(listener)
    limiter.on_alert(listener)
    del listener
    gc.collect()
    assert gone() is not None
    limiter.on_alert(None)
    assert gone() is None
