"""A server that limits each client with the engine, and tells of it in the dialect it is asked for.

    GET  /DIALECT/items/N    one item of work, for the client named by `X-Client`; 200 or 429
    GET  /log                what became of that client's requests: [ns, status, item], ...
    PUT  /limits             a policy as JSON; every client begins anew

It prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timezone

import tidegate
from aiohttp import web

Headers = dict[str, str]


def _seconds(span: float) -> str:
    """Whole seconds, rounded up, as most servers tell them."""
    return str(-int(-span // 1))


def _retry(decision: tidegate.Decision) -> Headers:
    return {} if decision.allowed else {"Retry-After": _seconds(decision.retry_after)}


def _delta(decision: tidegate.Decision) -> Headers:
    """X-RateLimit-Reset in seconds from now."""
    told = decision.headers("legacy")
    return told | {"X-RateLimit-Reset": _seconds(decision.reset_after)}


def _retry_ms(decision: tidegate.Decision) -> Headers:
    """Nothing but how long to wait, in milliseconds."""
    after = -int(-decision.retry_after * 1000 // 1)
    return {} if decision.allowed else {"retry-after-ms": str(after)}


def _span(decision: tidegate.Decision) -> Headers:
    """A provider's: the reset as a span with units."""
    return {
        "x-ratelimit-limit-requests": str(decision.limit),
        "x-ratelimit-remaining-requests": str(decision.remaining),
        "x-ratelimit-reset-requests": f"{-int(-decision.reset_after * 1000 // 1)}ms",
    } | _retry_ms(decision)


def _instant(decision: tidegate.Decision) -> Headers:
    """A provider's: the reset as a time of RFC 3339."""
    reset = datetime.fromtimestamp(decision.made_at + decision.reset_after, timezone.utc)
    return {
        "anthropic-ratelimit-requests-limit": str(decision.limit),
        "anthropic-ratelimit-requests-remaining": str(decision.remaining),
        "anthropic-ratelimit-requests-reset": reset.isoformat(timespec="milliseconds"),
    } | _retry(decision)


DIALECTS: dict[str, Callable[[tidegate.Decision], Headers]] = {
    "draft": lambda decision: decision.headers("draft"),
    "epoch": lambda decision: decision.headers("legacy"),
    "delta": _delta,
    "span": _span,
    "rfc3339": _instant,
    "retry-after-ms": _retry_ms,
    "retry-after": _retry,
}


class Server:
    def __init__(self, latency: float) -> None:
        # The longest time that a request, and its answer, take on their way.
        self._latency = latency
        self._limiter = tidegate.Limiter("1/second")
        self._logs: dict[str, list[tuple[int, int, int]]] = defaultdict(list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        client = request.headers.get("X-Client", "")
        if request.path == "/limits":
            self._limiter = tidegate.Limiter(await request.json())
            self._logs.clear()
            return web.Response(status=204)
        if request.path == "/log":
            return web.json_response(self._logs[client])
        _, dialect, _, item = request.path.split("/")
        await asyncio.sleep(random.random() * self._latency)
        decision = self._limiter.acquire(client)
        self._logs[client].append((decision.made_at_ns, decision.status, int(item)))
        await asyncio.sleep(random.random() * self._latency)
        headers = DIALECTS[dialect](decision)
        return web.Response(status=decision.status, headers=headers, text=decision.body() or item)


async def main(latency: float) -> None:
    runner = web.ServerRunner(web.Server(Server(latency).handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    # Whoever started it holds the other end.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
