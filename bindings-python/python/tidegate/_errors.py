"""Exceptions. Wrong types are `TypeError`, unreadable files `OSError`, all else is here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidegate._native import Decision


class Error(Exception):
    """The base of every exception of tidegate."""


class PolicyError(Error, ValueError):
    """A mistake in a policy.

    Attributes
    ----------
    field : str
        Where: a path such as `limit[0].quota`.
    remedy : str
        What would be right.
    line, column : int or None
        Where in the text of the policy, both from 1; None for a dict.
    """

    field: str
    remedy: str
    line: int | None
    column: int | None

    def __init__(
        self,
        message: str,
        field: str = "",
        remedy: str = "",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.field = field
        self.remedy = remedy
        self.line = line
        self.column = column


class ArgumentError(Error, ValueError):
    """A bad value of an argument or an option.

    Attributes
    ----------
    field : str
        The name of the argument.
    remedy : str
        What would be right.
    """

    field: str
    remedy: str

    def __init__(self, message: str, field: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.remedy = remedy


class RateLimited(Error):
    """A denied request, where denial cannot be a value: in `measure` and `with reserve(...)`.

    Attributes
    ----------
    decision : Decision
        Why, and when to come back.
    """

    decision: Decision

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision)
        self.decision = decision

    def __str__(self) -> str:
        decision = self.decision
        if decision.reason == "blocked":
            if decision.retry_after_ns is None:
                return f"blocked by {decision.name!r}; no retry helps"
            return f"the key is blocked; retry after {decision.retry_after:g} s"
        limit = f"limit {decision.name!r} ({decision.limit})"
        if decision.reason == "impossible":
            return f"{limit} can never hold this cost; no retry helps"
        return f"{limit} has no room; retry after {decision.retry_after:g} s"
