"""FastAPI: the dependency, the decorators, and what users of slowapi write."""

import asyncio

import pytest
import tidegate
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse
from kit import NOON, ask_asgi, ask_asgi_async, scope_of
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Mount, Route
from tidegate.asgi import RateLimitMiddleware
from tidegate.fastapi import (
    Limiter,
    RateLimit,
    RateLimitExceeded,
    current,
    get_remote_address,
    install,
    rate_limit_exceeded_handler,
)

ADDRESS = "198.51.100.7"


@pytest.fixture
def clock():
    return tidegate.ManualClock(NOON)


def statuses(app, *paths, **options):
    return [ask_asgi(app, path, **options).status for path in paths]


def used(limiter, key=ADDRESS):
    return [bucket.used for bucket in limiter.snapshot(key).buckets]


# --- the middleware in a framework


def test_patterns_of_routes_routers_and_mounts():
    seen = []
    app, below, inner, outer = FastAPI(), FastAPI(), APIRouter(prefix="/inner"), APIRouter(prefix="/outer")

    @app.get("/items/{item}")
    def item(item: int): ...

    @inner.get("/leaf/{leaf}")
    def leaf(leaf: str): ...

    @below.get("/deep/{deep}")
    def deep(deep: str): ...

    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/below", below)
    app.add_middleware(RateLimitMiddleware, limiter="9/second", skip=lambda request: seen.append(request.route))
    paths = ["/items/1", "/outer/inner/leaf/x", "/below/deep/y", "/below/no", "/no"]
    assert statuses(app, *paths) == [200, 200, 200, 404, 404]
    assert ask_asgi(app, "/items/1", method="DELETE").status == 405
    assert seen == [
        "GET /items/{item}", "GET /outer/inner/leaf/{leaf}", "GET /below/deep/{deep}", "GET /below/no", "GET /no",
        "DELETE /items/1",
    ]  # fmt: skip
    seen.clear()
    plain = Starlette(routes=[Mount("/m", routes=[Route("/x/{n:int}", lambda request: PlainTextResponse(""))])])
    ask_asgi(RateLimitMiddleware(plain, "9/second", skip=lambda request: seen.append(request.route)), "/m/x/3")
    assert seen == ["GET /m/x/{n:int}"]


# --- the dependency


def dependent(clock, with_headers):
    app = FastAPI()
    if with_headers:
        install(app)
    limiter = tidegate.Limiter("4/minute; 20s/minute", clock=clock)
    seen = []
    limited = Depends(RateLimit(limiter, skip=lambda request: seen.append(request.route)))
    router = APIRouter(prefix="/r", dependencies=[limited])

    @router.get("/value/{number}")
    async def value(number: int):
        clock.advance(0.1)
        return {"number": number}

    @router.get("/response")
    def response():
        return PlainTextResponse("text")

    @router.get("/missing")
    def missing():
        raise HTTPException(404)

    @router.get("/decision")
    def decision(request: Request):
        return current(request.scope).decision.remaining

    app.include_router(router)
    return app, limiter, seen


def test_the_dependency_needs_no_request_in_the_handler(clock):
    app, limiter, seen = dependent(clock, False)
    answer = ask_asgi(app, "/r/value/1")
    assert answer.headers["x-ratelimit-remaining"] == "3" and answer.json() == {"number": 1}
    assert used(limiter)[1] >= 100_000_000 * 2 // 3  # some of it has come back
    assert ask_asgi(app, "/r/decision").json() == 2
    assert statuses(app, "/r/response", "/r/missing") == [200, 404]
    denied = ask_asgi(app, "/r/value/1")
    assert denied.status == 429 and denied.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert int(denied.headers["retry-after"]) == denied.json()["error"]["details"]["retry_after_seconds"]
    assert seen[0] == "GET /r/value/{number}"


@pytest.mark.parametrize("path", ["/r/value/1", "/r/value/x", "/r/response", "/r/missing"])
def test_with_headers_installed_every_response_has_them(clock, path):
    app, _, _ = dependent(clock, True)
    assert ask_asgi(app, path).headers["x-ratelimit-remaining"] == "3"


