"""Policies as Python writes them: text, or mappings turned into JSON for the engine."""

from __future__ import annotations

from collections.abc import Mapping
from tidegate._errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(policy: str | Mapping[str, Any]) -> tuple[str, str]:
    """The text of a policy and its form, as the engine takes them."""
    if isinstance(policy, str):
        return policy, "text"
    if isinstance(policy, Mapping):
        return _as_json(policy), "json"
    raise TypeError(
        f"policy: expected a str or a mapping, got {type(policy).__name__}; "
        "for a file use Limiter.from_file"
    )


def _as_json(policy: Mapping[str, Any]) -> str:
    import json

    _check(policy, "policy")
    return json.dumps(policy, allow_nan=False, default=_plain)


def _check(value: Any, where: str, depth: int = 0) -> None:
    """Refuses, by field, what json would quietly change or refuse without a field, and circles."""
    if depth > 20:
        raise _refused(where, "nested too deeply", "a policy has a few levels")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise TypeError(
                    f"{where}: field names are str, got {type(name).__name__} {name!r}"
                )
            _check(inner, f"{where}.{name}" if depth else name, depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check(inner, f"{where}[{index}]", depth + 1)
    elif isinstance(value, float):
        if value - value != 0:
            raise _refused(where, f"{value} is NaN or infinite", "give a finite number")
    elif isinstance(value, int):
        if value.bit_length() > 64:
            raise _refused(where, "the number is more than 64 bits hold", "give a smaller one")
    elif not isinstance(value, (str, type(None))):
        raise TypeError(
            f"{where}: expected a str, number, bool, list or mapping, got {type(value).__name__}"
        )


def _refused(where: str, problem: str, remedy: str) -> PolicyError:
    return PolicyError(f"policy: {where}: {problem}; {remedy}", where, remedy)


def _plain(value: Any) -> Any:
    return dict(value)  # the one foreign kind that _check lets through: mappings
