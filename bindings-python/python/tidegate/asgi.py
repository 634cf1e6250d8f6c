"""Tidegate for ASGI: Starlette, FastAPI, Litestar, Quart, Django, or none; HTTP and WebSocket.

>>> from tidegate.asgi import RateLimitMiddleware
>>> app = RateLimitMiddleware(app, "100/minute")

>>> app.add_middleware(RateLimitMiddleware, limiter=limiter, identify=by_user)

In Litestar `app.asgi_handler = RateLimitMiddleware(app.asgi_handler, limiter)`, in Quart the same with `app.asgi_app`:
all requests, those without a route too, and the application stays what it is for its own tools.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Mapping

from tidegate._adapter import (
    UNCHECKED_BODY,
    UNCHECKED_STATUS,
    UNCHECKED_TYPE,
    Connection,
    Guard,
    Incoming,
    SettledVisit,
    Unchecked,
    Visit,
)
from tidegate._errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
    from typing import Any, TypeAlias

    from typing_extensions import Unpack

    from tidegate._adapter import _Options, _Policy
    from tidegate._native import Decision
    from tidegate._proxies import Proxies

    _Scope: TypeAlias = MutableMapping[str, Any]
    _Message: TypeAlias = MutableMapping[str, Any]
    _Receive: TypeAlias = Callable[[], Awaitable[_Message]]
    _Send: TypeAlias = Callable[[_Message], Awaitable[None]]
    _App: TypeAlias = Callable[[_Scope, _Receive, _Send], Awaitable[None]]
    _RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

__all__ = ["Request", "RateLimitMiddleware", "current"]

# Where a request's `Request` is in its scope, for those who come later.
KEY = "tidegate"
# In the scope: who adds headers and ends visits at the response's end, where `tidegate.fastapi.install` was called.
PENDING = "tidegate.pending"
# The close code of RFC 6455 for who breaks a rule: a policy of this server.
POLICY_VIOLATION = 1008


class Request(Incoming):
    """A request of ASGI; `raw` is its scope."""

    __slots__ = ("_app",)

    def __init__(self, scope: _Scope, proxies: Proxies, app: object = None) -> None:
        peer = scope.get("client")
        method = "WS" if scope["type"] == "websocket" else scope["method"]
        super().__init__(scope, method, scope["path"], peer[0] if peer else None, proxies)
        self._app = app

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode("latin-1")
        found = [value for key, value in self.raw["headers"] if key.lower() == wanted]
        return b",".join(found).decode("latin-1") if found else None

    def pattern(self) -> str | None:
        scope = self.raw
        template = scope.get("path_template")  # Litestar has found its route by now
        if template is not None:
            return str(template)
        route = scope.get("route")  # so has Starlette, inside of a route
        if route is not None and "fastapi" not in scope:
            return getattr(route, "path", None)
        app = scope.get("app") or self._app
        routes = getattr(app, "routes", None)
        if routes is None:
            return None
        litestar = getattr(app, "asgi_router", None)
        return _pattern(routes, scope) if litestar is None else _template(litestar, scope)


class RateLimitMiddleware:
    """Ask a limiter about every request of an application.

    A denied request is answered here, with the status, headers and body of the decision; a denied WebSocket is not
    accepted. Every response has the decision's headers. When a response has ended, or was given up, the time it took
    is charged to the latency limits, and permits are given back. A WebSocket counts when it is opened, and holds its
    permits until it closes; the time that it was open is charged to nobody.

    Parameters
    ----------
    app : ASGI application
        What is limited. The outermost middleware is the best place: nothing is done for a denied request then.
    limiter, identify, cost, settle, skip, headers, body, trusted_proxies, forwarded_header, on_error
        As for every adapter: `help(tidegate.asgi.Guard)`. `identify` and `skip` may be coroutine functions.
    renew_every : float, optional
        Seconds after which the permits of an open WebSocket are renewed, again and again: less than `max_hold` in the
        policy.

    Notes
    -----
    A handler finds the decision in `tidegate.asgi.current(scope).decision`.

    What Starlette's `add_middleware` adds does not see the answer to an error that nobody has handled. Put it around the
    application (`app = RateLimitMiddleware(app, limiter)`), or call `tidegate.fastapi.install(app)` as well.

    A server that itself rewrites `scope["client"]` from headers (`uvicorn --proxy-headers`, its default for proxies on
    the same machine) has done what `trusted_proxies` does: let one of the two do it.
    """

    def __init__(
        self,
        app: _App,
        limiter: _Policy,
        *,
        renew_every: float | None = None,
        **options: Unpack[_Options],
    ) -> None:
        self.app = app
        self.guard = Guard(limiter, **options)
        if renew_every is not None:
            _check_seconds(renew_every)
        self._renew_every = renew_every

    @property
    def errors(self) -> int:
        """int: How often the limiter failed."""
        return self.guard.errors

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        guard = self.guard
        request = Request(scope, guard.proxies, self.app)
        skipped = guard.skipping(request)
        if skipped is not False and inspect.isawaitable(skipped):
            skipped = await skipped
        if skipped:
            return await self.app(scope, receive, send)
        scope[KEY] = request
        who = guard.who(request)
        if who is not None and type(who) is not str and inspect.isawaitable(who):
            who = await who
        try:
            if kind == "websocket":
                connection = guard.connect(request, who)
            else:
                visit = guard.enter(request, who)
        except Unchecked:
            return await deny(scope, receive, send, UNCHECKED_STATUS, _unchecked(), UNCHECKED_BODY)
        if kind == "websocket":
            return await self._open(connection, scope, receive, send)
        return await self._serve(visit, scope, receive, send)

    async def _serve(
        self, visit: Visit | SettledVisit | None, scope: _Scope, receive: _Receive, send: _Send
    ) -> None:
        if visit is None:
            return await self.app(scope, receive, send)
        if not visit.decision:
            return await self._deny(visit.decision, scope, receive, send)
        added = raw_headers(visit.decision.headers(self.guard.header_style))
        status: int | None = None

        async def sending(message: _Message) -> None:
            nonlocal status
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
                message = {**message, "headers": with_headers(message.get("headers", ()), added)}
            await send(message)
            # Work that comes after the last byte (background tasks) is not the response's.
            if ends(kind, message):
                visit.finish(status)

        try:
            await self.app(scope, receive, sending)
        except Exception:
            # Something further out answers; it gets headers where somebody stands outside of that as well.
            if status is None and PENDING in scope:
                scope[PENDING].append((visit, self.guard.header_style))
            raise
        finally:
            visit.finish(status)

    async def _open(
        self, connection: Connection | None, scope: _Scope, receive: _Receive, send: _Send
    ) -> None:
        if connection is None:
            return await self.app(scope, receive, send)
        if not connection.decision:
            return await self._deny(connection.decision, scope, receive, send)
        added = raw_headers(connection.decision.headers(self.guard.header_style))
        timer = _Renewal(connection, self._renew_every) if self._renew_every else None

        async def sending(message: _Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                message = {**message, "headers": with_headers(message.get("headers", ()), added)}
            await send(message)
            if message["type"] == "websocket.close":
                connection.finish()

        async def receiving() -> _Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                connection.finish()
            return message

        try:
            await self.app(scope, receiving, sending)
        finally:
            connection.finish()
            if timer is not None:
                timer.stop()

    async def _deny(
        self, decision: Decision, scope: _Scope, receive: _Receive, send: _Send
    ) -> None:
        style = self.guard.body
        headers = decision.headers(self.guard.header_style)
        headers["Content-Type"] = decision.content_type(style)
        if decision.closes and scope.get("http_version", "1.1").startswith("1"):
            headers["Connection"] = "close"
        await deny(scope, receive, send, decision.status, headers, decision.body(style))


def _check_seconds(renew_every: float) -> None:
    remedy = "give seconds, more than 0 and less than max_hold in the policy"
    if not isinstance(renew_every, (int, float)) or isinstance(renew_every, bool):
        raise TypeError(f"renew_every: expected a number, got {type(renew_every).__name__}; {remedy}")
    if not 0 < renew_every < math.inf:
        problem = f"renew_every: {renew_every} is out of range; {remedy}"
        raise ArgumentError(problem, "renew_every", remedy)


class _Renewal:
    """Renews a connection's permits until it is stopped."""

    def __init__(self, connection: Connection, every: float) -> None:
        self._connection = connection
        self._every = every
        self._timer = asyncio.get_running_loop().call_later(every, self._renew)

    def _renew(self) -> None:
        self._connection.renew()
        self._timer = asyncio.get_running_loop().call_later(self._every, self._renew)

    def stop(self) -> None:
        self._timer.cancel()


