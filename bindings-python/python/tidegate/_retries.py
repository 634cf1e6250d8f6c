"""Is something already trying again by itself? Then attempts multiply behind the pacer's back."""

from __future__ import annotations

import warnings

from tidegate._pacer_errors import RetryWarning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def warn(function: Any, stacklevel: int = 2) -> None:
    """Warns when the function, or the client that it is a method of, retries by itself."""
    found = _of_function(function)
    if found is not None:
        warn_of(found, stacklevel + 1)


def warn_of(found: str, stacklevel: int = 2) -> None:
    warnings.warn(
        f"{found}: these attempts multiply with the pacer's, and it does not know of them; "
        "switch them off",
        RetryWarning,
        stacklevel=stacklevel + 1,
    )


def _of_function(function: Any) -> str | None:
    function = getattr(function, "func", function)  # functools.partial
    if type(getattr(function, "retry", None)).__module__.split(".")[0] == "tenacity":
        return f"{_name(function)} is wrapped by tenacity"
    owner = getattr(function, "__self__", None)
    if owner is None:
        return None
    # A resource of a client (`client.chat.completions`) knows its client.
    client = getattr(owner, "_client", owner)
    return of_count(client, "max_retries") or of_session(client) or of_httpx(client)


def of_count(client: Any, name: str) -> str | None:
    """Clients whose number of retries is an attribute: those of OpenAI and Anthropic, say."""
    count = getattr(client, name, None)
    if isinstance(count, int) and count > 0:
        return f"{type(client).__name__} has {name}={count}"
    return None


def of_session(session: Any) -> str | None:
    """A `requests.Session`: each adapter has retries of urllib3."""
    adapters = getattr(session, "adapters", None)
    if not isinstance(adapters, dict):
        return None
    return next(filter(None, map(of_adapter, adapters.values())), None)


def of_adapter(adapter: Any) -> str | None:
    """An adapter of requests, or a pool manager of urllib3."""
    total = getattr(getattr(adapter, "max_retries", None), "total", None)
    if isinstance(total, int) and total > 0:
        return f"{type(adapter).__name__} has max_retries={int(total)}"
    return None


def of_httpx(client: Any) -> str | None:
    """A client or a transport of httpx: tries again when it cannot connect."""
    transport = getattr(client, "_transport", client)
    retries = getattr(getattr(transport, "_pool", None), "_retries", None)
    if isinstance(retries, int) and retries > 0:
        return f"{type(transport).__name__} has retries={retries}"
    return None


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
