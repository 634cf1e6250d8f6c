"""Litestar with the middleware around its handler: what has no route, and what fails, is limited and told as well."""

import pytest
import tidegate
from kit import NOON, ask_asgi
from litestar import Litestar, get, post
from litestar.middleware import DefineMiddleware
from tidegate.asgi import RateLimitMiddleware

BY_ROUTE = {"limit": [{"name": "calls", "rate": "2/minute", "by": ["route"]}]}


@pytest.fixture
def clock():
    return tidegate.ManualClock(NOON)


def site(**options):
    @get("/items/{number:int}")
    async def item() -> dict[str, str]:
        return {}

    @post("/items")
    async def create() -> None: ...

    @get("/broken")
    async def broken() -> None:
        raise KeyError("broken")

    return Litestar([item, create, broken], **options)


def limited(policy, clock):
    """As docs/python.md has it."""
    app = site()
    app.asgi_handler = RateLimitMiddleware(app.asgi_handler, tidegate.Limiter(policy, clock=clock))
    return app


def test_what_has_no_route_and_what_fails_is_limited(clock):
    app = limited("4/minute", clock)
    answers = [ask_asgi(app, path) for path in ("/items/1", "/nowhere", "/items", "/broken", "/nowhere")]
    assert [answer.status for answer in answers] == [200, 404, 405, 500, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["3", "2", "1", "0", "0"]
    assert ["retry-after" in answer.headers for answer in answers] == [False] * 4 + [True]
    assert answers[-1].json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"


def test_as_an_inner_middleware_it_sees_no_request_without_a_route(clock):
    limiter = tidegate.Limiter("2/minute", clock=clock)
    app = site(middleware=[DefineMiddleware(RateLimitMiddleware, limiter=limiter)])
    answers = [ask_asgi(app, path) for path in ("/nowhere", "/items/1", "/nowhere", "/items/2", "/items/3")]
    assert [answer.status for answer in answers] == [404, 200, 404, 200, 429]
    assert "x-ratelimit-limit" not in answers[0].headers


@pytest.mark.parametrize("outside", [False, True])
def test_its_routes_are_known_before_it_looks_for_them(outside, clock):
    if outside:
        app = RateLimitMiddleware(site(), tidegate.Limiter(BY_ROUTE, clock=clock))
    else:
        app = limited(BY_ROUTE, clock)

    def status(path, **options):
        return ask_asgi(app, path, **options).status

    assert [status(path) for path in ("/items/1", "/items/2/", "//items/3")] == [200, 200, 429]
    assert status("/items/4", method="HEAD") == 429  # as GET
    assert status("/behind/items/5", root_path="/behind") == 429
    assert [status("/items", method="POST") for _ in range(3)] == [201, 201, 429]
    # Without a route each path is for itself.
    assert [status(path) for path in ("/a", "/b", "/a", "/a")] == [404, 404, 404, 429]


def test_the_application_stays_one_of_litestar(clock):
    from litestar.testing import TestClient

    with TestClient(limited("1/minute", clock)) as client:
        assert [client.get("/items/7").status_code for _ in range(2)] == [200, 429]
