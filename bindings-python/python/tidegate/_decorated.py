"""Limits that are written at routes (`_rules.py`), as one policy of one limiter.

Each rate that routes ask for is a limit of that policy, by an attribute of its own; which route, and whose request, is
in the attribute's value. So a hundred routes with the same rate share one limit, and all limits of a request decide
together: all are charged, or none. A policy speaks of so many attributes and no more: an application with more rates has
further limiters.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from tidegate import _checks
from tidegate._adapter import logger
from tidegate._errors import ArgumentError, PolicyError
from tidegate._limiter import Limiter
from tidegate._rules import Breach, rates_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidegate._native import Admission, Decision, ManualClock, Reservation
    from tidegate._rules import Asked, Rule, _Provider

# The names that flask-limiter and slowapi have for algorithms, and what is ours alone.
STRATEGIES: dict[str, dict[str, Any]] = {
    "fixed-window": {"algorithm": "fixed_window", "align": "first_request"},
    "moving-window": {"algorithm": "sliding_window", "strict": True},
    "sliding-window-counter": {"algorithm": "sliding_window"},
    "gcra": {"algorithm": "gcra"},
}
# The stores that may be named; all are the memory of this process.
STORES = (None, "memory://", "tidegate://", "memory:")


@dataclass(frozen=True, slots=True)
class Shown:
    """A limit that one request meets, as a limiter is shown it."""

    asked: Asked
    limiter: Limiter
    attribute: str

    @property
    def attributes(self) -> dict[str, str]:
        return {self.attribute: self.asked.key}


class Together:
    """What one request takes from several limiters, or at several costs: as an `Admission`."""

    __slots__ = ("_taken", "decision")

    def __init__(self, taken: list[tuple[Limiter, dict[str, str], Reservation]]) -> None:
        self._taken = taken
        decisions = (reservation.decision for _, _, reservation in taken)
        # Told is what is nearest to its end.
        self.decision = min(decisions, key=lambda one: one.remaining / max(one.limit, 1))

    def finish(self) -> None:
        for limiter, attributes, reservation in self._taken:
            elapsed = limiter.peek(attributes, 0).made_at_ns - reservation.decision.made_at_ns
            limiter.record_latency(attributes, duration_ns=max(0, elapsed))


class Pass:
    """A request that was asked about; `finish` it when its response has ended, once."""

    __slots__ = ("_admission", "_conditional", "decision")

    _admission: Admission | Together | None

    def __init__(self, admission: Admission | Together, shown: list[Shown]) -> None:
        self._admission = admission
        self._conditional = [one for one in shown if one.asked.rule.deduct_when is not None]
        self.decision = admission.decision

    def deduct(self, response: Any) -> None:
        """Give back what `deduct_when` says was not to be counted."""
        conditional, self._conditional = self._conditional, []
        for one in conditional:
            deduct_when = one.asked.rule.deduct_when
            if deduct_when is not None and not deduct_when(response):
                one.limiter.refund(one.attributes, one.asked.cost)

    def finish(self, status: int | None = None) -> None:
        admission, self._admission = self._admission, None
        if admission is not None:
            try:
                admission.finish()
            except Exception as error:
                logger.error("the limiter failed: %s", error, exc_info=error)


class Denied(Exception):
    """A limit has no room. (Never leaves the adapters.)"""

    def __init__(self, breach: Breach, rule: Rule | None) -> None:
        super().__init__(breach)
        self.breach = breach
        self.rule = rule


# Attributes of one policy, besides those that every policy may speak of.
MOST_ATTRIBUTES = 12


class Rates:
    """The limiters behind the decorators of one `Limiter` object."""

    def __init__(self, strategy: str | None, clock: ManualClock | None, max_keys: int) -> None:
        chosen = "fixed-window" if strategy is None else strategy
        if chosen not in STRATEGIES:
            remedy = "give " + " or ".join(f'"{name}"' for name in STRATEGIES)
            raise ArgumentError(f"strategy: unknown {strategy!r}; {remedy}", "strategy", remedy)
        self._terms = STRATEGIES[chosen]
        self._options: dict[str, Any] = {"clock": clock, "max_keys": max_keys}
        self._lock = threading.Lock()
        # Each limiter has so many of the rates, in the order in which they were met.
        self._limits: list[dict[str, Any]] = []
        self._limiters: list[Limiter] = []
        # The number of a rate.
        self._numbers: dict[tuple[str, str | None, int], int] = {}
        self._names: dict[str, str] = {}

    @property
    def limiter(self) -> Limiter | None:
        """The first limiter, which most applications have alone."""
        return self._limiters[0] if self._limiters else None

    def check(self, provider: _Provider) -> None:
        """Refuse a wrong rate where it is written, not at the first request."""
        if isinstance(provider, str):
            Limiter({"limit": [self._limit(rate, "a", rate, None) for rate in rates_of(provider)]})
        elif not callable(provider):
            kind = type(provider).__name__
            raise TypeError(f"limit: expected a rate string or a function, got {kind}")
        else:
            _checks.plain_function("limit", provider)

    def reset(self) -> None:
        """Forget all that was used."""
        with self._lock:
            parts = range(len(self._limiters))
            self._limiters = [Limiter({"limit": self._part(part)}, **self._options) for part in parts]

    def enter(self, asked: list[Asked]) -> Pass | None:
        """Ask for all of them; None when there is nothing to ask.

        Raises
        ------
        Denied
            When one has no room. Nothing was charged.
        """
        if not asked:
            return None
        shown = self._show(asked)
        groups: dict[tuple[Limiter, int], dict[str, str]] = {}
        for one in shown:
            groups.setdefault((one.limiter, one.asked.cost), {})[one.attribute] = one.asked.key
        if len(groups) > 1:
            return Pass(self._apart(groups, shown), shown)
        [((limiter, cost), request)] = groups.items()
        admission = limiter._admit(request, cost)
        if not admission.decision:
            raise self._denied(admission.decision, shown)
        return Pass(admission, shown)

    def _apart(
        self, groups: dict[tuple[Limiter, int], dict[str, str]], shown: list[Shown]
    ) -> Together:
        """A decision for each limiter and cost; what was taken comes back when one denies, or fails."""
        taken: list[tuple[Limiter, dict[str, str], Reservation]] = []
        try:
            for (limiter, cost), request in groups.items():
                reservation = limiter.reserve(request, cost)
                if not reservation:
                    raise self._denied(reservation.decision, shown)
                taken.append((limiter, request, reservation))
        except BaseException:
            for _, _, other in taken:
                other.cancel()
            raise
        return Together(taken)

    def _denied(self, decision: Decision, shown: list[Shown]) -> Denied:
        attribute = self._names.get(decision.name)
        for one in shown:
            if attribute == one.attribute:
                asked = one.asked
                message = asked.rule.error_message
                said = message() if callable(message) else message
                return Denied(Breach(asked.rate, asked.key, decision, said), asked.rule)
        return Denied(Breach(decision.name, "", decision, None), None)

    def _show(self, asked: list[Asked]) -> list[Shown]:
        seen: dict[tuple[str, str | None], int] = {}
        shown = []
        for one in asked:
            message = one.rule.error_message
            said = message if isinstance(message, str) and _is_for_policies(message) else None
            turn = seen[one.rate, said] = seen.get((one.rate, said), 0) + 1
            number = self._numbers.get((one.rate, said, turn))
            if number is None:
                number = self._add(one.rate, said, turn)
            shown.append(Shown(one, self._limiters[number // MOST_ATTRIBUTES], f"l{number}"))
        return shown

    def _add(self, rate: str, message: str | None, turn: int) -> int:
        with self._lock:
            number = self._numbers.get((rate, message, turn))
            if number is not None:
                return number
            number = len(self._limits)
            attribute = f"l{number}"
            alike = sum(known[0] == rate for known in self._numbers)
            name = f"{rate} #{alike + 1}" if alike else rate
            limit = self._limit(rate, attribute, name, message)
            part = number // MOST_ATTRIBUTES
            policy = {"limit": [*self._part(part), limit]}
            if part == len(self._limiters):
                self._limiters = [*self._limiters, Limiter(policy, **self._options)]
            else:
                self._limiters[part].update(policy)
            self._limits = [*self._limits, limit]
            self._names[name] = attribute
            self._numbers[rate, message, turn] = number
            return number

    def _part(self, part: int) -> list[dict[str, Any]]:
        """The limits of a limiter."""
        return self._limits[part * MOST_ATTRIBUTES : (part + 1) * MOST_ATTRIBUTES]

    def _limit(
        self, rate: str, attribute: str, name: str, message: str | None
    ) -> dict[str, Any]:
        limit = {"name": name, "rate": rate, "by": [attribute], "missing": "skip", **self._terms}
        if message:
            limit["message"] = message
        return limit


def _is_for_policies(message: str) -> bool:
    """Whether a policy takes the message; others (of several lines) are told as those that a function makes."""
    found = _FOR_POLICIES.get(message)
    if found is None:
        try:
            Limiter({"limit": [{"rate": "1/minute", "message": message or "none"}]}, max_keys=1)
            found = True
        except PolicyError:
            found = False
        _FOR_POLICIES[message] = found  # they stand in the program, and are few
    return found


_FOR_POLICIES: dict[str, bool] = {}


def check_store(storage_uri: str | None) -> None:
    if storage_uri not in STORES:
        remedy = 'leave it out, or give "memory://": state is kept in the memory of this process'
        problem = f"storage_uri: {storage_uri!r} is no store of Tidegate; {remedy}"
        raise ArgumentError(problem, "storage_uri", remedy)