def current(scope: _Scope) -> Request | None:
    """The request as the middleware saw it, with its decision; None where none was asked.

    Parameters
    ----------
    scope : mapping
        The ASGI scope; in Starlette and FastAPI `request.scope`.
    """
    found = scope.get(KEY)
    return found if isinstance(found, Request) else None


async def deny(
    scope: _Scope,
    receive: _Receive,
    send: _Send,
    status: int,
    headers: Mapping[str, str],
    text: str,
) -> None:
    """Answer in place of the application."""
    body = text.encode()
    raw = [*raw_headers(headers), (b"content-length", str(len(body)).encode())]
    prefix = ""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # Before it is accepted, a close is a response with 403.
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        prefix = "websocket."
    elif scope["method"] == "HEAD":
        body = b""
    await send({"type": f"{prefix}http.response.start", "status": status, "headers": raw})
    await send({"type": f"{prefix}http.response.body", "body": body})


def ends(kind: str, message: _Message) -> bool:
    """Is this the last message of a response?"""
    if kind == "http.response.body":
        return not message.get("more_body", False)
    return kind == "http.response.pathsend"


def raw_headers(headers: Mapping[str, str]) -> _RawHeaders:
    return [(_raw_name(name), value.encode("latin-1")) for name, value in headers.items()]


