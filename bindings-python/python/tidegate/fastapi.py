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

import functools
import inspect
from typing import cast

from fastapi import WebSocketException
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from tidegate._adapter import UNCHECKED_STATUS, Guard, Unchecked, logger
from tidegate._decorated import Breach, Decorations, Denied, Pass, Rates, Rule, check_store, rule
from tidegate.asgi import (
    KEY,
    POLICY_VIOLATION,
    RateLimitMiddleware,
    current,
    ends,
    matching,
    raw_headers,
    with_headers,
)
from tidegate.asgi import Request as Incoming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import Any, TypeVar

    from starlette.applications import Starlette
    from typing_extensions import Unpack

    from tidegate._adapter import (
        _BodyStyle,
        Connection,
        _HeaderStyle,
        _Options,
        _Policy,
        SettledVisit,
        Visit,
    )
    from tidegate._decorated import Asked, _Provider
    from tidegate._native import Decision, ManualClock
    from tidegate.asgi import _App, _Message, _Receive, _Scope, _Send

    _Handler = TypeVar("_Handler", bound=Callable[..., Any])

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

# In the scope: what decides about headers and ends, where `ResponseHeaders` is installed.
_PENDING = "tidegate.pending"
# The arguments that a limited handler gets besides its own.
_REQUEST, _RESPONSE = "tidegate_request", "tidegate_response"


class RateLimitExceeded(HTTPException):
    """A denied request. It answers by itself; a handler of the application for it goes before.

    Attributes
    ----------
    decision : Decision
        Why, and when to come back.
    """

    decision: Decision

    def __init__(
        self,
        decision: Decision,
        headers: _HeaderStyle | None = "legacy",
        body: _BodyStyle = "error",
        detail: str | None = None,
    ) -> None:
        shown = {} if headers is None else decision.headers(headers)
        super().__init__(decision.status, detail or decision.name, shown)
        self.decision = decision
        self.body = body
        self.said = detail


def rate_limit_exceeded_handler(request: Request, exc: Exception) -> Response:
    """The response to a denied request: the decision's status, headers and body.

    Installed by itself; give it to `add_exception_handler` where slowapi's stood.
    """
    assert isinstance(exc, RateLimitExceeded)
    decision, headers = exc.decision, dict(exc.headers or {})
    if decision.closes and request.scope.get("http_version", "1.1").startswith("1"):
        headers["Connection"] = "close"
    if exc.said is not None and decision.message is None:
        return JSONResponse({"error": exc.said}, decision.status, headers)
    text, kind = decision.body(exc.body), decision.content_type(exc.body)
    return Response(text, decision.status, headers, media_type=kind)


