"""The ASGI and the WSGI middleware: the same requests, the same answers."""

import asyncio
import json
import socket

import pytest
import tidegate
from kit import NOON, ask_asgi, ask_asgi_async, ask_wsgi, environ_of
from tidegate import asgi, wsgi

POLICY = {
    "limit": [
        {"name": "calls", "rate": "3/minute", "algorithm": "fixed_window"},
        {"name": "time", "rate": "10s/minute", "algorithm": "fixed_window"},
        {"name": "open", "method": "concurrency", "quota": 20},
    ]
}
ADDRESS = "198.51.100.7"


class Site:
    """An application in two forms, and how it is asked. `during` runs within a request."""

    def __init__(self, kind):
        self.kind = kind
        self.during = lambda raw: None
        self.headers = []

    def limited(self, limiter, **options):
        if self.kind == "asgi":
            return asgi.RateLimitMiddleware(self._asgi, limiter, **options)
        return wsgi.RateLimitMiddleware(self._wsgi, limiter, **options)

    def ask(self, app, path="/", **options):
        return (ask_asgi if self.kind == "asgi" else ask_wsgi)(app, path, **options)

    def current(self, raw):
        return (asgi if self.kind == "asgi" else wsgi).current(raw)

    async def _asgi(self, scope, receive, send):
        self.during(scope)
        raw = [(name.lower().encode(), value.encode()) for name, value in self.headers]
        await send({"type": "http.response.start", "status": 201, "headers": raw})
        await send({"type": "http.response.body", "body": b"he", "more_body": True})
        await send({"type": "http.response.body", "body": b"llo"})

    def _wsgi(self, environ, start_response):
        self.during(environ)
        start_response("201 Created", list(self.headers))
        return [b"he", b"llo"]


@pytest.fixture(params=["asgi", "wsgi"])
def site(request):
    return Site(request.param)


@pytest.fixture
def clock():
    return tidegate.ManualClock(NOON)


@pytest.fixture
def limiter(clock):
    return tidegate.Limiter(POLICY, clock=clock)


def used(limiter, key=ADDRESS):
    return {bucket.method: bucket.used for bucket in limiter.snapshot(key).buckets}


def test_headers_on_every_response_and_the_engine_s_body_on_denials(site, limiter):
    app = site.limited(limiter)
    first = site.ask(app)
    assert (first.status, first.body) == (201, b"hello")
    assert first.headers["x-ratelimit-limit"] == "3"
    assert first.headers["x-ratelimit-remaining"] == "2"
    assert "retry-after" not in first.headers
    site.ask(app), site.ask(app)
    denied = site.ask(app)
    said = limiter.peek(ADDRESS)
    assert denied.status == 429 and denied.body == said.body().encode()
    assert denied.headers["retry-after"] == "60"
    assert denied.headers["content-type"] == "application/json"
    assert denied.headers["content-length"] == str(len(denied.body))
    assert {name.lower(): value for name, value in said.headers().items()}.items() <= denied.headers.items()
    assert site.ask(app, client=("203.0.113.1", 9)).status == 201


def test_styles(site, limiter):
    app = site.limited(limiter, headers="both", body="problem")
    assert site.ask(app).headers["ratelimit"] == '"calls";r=2;t=60'
    site.ask(app), site.ask(app)
    denied = site.ask(app)
    assert denied.headers["content-type"] == "application/problem+json"
    assert denied.json()["violated-policies"] == ["calls"]
    assert site.limited(limiter, body="message").guard.body == "message"


def test_a_denied_head_has_no_body(site, limiter):
    app = site.limited(limiter)
    for _ in range(3):
        site.ask(app)
    denied = site.ask(app, method="HEAD")
    assert (denied.status, denied.body) == (429, b"") and int(denied.headers["content-length"]) > 100


def test_headers_that_are_there_stay(site, limiter):
    site.headers = [("X-RateLimit-Limit", "7")]
    answer = site.ask(site.limited(limiter))
    assert [value for name, value in answer.pairs if name == "x-ratelimit-limit"] == ["7"]


def test_latency_is_charged_and_permits_come_back(site, limiter, clock):
    def during(raw):
        assert used(limiter)["concurrency"] == 1
        clock.advance(1.5)

    site.during = during
    site.ask(site.limited(limiter))
    assert used(limiter) == {"count": 1, "latency": 1_500_000_000, "concurrency": 0}


