"""What `tidegate.flask` has below: requests as Flask knows them, marks at views, and how a request ends."""

from __future__ import annotations

import functools
import inspect

import flask
from werkzeug.exceptions import TooManyRequests

from tidegate._adapter import show
from tidegate._decorated import STORES, Pass
from tidegate._errors import ArgumentError
from tidegate.wsgi import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from tidegate._adapter import SettledVisit, Visit, _HeaderStyle
    from tidegate._native import Decision
    from tidegate._rules import Rule
    from tidegate.flask import Limiter

# In the environ: who was let in and has not ended, with the style of its headers; and who was not let in.
_VISITS = "tidegate.visits"
_DENIED = "tidegate.visits.denied"


class FlaskRequest(Request):
    """A request of Flask; `raw` is its environ, `pattern` its rule."""

    __slots__ = ()

    def pattern(self) -> str | None:
        found = flask.request.url_rule
        return None if found is None else found.rule


class RateLimitExceeded(TooManyRequests):
    """A denied request; `app.errorhandler(429)` may answer it.

    Attributes
    ----------
    decision : Decision
        Why, and when to come back.
    """

    decision: Decision

    def __init__(
        self, decision: Decision, description: str, response: flask.Response | None
    ) -> None:
        super().__init__(description, response=response)
        self.decision = decision


class Mark:
    """What `limit` returns: a decorator of views, functions and blueprints, and a context manager."""

    def __init__(self, limiter: Limiter, rule: Rule) -> None:
        self._limiter = limiter
        self._rule = rule

    def __call__(self, obj: Any) -> Any:
        limiter, inner = self._limiter, marked(obj)
        limiter._decorated.add(inner, self._rule)
        if isinstance(obj, flask.Blueprint) or getattr(obj, "_tidegate_marked", None) is limiter:
            return obj  # one wrapper for all marks

        is_async = inspect.iscoroutinefunction(obj)

        @functools.wraps(obj)
        def limited(*args: Any, **kwargs: Any) -> Any:
            # A view was asked about before; a function that a view calls is asked about here.
            view = flask.current_app.view_functions.get(flask.request.endpoint or "")
            if view is not limited and (view is None or marked(view) is not inner):
                limiter._enter_function(inner)
            call = flask.current_app.ensure_sync(obj) if is_async else obj
            return call(*args, **kwargs)

        limited._tidegate_marked = limiter  # type: ignore[attr-defined]
        return limited

    def __enter__(self) -> None:
        frame = inspect.currentframe()
        caller = frame.f_back if frame is not None else None
        place = "" if caller is None else f"{caller.f_code.co_filename}:{caller.f_lineno}"
        self._limiter._enter_rules([self._rule], place)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


def marked(obj: Any) -> Any:
    """What decorators and routes both know: the function inside of all wrappers; of a blueprint its name."""
    return f"blueprint:{obj.name}" if isinstance(obj, flask.Blueprint) else inspect.unwrap(obj)


# Where Flask-Limiter's configuration and our options have other names than each other.
_OPTIONS = {
    "DEFAULT": "default_limits",
    "APPLICATION": "application_limits",
    "ON_BREACH_CALLBACK": "on_breach",
}
_SAME = ("ENABLED", "HEADERS_ENABLED", "KEY_FUNC", "KEY_PREFIX", "STRATEGY", "SWALLOW_ERRORS")


def refuse_configuration(app: flask.Flask) -> None:
    """Refuse what Flask-Limiter reads from the configuration: passed over, it would leave an application without limits."""
    for name, value in app.config.items():
        if not name.startswith("RATELIMIT_") or (name, value) == ("RATELIMIT_ENABLED", True):
            continue
        term = name.removeprefix("RATELIMIT_")
        if term == "STORAGE_URI" and value in STORES:
            continue
        option = _OPTIONS.get(term, term.lower().replace("defaults_", "default_limits_"))
        known = term in _OPTIONS or term in _SAME or term.startswith("DEFAULTS_")
        remedy = f"give the option {option} to Limiter" if known else "leave it out"
        raise ArgumentError(f"{name}: no configuration is read; {remedy}", name, remedy)


def hook(app: flask.Flask, before: Callable[[], Any]) -> None:
    """Have an application ask before each request, and end what was let in."""
    app.before_request(before)
    app.after_request(_finish_with)
    app.teardown_request(_teardown)


def admit(visit: Visit | SettledVisit | Pass, style: _HeaderStyle | None) -> None:
    """The request at hand is let in: its response gets the decision's headers, and ends the visit."""
    flask.request.environ.setdefault(_VISITS, []).append((visit, style))


def refuse(decision: Decision, style: _HeaderStyle | None) -> None:
    """The request at hand is not let in, and something else writes its response."""
    flask.request.environ[_DENIED] = (decision, style)


def _finish_with(response: flask.Response) -> flask.Response:
    """Headers of the decisions, and an end: when the server has sent the last byte."""
    environ = flask.request.environ
    denied = environ.pop(_DENIED, None)
    visits = environ.pop(_VISITS, [])
    shown = [] if denied is None else [denied]
    shown += [(visit.decision, style) for visit, style in reversed(visits)]
    for decision, style in shown:
        show(decision, style, response.headers)
    for visit, _ in visits:
        if isinstance(visit, Pass):
            visit.deduct(response)
        response.call_on_close(functools.partial(visit.finish, response.status_code))
    return response


def _teardown(error: BaseException | None) -> None:
    # What no response has taken over: an error that goes on to the server.
    for visit, _ in flask.request.environ.pop(_VISITS, []):
        visit.finish()
