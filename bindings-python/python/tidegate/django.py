"""Tidegate for Django, under WSGI and ASGI: a middleware, and settings.

    MIDDLEWARE = ["tidegate.django.RateLimitMiddleware", ...]
    TIDEGATE = {"LIMITER": "100/minute"}

`LIMITER` is a `tidegate.Limiter`, a policy, or the dotted name of a limiter; `FILE` instead of it is the path of a
policy. All other settings are the options of every adapter in capitals (`IDENTIFY`, `COST`, `SETTLE`, `SKIP`,
`HEADERS`, `BODY`, `TRUSTED_PROXIES`, `FORWARDED_HEADER`, `ON_ERROR`): `help(tidegate.django.Guard)`. Functions may be
given by their dotted names.

Put it first for the least work at a denial. To know the user, put it after
`django.contrib.auth.middleware.AuthenticationMiddleware`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django import conf  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured  # type: ignore[import-untyped]
from django.http import HttpResponse  # type: ignore[import-untyped]
from django.urls import Resolver404, resolve  # type: ignore[import-untyped]
from django.utils.module_loading import import_string  # type: ignore[import-untyped]

from tidegate._adapter import (
    UNCHECKED_BODY,
    UNCHECKED_STATUS,
    UNCHECKED_TYPE,
    Guard,
    SettledVisit,
    Unchecked,
    Visit,
    show,
)
from tidegate._limiter import Limiter
from tidegate.wsgi import KEY, Request, current, shut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeAlias

    from tidegate._native import Decision
    from tidegate._proxies import Proxies

    _Next: TypeAlias = Callable[[Any], Any]

__all__ = ["RateLimitMiddleware", "current"]

_OPTIONS = (
    "IDENTIFY", "COST", "SETTLE", "SKIP", "HEADERS", "BODY", "TRUSTED_PROXIES", "FORWARDED_HEADER", "ON_ERROR",
)  # fmt: skip
_FUNCTIONS = ("IDENTIFY", "COST", "SETTLE", "SKIP")


class DjangoRequest(Request):
    """A request of Django: `raw` is its `HttpRequest`, `pattern` the route of its URLconf."""

    __slots__ = ()

    def __init__(self, request: Any, proxies: Proxies) -> None:
        super().__init__(request.META, proxies)
        self.raw = request
        self.method = request.method
        self.path = request.path_info

    def header(self, name: str) -> str | None:
        value = self.raw.headers.get(name)
        return None if value is None else str(value)

    def pattern(self) -> str | None:
        try:
            route = resolve(self.path, getattr(self.raw, "urlconf", None)).route
        except Resolver404:
            return None
        # A regular expression (re_path) tells no segments apart; the path does.
        return None if "(" in route or "^" in route else f"/{route}"


class RateLimitMiddleware:
    """Ask a limiter about every request. See the module for its settings.

    A denied request is answered with the status, headers and body of the decision. Every response has the decision's
    headers. When a response has ended, or was given up, the time it took is charged to the latency limits, and permits
    are given back.

    A view finds the decision in `tidegate.django.current(request.META).decision`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response
        self.guard = _configured()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        else:
            self.guard.refuse_async()

    @property
    def errors(self) -> int:
        """int: How often the limiter failed."""
        return self.guard.errors

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._asynchronous(request)
        incoming = DjangoRequest(request, self.guard.proxies)
        if self.guard.skips(incoming):
            return self.get_response(request)
        answer, visit = self._enter(incoming, self.guard.who(incoming))
        if answer is not None or visit is None:
            return answer or self.get_response(request)
        try:
            response = self.get_response(request)
        except BaseException:
            visit.finish()
            raise
        return self._ending(visit, response)

    async def _asynchronous(self, request: Any) -> Any:
        incoming = DjangoRequest(request, self.guard.proxies)
        skipped = self.guard.skipping(incoming)
        if inspect.isawaitable(skipped):
            skipped = await skipped
        if skipped:
            return await self.get_response(request)
        who = self.guard.who(incoming)
        if inspect.isawaitable(who):
            who = await who
        answer, visit = self._enter(incoming, who)
        if answer is not None or visit is None:
            return answer or await self.get_response(request)
        try:
            response = await self.get_response(request)
        except BaseException:
            visit.finish()
            raise
        return self._ending(visit, response)

    def _enter(
        self, incoming: DjangoRequest, who: Any
    ) -> tuple[HttpResponse | None, Visit | SettledVisit | None]:
        """The answer to who is not let in; else who is in."""
        incoming.raw.META[KEY] = incoming
        try:
            visit = self.guard.enter(incoming, who)
        except Unchecked:
            return HttpResponse(UNCHECKED_BODY, UNCHECKED_TYPE, UNCHECKED_STATUS), None
        if visit is None or visit.decision:
            return None, visit
        return self._denial(visit.decision, incoming), None

    def _denial(self, decision: Decision, incoming: DjangoRequest) -> HttpResponse:
        style = self.guard.body
        response = HttpResponse(
            decision.body(style),
            decision.content_type(style),
            decision.status,
            headers=decision.headers(self.guard.header_style),
        )
        if decision.closes:
            environ = incoming.raw.META
            _at_close(response, lambda: shut(environ))
        return response

    def _ending(self, visit: Visit | SettledVisit, response: Any) -> Any:
        show(visit.decision, self.guard.header_style, response.headers)
        _at_close(response, lambda: visit.finish(response.status_code))
        return response


def _at_close(response: Any, ended: Callable[[], None]) -> None:
    """Have a function called when the server is done with a response, after what it does then by itself."""
    closing = response.close

    def close() -> None:
        try:
            closing()
        finally:
            ended()

    response.close = close


def _configured() -> Guard:
    given = getattr(conf.settings, "TIDEGATE", None)
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured('settings: give TIDEGATE = {"LIMITER": "100/minute"}')
    unknown = set(given) - {"LIMITER", "FILE", *_OPTIONS}
    if unknown:
        raise ImproperlyConfigured(
            f"TIDEGATE: unknown {sorted(unknown)}; there are LIMITER, FILE, {', '.join(_OPTIONS)}"
        )
    if ("LIMITER" in given) == ("FILE" in given):
        raise ImproperlyConfigured("TIDEGATE: give LIMITER or FILE, one of them")
    options: dict[str, Any] = {}
    for name in _OPTIONS:
        if name in given:
            value = given[name]
            named = name in _FUNCTIONS and isinstance(value, str)
            remedy = "give a function, or the dotted name of one"
            options[name.lower()] = _imported(name, value, remedy) if named else value
    return Guard(_limiter(given), **options)


def _limiter(given: Mapping[str, Any]) -> Any:
    if "FILE" in given:
        return Limiter.from_file(given["FILE"])
    named = given["LIMITER"]
    # A dotted name has no blank and no slash; every rate has a slash or a blank.
    if isinstance(named, str) and named.replace(".", "").replace("_", "").isalnum():
        remedy = 'give a rate such as "100/minute", or the dotted name of a limiter; a file as FILE'
        return _imported("LIMITER", named, remedy)
    return named


def _imported(setting: str, named: str, remedy: str) -> Any:
    try:
        return import_string(named)
    except ImportError as error:
        raise ImproperlyConfigured(f"TIDEGATE: {setting}: {error}; {remedy}") from error
