"""What the adapters for web frameworks share: from a request to a decision, and what follows from it.

Nothing is decided here. An adapter shapes a request into attributes, asks the limiter once, hands on the headers and
the body that the engine writes, and says when the response has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from tidegate import _checks
from tidegate._limiter import Limiter
from tidegate._proxies import Proxies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, TypeAlias

    from typing_extensions import NotRequired, TypedDict, Unpack

    from tidegate._native import Admission, Decision, Reservation, _Key
    from tidegate._proxies import _Trust

    _HeaderStyle: TypeAlias = Literal["legacy", "draft", "both"]
    _BodyStyle: TypeAlias = Literal["error", "message", "problem"]
    _Identify: TypeAlias = Callable[["Incoming"], Any]
    _Policy: TypeAlias = Limiter | str | Mapping[str, Any]

    class _Options(TypedDict):
        """The options of every adapter; `Guard` says what they mean."""

        identify: NotRequired[_Identify | None]
        cost: NotRequired[int | Callable[[Incoming], int]]
        settle: NotRequired[Callable[[Incoming, int | None], int | None] | None]
        skip: NotRequired[Callable[[Incoming], object] | None]
        headers: NotRequired[_HeaderStyle]
        body: NotRequired[_BodyStyle]
        trusted_proxies: NotRequired[_Trust]
        forwarded_header: NotRequired[str]
        on_error: NotRequired[Literal["open", "closed"]]


logger = logging.getLogger("tidegate")

# What the caller got wrong, and no failure of the limiter: letting it pass would make a request free whose key, or cost,
# its client has spoiled.
MISTAKES = (TypeError, ValueError, OverflowError)

HEADER_STYLES = ("legacy", "draft", "both")
BODY_STYLES = ("error", "message", "problem")

# What is answered when the limiter itself failed, with on_error="closed".
UNCHECKED_STATUS = 503
UNCHECKED_TYPE = "application/problem+json"
UNCHECKED_BODY = (
    '{"type":"about:blank","title":"Service Unavailable","status":503,'
    '"detail":"The request could not be checked against its limits."}'
)


class Unchecked(Exception):
    """The limiter failed, and requests that it cannot decide are refused."""


class Incoming:
    """A request as the functions given to an adapter see it (`identify`, `cost`, `skip`, `settle`).

    Attributes
    ----------
    raw : object
        What the framework has: the ASGI scope, the WSGI environ; in Django its request.
    method : str
        `GET`, `POST`, ...; `WS` of a WebSocket.
    path : str
        The path, decoded, without a query.
    peer : str or None
        The address of the connection; None without one (a Unix socket).
    decision : Decision or None
        What was decided, once it was.
    """

    __slots__ = ("_client", "_proxies", "_route", "decision", "method", "path", "peer", "raw")

    raw: Any
    decision: Decision | None
    _client: str | None

    def __init__(
        self, raw: Any, method: str, path: str, peer: str | None, proxies: Proxies
    ) -> None:
        self.raw = raw
        self.method = method
        self.path = path
        self.peer = peer
        self.decision = None
        self._proxies = proxies
        self._client = ""
        self._route = ""

    @property
    def client(self) -> str | None:
        """str or None: The client's address, as far as the proxies between are trusted."""
        if self._client == "":
            self._client = self._proxies.client(self.peer, self.header)
        return self._client

    @property
    def route(self) -> str:
        """str: The method and the route of the framework that serves it (`GET /items/{id}`), else the path.

        HEAD counts as GET: the same route serves both.
        """
        if not self._route:
            method = "GET" if self.method == "HEAD" else self.method
            self._route = f"{method} {self.pattern() or self.path}"
        return self._route

    def pattern(self) -> str | None:
        """The framework's own pattern of the route; None where there is none."""
        return None

    def header(self, name: str) -> str | None:
        """A header of the request, several of that name joined by commas; None without one.

        Parameters
        ----------
        name : str
            Its name, in any case.
        """
        raise NotImplementedError