def test_also_when_the_application_fails(site, limiter, clock):
    def during(raw):
        clock.advance(2)
        raise ZeroDivisionError

    site.during = during
    with pytest.raises(ZeroDivisionError):
        site.ask(site.limited(limiter))
    assert used(limiter) == {"count": 1, "latency": 2_000_000_000, "concurrency": 0}


def test_a_denied_request_reaches_nobody(site, limiter):
    limiter.block(ADDRESS, 30)
    site.during = lambda raw: pytest.fail("it was called")
    denied = site.ask(site.limited(limiter))
    assert denied.status == 429 and denied.headers["retry-after"] == "30"


def test_the_decision_is_there_for_the_handler(site, limiter):
    seen = []
    site.during = lambda raw: seen.append(site.current(raw).decision.remaining)
    site.ask(site.limited(limiter))
    assert seen == [2]


def test_identify(site, limiter):
    app = site.limited(limiter, identify=lambda request: request.header("X-Api-Key"))
    site.ask(app, headers=[("x-api-key", "k1")])
    assert used(limiter, "k1")["count"] == 1 and used(limiter)["count"] == 0
    site.ask(app)  # nobody knows: the address
    assert used(limiter)["count"] == 1


def test_identify_gives_attributes_beside_address_and_route(site, clock):
    policy = {
        "limit": [
            {"name": "user", "rate": "9/minute", "by": ["user"], "missing": "skip"},
            {"name": "net", "rate": "99/minute", "by": ["ip"]},
            {"name": "del", "rate": "1/minute", "by": ["user"], "when": {"route": "DELETE /a/:id"}},
        ]
    }
    limiter = tidegate.Limiter(policy, clock=clock)
    app = site.limited(limiter, identify=lambda request: {"user": request.header("user")})
    assert site.ask(app, "/a/1", method="DELETE", headers=[("user", "ann")]).status == 201
    denied = site.ask(app, "/a/2", method="DELETE", headers=[("user", "ann")])
    assert (denied.status, denied.headers["x-ratelimit-limit"]) == (429, "1")
    assert site.ask(app, "/a/2", headers=[("user", "ann")]).headers["x-ratelimit-limit"] == "9"
    assert site.ask(app, "/a/2").headers["x-ratelimit-limit"] == "99"


def test_head_is_limited_as_get(site, clock):
    policy = {"limit": [{"name": "r", "rate": "1/minute", "when": {"route": "GET /a"}}]}
    app = site.limited(tidegate.Limiter(policy, clock=clock))
    assert [site.ask(app, "/a", method=method).status for method in ("HEAD", "GET")] == [201, 429]


def test_a_spoofed_address_changes_nothing(site, limiter):
    spoofed = [("x-forwarded-for", "203.0.113.5"), ("forwarded", "for=203.0.113.5")]
    site.ask(site.limited(limiter), headers=spoofed)
    site.ask(site.limited(limiter, trusted_proxies=["10.0.0.0/8"]), headers=spoofed)
    assert used(limiter)["count"] == 2
    site.ask(site.limited(limiter, trusted_proxies=1), headers=spoofed)
    assert used(limiter, "203.0.113.5")["count"] == 1


def test_several_headers_of_one_name_are_one(limiter):
    headers = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.5")]
    ask_asgi(Site("asgi").limited(limiter, trusted_proxies=1), headers=headers)
    assert used(limiter, "203.0.113.5")["count"] == 1


def test_skip(site, limiter):
    app = site.limited(limiter, skip=lambda request: request.path == "/health")
    answer = site.ask(app, "/health")
    assert answer.status == 201 and "x-ratelimit-limit" not in answer.headers
    assert used(limiter)["count"] == 0
    site.ask(app, "/healthy")
    assert used(limiter)["count"] == 1


def test_a_client_of_ipv6_is_its_network(site, clock):
    for policy, told in (("2/minute", "2001:db8::"), ({"ipv6_prefix": 48, "limit": [{"rate": "2/minute"}]}, "2001:db8::")):
        limiter = tidegate.Limiter(policy, clock=clock)
        app = site.limited(limiter)
        for address in ("2001:db8::1", "2001:DB8:0:0:ffff::2%eth0"):
            assert site.ask(app, client=(address, 1)).status == 201
        assert site.ask(app, client=("2001:db8::3", 1)).status == 429
        assert used(limiter, told)["count"] == 2
        other = site.ask(app, client=("2001:db8:0:9::1", 1)).status
        assert other == (201 if policy == "2/minute" else 429)
        # One of IPv4 is known by itself, however it is written.
        for address in ("198.51.100.7", "::ffff:198.51.100.7"):
            assert site.ask(app, client=(address, 1)).status == 201
        assert site.ask(app, client=("198.51.100.7", 1)).status == 429
        assert site.ask(app, client=("198.51.100.8", 1)).status == 201
        # What the network is, an update may change.
    limiter.update({"ipv6_prefix": 64, "limit": [{"rate": "2/minute"}]})
    assert site.ask(app, client=("2001:db8:0:9::1", 1)).status == 201


