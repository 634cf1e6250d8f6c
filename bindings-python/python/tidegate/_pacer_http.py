"""What the adapters of HTTP clients share."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidegate._pacer import Pacer

# Bodies of refusals up to this size are read, so that their connections can be used again.
_SMALL = 64 * 1024


def is_pacer(pacer: object) -> Pacer:
    from tidegate._pacer import Pacer

    if not isinstance(pacer, Pacer):
        raise TypeError(f"pacer: expected a tidegate.Pacer, got {type(pacer).__name__}")
    return pacer


def for_request(
    pacer: Pacer, label: str, is_once: bool, options: dict[str, Any] | None = None
) -> Pacer:
    """The pacer with the options of a request; one whose body can be sent once is not retried."""
    given = dict(options or {})
    if not pacer.label:
        given.setdefault("label", label)
    if is_once:
        given["max_retries"] = 0
    return pacer.with_options(**given) if given else pacer


def is_small_refusal(status: int, length: str | None) -> bool:
    """Is it worth reading, to keep the connection?"""
    return status in (429, 503) and length is not None and length.isdigit() and int(length) <= _SMALL