class Visit:
    """One admitted request under way. `finish` it when its response has ended, or was given up; once."""

    __slots__ = ("_admission", "_guard", "decision", "request")

    _admission: Admission | None

    def __init__(self, guard: Guard, request: Incoming, admission: Admission) -> None:
        self._guard = guard
        self.request = request
        self.decision = admission.decision
        self._admission = admission

    def finish(self, status: int | None = None) -> None:
        """Record the latency, give permits back."""
        admission, self._admission = self._admission, None
        if admission is not None:
            try:
                admission.finish()
            except Exception as error:
                self._guard.failed(error)


class SettledVisit:
    """As `Visit`, of a request whose cost is known when its response has ended."""

    __slots__ = ("_guard", "_reservation", "_subject", "decision", "request")

    _reservation: Reservation | None

    def __init__(
        self, guard: Guard, request: Incoming, subject: _Key, reservation: Reservation
    ) -> None:
        self._guard = guard
        self._subject = subject
        self.request = request
        self.decision = reservation.decision
        self._reservation = reservation

    def finish(self, status: int | None = None) -> None:
        reservation, self._reservation = self._reservation, None
        if reservation is None or not self.decision:
            return
        try:
            self._close(reservation, status)
        except Exception as error:
            self._guard.failed(error)

    def _close(self, reservation: Reservation, status: int | None) -> None:
        limiter, subject = self._guard.limiter, self._subject
        try:
            # The limiter's own clock says how long it took.
            ended = limiter.peek(subject, 0).made_at_ns
            elapsed = max(0, ended - self.decision.made_at_ns)
            limiter.record_latency(subject, duration_ns=elapsed)
        finally:
            limiter.release(subject)
            settle = self._guard.settle
            actual = settle(self.request, status) if settle else None
            if actual is not None:
                reservation.settle(actual)


class Connection:
    """An open WebSocket: its permits are given back when it closes; the time that it was open is nobody's work."""

    __slots__ = ("_guard", "_open", "_subject", "decision", "request")

    def __init__(
        self, guard: Guard, request: Incoming, subject: _Key, decision: Decision
    ) -> None:
        self._guard = guard
        self._subject = subject
        self.request = request
        self.decision = decision
        self._open = bool(decision)

    def renew(self) -> None:
        """Begin the time of its permits anew (`max_hold` in the policy)."""
        if self._open:
            try:
                self._guard.limiter.renew(self._subject)
            except Exception as error:
                self._guard.failed(error)

    def finish(self, status: int | None = None) -> None:
        was_open, self._open = self._open, False
        if was_open:
            try:
                self._guard.limiter.release(self._subject)
            except Exception as error:
                self._guard.failed(error)


def show(decision: Decision, style: _HeaderStyle | None, headers: Any) -> None:
    """Add a decision's headers to those of a response; what is there already (of a limit further inside) stays."""
    if style is not None:
        for name, value in decision.headers(style).items():
            headers.setdefault(name, value)