def test_skip_is_awaited_or_refused(site, limiter):
    async def skip(request):
        return request.path == "/health"

    if site.kind == "wsgi":
        with pytest.raises(TypeError, match="^skip: expected a function that is not async"):
            site.limited(limiter, skip=skip)
        # A coroutine is true, whatever it would say: it must not let anybody pass.
        with pytest.raises(TypeError, match="^skip: expected true or false, got coroutine"):
            site.ask(site.limited(limiter, skip=lambda request: skip(request)))
        return
    for asked in (skip, lambda request: skip(request)):
        app = site.limited(limiter, skip=asked)
        assert "x-ratelimit-limit" not in site.ask(app, "/health").headers
        assert "x-ratelimit-limit" in site.ask(app).headers
    assert used(limiter)["count"] == 2


def test_cost(site, limiter):
    app = site.limited(limiter, cost=lambda request: int(request.header("n")))
    assert site.ask(app, headers=[("n", "2")]).headers["x-ratelimit-remaining"] == "1"
    assert site.ask(app, headers=[("n", "2")]).status == 429
    assert site.ask(site.limited(limiter, cost=1)).status == 201


@pytest.mark.parametrize(("actual", "count"), [(1, 1), (3, 3), (None, 2), (5, 5)])
def test_the_cost_is_settled_when_the_response_has_ended(site, limiter, clock, actual, count):
    seen = []

    def settle(request, status):
        seen.append(status)
        return actual

    def during(raw):
        assert used(limiter) == {"count": 2, "latency": 0, "concurrency": 1}
        clock.advance(1.5)

    site.during = during
    site.ask(site.limited(limiter, cost=2, settle=settle))
    assert used(limiter) == {"count": count, "latency": 1_500_000_000, "concurrency": 0}
    assert seen == [201]


class Broken(tidegate.Limiter):
    """A limiter whose store has failed."""

    def _admit(self, key, cost):
        raise tidegate.Error("the store is gone")


def test_an_error_of_the_limiter_closes(site, caplog):
    app = site.limited(Broken("3/minute"))
    site.during = lambda raw: pytest.fail("it was called")
    answer = site.ask(app)
    assert (answer.status, answer.json()["status"]) == (503, 503)
    assert answer.headers["content-type"] == "application/problem+json"
    assert app.errors == 1 and "the store is gone" in caplog.text


def test_or_opens(site, caplog):
    app = site.limited(Broken("3/minute"), on_error="open")
    assert [site.ask(app).status for _ in range(5)] == [201] * 5
    assert app.errors == 5 and "the store is gone" in caplog.text


def test_a_request_that_the_policy_cannot_judge_is_refused(site, limiter):
    app = site.limited(limiter)  # by its key, and there is no address to make one of
    assert (site.ask(app, client=None).status, app.errors) == (503, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"identify": lambda request: "\ud800"},  # as JSON may hold it
        {"identify": lambda request: 5},
        {"identify": lambda request: {"ip": "nowhere"}},
        {"cost": lambda request: -1},
        {"cost": lambda request: 2**70},
        {"cost": lambda request: "1"},
    ],
)
def test_nor_does_it_pass_when_failures_do(site, limiter, options):
    app = site.limited(limiter, on_error="open", **options)
    site.during = lambda raw: pytest.fail("it was called")
    assert (site.ask(app).status, app.errors) == (503, 1)


def test_a_policy_is_enough(site):
    app = site.limited("1/hour")
    assert [site.ask(app).status for _ in range(2)] == [201, 429]


