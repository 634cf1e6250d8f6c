"""Tidegate for Flask: the whole application, or limits at its routes.

>>> from tidegate.flask import RateLimit
>>> RateLimit(app, limiter, identify=lambda request: {"user": current_user_id()})

>>> from tidegate.flask import Limiter, get_remote_address
>>> limiter = Limiter(get_remote_address, app=app, default_limits=["200 per day", "50 per hour"])
>>> @app.route("/slow")
... @limiter.limit("1 per day")
... def slow(): ...

`RateLimit` asks a `tidegate.Limiter` about every request. `Limiter` has the calls and options of Flask-Limiter.
"""

from __future__ import annotations

import flask

from tidegate import _checks
from tidegate._adapter import (
    UNCHECKED_BODY,
    UNCHECKED_STATUS,
    UNCHECKED_TYPE,
    Guard,
    Unchecked,
)
from tidegate._decorated import Denied
from tidegate._flask import (
    FlaskRequest,
    Mark,
    RateLimitExceeded,
    admit,
    hook,
    marked,
    refuse,
    refuse_configuration,
)
from tidegate._route_limits import RouteLimits
from tidegate._rules import Breach
from tidegate.wsgi import KEY, current, shut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from typing_extensions import Unpack

    from tidegate._adapter import _BodyStyle, _HeaderStyle, _Options, _Policy
    from tidegate._native import Decision, ManualClock
    from tidegate._rules import Asked, Rule, _Provider

    _View = TypeVar("_View", bound=Callable[..., Any])

__all__ = ["Limiter", "RateLimit", "RateLimitExceeded", "current", "get_remote_address"]


class RateLimit:
    """Ask a limiter about every request of a Flask application, by its own routes.

    Parameters
    ----------
    app : flask.Flask, optional
        The application; or call `init_app`.
    limiter, identify, cost, settle, skip, headers, body, trusted_proxies, forwarded_header, on_error
        As for every adapter: `help(tidegate.flask.Guard)`.
    """

    def __init__(
        self, app: flask.Flask | None, limiter: _Policy, **options: Unpack[_Options]
    ) -> None:
        self.guard = Guard(limiter, **options)
        self.guard.refuse_async()
        if app is not None:
            self.init_app(app)

    @property
    def errors(self) -> int:
        """int: How often the limiter failed."""
        return self.guard.errors

    def init_app(self, app: flask.Flask) -> None:
        """Limit an application."""
        hook(app, self._before)

    def _before(self) -> flask.Response | None:
        environ = flask.request.environ
        request = FlaskRequest(environ, self.guard.proxies)
        if self.guard.skips(request):
            return None
        environ[KEY] = request
        try:
            visit = self.guard.enter(request, self.guard.who(request))
        except Unchecked:
            return flask.Response(UNCHECKED_BODY, UNCHECKED_STATUS, content_type=UNCHECKED_TYPE)
        if visit is None:
            return None
        if not visit.decision:
            return _denial(visit.decision, self.guard.header_style, self.guard.body)
        admit(visit, self.guard.header_style)
        return None


