"""The WSGI applications of test_workers.py: each response tells which worker answered."""

import os

import tidegate
from tidegate.wsgi import RateLimitMiddleware

QUOTA = 40


def hello(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


def marked(app):
    def mark(environ, start_response):
        def starting(status, headers):
            return start_response(status, [*headers, ("X-Worker", str(os.getpid()))])

        return app(environ, starting)

    return mark


def application(scale):
    policy = {"scale": scale, "limit": [{"rate": f"{QUOTA}/day"}]}
    return marked(RateLimitMiddleware(hello, tidegate.Limiter(policy)))


whole, quarter = application(1), application(0.25)