async def says_yes(*_):
    return True


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"on_error": "maybe"}, ValueError, "^on_error: unknown 'maybe'; give \"open\" or \"closed\""),
        ({"headers": "modern"}, ValueError, "^headers: unknown 'modern'; give \"legacy\""),
        ({"body": "html"}, ValueError, "^body: unknown 'html'"),
        ({"identify": "user"}, TypeError, "^identify: expected a function, got str"),
        ({"cost": "1"}, TypeError, "^cost: expected an int or a function, got str"),
        ({"cost": True}, TypeError, "^cost: expected an int or a function, got bool"),
        ({"cost": -1}, ValueError, "^cost: -1 is negative; give 0 or more"),
        ({"cost": says_yes}, TypeError, "^cost: expected a function that is not async"),
        ({"settle": says_yes}, TypeError, "^settle: expected a function that is not async"),
        ({"trusted_proxies": None}, TypeError, "^trusted_proxies: expected a number of hops or a list of networks"),
        ({"trusted_proxies": [1]}, TypeError, "^trusted_proxies: expected networks as str, got int"),
        ({"forwarded_header": None}, TypeError, "^forwarded_header: expected the name of a header, got NoneType"),
        ({"forwarded_header": ["X-Real-IP"]}, TypeError, "^forwarded_header: expected .*, got list"),
        ({"identity": None}, TypeError, "identity"),
    ],
)
def test_wrong_options_are_refused(site, options, error, text):
    with pytest.raises(error, match=text):
        site.limited("1/minute", **options)


CLOSING = {"limit": [{"name": "abuse", "rate": "1/minute", "close": True, "message": "Stop it."}]}


def test_denials_of_abuse_close_the_connection():
    app = Site("asgi").limited(CLOSING)
    ask_asgi(app)
    denied = ask_asgi(app)
    assert denied.headers["connection"] == "close"
    assert denied.json()["error"]["message"] == "Stop it."
    assert "connection" not in ask_asgi(app, http_version="2").headers


def test_and_where_wsgi_shows_it():
    app = Site("wsgi").limited(CLOSING)
    server, client = socket.socketpair()
    with server, client:
        shown = {"gunicorn.socket": server}
        ask_wsgi(app, **shown)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)  # an admitted request closes nothing
        ask_wsgi(app, **shown)
        assert client.recv(1) == b""


def test_the_iterable_of_wsgi_is_closed_once(limiter, clock):
    closed = []

    class Body:
        def __iter__(self):
            clock.advance(1)
            yield b"x"

        def close(self):
            closed.append(used(limiter))

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body()

    body = wsgi.RateLimitMiddleware(app, limiter)(
        environ_of("/", "GET", (), (ADDRESS, 1), {}), lambda *_: None
    )
    next(body)
    body.close()  # the client went away
    assert closed == [{"count": 1, "latency": 0, "concurrency": 1}]
    assert used(limiter) == {"count": 1, "latency": 1_000_000_000, "concurrency": 0}


def test_what_a_server_does_after_the_last_byte_is_not_charged(limiter, clock):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"x"]

    body = wsgi.RateLimitMiddleware(app, limiter)(
        environ_of("/", "GET", (), (ADDRESS, 1), {}), lambda *_: None
    )
    clock.advance(1)
    assert list(body) == [b"x"]
    clock.advance(5)
    body.close()
    assert used(limiter) == {"count": 1, "latency": 1_000_000_000, "concurrency": 0}


def test_background_work_after_the_response_is_not_charged(limiter, clock):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        clock.advance(1)
        await send({"type": "http.response.body", "body": b""})
        clock.advance(5)

    ask_asgi(asgi.RateLimitMiddleware(app, limiter))
    assert used(limiter) == {"count": 1, "latency": 1_000_000_000, "concurrency": 0}


def test_a_cancelled_task_gives_back(limiter, clock):
    async def app(scope, receive, send):
        clock.advance(1)
        await asyncio.sleep(3600)

    async def main():
        task = asyncio.create_task(ask_asgi_async(asgi.RateLimitMiddleware(app, limiter)))
        await asyncio.sleep(0)
        assert used(limiter)["concurrency"] == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert used(limiter) == {"count": 1, "latency": 1_000_000_000, "concurrency": 0}


def test_identify_may_be_a_coroutine(limiter):
    async def identify(request):
        await asyncio.sleep(0)
        return "ann"

    ask_asgi(Site("asgi").limited(limiter, identify=identify))
    assert used(limiter, "ann")["count"] == 1


class WebSocketClient:
    """Plays the server's part: what it sends to the application, and what comes back."""

    def __init__(self, app, **more):
        self.sent = []
        self.to_app = asyncio.Queue()
        scope = {
            "type": "websocket", "path": "/socket", "headers": [], "client": (ADDRESS, 1), "http_version": "1.1",
            **more,
        }  # fmt: skip
        self.to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self.to_app.get, self._send))

    async def _send(self, message):
        self.sent.append(message)

    async def close(self):
        self.to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.task


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})


