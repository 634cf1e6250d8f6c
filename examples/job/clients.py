"""The same job by several clients: each does all items, with so many workers.

Each is what a program would have that uses this way; `api` makes one request and returns the
response, whatever its status.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import aiolimiter
import tenacity
import tidegate

WORKERS = 20


@dataclass
class Job:
    """A client's work: where, as whom, what, and the limit for those who know it."""

    port: int
    client: str
    dialect: str
    items: range
    rate: int
    burst: int
    pacer: tidegate.Pacer | None = None
    session: aiohttp.ClientSession = field(init=False)

    def path(self, item: int) -> str:
        return f"/{self.dialect}/items/{item}"

    async def get(self, item: int) -> aiohttp.ClientResponse:
        async with self.session.get(self.path(item)) as response:
            await response.read()
            return response


async def in_session(work: Callable[[Job], Awaitable[Any]], job: Job) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"X-Client": job.client}
    base = f"http://127.0.0.1:{job.port}"
    async with aiohttp.ClientSession(base, connector=connector, headers=headers) as session:
        job.session = session
        await work(job)


async def by_workers(work: Callable[[int], Awaitable[Any]], items: Iterable[int]) -> None:
    """So many workers share the items."""
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))


async def paced(job: Job) -> None:
    """A pacer that knows the limit."""
    limit = f"{job.rate}/second burst {job.burst}"
    job.pacer = tidegate.Pacer(limit, concurrency=WORKERS)
    await job.pacer.map_async(job.get, job.items)


async def learning(job: Job) -> None:
    """A pacer that knows nothing but what the server tells."""
    job.pacer = tidegate.Pacer(concurrency=WORKERS, max_retries=20)
    await job.pacer.map_async(job.get, job.items)


def threads(job: Job) -> None:
    """A pacer that threads share, around a blocking client of the standard library."""
    local = threading.local()

    def get(item: int) -> http.client.HTTPResponse:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", job.port)
        local.connection.request("GET", job.path(item), headers={"X-Client": job.client})
        response: http.client.HTTPResponse = local.connection.getresponse()
        response.read()
        return response

    limit = f"{job.rate}/second burst {job.burst}"
    job.pacer = tidegate.Pacer(limit, concurrency=WORKERS)
    list(job.pacer.map(get, job.items))


async def naive(job: Job) -> None:
    """Sleep a second, try again."""

    async def work(item: int) -> None:
        while (await job.get(item)).status == 429:
            await asyncio.sleep(1)

    await by_workers(work, job.items)


async def backoff(job: Job) -> None:
    """tenacity, as its manual has it: exponential, with jitter."""

    @tenacity.retry(
        retry=tenacity.retry_if_result(lambda response: response.status == 429),
        wait=tenacity.wait_random_exponential(multiplier=1, max=60),
    )
    async def work(item: int) -> aiohttp.ClientResponse:
        return await job.get(item)

    await by_workers(work, job.items)


async def capped(job: Job) -> None:
    """As p-limit with p-retry: so many at once; a second, two, four, ... after a refusal."""

    @tenacity.retry(
        retry=tenacity.retry_if_result(lambda response: response.status == 429),
        wait=tenacity.wait_exponential(multiplier=1, max=60),
    )
    async def work(item: int) -> aiohttp.ClientResponse:
        async with places:
            return await job.get(item)

    places = asyncio.Semaphore(WORKERS)
    await by_workers(work, job.items)


async def spaced(job: Job) -> None:
    """As Bottleneck: so many at once, none sooner after another than the rate allows."""
    spacing = aiolimiter.AsyncLimiter(1, 1 / job.rate)

    async def work(item: int) -> None:
        while True:
            async with spacing:
                pass
            response = await job.get(item)
            if response.status != 429:
                return
            await asyncio.sleep(float(response.headers.get("Retry-After", 1)))

    await by_workers(work, job.items)
