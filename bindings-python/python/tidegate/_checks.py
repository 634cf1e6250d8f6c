"""What adapters refuse where it is written: options of another kind than they ask for."""

from __future__ import annotations

import inspect

from tidegate._errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Unawaited(TypeError):
    """A function has given what somebody would have to await."""


def one_of(name: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        remedy = "give " + " or ".join(f'"{word}"' for word in words)
        raise ArgumentError(f"{name}: unknown {value!r}; {remedy}", name, remedy)


def function(name: str, value: Any) -> None:
    if not callable(value):
        raise TypeError(f"{name}: expected a function, got {type(value).__name__}")


def plain_function(name: str, value: Any) -> None:
    """Refuse what is no function, and a coroutine function where nobody awaits what it gives."""
    function(name, value)
    if _is_async(value):
        raise TypeError(
            f"{name}: expected a function that is not async; nothing awaits here what it gives"
        )


def cost(value: Any) -> None:
    """Units, or a function that gives them."""
    if callable(value):
        return plain_function("cost", value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"cost: expected an int or a function, got {type(value).__name__}")
    if value < 0:
        raise ArgumentError(f"cost: {value} is negative; give 0 or more", "cost", "give 0 or more")


def words(name: str, value: Any, example: str) -> None:
    """Refuse one text where a list of them is asked for: its letters would be read as the list."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name}: expected a list, got {type(value).__name__}; give {example}")


def told(name: str, value: Any, wanted: str) -> Any:
    """What a function has given, where nobody can await it. A coroutine is true, and each is another."""
    if inspect.isawaitable(value):
        kind = type(value).__name__
        if inspect.iscoroutine(value):
            value.close()
        raise Unawaited(f"{name}: expected {wanted}, got {kind}; give a function that is not async")
    return value


def _is_async(value: Any) -> bool:
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(
        getattr(value, "__call__", None)  # noqa: B004
    )