async def settle_down():
    for _ in range(5):
        await asyncio.sleep(0)


def test_open_websockets_hold_permits(clock):
    policy = {"limit": [*POLICY["limit"][:2], {**POLICY["limit"][2], "quota": 2}]}
    limiter = tidegate.Limiter(policy, clock=clock)

    async def main():
        app = asgi.RateLimitMiddleware(echo, limiter)
        first, second, third = WebSocketClient(app), WebSocketClient(app), WebSocketClient(app)
        await settle_down()
        assert used(limiter) == {"count": 2, "latency": 0, "concurrency": 2}
        assert [one.sent[0]["type"] for one in (first, second)] == ["websocket.accept"] * 2
        assert (b"x-ratelimit-limit", b"2") in first.sent[0]["headers"]
        assert third.sent == [{"type": "websocket.close", "code": 1008}]
        first.to_app.put_nowait({"type": "websocket.receive", "text": "free"})
        clock.advance(9)  # nobody's work
        await first.close()
        await second.close()
        assert first.sent[-1]["text"] == "free"
        assert used(limiter) == {"count": 2, "latency": 0, "concurrency": 0}

    asyncio.run(main())


def test_a_denied_websocket_is_told_why_where_the_server_can(limiter):
    async def main():
        limiter.block(ADDRESS, 30)
        extensions = {"websocket.http.response": {}}
        client = WebSocketClient(asgi.RateLimitMiddleware(echo, limiter), extensions=extensions)
        await client.task
        start, body = client.sent
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)
        assert (b"retry-after", b"30") in start["headers"]
        assert json.loads(body["body"])["error"]["details"]["retry_after_seconds"] == 30

    asyncio.run(main())


def test_a_websocket_that_the_application_closes_holds_no_permit_any_more(limiter):
    async def closing(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        assert used(limiter)["concurrency"] == 1
        await send({"type": "websocket.close", "code": 1000})
        assert used(limiter)["concurrency"] == 0

    async def main():
        await WebSocketClient(asgi.RateLimitMiddleware(closing, limiter)).task

    asyncio.run(main())


def test_a_websocket_that_fails_gives_its_permit_back(limiter):
    async def failing(scope, receive, send):
        raise ZeroDivisionError

    async def main():
        with pytest.raises(ZeroDivisionError):
            await WebSocketClient(asgi.RateLimitMiddleware(failing, limiter)).task

    asyncio.run(main())
    assert used(limiter)["concurrency"] == 0


def test_the_permits_of_long_websockets_are_renewed(clock):
    policy = {"limit": [{"method": "concurrency", "quota": 1, "max_hold": "60s"}]}
    limiter = tidegate.Limiter(policy, clock=clock)

    async def main():
        client = WebSocketClient(asgi.RateLimitMiddleware(echo, limiter, renew_every=1e-4))
        lonely = tidegate.Limiter(policy, clock=clock)
        lonely.acquire(ADDRESS)
        await settle_down()
        renewed = asyncio.Event()
        asyncio.get_running_loop().call_later(5e-3, renewed.set)
        clock.advance(50)
        await renewed.wait()
        clock.advance(50)
        assert used(lonely)["concurrency"] == 0  # what was not renewed is given back by now
        assert used(limiter)["concurrency"] == 1
        await client.close()
        assert used(limiter)["concurrency"] == 0

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [0, -1, "30", True, float("nan"), float("inf")])
def test_seconds_of_renewals_that_are_none_are_refused(limiter, wrong):
    with pytest.raises((TypeError, ValueError), match="^renew_every: .*seconds, more than 0"):
        Site("asgi").limited(limiter, renew_every=wrong)


def test_lifespan_passes(limiter):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(asgi.RateLimitMiddleware(app, limiter)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]


def test_importing_tidegate_imports_no_framework():
    import subprocess
    import sys

    names = "{'fastapi', 'starlette', 'flask', 'werkzeug', 'django', 'limits', 'asyncio', 'tidegate.asgi'}"
    program = f"import sys, tidegate; print(sorted({names} & set(sys.modules)))"
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert asked.stdout == "[]\n"
    # Nor do the two that need none.
    program = f"import sys, tidegate.asgi, tidegate.wsgi; print(sorted({names} & set(sys.modules)))"
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert asked.stdout == "['asyncio', 'tidegate.asgi']\n"
