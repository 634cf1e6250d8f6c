"""Checked by mypy, never run: the types of the pacer that users rely on."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import aiohttp
import httpx
import requests
import tidegate
import tidegate.aiohttp
import tidegate.httpx
import tidegate.requests
from typing_extensions import assert_type


def fetch(item: int, *, twice: bool = False) -> str:
    return str(item)


async def fetch_async(item: int) -> str:
    return str(item)


def promise(item: int) -> Awaitable[str]:
    return fetch_async(item)


def classify(outcome: Any) -> None:
    return None


def on_event(event: tidegate.PacerEvent) -> None:
    assert_type(event.kind, str)
    assert_type(event.delay, float | None)
    assert_type(event.attempts, int | None)


clock = tidegate.ManualClock(1_700_000_000)
limiter = tidegate.Limiter("1/second", clock=clock)
pacer = tidegate.Pacer("100/minute", concurrency=4, deadline=timedelta(minutes=1), clock=clock)
tidegate.Pacer(limiter, key="api", on_event=on_event, on_near_limit=on_event, classify=classify)
tidegate.Pacer({"limit": [{"rate": "1/second"}]}, near_limit=0.2, seed=1)
assert_type(pacer.limiter, tidegate._native.Limiter | None)
assert_type(pacer.call(fetch, 3, twice=True), str)
assert_type(pacer.with_options(label="a", cost=2), tidegate.Pacer)
assert_type(pacer.wrap(fetch)(3), str)
assert_type(list(pacer.map(fetch, [1, 2])), list[str])
assert_type(pacer.map(fetch, [1, 2], progress=True).finished, dict[int, str])
assert_type(pacer.stats(), tidegate.PacerStats)
assert_type(pacer.stats().waits, dict[str, int])
pacer.observe({"Retry-After": "1"})


@pacer.wrap
async def wrapped(item: int) -> str:
    return await fetch_async(item)


async def main() -> None:
    assert_type(await pacer.call_async(fetch_async, 3), str)
    assert_type(await pacer.call_async(promise, 3), str)
    assert_type(await wrapped(3), str)
    assert_type(await pacer.map_async(fetch_async, [1, 2]), list[str])
    async for result in pacer.map_async(fetch_async, [1, 2]):
        assert_type(result, str)
    await pacer.call_async(fetch, 3)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=tidegate.httpx.PacedTransport(pacer)):
        pass
    async with aiohttp.ClientSession(middlewares=[tidegate.aiohttp.PacedMiddleware(pacer)]):
        pass


httpx.Client(transport=tidegate.httpx.PacedTransport(pacer, httpx.HTTPTransport()))
requests.Session().mount("https://", tidegate.requests.PacedAdapter(pacer, pool_maxsize=20))

try:
    pacer.call(fetch, 3)
except tidegate.RetriesExhausted as error:
    assert_type(error.attempts, int)
    assert_type(error.status, int | None)
except tidegate.BreakerOpen as error:
    assert_type(error.retry_after, float)
except TimeoutError as error:
    raise tidegate.PacerError("late") from error

limits = tidegate.read_headers({"Retry-After": "2.5"}, now=timedelta(0))
assert_type(limits.retry_after, float | None)
assert_type(limits.quotas, tuple[tidegate.ServerQuota, ...])
tidegate.read_headers([(b"Retry-After", "2.5")])

pacer.call(fetch, "3")  # type: ignore[arg-type]
pacer.call(fetch, 3, thrice=True)  # type: ignore[call-arg]
pacer.with_options(retries=3)  # type: ignore[call-arg]
tidegate.Pacer(100)  # type: ignore[arg-type]
tidegate.Pacer(classify=lambda outcome: "banana")  # type: ignore[arg-type, return-value]
tidegate.read_headers("Retry-After: 1")  # type: ignore[arg-type]
