"""What a rate limit adds to a request: Tidegate's adapters beside slowapi and Flask-Limiter, on the same application.

    python benches/python/adapters.py [--quick] [--check] [--rounds N] [--json PATH]

Each application is called in this process, as a server would call it: no sockets, no server. All sides take turns in
each round; what a limit adds is the time of a request with it less that of the bare application in the same round. The
table has medians over the rounds. --check fails when a peer adds less than ours beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import statistics
import sys
import warnings
from time import perf_counter_ns

import flask
import flask_limiter
import slowapi
import slowapi.middleware
import slowapi.util
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

import tidegate
import tidegate.asgi
import tidegate.fastapi
import tidegate.flask
import tidegate.wsgi

# A rate that nobody reaches.
RATE = "100000000/hour"
ADDRESS = "198.51.100.7"


# --- FastAPI


def fastapi_app(decorate=lambda handler: handler, set_up=lambda app: None, **route):
    app = FastAPI()

    @app.get("/items/{number}", **route)
    @decorate
    async def item(request: Request, number: int):
        return PlainTextResponse("item")

    set_up(app)
    return app


def slowapi_app(headers):
    limiter = slowapi.Limiter(key_func=slowapi.util.get_remote_address, headers_enabled=headers)
    app = fastapi_app(limiter.limit(RATE))
    app.state.limiter = limiter
    return app


def slowapi_middleware():
    limiter = slowapi.Limiter(
        key_func=slowapi.util.get_remote_address, headers_enabled=True, default_limits=[RATE]
    )
    app = fastapi_app(set_up=lambda app: app.add_middleware(slowapi.middleware.SlowAPIASGIMiddleware))
    app.state.limiter = limiter
    return app


def tidegate_decorated():
    limiter = tidegate.fastapi.Limiter(key_func=tidegate.fastapi.get_remote_address)
    return fastapi_app(limiter.limit(RATE))


def tidegate_defaults():
    limiter = tidegate.fastapi.Limiter(
        key_func=tidegate.fastapi.get_remote_address, default_limits=[RATE]
    )
    return fastapi_app(set_up=limiter.init_app)


def tidegate_middleware():
    add = tidegate.asgi.RateLimitMiddleware
    return fastapi_app(set_up=lambda app: app.add_middleware(add, limiter=RATE))


def asgi_side(app):
    """A function that makes so many requests, and returns ns a request."""
    messages = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        messages.append(message)

    async def request():
        messages.clear()
        await app(
            {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
                "scheme": "http", "path": "/items/7", "raw_path": b"/items/7", "query_string": b"",
                "root_path": "", "headers": [(b"host", b"x")], "client": (ADDRESS, 1),
                "server": ("x", 80), "state": {},
            },
            receive,
            send,
        )  # fmt: skip
        assert messages[0]["status"] == 200 and messages[1]["body"] == b"item"

    async def many(calls):
        start = perf_counter_ns()
        for _ in range(calls):
            await request()
        return (perf_counter_ns() - start) / calls

    return lambda calls: LOOP.run_until_complete(many(calls))


# --- Flask


def flask_app(decorate=lambda view: view):
    app = flask.Flask("bench")

    @app.get("/items/<int:number>")
    @decorate
    def item(number):
        return "item"

    return app


def flask_limiter_app(headers):
    limiter = flask_limiter.Limiter(
        flask_limiter.util.get_remote_address, storage_uri="memory://", headers_enabled=headers
    )
    app = flask_app(limiter.limit(RATE))
    limiter.init_app(app)
    return app


def tidegate_flask():
    limiter = tidegate.flask.Limiter(tidegate.flask.get_remote_address)
    app = flask_app(limiter.limit(RATE))
    limiter.init_app(app)
    return app


def tidegate_extension():
    app = flask_app()
    tidegate.flask.RateLimit(app, RATE)
    return app


def wsgi_side(app):
    def start_response(status, headers, exc_info=None):
        assert status == "200 OK"

    def request():
        body = app(
            {
                "REQUEST_METHOD": "GET", "PATH_INFO": "/items/7", "SCRIPT_NAME": "", "QUERY_STRING": "",
                "SERVER_NAME": "x", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": ADDRESS,
                "wsgi.version": (1, 0), "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
                "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": False,
                "wsgi.run_once": False,
            },
            start_response,
        )  # fmt: skip
        assert b"".join(body) == b"item"
        body.close()

    def side(calls):
        start = perf_counter_ns()
        for _ in range(calls):
            request()
        return (perf_counter_ns() - start) / calls

    return side


# What is compared: the bare application, ours, and the peers.
GROUPS = [
    (
        "FastAPI, a limit at the route",
        asgi_side,
        fastapi_app,
        tidegate_decorated,
        {"slowapi": lambda: slowapi_app(True), "slowapi without headers": lambda: slowapi_app(False)},
    ),
    (
        "FastAPI, a limit of every route",
        asgi_side,
        fastapi_app,
        tidegate_defaults,
        {"slowapi": slowapi_middleware},
    ),
    (
        "FastAPI, the middleware",
        asgi_side,
        fastapi_app,
        tidegate_middleware,
        {"slowapi": slowapi_middleware},
    ),
    (
        "Flask, a limit at the route",
        wsgi_side,
        flask_app,
        tidegate_flask,
        {
            "Flask-Limiter": lambda: flask_limiter_app(True),
            "Flask-Limiter without headers": lambda: flask_limiter_app(False),
        },
    ),
    (
        "Flask, the extension",
        wsgi_side,
        flask_app,
        tidegate_extension,
        {"Flask-Limiter": lambda: flask_limiter_app(True)},
    ),
    (
        "Flask, the WSGI middleware",
        wsgi_side,
        flask_app,
        lambda: tidegate.wsgi.RateLimitMiddleware(flask_app(), RATE),
        {"Flask-Limiter": lambda: flask_limiter_app(True)},
    ),
]

LOOP = asyncio.new_event_loop()


def measure(rounds, calls):
    for what, side, bare, ours, peers in GROUPS:
        sides = [side(make()) for make in (bare, ours, *peers.values())]
        for each in sides:
            each(max(10, calls // 10))  # warm up
        taken = [[] for _ in sides]
        for turn in range(rounds):
            order = list(range(len(sides)))
            for index in order if turn % 2 else reversed(order):
                taken[index].append(sides[index](calls))
        base = statistics.median(taken[0])
        added = [
            statistics.median(with_limit - alone for with_limit, alone in zip(each, taken[0]))
            for each in taken[1:]
        ]
        for name, theirs in zip(peers, added[1:]):
            yield {"what": what, "peer": name, "bare": base, "ours": added[0], "theirs": theirs}


def show(rows):
    print(f"{'what':34} {'bare':>9} {'ours adds':>10} {'peer adds':>10} {'ratio':>6}  peer")
    for row in rows:
        bare, ours, theirs = (f"{row[name] / 1000:.1f} µs" for name in ("bare", "ours", "theirs"))
        ratio = f"{row['theirs'] / row['ours']:.1f}×"
        print(f"{row['what']:34} {bare:>9} {ours:>10} {theirs:>10} {ratio:>6}  {row['peer']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--check", action="store_true", help="fail when a peer adds less")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", help="write the figures here, too")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own
    rounds, calls = (3, 20) if given.quick else (given.rounds, 300)
    rows = list(measure(rounds, calls))
    show(rows)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as out:
            json.dump(rows, out, indent=2)
    slower = [row for row in rows if row["ours"] >= row["theirs"]]
    return 1 if given.check and slower else 0


if __name__ == "__main__":
    sys.exit(main())