async def ask_what_fails(app):
    """What a server sends of a request whose error goes on to it."""
    sent = []

    async def send(message):
        sent.append(message)

    with pytest.raises(ZeroDivisionError):
        await app(scope_of("GET", "/fail", (), (ADDRESS, 1)), None, send)
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize("way", ["dependency", "default limits", "middleware", "around"])
def test_errors_that_nobody_handles_have_headers(clock, way):
    app = FastAPI()
    limiter = tidegate.Limiter("4/minute", clock=clock)
    dependencies = []
    if way == "dependency":
        install(app)
        dependencies = [Depends(RateLimit(limiter))]
    elif way == "default limits":
        Limiter(key_func=get_remote_address, default_limits=["4/minute"], clock=clock).init_app(app)
    elif way == "middleware":
        install(app)
        app.add_middleware(RateLimitMiddleware, limiter=limiter)

    @app.get("/fail", dependencies=dependencies)
    async def fail():
        raise ZeroDivisionError

    around = RateLimitMiddleware(app, limiter) if way == "around" else app
    status, headers = asyncio.run(ask_what_fails(around))
    assert (status, headers[b"x-ratelimit-remaining"]) == (500, b"3")
    with pytest.raises(RuntimeError, match="^install: the application has started"):
        install(app)


def test_what_is_mounted_may_have_no_headers(clock):
    async def bare(scope, receive, send):
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    app = Starlette(routes=[Mount("/bare", bare)])
    Limiter(key_func=get_remote_address, default_limits=["4/minute"], clock=clock).init_app(app)
    answer = ask_asgi(app, "/bare/x")
    assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (204, "3")


def test_a_handler_of_the_application_goes_before(clock):
    app, _, _ = dependent(clock, True)

    @app.exception_handler(RateLimitExceeded)
    async def handler(request, exceeded):
        return JSONResponse({"wait": exceeded.decision.retry_after}, 420)

    *_, denied = [ask_asgi(app, "/r/response") for _ in range(5)]
    assert (denied.status, denied.json()) == (420, {"wait": 15.0})


def test_a_stream_is_charged_to_its_end(clock):
    limiter = tidegate.Limiter({"limit": [{"rate": "20s/minute", "algorithm": "fixed_window"}]}, clock=clock)
    for with_headers in (False, True):
        app = FastAPI()
        if with_headers:
            install(app)

        @app.get("/", dependencies=[Depends(RateLimit(limiter))])
        async def stream(tasks: BackgroundTasks):
            async def chunks():
                for _ in range(3):
                    clock.advance(1)
                    yield b"x"

            # With `install` up to the last byte; without, what comes after it, too.
            tasks.add_task(clock.advance, 4)
            return StreamingResponse(chunks(), background=tasks)

        before = used(limiter)[0]
        ask_asgi(app, "/")
        assert used(limiter)[0] - before == (3_000_000_000 if with_headers else 7_000_000_000)


def test_so_is_that_of_a_decorated_handler(clock):
    limiter = Limiter(key_func=get_remote_address, clock=clock)
    app = FastAPI()

    @app.get("/")
    @limiter.limit("20s/minute")
    async def stream():
        async def chunks():
            for _ in range(3):
                clock.advance(1)
                yield b"x"

        return StreamingResponse(chunks())

    ask_asgi(app, "/")
    assert used(limiter._rates.limiter, {"l0": f"\x1f/\x1f{ADDRESS}"}) == [3_000_000_000]


def test_a_denied_websocket(clock):
    app = FastAPI()

    @app.websocket("/socket", dependencies=[Depends(RateLimit("1/minute"))])
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.close()

    async def connect(**more):
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "websocket", "path": "/socket", "headers": [], "client": (ADDRESS, 1), "query_string": b""}
        await app({**scope, "scheme": "ws", "root_path": "", "subprotocols": [], **more}, receive, send)
        return sent

    assert asyncio.run(connect())[0]["type"] == "websocket.accept"
    [refused] = asyncio.run(connect())
    assert (refused["type"], refused["code"]) == ("websocket.close", 1008)
    start, _ = asyncio.run(connect(extensions={"websocket.http.response": {}}))
    assert start["status"] == 429


# --- Limiter: the usage examples of slowapi's documentation, written anew


