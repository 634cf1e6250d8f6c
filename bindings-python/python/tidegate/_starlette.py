"""What `tidegate.fastapi` has below: denials as exceptions, and the headers and the end of every response."""

from __future__ import annotations

from fastapi import WebSocketException
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tidegate.asgi import PENDING, POLICY_VIOLATION, ends, raw_headers, with_headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from starlette.applications import Starlette

    from tidegate._adapter import Connection, SettledVisit, Visit, _BodyStyle, _HeaderStyle
    from tidegate._decorated import Pass
    from tidegate._native import Decision
    from tidegate.asgi import _App, _Message, _Receive, _Scope, _Send

    _AnyVisit: TypeAlias = Visit | SettledVisit | Connection | Pass



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
    errors. `install(app)` and `Limiter.init_app(app)` put it around the application.
    """

    def __init__(self, app: _App) -> None:
        self.app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http" or PENDING in scope:
            return await self.app(scope, receive, send)
        pending: list[tuple[_AnyVisit, _HeaderStyle | None]] = []
        scope[PENDING] = pending
        status: int | None = None

        async def sending(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                for visit, style in reversed(pending):
                    if style is not None:
                        added = raw_headers(visit.decision.headers(style))
                        present = message.get("headers", ())
                        message = {**message, "headers": with_headers(present, added)}
            await send(message)
            if ends(message["type"], message):
                for visit, _ in pending:
                    visit.finish(status)

        try:
            await self.app(scope, receive, sending)
        finally:
            for visit, _ in pending:
                visit.finish(status)


def surround(app: Starlette) -> None:
    """Put `ResponseHeaders` around an application, outside of what answers to errors that nobody has handled.

    What `add_middleware` adds is inside of it, and never sees that answer.
    """
    if app.middleware_stack is not None:
        raise RuntimeError("install: the application has started; call it before")
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: ResponseHeaders(build())  # type: ignore[method-assign]


def leave_to_end(scope: _Scope, visit: _AnyVisit, style: _HeaderStyle | None) -> bool:
    """Have `ResponseHeaders` add the headers and end the visit; false: it is not installed."""
    pending = scope.get(PENDING)
    if pending is None:
        return False
    pending.append((visit, style))
    return True


def refusal(
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
