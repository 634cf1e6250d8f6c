"""What is written at routes (`@limiter.limit("5/minute")`): which rules a view has, and which limits a request meets by
them. Nothing is asked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tidegate import _checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from typing import Any, TypeAlias

    from tidegate._native import Decision

    # What decorators take: a rate string, or a function that returns one for the request at hand.
    _Provider: TypeAlias = str | Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One decoration: rates, for whom, and when."""

    provider: _Provider
    key_func: Callable[..., Any] | None = None
    scope: str | Callable[..., str] | None = None
    shared: bool = False
    per_method: bool = False
    methods: tuple[str, ...] | None = None
    error_message: str | Callable[[], str] | None = None
    exempt_when: Callable[..., bool] | None = None
    override_defaults: bool = True
    deduct_when: Callable[[Any], bool] | None = None
    on_breach: Callable[[Breach], Any] | None = None
    cost: int | Callable[..., int] = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A limit that one request meets."""

    rule: Rule
    rate: str
    key: str
    cost: int


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that denied a request, as `on_breach` is told.

    Attributes
    ----------
    limit : str
        The rate, as it was written.
    key : str
        Whose request it was.
    decision : Decision
        The denial.
    error_message : str or None
        What the decoration says of it.
    """

    limit: str
    key: str
    decision: Decision
    error_message: str | None

    @property
    def remaining(self) -> int:
        """int: What is left."""
        return self.decision.remaining

    @property
    def reset_at(self) -> int:
        """int: When it is full again, in Unix seconds, rounded up."""
        return -(-(self.decision.made_at_ns + (self.decision.reset_after_ns or 0)) // 10**9)


class Decorations:
    """Which rules a view has: those at it, those of every view, those of the application."""

    def __init__(
        self,
        key_func: Callable[..., Any],
        call: Callable[[Callable[..., Any], Any], Any],
        prefix: str,
    ) -> None:
        self._key_func = key_func
        # How functions that users write are called: with the request or without.
        self._call = call
        self._prefix = prefix
        self.defaults: list[Rule] = []
        self.application: list[Rule] = []
        # By the function itself: names need not be unique.
        self._at: dict[Hashable, list[Rule]] = {}
        self._exempt: set[Hashable] = set()

    def add(self, view: Hashable, rule: Rule) -> None:
        self._at.setdefault(view, []).append(rule)

    def exempt(self, view: Hashable) -> None:
        self._exempt.add(view)

    def at(self, view: Hashable) -> list[Rule]:
        return self._at.get(view, [])

    def asked(
        self, views: Sequence[Hashable], endpoint: str, method: str, request: Any
    ) -> list[Asked]:
        """The limits that a request meets; `views` are its view, and what contains it."""
        if any(view in self._exempt for view in views):
            return []
        rules = [rule for view in views for rule in self.at(view)]
        if all(not rule.override_defaults for rule in rules):
            rules = [*rules, *self.defaults]
        found: list[Asked] = []
        for rule in [*self.application, *rules]:
            found.extend(self.asked_by(rule, endpoint, method, request))
        return found

    def asked_by(self, rule: Rule, endpoint: str, method: str, request: Any) -> list[Asked]:
        if rule.methods is not None and method.lower() not in rule.methods:
            return []
        if rule.exempt_when is not None:
            exempt = self._call(rule.exempt_when, request)
            if exempt is not False and _checks.told("exempt_when", exempt, "true or false"):
                return []
        who = self._call(rule.key_func or self._key_func, request)
        if not isinstance(who, str):
            _checks.told("key_func", who, "a key")
        key = f"{self._prefix}\x1f{_scope(rule, endpoint, method)}\x1f{who}"
        text = rule.provider
        if not isinstance(text, str):
            text = text(who) if _takes(text, "key") else self._call(text, request)
        cost = rule.cost if isinstance(rule.cost, int) else self._call(rule.cost, request)
        return [Asked(rule, rate, key, cost) for rate in rates_of(text)]


def rates_of(text: str) -> list[str]:
    """The rates of a string: separated by `;`, `,` or `|`."""
    found = _RATES.get(text)
    if found is None:
        found = [rate for part in re.split("[;,|]", text) if (rate := part.strip())]
        if len(_RATES) < 1000:  # texts are few, unless a function makes them up
            _RATES[text] = found
    return found


_RATES: dict[str, list[str]] = {}


def rule(arguments: Mapping[str, Any], shared: bool) -> Rule:
    """A rule from the arguments of a decorator: what `locals()` has where its body begins."""
    given = {name: value for name, value in arguments.items() if name not in _NO_TERMS}
    check_terms(given)
    made = Rule(provider=arguments["limit_value"], shared=shared, **given)
    if made.methods is None:
        return made
    return replace(made, methods=tuple(method.lower() for method in made.methods))


_NO_TERMS = ("self", "limit_value")
_FUNCTIONS = ("key_func", "exempt_when", "deduct_when", "on_breach")


def check_terms(given: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse terms of another kind where they are written; `prefix` is what their names have there."""
    for name in _FUNCTIONS:
        value = given.get(name)
        if value is not None:
            _checks.plain_function(prefix + name, value)
    _checks.cost(given.get("cost", 1))
    if given.get("methods") is not None:
        _checks.words("methods", given["methods"], '["POST"]')


def _scope(rule: Rule, endpoint: str, method: str) -> str:
    scope = rule.scope(endpoint) if callable(rule.scope) else rule.scope
    if rule.shared:
        text = f"shared:{scope}"
    else:
        text = f"{endpoint}:{scope}" if scope else endpoint
    return f"{text}:{method.upper()}" if rule.per_method else text


def _takes(function: Callable[..., Any], name: str) -> bool:
    import inspect

    return name in inspect.signature(function).parameters