def test_starlette_s_quick_start(clock):
    limiter = Limiter(key_func=get_remote_address, clock=clock)

    @limiter.limit("5/minute")
    async def homepage(request: Request):
        return PlainTextResponse("test")

    app = Starlette(routes=[Route("/home", homepage)])
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, rate_limit_exceeded_handler)
    answers = [ask_asgi(app, "/home") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert answers[-1].headers["retry-after"] == "60"


def test_fastapi_s_quick_start(clock):
    limiter = Limiter(key_func=get_remote_address, clock=clock)
    app = FastAPI()
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, rate_limit_exceeded_handler)

    @app.get("/home")
    @limiter.limit("5/minute")
    async def homepage(request: Request):
        return PlainTextResponse("test")

    @app.get("/mars")
    @limiter.limit("5/minute")
    async def mars(request: Request, response: Response):
        return {"key": "value"}

    assert statuses(app, *["/home"] * 6) == [200] * 5 + [429]
    answers = [ask_asgi(app, "/mars") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert answers[0].headers["x-ratelimit-remaining"] == "4"


def test_handlers_of_every_form(clock):
    limiter = Limiter(key_func=get_remote_address, clock=clock)
    app = FastAPI()

    @app.get("/plain/{number}")
    @limiter.limit("1/minute")
    def plain(number: int, word: str = "x"):
        return {number: word}

    @app.get("/keywords")
    @limiter.limit("1/minute")
    async def keywords(*, word: str):
        return word

    @app.get("/depends")
    @limiter.limit("1/minute")
    async def depends(agent: "str | None" = Depends(lambda request: None if request else "")): ...

    assert ask_asgi(app, "/plain/3", query_string=b"word=y").json() == {"3": "y"}
    assert ask_asgi(app, "/plain/3").status == 429
    assert ask_asgi(app, "/plain/4").status == 200  # another URL
    assert ask_asgi(app, "/keywords", query_string=b"word=y").json() == "y"
    assert ask_asgi(app, "/keywords", query_string=b"word=y").status == 429
    operations = app.openapi()["paths"]["/plain/{number}"]["get"]
    assert [one["name"] for one in operations["parameters"]] == ["number", "word"]


def test_two_limiters_at_one_handler(clock):
    first = Limiter(key_func=get_remote_address, clock=clock)
    second = Limiter(key_func=lambda request: request.headers["user"], clock=clock)
    app = FastAPI()

    @app.get("/")
    @first.limit("3/minute")
    @second.limit("2/minute")
    async def handler(): ...

    assert statuses(app, *"///", headers=[("user", "ann")]) == [200, 200, 429]
    assert statuses(app, "/", headers=[("user", "bob")]) == [429]


def served(clock, **options):
    limiter = Limiter(key_func=get_remote_address, clock=clock, **options)
    app = FastAPI()
    limiter.init_app(app)

    @app.get("/own")
    @limiter.limit("1/minute")
    async def own():
        return PlainTextResponse("own")

    @app.get("/both")
    @limiter.limit("9/minute", override_defaults=False)
    async def both():
        return {}

    @app.get("/default")
    async def default():
        raise HTTPException(418)

    @app.get("/exempt")
    @limiter.exempt
    async def exempt():
        return {}

    return app, limiter


def test_default_limits_and_exemptions(clock):
    app, limiter = served(clock, default_limits=["2/minute"])
    assert statuses(app, *["/own"] * 3) == [200, 429, 429]
    assert statuses(app, *["/both"] * 3) == [200, 200, 429]
    assert statuses(app, *["/default"] * 3) == [418, 418, 429]
    assert statuses(app, *["/exempt"] * 9) == [200] * 9
    limiter.reset()
    answer = ask_asgi(app, "/default")
    assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (418, "1")
    denied = [ask_asgi(app, "/default") for _ in range(2)][-1]
    assert denied.headers["retry-after"] == "60" and denied.json()["error"]["details"]["limit"] == 2
    limiter.enabled = False
    assert statuses(app, *["/own"] * 3) == [200] * 3


def test_application_limits_are_shared_by_all_routes(clock):
    app, _ = served(clock, application_limits=["3/minute"], default_limits=["2/minute"])
    assert statuses(app, "/default", "/default", "/default", "/own", "/both") == [418, 418, 429, 200, 429]


def test_shared_limits_keys_costs_and_exempt_when(clock):
    limiter = Limiter(key_func=get_remote_address, clock=clock, key_style="endpoint")
    app = FastAPI()
    shared = limiter.shared_limit("2/minute", scope="database")

    for path in ("/a", "/b"):
        app.get(path)(shared(lambda: None))

    @app.get("/user")
    @limiter.limit("1/minute", key_func=lambda request: request.headers["user"])
    async def user(): ...

    @app.get("/cost/{units}")
    @limiter.limit("5/minute", cost=lambda request: int(request.path_params["units"]))
    async def cost(units: int): ...

    @app.get("/staff")
    @limiter.limit("1/minute", exempt_when=lambda request: "staff" in request.headers)
    async def staff(): ...

    @app.get("/dynamic")
    @limiter.limit(lambda key: "2/minute" if key == ADDRESS else "1/minute")
    async def dynamic(): ...

    assert statuses(app, "/a", "/b", "/a", "/b") == [200, 200, 429, 429]
    assert statuses(app, "/user", "/user", headers=[("user", "ann")]) == [200, 429]
    assert statuses(app, "/user", headers=[("user", "bob")]) == [200]
    assert statuses(app, "/cost/3", "/cost/3", "/cost/2", "/cost/1") == [200, 429, 200, 429]
    assert statuses(app, "/staff", "/staff", headers=[("staff", "1")]) == [200, 200]
    assert statuses(app, "/staff", "/staff") == [200, 429]
    assert statuses(app, *["/dynamic"] * 3) == [200, 200, 429]
    assert statuses(app, *["/dynamic"] * 3, client=("203.0.113.1", 2)) == [200, 429, 429]


def test_methods_and_limits_for_each_method(clock):
    limiter = Limiter(key_func=get_remote_address, clock=clock, key_prefix="site")
    app = FastAPI()

    @app.api_route("/each", methods=["GET", "POST"])
    @limiter.limit("1/minute", per_method=True)
    async def each(): ...

    @app.api_route("/writes", methods=["GET", "POST"])
    @limiter.limit("1/minute", methods=["POST"])
    async def writes(): ...

    @app.api_route("/all", methods=["GET", "POST"])
    @limiter.limit("1/minute")
    async def all_methods(): ...

    def asked(path):
        return [ask_asgi(app, path, method=method).status for method in ("GET", "POST", "GET", "POST")]

    assert asked("/each") == [200, 200, 429, 429]
    assert asked("/writes") == [200, 200, 200, 429]
    assert asked("/all") == [200, 429, 429, 429]


def test_time_is_a_limit_too_and_the_message_is_told(clock):
    limiter = Limiter(key_func=get_remote_address, clock=clock)
    app = FastAPI()
    limiter.init_app(app)

    @app.get("/")
    @limiter.limit("100/minute; 3s/minute", error_message="Too slow.")
    async def slow():
        clock.advance(2)
        return {}

    assert statuses(app, "/", "/") == [200, 200]
    denied = ask_asgi(app, "/")
    assert denied.status == 429 and denied.json()["error"]["message"] == "Too slow."
    assert denied.headers["x-ratelimit-limit"] == "3000"


def test_many_at_once_share_a_limit(clock):
    app, _ = served(clock, default_limits=["100/minute"])

    async def all_at_once():
        return await asyncio.gather(*(ask_asgi_async(app, "/default") for _ in range(250)))

    answers = asyncio.run(all_at_once())
    assert sum(answer.status == 418 for answer in answers) == 100


@pytest.mark.parametrize(("swallow", "status"), [(True, 200), (False, 500)])
def test_a_limiter_that_fails(monkeypatch, swallow, status):
    app, limiter = served(None, swallow_errors=swallow)
    monkeypatch.setattr(limiter._rates, "enter", lambda asked: 1 / 0)
    if swallow:
        assert ask_asgi(app, "/own").status == status
    else:
        with pytest.raises(ZeroDivisionError):
            ask_asgi(app, "/own")
    assert limiter.errors == 1


def test_a_cost_that_is_none_is_not_swallowed(clock):
    app, limiter = FastAPI(), Limiter(key_func=get_remote_address, clock=clock, swallow_errors=True)

    @app.get("/")
    @limiter.limit("5/minute", cost=lambda request: int(request.headers["n"]))
    async def handler(): ...

    with pytest.raises(tidegate.ArgumentError, match="^cost: "):
        ask_asgi(app, "/", headers=[("n", "-1")])
    assert limiter.errors == 1


async def says_yes(*_):
    return True


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"key_func": None}, "key_func: expected a function, got NoneType"),
        ({"key_func": says_yes}, "key_func: expected a function that is not async"),
        ({"headers": "rfc"}, "headers: unknown 'rfc'; give \"legacy\""),
        ({"body": "html"}, "body: unknown 'html'; give \"error\""),
        ({"default_limits": "5/minute"}, "default_limits: expected a list, got str; give"),
        ({"application_limits": "5/minute"}, "application_limits: expected a list, got str; give"),
        ({"default_limits": [says_yes]}, "limit: expected a function that is not async"),
        ({"key_style": "uri"}, "key_style: unknown 'uri'; give \"url\" or \"endpoint\""),
    ],
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises((TypeError, ValueError), match=f"^{text}"):
        Limiter(**{"key_func": get_remote_address, **options})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        # A text's letters would be methods, and no request would be limited.
        ({"methods": "POST"}, "methods: expected a list, got str; give"),
        # A coroutine is true, and each is another key.
        ({"exempt_when": says_yes}, "exempt_when: expected a function that is not async"),
        ({"key_func": says_yes}, "key_func: expected a function that is not async"),
        ({"exempt_when": True}, "exempt_when: expected a function, got bool"),
        ({"cost": "2"}, "cost: expected an int or a function, got str"),
        ({"cost": -2}, "cost: -2 is negative"),
        ({"cost": says_yes}, "cost: expected a function that is not async"),
    ],
)
def test_wrong_terms_are_refused_where_they_are_written(options, text):
    limiter = Limiter(get_remote_address)
    with pytest.raises((TypeError, ValueError), match=f"^{text}"):
        limiter.limit("5/minute", **options)
    if "methods" not in options:
        with pytest.raises((TypeError, ValueError), match=f"^{text}"):
            limiter.shared_limit("5/minute", "scope", **options)