class Limiter(RouteLimits):
    """Limits at routes, with the calls and options of Flask-Limiter.

    All limits of a request decide together: a request that one denies is charged to none.

    Parameters
    ----------
    key_func : callable
        Says whose request it is.
    app : flask.Flask, optional
        The application; or call `init_app`.
    default_limits : list, optional
        Rates (strings, or functions that return them) of every view that has none of its own.
    application_limits : list, optional
        Rates of the whole application, shared by all views.
    strategy : {"fixed-window", "moving-window", "sliding-window-counter", "gcra"}, optional
        How rates are counted; the first, from a key's first request, is the default.
    storage_uri : str, optional
        `memory://`.
    headers_enabled : bool, optional
        Whether responses have headers.
    headers, body : str, optional
        Their styles, as for every adapter.
    swallow_errors : bool, optional
        Whether a request passes when the limiter fails.
    on_breach : callable, optional
        Called with a `Breach` after a denial; a response that it returns is the answer.
    key_prefix : str, optional
        A prefix of every key.
    enabled : bool, optional
        False: nothing is limited.
    clock : ManualClock, optional
        For tests.
    max_keys : int, optional
        Most keys remembered at once for each rate.
    """

    def __init__(
        self,
        key_func: Callable[[], str],
        *,
        app: flask.Flask | None = None,
        default_limits: Sequence[_Provider] = (),
        default_limits_per_method: bool = False,
        default_limits_exempt_when: Callable[[], bool] | None = None,
        default_limits_deduct_when: Callable[[flask.Response], bool] | None = None,
        default_limits_cost: int | Callable[[], int] = 1,
        application_limits: Sequence[_Provider] = (),
        strategy: str | None = None,
        storage_uri: str | None = None,
        headers_enabled: bool = True,
        headers: _HeaderStyle = "legacy",
        body: _BodyStyle = "error",
        swallow_errors: bool = False,
        on_breach: Callable[[Breach], flask.Response | None] | None = None,
        key_prefix: str = "",
        enabled: bool = True,
        clock: ManualClock | None = None,
        max_keys: int = 1_000_000,
    ) -> None:
        super().__init__(
            key_func,
            lambda function, _: function(),
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
        if on_breach is not None:
            _checks.plain_function("on_breach", on_breach)
        self._on_breach = on_breach
        self._filters: list[Callable[[], bool]] = []
        self._limit_all(
            default_limits,
            application_limits,
            per_method=default_limits_per_method,
            exempt_when=default_limits_exempt_when,
            deduct_when=default_limits_deduct_when,
            cost=default_limits_cost,
        )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Limit an application.

        Raises
        ------
        ArgumentError
            When its configuration has limits or options for Flask-Limiter (`RATELIMIT_…`), which are not read here.
        """
        refuse_configuration(app)
        app.extensions.setdefault("tidegate", []).append(self)
        hook(app, self._before)

    def limit(
        self,
        limit_value: _Provider,
        *,
        key_func: Callable[[], str] | None = None,
        per_method: bool = False,
        methods: Sequence[str] | None = None,
        error_message: str | Callable[[], str] | None = None,
        exempt_when: Callable[[], bool] | None = None,
        override_defaults: bool = True,
        deduct_when: Callable[[flask.Response], bool] | None = None,
        on_breach: Callable[[Breach], flask.Response | None] | None = None,
        cost: int | Callable[[], int] = 1,
        scope: str | Callable[[str], str] | None = None,
    ) -> Mark:
        """Limit a view, a blueprint, any function called in a request, or a `with` block.

        Parameters
        ----------
        limit_value : str or callable
            Rates, separated by `;` (`"10/hour; 100/day"`; a duration as quota limits time: `"30s/minute"`), or a
            function that returns them for the request at hand.
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
        override_defaults : bool, optional
            Whether the default limits do not hold for this view.
        deduct_when : callable, optional
            Gets the response; false: what was taken is given back.
        on_breach : callable, optional
            As of the limiter.
        cost : int or callable, optional
            Units that a request takes.
        scope : str or callable, optional
            A part of the key.
        """
        return Mark(self, self._rule(locals()))

    def shared_limit(
        self,
        limit_value: _Provider,
        scope: str | Callable[[str], str],
        *,
        key_func: Callable[[], str] | None = None,
        per_method: bool = False,
        methods: Sequence[str] | None = None,
        error_message: str | Callable[[], str] | None = None,
        exempt_when: Callable[[], bool] | None = None,
        override_defaults: bool = True,
        deduct_when: Callable[[flask.Response], bool] | None = None,
        on_breach: Callable[[Breach], flask.Response | None] | None = None,
        cost: int | Callable[[], int] = 1,
    ) -> Mark:
        """As `limit`; views with the same scope share it."""
        return Mark(self, self._rule(locals(), shared=True))

    def exempt(self, obj: _View) -> _View:
        """Limit a view, or all views of a blueprint, no more."""
        self._decorated.exempt(marked(obj))
        return obj

    def request_filter(self, fn: Callable[[], bool]) -> Callable[[], bool]:
        """A function that says, true, that the request at hand is not limited."""
        _checks.plain_function("request_filter", fn)
        self._filters.append(fn)
        return fn

    def check(self) -> None:
        """Limit the request at hand by the limits of its view, once more."""
        self._enter(self._asked())

    @property
    def current_limit(self) -> Decision | None:
        """Decision or None: What was decided about the request at hand."""
        found = flask.request.environ.get(_decision_of(self))
        return found

    def _before(self) -> None:
        self._enter(self._asked())

    def _asked(self) -> list[Asked]:
        endpoint = flask.request.endpoint
        if not endpoint or endpoint.split(".")[-1] == "static" or self._is_off():
            return []
        view = marked(flask.current_app.view_functions[endpoint])
        around = [f"blueprint:{name}" for name in flask.request.blueprints]
        return self._decorated.asked([view, *around], endpoint, flask.request.method, None)

    def _is_off(self) -> bool:
        return not self.enabled or any(
            _checks.told("request_filter", skips(), "true or false") for skips in self._filters
        )

    def _enter(self, asked: list[Asked]) -> None:
        try:
            entered = self._decided(self._rates.enter, asked)
        except Denied as denied:
            raise self._exceeded(denied) from None
        if entered is not None:
            flask.request.environ[_decision_of(self)] = entered.decision
            admit(entered, self._headers)

    def _enter_function(self, function: Any) -> None:
        name = f"{function.__module__}.{function.__qualname__}"
        self._enter_rules(self._decorated.at(function), name)

    def _enter_rules(self, rules: Sequence[Rule], endpoint: str) -> None:
        if not self._is_off():
            method, asked_by = flask.request.method, self._decorated.asked_by
            found = [asked_by(rule, endpoint, method, None) for rule in rules]
            self._enter([asked for some in found for asked in some])

    def _exceeded(self, denied: Denied) -> RateLimitExceeded:
        breach = denied.breach
        decision = breach.decision
        flask.request.environ[_decision_of(self)] = decision
        refuse(decision, self._headers)
        response: flask.Response | None = _denial(decision, self._headers, self._body)
        if breach.error_message is not None and decision.message is None:
            response = None  # a message that was made for this request: Flask writes the body
        rule_told = None if denied.rule is None else denied.rule.on_breach
        for told in dict.fromkeys((self._on_breach, rule_told)):
            said = told(breach) if told else None
            if isinstance(said, flask.Response):
                response = said
        return RateLimitExceeded(decision, breach.error_message or breach.limit, response)


def get_remote_address() -> str:
    """The address of the connection; behind a proxy, with Werkzeug's `ProxyFix`, the client's."""
    return flask.request.remote_addr or "127.0.0.1"


def _decision_of(limiter: Limiter) -> str:
    return f"tidegate.decision.{id(limiter)}"


def _denial(
    decision: Decision, headers: _HeaderStyle | None, body: _BodyStyle
) -> flask.Response:
    response = flask.Response(
        decision.body(body), decision.status, content_type=decision.content_type(body)
    )
    if headers is not None:
        response.headers.extend(decision.headers(headers))
    if decision.closes:
        environ = flask.request.environ
        response.call_on_close(lambda: shut(environ))
    return response
