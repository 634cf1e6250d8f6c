"""Limits at the routes of FastAPI and Starlette: `Limiter`, with the calls and options of slowapi."""

from __future__ import annotations

import functools
import inspect
from typing import cast

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from tidegate import _checks
from tidegate._adapter import show
from tidegate._decorated import Denied, Pass
from tidegate._route_limits import RouteLimits
from tidegate._starlette import (
    RateLimitExceeded,
    leave_to_end,
    rate_limit_exceeded_handler,
    refusal,
    surround,
)
from tidegate.asgi import matching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from starlette.applications import Starlette

    from tidegate._adapter import _BodyStyle, _HeaderStyle
    from tidegate._native import ManualClock
    from tidegate._rules import Rule, _Provider
    from tidegate.asgi import _App, _Receive, _Scope, _Send

    _Handler = TypeVar("_Handler", bound=Callable[..., Any])

# The arguments that a limited handler gets besides its own.
_REQUEST, _RESPONSE = "tidegate_request", "tidegate_response"


class Limiter(RouteLimits):
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
        super().__init__(
            key_func,
            _with_request,
            strategy=strategy,
            storage_uri=storage_uri,
            headers=headers if headers_enabled else None,
            body=body,
            swallow_errors=swallow_errors,
            key_prefix=key_prefix,
            enabled=enabled,
            clock=clock,
            max_keys=max_keys,
        )
        _checks.one_of("key_style", key_style, ("url", "endpoint"))
        self._by_url = key_style == "url"
        self._limit_all(default_limits, application_limits)

    def init_app(self, app: Starlette) -> None:
        """Limit all routes of an application, by the default limits where they have none of their own.

        Parameters
        ----------
        app : fastapi.FastAPI or starlette.applications.Starlette
            The application, before it has started.
        """
        app.state.limiter = self
        app.add_middleware(_Defaults, limiter=self, routes=app)
        surround(app)

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
        """Limit a handler. Put the route's decorator above this one. Where it stands below, `init_app` is needed.

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
        return self._decorator(self._rule(locals()))

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
        return self._decorator(self._rule(locals(), shared=True))

    def exempt(self, obj: _Handler) -> _Handler:
        """Limit a handler no more."""
        self._decorated.exempt(inspect.unwrap(obj))
        return obj

    def _decorator(self, rule: Rule) -> Callable[[_Handler], _Handler]:
        def mark(handler: _Handler) -> _Handler:
            self._decorated.add(inspect.unwrap(handler), rule)
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
        if not self.enabled:
            return None
        try:
            return self._decided(self._asked, connection, view)
        except Denied as denied:
            breach = denied.breach
            style, said = self._headers, breach.error_message
            raise refusal(connection.scope, breach.decision, style, self._body, said) from None

    def _asked(self, connection: HTTPConnection, view: Any) -> Pass | None:
        scope = connection.scope
        method = scope.get("method", "WS")
        endpoint = scope["path"] if self._by_url else f"{view.__module__}.{view.__qualname__}"
        return self._rates.enter(self._decorated.asked([view], endpoint, method, connection))


class _Defaults:
    """Asks for the routes that do not ask by themselves: those without limits of their own."""

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
        if view is None or (limiter._decorated.at(view) and _asks(handler, limiter)):
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
            leave_to_end(scope, entered, limiter._headers)
        await self.app(scope, receive, send)


def _asks(handler: Any, limiter: Limiter) -> bool:
    """Whether the handler asks by itself. One that was marked above its route's decorator does not: the route has it unmarked."""
    while handler is not None:
        if getattr(handler, "_tidegate_marked", None) is limiter:
            return True
        handler = getattr(handler, "__wrapped__", None)
    return False


def _with_request(function: Callable[..., Any], request: Any) -> Any:
    """Functions that users write may take the request."""
    wants_one = _WANTS_ONE.get(function)
    if wants_one is None:
        wants_one = len(inspect.signature(function).parameters) == 1
        _WANTS_ONE[function] = wants_one
    return function(request) if wants_one else function()


_WANTS_ONE: dict[Callable[..., Any], bool] = {}


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
        if leave_to_end(scope, visit, limiter._headers):
            return None, None
        stack = scope.get("fastapi_inner_astack")
        if stack is not None:  # closed when the response was sent
            stack.callback(visit.finish)
        return visit, response

    def leave(visit: Pass, response: Response | None, result: Any) -> None:
        answer = result if isinstance(result, Response) else response
        if answer is not None:
            show(visit.decision, limiter._headers, answer.headers)
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
