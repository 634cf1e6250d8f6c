"""Tidegate for FastAPI: a dependency, or limits at routes.

>>> from fastapi import Depends, FastAPI
>>> from tidegate.fastapi import RateLimit, install
>>> app = FastAPI()
>>> install(app)
>>> @app.get("/items", dependencies=[Depends(RateLimit("100/minute"))])
... async def items(): ...

>>> from tidegate.fastapi import Limiter, get_remote_address
>>> limiter = Limiter(key_func=get_remote_address, default_limits=["100/minute"])
>>> limiter.init_app(app)
>>> @app.get("/slow")
... @limiter.limit("5/minute")
... async def slow(): ...

Neither needs a `request` argument in the handler. `Limiter` has the calls and options of slowapi, for Starlette as
well. For every request of an application, those without a route too, use `tidegate.asgi.RateLimitMiddleware`:

>>> app.add_middleware(RateLimitMiddleware, limiter=limiter)
"""

from __future__ import annotations

import inspect

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from tidegate._adapter import UNCHECKED_STATUS, Guard, Unchecked, show
from tidegate._fastapi import Limiter
from tidegate._starlette import (
    RateLimitExceeded,
    ResponseHeaders,
    leave_to_end,
    rate_limit_exceeded_handler,
    refusal,
    surround,
)
from tidegate.asgi import KEY, RateLimitMiddleware, current
from tidegate.asgi import Request as Incoming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette
    from typing_extensions import Unpack

    from tidegate._adapter import Connection, SettledVisit, Visit, _Options, _Policy
    from tidegate._native import Decision

__all__ = [
    "Limiter",
    "RateLimit",
    "RateLimitExceeded",
    "RateLimitMiddleware",
    "ResponseHeaders",
    "current",
    "get_remote_address",
    "install",
    "rate_limit_exceeded_handler",
]


# Its name in slowapi: applications that come from there change where they import it from.
_rate_limit_exceeded_handler = rate_limit_exceeded_handler


def install(app: Starlette) -> None:
    """Give every response of limited routes its headers: see `ResponseHeaders`.

    Parameters
    ----------
    app : fastapi.FastAPI or starlette.applications.Starlette
        The application, before it has started.
    """
    surround(app)


class RateLimit:
    """A dependency of routes, routers or applications: `Depends(RateLimit("5/minute"))`.

    One that was made once and is used in several places counts them together.

    Parameters
    ----------
    limiter, identify, cost, settle, skip, headers, body, trusted_proxies, forwarded_header, on_error
        As for every adapter: `help(tidegate.fastapi.Guard)`. `identify` and `skip` may be coroutine functions.

    Raises
    ------
    RateLimitExceeded
        In a request that is denied. It becomes a response by itself.

    Notes
    -----
    FastAPI reads and checks a request's JSON before its dependencies: a body that is no JSON is refused uncounted. The
    middleware counts it.
    """

    def __init__(self, limiter: _Policy, **options: Unpack[_Options]) -> None:
        self.guard = Guard(limiter, **options)

    @property
    def errors(self) -> int:
        """int: How often the limiter failed."""
        return self.guard.errors

    async def __call__(
        self, connection: HTTPConnection, response: Response
    ) -> AsyncIterator[Decision | None]:
        scope, guard = connection.scope, self.guard
        request = Incoming(scope, guard.proxies)
        skipped = guard.skipping(request)
        if inspect.isawaitable(skipped):
            skipped = await skipped
        if skipped:
            yield None
            return
        scope[KEY] = request
        who = guard.who(request)
        if inspect.isawaitable(who):
            who = await who
        visit: Visit | SettledVisit | Connection | None
        try:
            if scope["type"] == "websocket":
                visit = guard.connect(request, who)
            else:
                visit = guard.enter(request, who)
        except Unchecked:
            raise HTTPException(UNCHECKED_STATUS) from None
        if visit is None:
            yield None
            return
        if not visit.decision:
            raise refusal(scope, visit.decision, guard.header_style, guard.body, None)
        if not leave_to_end(scope, visit, guard.header_style):
            show(visit.decision, guard.header_style, response.headers)
        try:
            yield visit.decision
        finally:
            # After the response; `ResponseHeaders` has seen its last byte before.
            visit.finish(response.status_code)


# FastAPI reads the annotations of an instance's call as they are, not as text.
RateLimit.__call__.__annotations__.update(connection=HTTPConnection, response=Response)


def get_remote_address(request: HTTPConnection) -> str:
    """The address of the connection, as the server tells it; `127.0.0.1` when it tells none."""
    return request.client.host if request.client and request.client.host else "127.0.0.1"
