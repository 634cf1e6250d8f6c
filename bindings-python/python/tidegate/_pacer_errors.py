"""How a pacer gives a call up. All that servers answer and functions raise else is handed on."""

from __future__ import annotations

from tidegate._errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PacerError(Error):
    """The base of the exceptions with which a pacer gives a call up.

    What the function raised last, if it raised, is `__cause__`.

    Attributes
    ----------
    label : str
        The label of the call; may be empty.
    attempts : int
        Attempts that were made; 0: nothing was sent.
    response : object or None
        The last response, also when an exception carried it; None when there is none, or it was
        let go before a retry. Not there any more after pickling.
    """

    label: str
    attempts: int
    response: Any

    def __init__(
        self, message: str, *, label: str = "", attempts: int = 0, response: Any = None
    ) -> None:
        super().__init__(message)
        self.label = label
        self.attempts = attempts
        self.response = response

    def __reduce__(self) -> Any:
        # Responses hold connections.
        return type(self), self.args, {**self.__dict__, "response": None}


class RetriesExhausted(PacerError):
    """The server refused every attempt.

    Attributes
    ----------
    status : int or None
        HTTP status of the last answer; None where there is none.
    """

    status: int | None

    def __init__(
        self,
        message: str,
        *,
        label: str = "",
        attempts: int = 0,
        response: Any = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, label=label, attempts=attempts, response=response)
        self.status = status


class RetryAfterTooLong(PacerError):
    """The server asks for a wait longer than `max_retry_after`.

    Attributes
    ----------
    retry_after : float
        How long, in seconds from when it was raised.
    max_retry_after : float
        The longest wait that the pacer allows, in seconds.
    """

    retry_after: float
    max_retry_after: float

    def __init__(
        self,
        message: str,
        *,
        label: str = "",
        attempts: int = 0,
        response: Any = None,
        retry_after: float = 0.0,
        max_retry_after: float = 0.0,
    ) -> None:
        super().__init__(message, label=label, attempts=attempts, response=response)
        self.retry_after = retry_after
        self.max_retry_after = max_retry_after


class DeadlineExceeded(PacerError, TimeoutError):
    """The call's deadline has passed, or would pass before it can go."""


class BreakerOpen(PacerError):
    """Nothing is sent, after failures that no retry fixes.

    Attributes
    ----------
    reason : str
        `authentication` (the credential was refused) or `failures` (calls failed in a row).
    status : int or None
        HTTP status of the answer that opened it; None where there is none.
    failures : int
        So many in a row.
    retry_after : float
        Seconds until one call is let through to see.
    """

    reason: str
    status: int | None
    failures: int
    retry_after: float

    def __init__(
        self,
        message: str,
        *,
        label: str = "",
        attempts: int = 0,
        response: Any = None,
        reason: str = "failures",
        status: int | None = None,
        failures: int = 0,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message, label=label, attempts=attempts, response=response)
        self.reason = reason
        self.status = status
        self.failures = failures
        self.retry_after = retry_after


class PacerClosed(PacerError):
    """The pacer is closed."""


class RetryWarning(UserWarning):
    """What a pacer is put around tries again by itself: attempts multiply, and are not paced."""


class Stopped(PacerError):
    """A call of a map that is not wanted any more; nobody outside sees it."""