def with_headers(
    present: Iterable[tuple[bytes, bytes]], added: _RawHeaders
) -> _RawHeaders:
    """The headers of a response with ours; what is there already (of a limit further inside) stays."""
    headers = list(present)
    names = {name.lower() for name, _ in headers}
    headers.extend(pair for pair in added if pair[0] not in names)
    return headers


_NAMES: dict[str, bytes] = {}


def _raw_name(name: str) -> bytes:
    raw = _NAMES.get(name)
    if raw is None:
        raw = _NAMES[name] = name.lower().encode("latin-1")
    return raw


def _unchecked() -> dict[str, str]:
    return {"Content-Type": UNCHECKED_TYPE}


def matching(routes: Iterable[Any], scope: _Scope) -> tuple[Any, _Scope, str] | None:
    """Starlette's route for this request, what it adds to the scope, and its pattern; also in what is mounted."""
    for route in _each(routes):
        matched, child = route.matches(scope)
        if matched.value < 2:  # Match.NONE, or the path alone: another method
            continue
        path = getattr(child.get("route", route), "path", "")
        below = getattr(route, "routes", None)
        if not below or "root_path" not in child:
            return route, child, path
        found = matching(below, {**scope, **child})
        return None if found is None else (found[0], found[1], path + found[2])
    return None


def _each(routes: Iterable[Any]) -> Iterator[Any]:
    """Routes; of the routers that FastAPI keeps as such, those in them, with their prefixes."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            if hasattr(route, "matches"):  # else it is none of Starlette's
                yield route
            continue
        for context in contexts():
            inner = context.starlette_route
            yield context if inner is None else inner


def _template(router: Any, scope: _Scope) -> str | None:
    """Litestar's pattern, before Litestar itself looks for it. (It remembers what it finds, for both.)"""
    from litestar.utils import normalize_path

    path, root = scope["path"], scope.get("root_path", "")
    if root:
        path = path.split(root, maxsplit=1)[-1]
    method = scope.get("method")
    method = "GET" if method == "HEAD" else method
    try:
        return str(router.handle_routing(path=normalize_path(path), method=method)[4])
    except Exception:  # there is no such route; or a Litestar that finds them in another way: then the path has to do
        return None


def _pattern(routes: Iterable[Any], scope: _Scope) -> str | None:
    found = matching(routes, scope)
    return found[2] or None if found is not None else None