class Guard:
    """A limiter, and how requests are shown to it. Its parameters are those of every adapter.

    Parameters
    ----------
    limiter : Limiter, str or mapping
        The limiter; or a policy, for one that nobody else asks.
    identify : callable, optional
        Says whose request it is: gets an `Incoming`, returns the key (str or bytes), or a mapping of attributes
        (`{"user": ..., "api_key": ...}`; those that are None are left out). `ip` and `route` are added. None, or no
        function: the key is the client's address, of IPv6 the first one of its network (`ipv6_prefix` in the policy).
    cost : int or callable, optional
        Units that a request takes; a function gets the `Incoming`.
    settle : callable, optional
        The cost as it turned out: gets the `Incoming` and the status of the response (None: there was none), returns
        units, or None to let the estimate stand.
    skip : callable, optional
        Gets the `Incoming`; true: the request is not limited.
    headers : {"legacy", "draft", "both"}, optional
        The style of the headers of every response.
    body : {"error", "message", "problem"}, optional
        The style of the body of a denial.
    trusted_proxies : int or list of str, optional
        How many proxies stand before the server, or their networks (`"unix"`: connections without an address). With 0
        no header can change the client's address.
    forwarded_header : str, optional
        Where those proxies write addresses: `X-Forwarded-For`, `Forwarded` (RFC 7239), or a header of one address.
    on_error : {"closed", "open"}, optional
        When the limiter fails: the request is refused with 503, or passes. Both are logged (logger `tidegate`) and
        counted. A request that cannot be judged (without a key, or with a cost that is none) never passes.
    """

    __slots__ = (
        "_cost", "_identify", "_skip", "body", "errors", "header_style", "limiter", "on_error", "proxies", "settle",
    )  # fmt: skip

    def __init__(
        self,
        limiter: _Policy,
        *,
        identify: _Identify | None = None,
        cost: int | Callable[[Incoming], int] = 1,
        settle: Callable[[Incoming, int | None], int | None] | None = None,
        skip: Callable[[Incoming], object] | None = None,
        headers: _HeaderStyle = "legacy",
        body: _BodyStyle = "error",
        trusted_proxies: _Trust = 0,
        forwarded_header: str = "X-Forwarded-For",
        on_error: Literal["open", "closed"] = "closed",
    ) -> None:
        self.limiter = limiter if isinstance(limiter, Limiter) else Limiter(limiter)
        for name, given in (("identify", identify), ("skip", skip)):
            if given is not None:
                _checks.function(name, given)
        if settle is not None:
            _checks.plain_function("settle", settle)
        _checks.cost(cost)
        _checks.one_of("on_error", on_error, ("open", "closed"))
        _checks.one_of("headers", headers, HEADER_STYLES)
        _checks.one_of("body", body, BODY_STYLES)
        self._identify = identify
        self._cost = cost
        self._skip = skip
        self.settle = settle
        self.header_style: _HeaderStyle = headers
        self.body: _BodyStyle = body
        self.proxies = Proxies(trusted_proxies, forwarded_header)
        self.on_error = on_error
        self.errors = 0

    def refuse_async(self) -> None:
        """Refuse coroutine functions, in adapters that await nothing."""
        for name, given in (("identify", self._identify), ("skip", self._skip)):
            if given is not None:
                _checks.plain_function(name, given)

    def skips(self, request: Incoming) -> bool:
        return self._skip is not None and bool(
            _checks.told("skip", self._skip(request), "true or false")
        )

    def skipping(self, request: Incoming) -> Any:
        """What `skip` says; of a coroutine function, a coroutine."""
        return self._skip is not None and self._skip(request)

    def who(self, request: Incoming) -> Any:
        """What `identify` says; of a coroutine function, a coroutine."""
        return None if self._identify is None else self._identify(request)

    def subject(self, request: Incoming, who: Any) -> _Key:
        """The attributes that the limiter is shown."""
        client = request.client
        attributes: dict[str, Any] = {"route": request.route}
        if client is not None:
            attributes["ip"] = client
        if who is None:
            if client is not None:
                # Who has one address of IPv6 has its whole network, which has to be one key.
                attributes["key"] = self.limiter._client_at(client) if ":" in client else client
        elif isinstance(who, Mapping):
            attributes.update((name, value) for name, value in who.items() if value is not None)
        else:
            attributes["key"] = who
        return attributes

    def enter(self, request: Incoming, who: Any) -> Visit | SettledVisit | None:
        """Ask the limiter; None: the request passes unlimited, for the limiter failed and is open.

        Raises
        ------
        Unchecked
            When the limiter failed, and is closed.
        """
        subject, cost = self.subject(request, who), self._cost_of(request)
        visit: Visit | SettledVisit
        try:
            if self.settle is None:
                visit = Visit(self, request, self.limiter._admit(subject, cost))
            else:
                visit = SettledVisit(self, request, subject, self.limiter.reserve(subject, cost))
        except Exception as error:
            self._undecided(error)
            return None
        request.decision = visit.decision
        return visit

    def connect(self, request: Incoming, who: Any) -> Connection | None:
        """As `enter`, for a WebSocket."""
        subject, cost = self.subject(request, who), self._cost_of(request)
        try:
            decision = self.limiter.acquire(subject, cost)
        except Exception as error:
            self._undecided(error)
            return None
        request.decision = decision
        return Connection(self, request, subject, decision)

    def failed(self, error: Exception) -> None:
        """Count an error of the limiter, and log it."""
        self.errors += 1
        logger.error("the limiter failed: %s", error, exc_info=error)

    def _cost_of(self, request: Incoming) -> int:
        return self._cost if isinstance(self._cost, int) else self._cost(request)

    def _undecided(self, error: Exception) -> None:
        self.failed(error)
        if self.on_error == "closed" or isinstance(error, MISTAKES):
            raise Unchecked from error
