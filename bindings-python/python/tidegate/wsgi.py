"""Tidegate for WSGI: Flask, Django, Pyramid, Bottle, or none.

>>> from tidegate.wsgi import RateLimitMiddleware
>>> app = RateLimitMiddleware(app, "100/minute")

In Flask: `app.wsgi_app = RateLimitMiddleware(app.wsgi_app, limiter)`; `tidegate.flask` knows its routes as well.
"""

from __future__ import annotations

import socket
from http import HTTPStatus

from tidegate._adapter import (
    UNCHECKED_BODY,
    UNCHECKED_STATUS,
    UNCHECKED_TYPE,
    Guard,
    Incoming,
    SettledVisit,
    Unchecked,
    Visit,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    from typing_extensions import Unpack

    from tidegate._adapter import _Options, _Policy
    from tidegate._native import Decision
    from tidegate._proxies import Proxies

    _Environ: TypeAlias = dict[str, Any]
    _Headers: TypeAlias = list[tuple[str, str]]
    _App: TypeAlias = Callable[[_Environ, Any], Iterable[bytes]]

__all__ = ["Request", "RateLimitMiddleware", "current"]

# Where a request's `Request` is in its environ, for those who come later.
KEY = "tidegate"
# Where servers keep the connection: headers about it are theirs alone in WSGI.
_SOCKETS = ("gunicorn.socket", "werkzeug.socket")


class Request(Incoming):
    """A request of WSGI; `raw` is its environ."""

    __slots__ = ()

    def __init__(self, environ: _Environ, proxies: Proxies) -> None:
        path = environ.get("PATH_INFO") or "/"
        if not path.isascii():
            path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        method = environ["REQUEST_METHOD"]
        super().__init__(environ, method, path, environ.get("REMOTE_ADDR") or None, proxies)

    def header(self, name: str) -> str | None:
        variable = name.upper().replace("-", "_")
        if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            variable = f"HTTP_{variable}"
        value = self.raw.get(variable)
        return None if value is None else str(value)


class RateLimitMiddleware:
    """Ask a limiter about every request of an application.

    A denied request is answered here, with the status, headers and body of the decision. Every response has the
    decision's headers. When a response has ended, or was given up, the time it took is charged to the latency limits,
    and permits are given back.

    Parameters
    ----------
    app : WSGI application
        What is limited.
    limiter, identify, cost, settle, skip, headers, body, trusted_proxies, forwarded_header, on_error
        As for every adapter: `help(tidegate.wsgi.Guard)`.

    Notes
    -----
    A handler finds the decision in `tidegate.wsgi.current(environ).decision`.
    """

    def __init__(self, app: _App, limiter: _Policy, **options: Unpack[_Options]) -> None:
        self.app = app
        self.guard = Guard(limiter, **options)
        self.guard.refuse_async()

    @property
    def errors(self) -> int:
        """int: How often the limiter failed."""
        return self.guard.errors

    def __call__(self, environ: _Environ, start_response: Any) -> Iterable[bytes]:
        guard = self.guard
        request = Request(environ, guard.proxies)
        if guard.skips(request):
            return self.app(environ, start_response)
        environ[KEY] = request
        try:
            visit = guard.enter(request, guard.who(request))
        except Unchecked:
            headers = {"Content-Type": UNCHECKED_TYPE}
            return _answer(environ, start_response, UNCHECKED_STATUS, headers, UNCHECKED_BODY)
        if visit is None:
            return self.app(environ, start_response)
        if not visit.decision:
            return self._deny(visit.decision, environ, start_response)
        return self._serve(visit, environ, start_response)

    def _serve(
        self, visit: Visit | SettledVisit, environ: _Environ, start_response: Any
    ) -> Iterable[bytes]:
        added = list(visit.decision.headers(self.guard.header_style).items())
        body = _Body(visit)

        def starting(status: str, headers: _Headers, exc_info: Any = None) -> Any:
            body.status = int(status[:3])
            names = {name.lower() for name, _ in headers}
            headers = headers + [pair for pair in added if pair[0].lower() not in names]
            if exc_info is not None:
                return start_response(status, headers, exc_info)
            return start_response(status, headers)

        try:
            body.follow(self.app(environ, starting))
        except BaseException:
            visit.finish()
            raise
        return body

    def _deny(
        self, decision: Decision, environ: _Environ, start_response: Any
    ) -> Iterable[bytes]:
        style = self.guard.body
        headers = decision.headers(self.guard.header_style)
        headers["Content-Type"] = decision.content_type(style)
        answer = _answer(environ, start_response, decision.status, headers, decision.body(style))
        return Closing(environ, answer) if decision.closes else answer


class _Body:
    """A response's body that says when it has ended: read to its end, or closed."""

    __slots__ = ("_iterator", "_source", "_visit", "status")

    _source: Iterable[bytes]
    _iterator: Iterator[bytes]

    def __init__(self, visit: Visit | SettledVisit) -> None:
        self._visit = visit
        self.status: int | None = None

    def follow(self, source: Iterable[bytes]) -> None:
        self._source = source
        self._iterator = iter(source)

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._iterator)
        except BaseException:
            self._visit.finish(self.status)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
        finally:
            self._visit.finish(self.status)


class Closing:
    """A body after which the connection is closed, where the server shows it."""

    __slots__ = ("_body", "_environ")

    def __init__(self, environ: _Environ, body: Iterable[bytes]) -> None:
        self._environ = environ
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
        shut(self._environ)


def shut(environ: _Environ) -> None:
    """Say to the client that nothing more comes; it reads what was sent, and closes."""
    for name in _SOCKETS:
        connection = environ.get(name)
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the client was faster


def current(environ: _Environ) -> Request | None:
    """The request as the middleware saw it, with its decision; None where none was asked.

    Parameters
    ----------
    environ : dict
        The WSGI environ; in Flask `request.environ`, in Django `request.META`.
    """
    found = environ.get(KEY)
    return found if isinstance(found, Request) else None


def _answer(
    environ: _Environ, start_response: Any, status: int, headers: dict[str, str], text: str
) -> Iterable[bytes]:
    body = text.encode()
    headers["Content-Length"] = str(len(body))
    start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