class ResponseHeaders:
    """ASGI middleware: headers on every response of a limited route, and the time up to its last byte.

    Without it FastAPI adds a dependency's headers only where a handler returns a value, not a `Response`, and not to
    errors. `install(app)` and `Limiter.init_app(app)` add it.
    """

    def __init__(self, app: _App) -> None:
        self.app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http" or _PENDING in scope:
            return await self.app(scope, receive, send)
        pending: list[tuple[Visit | SettledVisit | Pass, _HeaderStyle | None]] = []
        scope[_PENDING] = pending
        status: int | None = None

        async def sending(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                for visit, style in reversed(pending):
                    if style is not None:
                        added = raw_headers(visit.decision.headers(style))
                        message = {**message, "headers": with_headers(message["headers"], added)}
            await send(message)
            if ends(message["type"], message):
                for visit, _ in pending:
                    visit.finish(status)

        try:
            await self.app(scope, receive, sending)
        finally:
            for visit, _ in pending:
                visit.finish(status)


def install(app: Starlette) -> None:
    """Give every response of limited routes its headers: see `ResponseHeaders`.

    Parameters
    ----------
    app : fastapi.FastAPI or starlette.applications.Starlette
        The application, before it has started.
    """
    app.add_middleware(ResponseHeaders)


class RateLimit:
    """A dependency of routes, routers or applications: `Depends(RateLimit("5/minute"))`.

    One that was made once and is used in several places counts them together.

    Parameters
    ----------
    limiter, identify, cost, settle, skip, headers, body, trusted_proxies, forwarded_header, on_error
        As for every adapter: `help(tidegate.fastapi.Guard)`. `identify` may be a coroutine function.

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
        if guard.skips(request):
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
            raise _refusal(scope, visit.decision, guard.header_style, guard.body, None)
        _show(scope, response, visit, guard.header_style)
        try:
            yield visit.decision
        finally:
            # After the response; `ResponseHeaders` has seen its last byte before.
            visit.finish(response.status_code)


# FastAPI reads the annotations of an instance's call as they are, not as text.
RateLimit.__call__.__annotations__.update(connection=HTTPConnection, response=Response)


class Limiter:
    """Limits at routes, with the calls and options of slowapi.

    All limits of a request decide together: a request that one denies is charged to none.

    Parameters
    ----------
    key_func : callable
        Says whose request it is: gets the request, or nothing.
    default_limits : list, optional
        Rates (strings, or functions that return them) of every route that has none of its own. They need
        `init_app`.
    application_limits : list, optional
        Rates of the whole application, shared by all routes.
    headers_enabled : bool, optional
        Whether responses have headers.
    strategy : {"fixed-window", "moving-window", "sliding-window-counter", "gcra"}, optional
        How rates are counted; the first, from a key's first request, is the default.
    storage_uri : str, optional
        `memory://`.
    swallow_errors : bool, optional
        Whether a request passes when the limiter fails.
    key_prefix : str, optional
        A prefix of every key.
    enabled : bool, optional
        False: nothing is limited.
    key_style : {"url", "endpoint"}, optional
        Whether each URL has its own limits, or each handler.
    headers, body : str, optional
        Their styles, as for every adapter.
    clock : ManualClock, optional
        For tests.
    max_keys : int, optional
        Most keys remembered at once for each rate.
    """

    def __init__(
        self,
        key_func: Callable[..., str],
        default_limits: Sequence[_Provider] = (),
        application_limits: Sequence[_Provider] = (),
        headers_enabled: bool = True,
        strategy: str | None = None,
        storage_uri: str | None = None,
        swallow_errors: bool = False,
        key_prefix: str = "",
        enabled: bool = True,
        key_style: str = "url",
        *,
        headers: _HeaderStyle = "legacy",
        body: _BodyStyle = "error",
        clock: ManualClock | None = None,
        max_keys: int = 1_000_000,
    ) -> None:
        check_store(storage_uri)
        self.enabled = enabled
        self.errors = 0
        self._headers: _HeaderStyle | None = headers if headers_enabled else None
        self._body: _BodyStyle = body
        self._swallow = swallow_errors
        self._by_url = key_style == "url"
        self._rates = Rates(strategy, clock, max_keys)
        self._decorated = Decorations(key_func, _with_request, self._rates, key_prefix)
        for provider in default_limits:
            self._rates.check(provider)
            self._decorated.defaults.append(Rule(provider=provider))
        for provider in application_limits:
            self._rates.check(provider)
            self._decorated.application.append(
                Rule(provider=provider, scope="application", shared=True)
            )

    def init_app(self, app: Starlette) -> None:
        """Limit all routes of an application, by the default limits where they have none of their own.

        Parameters
        ----------
        app : fastapi.FastAPI or starlette.applications.Starlette
            The application, before it has started.
        """
        app.state.limiter = self
        app.add_middleware(_Defaults, limiter=self, routes=app)
        app.add_middleware(ResponseHeaders)

    def limit(
        self,
        limit_value: _Provider,
        key_func: Callable[..., str] | None = None,
        per_method: bool = False,
        methods: Sequence[str] | None = None,
        error_message: str | Callable[[], str] | None = None,
        exempt_when: Callable[..., bool] | None = None,
        cost: int | Callable[..., int] = 1,
        override_defaults: bool = True,
    ) -> Callable[[_Handler], _Handler]:
        """Limit a handler. Put the route's decorator above this one.

        Parameters
        ----------
        limit_value : str or callable
            Rates, separated by `;` (`"10/hour; 100/day"`; a duration as quota limits time: `"30s/minute"`), or a
            function that returns them: gets the `key`, the request, or nothing.
        key_func : callable, optional
            Whose request it is, if other than the limiter's.
        per_method : bool, optional
            Whether each HTTP method has its own.
        methods : list of str, optional
            The only methods that are limited.
        error_message : str or callable, optional
            What a denial says.
        exempt_when : callable, optional
            True: the request is not limited here.
        cost : int or callable, optional
            Units that a request takes.
        override_defaults : bool, optional
            Whether the default limits do not hold for this handler.
        """
        given = {name: value for name, value in locals().items() if name not in _NOT_RULES}
        return self._decorator(limit_value, given)

    def shared_limit(
        self,
        limit_value: _Provider,
        scope: str | Callable[[str], str],
        key_func: Callable[..., str] | None = None,
        error_message: str | Callable[[], str] | None = None,
        exempt_when: Callable[..., bool] | None = None,
        cost: int | Callable[..., int] = 1,
        override_defaults: bool = True,
    ) -> Callable[[_Handler], _Handler]:
        """As `limit`; handlers with the same scope share it."""
        given = {name: value for name, value in locals().items() if name not in _NOT_RULES}
        return self._decorator(limit_value, {**given, "shared": True})

    def exempt(self, obj: _Handler) -> _Handler:
        """Limit a handler no more."""
        self._decorated.exempt(inspect.unwrap(obj))
        return obj

    def reset(self) -> None:
        """Forget all that was used."""
        self._rates.reset()

    def _decorator(self, provider: Any, given: dict[str, Any]) -> Callable[[_Handler], _Handler]:
        self._rates.check(provider)
        made = rule(provider, given)

        def mark(handler: _Handler) -> _Handler:
            self._decorated.add(inspect.unwrap(handler), made)
            if getattr(handler, "_tidegate_marked", None) is self:
                return handler  # one wrapper for all marks
            return _limited(self, handler)

        return mark

    def _ask(self, connection: HTTPConnection, view: Any) -> Pass | None:
        """Ask about a request of a handler, as it was before it was decorated.

        Raises
        ------
        RateLimitExceeded
            When it is denied.
        """
        scope = connection.scope
        if not self.enabled:
            return None
        method = scope.get("method", "WS")
        endpoint = scope["path"] if self._by_url else f"{view.__module__}.{view.__qualname__}"
        try:
            asked = self._decorated.asked([view], endpoint, method, connection)
            entered = self._rates.enter(asked)
        except Denied as denied:
            breach: Breach = denied.breach
            said = breach.error_message
            raise _refusal(scope, breach.decision, self._headers, self._body, said) from None
        except Exception as error:
            self.errors += 1
            logger.error("the limiter failed: %s", error, exc_info=error)
            if not self._swallow:
                raise
            return None
        return entered

class _Defaults:
    """Asks for the routes that have no limits of their own."""

    def __init__(self, app: _App, limiter: Limiter, routes: Any) -> None:
        self.app = app
        self._limiter = limiter
        self._routes = routes

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        found = matching(self._routes.routes, scope)
        handler = None if found is None else found[1].get("endpoint")
        limiter, view = self._limiter, inspect.unwrap(handler) if handler else None
        if view is None or limiter._decorated.at(view):
            return await self.app(scope, receive, send)
        connection = Request(scope, receive)
        try:
            entered = limiter._ask(connection, view)
        except RateLimitExceeded as exceeded:
            answer = scope["app"].exception_handlers.get(RateLimitExceeded)
            response = (answer or rate_limit_exceeded_handler)(connection, exceeded)
            if inspect.isawaitable(response):
                response = await response
            await response(scope, receive, send)
            return
        if entered is not None:
            scope[_PENDING].append((entered, limiter._headers))
        await self.app(scope, receive, send)


def get_remote_address(request: HTTPConnection) -> str:
    """The address of the connection, as the server tells it; `127.0.0.1` when it tells none."""
    return request.client.host if request.client and request.client.host else "127.0.0.1"


_NOT_RULES = ("self", "limit_value")


def _with_request(function: Callable[..., Any], request: Any) -> Any:
    """Functions that users write may take the request."""
    wants_one = _WANTS_ONE.get(function)
    if wants_one is None:
        wants_one = len(inspect.signature(function).parameters) == 1
        _WANTS_ONE[function] = wants_one
    return function(request) if wants_one else function()


_WANTS_ONE: dict[Callable[..., Any], bool] = {}


def _show(
    scope: _Scope,
    response: Response,
    visit: Visit | SettledVisit | Connection | Pass,
    style: _HeaderStyle | None,
) -> None:
    """See to the headers of an admitted request."""
    pending = scope.get(_PENDING)
    if pending is not None:
        pending.append((visit, style))
    elif style is not None:
        for name, value in visit.decision.headers(style).items():
            response.headers.setdefault(name, value)


def _refusal(
    scope: _Scope,
    decision: Decision,
    headers: _HeaderStyle | None,
    body: _BodyStyle,
    said: str | None,
) -> Exception:
    if scope["type"] == "websocket" and "websocket.http.response" not in (
        scope.get("extensions") or {}
    ):
        return WebSocketException(POLICY_VIOLATION, decision.name)
    # The application's own handlers go before; nobody has to add ours.
    handlers, _ = scope.get("starlette.exception_handlers", ({}, {}))
    handlers.setdefault(RateLimitExceeded, rate_limit_exceeded_handler)
    return RateLimitExceeded(decision, headers, body, said)


def _limited(limiter: Limiter, handler: _Handler) -> _Handler:
    """The handler behind the limits. FastAPI gives it a request and a response, if it does not ask for them itself."""
    signature, connection_name, response_name = _signature(handler)
    added = {_REQUEST, _RESPONSE} - set(inspect.signature(handler).parameters)
    view = inspect.unwrap(handler)

    def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pass | None, Response | None]:
        response: Response | None = kwargs.get(response_name)
        connection: HTTPConnection | None = kwargs.get(connection_name)
        for name in added:
            kwargs.pop(name, None)
        if connection is None:  # Starlette alone calls the handler with the request
            found = [one for one in (*args, *kwargs.values()) if isinstance(one, HTTPConnection)]
            if not found:
                name = getattr(handler, "__qualname__", repr(handler))
                raise TypeError(f"{name}: expected a request among its arguments")
            connection = found[0]
        scope = connection.scope
        visit = limiter._ask(connection, view)
        if visit is None:
            return None, None
        pending = scope.get(_PENDING)
        if pending is not None:
            pending.append((visit, limiter._headers))
            return None, None
        stack = scope.get("fastapi_inner_astack")
        if stack is not None:  # closed when the response was sent
            stack.callback(visit.finish)
        return visit, response

    def leave(visit: Pass, response: Response | None, result: Any) -> None:
        answer = result if isinstance(result, Response) else response
        if limiter._headers is not None and answer is not None:
            for name, value in visit.decision.headers(limiter._headers).items():
                answer.headers.setdefault(name, value)
        if response is None:
            visit.finish()

    @functools.wraps(handler)
    def limited(*args: Any, **kwargs: Any) -> Any:
        visit, response = enter(args, kwargs)
        result = None
        try:
            result = handler(*args, **kwargs)
            return result
        finally:
            if visit is not None:
                leave(visit, response, result)

    @functools.wraps(handler)
    async def limited_async(*args: Any, **kwargs: Any) -> Any:
        visit, response = enter(args, kwargs)
        result = None
        try:
            result = await handler(*args, **kwargs)
            return result
        finally:
            if visit is not None:
                leave(visit, response, result)

    wrapper: Any = limited_async if inspect.iscoroutinefunction(handler) else limited
    wrapper._tidegate_marked = limiter
    wrapper.__signature__ = signature
    return cast("_Handler", wrapper)


def _signature(handler: Any) -> tuple[inspect.Signature, str, str]:
    """Its arguments with those that it lacks, and the names of the request and the response among them.

    FastAPI gives one of each kind: what the handler asks for itself is not asked for again.
    """
    try:
        signature = inspect.signature(handler, eval_str=True)
    except NameError:  # a name that only a type checker knows: FastAPI sees to it
        signature = inspect.signature(handler)
    own = list(signature.parameters.values())
    kind = inspect.Parameter.KEYWORD_ONLY
    connection, response = _asking(own, HTTPConnection), _asking(own, Response)
    added = []
    if connection is None:
        added.append(inspect.Parameter(_REQUEST, kind, annotation=HTTPConnection))
    if response is None:
        added.append(inspect.Parameter(_RESPONSE, kind, annotation=Response))
    # Keyword-only arguments stand before `**kwargs`.
    at = len(own) - sum(one.kind is inspect.Parameter.VAR_KEYWORD for one in own)
    complete = signature.replace(parameters=[*own[:at], *added, *own[at:]])
    return complete, connection or _REQUEST, response or _RESPONSE


def _asking(parameters: list[inspect.Parameter], kind: type) -> str | None:
    for one in parameters:
        if isinstance(one.annotation, type) and issubclass(one.annotation, kind):
            return one.name
    return None