@pytest.mark.parametrize("swallow", [True, False])
@pytest.mark.parametrize("name", ["exempt_when", "key_func"])
def test_a_coroutine_lets_nobody_pass(swallow, name):
    app, limiter = FastAPI(), Limiter(get_remote_address, swallow_errors=swallow)

    @app.get("/")
    @limiter.limit("5/minute", **{name: lambda: says_yes()})
    async def handler(): ...

    with pytest.raises(TypeError, match=f"^{name}: expected .*, got coroutine; give a function"):
        ask_asgi(app, "/")


def test_a_message_that_no_policy_takes_is_told_all_the_same(clock):
    app, limiter = FastAPI(), Limiter(get_remote_address, clock=clock)

    @app.get("/")
    @limiter.limit("1/minute", error_message="two\nlines")
    async def handler(): ...

    assert ask_asgi(app, "/").status == 200
    denied = ask_asgi(app, "/")
    assert (denied.status, denied.json()) == (429, {"error": "two\nlines"})


def test_a_mark_above_the_route_limits_too_where_the_limiter_knows_the_application(clock):
    app, limiter = FastAPI(), Limiter(get_remote_address, clock=clock, default_limits=["5/minute"])
    other = Limiter(get_remote_address, clock=clock)
    limiter.init_app(app)

    @limiter.limit("1/minute")
    @app.get("/above")
    async def above(): ...

    @limiter.limit("1/minute")
    @app.get("/two")
    @other.limit("9/minute")
    async def two(): ...

    @app.get("/right")
    @other.limit("9/minute")
    @limiter.limit("2/minute")
    async def right(): ...

    assert [ask_asgi(app, "/above").status for _ in range(2)] == [200, 429]
    assert [ask_asgi(app, "/two").status for _ in range(2)] == [200, 429]
    assert [ask_asgi(app, "/right").status for _ in range(3)] == [200, 200, 429]
