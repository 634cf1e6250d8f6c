"""Tidegate under the `limits` package, and so under Flask-Limiter and slowapi."""

import asyncio
import threading

import flask
import flask_limiter
import limits
import limits.aio.strategies
import pytest
import slowapi
import slowapi.errors
import slowapi.util
import tidegate
import tidegate.limits
from flask_limiter.util import get_remote_address
from kit import NOON, ask_asgi
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

EACH = pytest.mark.parametrize("strategy", STRATEGIES)


@pytest.fixture
def clock():
    # At a boundary of sliding windows, too.
    return tidegate.ManualClock(NOON)


def made(strategy, clock=None):
    storage = storage_from_string("tidegate://", clock=clock)
    return STRATEGIES[strategy](storage), storage


@EACH
def test_as_many_as_the_limit_says(strategy, clock):
    limiter, storage = made(strategy, clock)
    item = limits.parse("3/minute")
    assert isinstance(storage, tidegate.limits.TidegateStorage) and storage.check()
    assert limiter.test(item, "a") and limiter.get_window_stats(item, "a").remaining == 3
    assert [limiter.hit(item, "a") for _ in range(5)] == [True, True, True, False, False]
    assert limiter.get_window_stats(item, "a").remaining == 0
    assert not limiter.test(item, "a") and limiter.test(item, "b")
    assert limiter.hit(item, "b", cost=3) and not limiter.hit(item, "b")
    limiter.clear(item, "a")
    assert limiter.hit(item, "a") and not limiter.hit(item, "b")
    assert storage.reset() == 2
    assert limiter.hit(item, "b")


def test_windows_end(clock):
    item = limits.parse("2/minute")
    for strategy, after in (("fixed-window", 60), ("moving-window", 67), ("sliding-window-counter", 90)):
        limiter, _ = made(strategy, clock)
        assert [limiter.hit(item, "a") for _ in range(3)] == [True, True, False]
        clock.advance(after - 31)
        assert not limiter.hit(item, "a", cost=2), strategy
        clock.advance(31)
        assert limiter.hit(item, "a"), strategy


def test_when_a_window_ends_is_told(clock):
    item = limits.parse("2/minute")
    limiter, _ = made("fixed-window", clock)
    limiter.hit(item, "a")
    clock.advance(20)
    assert limiter.get_window_stats(item, "a").reset_time == NOON + 60
    limiter, _ = made("moving-window", clock)
    limiter.hit(item, "a", cost=2)
    reset = limiter.get_window_stats(item, "a").reset_time
    clock.set(reset - 0.001)
    assert not limiter.hit(item, "a")
    clock.set(reset + 0.001)
    assert limiter.hit(item, "a")


@EACH
def test_threads_take_no_more_than_there_is(strategy, clock):
    limiter, _ = made(strategy, clock)
    item = limits.parse("1000/hour")
    taken = []

    def take():
        taken.append(sum(limiter.hit(item, "a") for _ in range(400)))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 1000


@EACH
def test_for_asyncio(strategy, clock):
    async def main():
        storage = storage_from_string("async+tidegate://", clock=clock)
        limiter = limits.aio.strategies.STRATEGIES[strategy](storage)
        item = limits.parse("3/minute")
        assert [await limiter.hit(item, "a") for _ in range(4)] == [True, True, True, False]
        assert (await limiter.get_window_stats(item, "a")).remaining == 0
        await limiter.clear(item, "a")
        assert await limiter.test(item, "a") and await storage.check()
        assert await limiter.hit(item, "a") and await storage.reset() == 1

    asyncio.run(main())


def test_wrong_options_and_errors(clock):
    with pytest.raises(tidegate.ArgumentError, match="^size: no option of this storage; give max_keys"):
        storage_from_string("tidegate://", size=3)
    storage = storage_from_string("tidegate://", wrap_exceptions=True)
    with pytest.raises(limits.errors.StorageError):
        storage.incr("a", 60, -1)


@EACH
def test_flask_limiter_with_one_option_changed(strategy):
    app = flask.Flask("site")
    limiter = flask_limiter.Limiter(
        get_remote_address, app=app, storage_uri="tidegate://", strategy=strategy, headers_enabled=True
    )

    @app.route("/slow")
    @limiter.limit("2 per day")
    def slow():
        return ":("

    client = app.test_client()
    answers = [client.get("/slow") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    limiter.reset()
    assert client.get("/slow").status_code == 200


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # slowapi's own
@EACH
def test_slowapi_with_one_option_changed(strategy):
    limiter = slowapi.Limiter(
        key_func=slowapi.util.get_remote_address, storage_uri="tidegate://", strategy=strategy
    )

    @limiter.limit("2/day")
    async def home(request):
        return PlainTextResponse("test")

    app = Starlette(routes=[Route("/home", home)])
    app.state.limiter = limiter
    app.add_exception_handler(slowapi.errors.RateLimitExceeded, slowapi._rate_limit_exceeded_handler)
    assert [ask_asgi(app, "/home").status for _ in range(3)] == [200, 200, 429]
