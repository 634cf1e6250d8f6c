"""What the `Limiter` of every framework is, below its decorators: rates, the rules at routes, and what follows when
asking fails.
"""

from __future__ import annotations

from tidegate import _checks
from tidegate._adapter import BODY_STYLES, HEADER_STYLES, logger
from tidegate._decorated import Denied, Rates, check_store
from tidegate._errors import ArgumentError
from tidegate._rules import Decorations, Rule, check_terms, rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tidegate._adapter import _BodyStyle, _HeaderStyle
    from tidegate._decorated import Pass
    from tidegate._native import ManualClock
    from tidegate._rules import _Provider

# A key or a cost that is none: swallowed, it would make a request free, and clients may have written it. Coroutines would
# make all of them free.
_MISTAKES = (ArgumentError, UnicodeError, OverflowError, _checks.Unawaited)


class RouteLimits:
    """The parts of a `Limiter` that know no framework; `call` says how functions that users write are called."""

    def __init__(
        self,
        key_func: Callable[..., Any],
        call: Callable[[Callable[..., Any], Any], Any],
        *,
        strategy: str | None,
        storage_uri: str | None,
        headers: _HeaderStyle | None,
        body: _BodyStyle,
        swallow_errors: bool,
        key_prefix: str,
        enabled: bool,
        clock: ManualClock | None,
        max_keys: int,
    ) -> None:
        check_store(storage_uri)
        _checks.plain_function("key_func", key_func)
        if headers is not None:
            _checks.one_of("headers", headers, HEADER_STYLES)
        _checks.one_of("body", body, BODY_STYLES)
        self.enabled = enabled
        self.errors = 0
        self._headers = headers
        self._body = body
        self._swallow = swallow_errors
        self._rates = Rates(strategy, clock, max_keys)
        self._decorated = Decorations(key_func, call, key_prefix)

    def reset(self) -> None:
        """Forget all that was used."""
        self._rates.reset()

    def _limit_all(
        self, default: Sequence[_Provider], application: Sequence[_Provider], **terms: Any
    ) -> None:
        """The rates of every route without its own, on these terms, and those of the whole application."""
        _checks.words("default_limits", default, '["100/minute"]')
        _checks.words("application_limits", application, '["100/minute"]')
        check_terms(terms, "default_limits_")
        for provider in default:
            self._rates.check(provider)
            self._decorated.defaults.append(Rule(provider=provider, **terms))
        for provider in application:
            self._rates.check(provider)
            shared = Rule(provider=provider, scope="application", shared=True)
            self._decorated.application.append(shared)

    def _rule(self, arguments: Mapping[str, Any], shared: bool = False) -> Rule:
        """The rule of a decorator, from its arguments; a wrong rate is refused here."""
        self._rates.check(arguments["limit_value"])
        return rule(arguments, shared)

    def _decided(self, ask: Callable[..., Pass | None], *of: Any) -> Pass | None:
        """What `ask` says of these; None as well when it failed, and errors are swallowed.

        Raises
        ------
        Denied
            When a limit has no room.
        """
        try:
            return ask(*of)
        except Denied:
            raise
        except Exception as error:
            self.errors += 1
            logger.error("the limiter failed: %s", error, exc_info=error)
            if not self._swallow or isinstance(error, _MISTAKES):
                raise
            return None
