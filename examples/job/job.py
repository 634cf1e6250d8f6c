"""The job: thousands of items, concurrent workers, a server that limits; client after client.

    job.py [--quick] [--dialect NAME] [--plot FILE] [--json FILE]

Figures are the server's: what it let through, what it refused, and whether each item was done once.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import math
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import clients
import plot
from server import DIALECTS

LATENCY = 0.01  # seconds, the longest of one way


@dataclass
class Size:
    """How much is done: against a bucket by all, against windows by those who learn."""

    items: int
    rate: int
    burst: int
    window_items: int
    window_quota: int
    window: int  # seconds


FULL = Size(items=4000, rate=500, burst=100, window_items=525, window_quota=150, window=2)
QUICK = Size(items=160, rate=100, burst=40, window_items=70, window_quota=40, window=1)

CLIENTS: list[tuple[str, Callable[[clients.Job], Awaitable[Any] | None]]] = [
    ("Pacer, limit known", clients.paced),
    ("Pacer, known, threads", clients.threads),
    ("Pacer, learned", clients.learning),
    ("spacing (Bottleneck)", clients.spaced),
    ("cap, backoff (p-limit)", clients.capped),
    ("tenacity, jitter", clients.backoff),
    ("sleep 1 s, try again", clients.naive),
]


@dataclass
class Outcome:
    """What a client came to."""

    client: str
    seconds: float  # from its start to its end
    at_best: float
    requests: int
    wasted: int
    done_once: bool  # each item, and no other
    resets: int  # of a window, while it ran
    pauses: int | None  # None: not a pacer
    passed: list[float] = field(repr=False)  # when, in seconds from the first request
    refused: list[float] = field(repr=False)


class Entry(NamedTuple):
    """A request, as the server saw it."""

    at: float  # seconds after the client's first
    status: int
    item: int


class Server:
    """The server, a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("server.py")), str(LATENCY)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its standard input

    def limit(self, policy: dict[str, Any]) -> None:
        self._ask("PUT", "/limits", "", json.dumps(policy).encode())

    def log(self, client: str) -> list[Entry]:
        """What the server saw of a client, in the order of its decisions; from 0 seconds."""
        told = json.loads(self._ask("GET", "/log", client))
        first = told[0][0]
        return [Entry((at - first) / 1e9, status, item) for at, status, item in told]

    def _ask(self, method: str, path: str, client: str, body: bytes | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, body, {"X-Client": client}, method=method)
        with urllib.request.urlopen(request) as response:
            read: bytes = response.read()
            return read


def resets(passed: list[float], window: float) -> int:
    """How often the quota was full again: a window begins with the first request after the last."""
    count, begun = 0, 0.0
    for at in passed:
        if at >= begun + window:
            count, begun = count + 1, at
    return count


def outcome(
    server: Server, job: clients.Job, seconds: float, at_best: float, window: float = math.inf
) -> Outcome:
    log = server.log(job.client)
    passed = [it.at for it in log if it.status == 200]
    refused = [it.at for it in log if it.status == 429]
    done = Counter(it.item for it in log if it.status == 200)
    return Outcome(
        client=job.client,
        seconds=seconds,
        at_best=at_best,
        requests=len(log),
        wasted=len(refused),
        done_once=done == Counter(job.items),
        resets=resets(passed, window),
        pauses=job.pacer.stats().pauses if job.pacer is not None else None,
        passed=passed,
        refused=refused,
    )


def against_bucket(server: Server, size: Size, dialect: str) -> list[Outcome]:
    """One client after the other; the server begins each with a full bucket."""
    server.limit({"limit": [{"rate": f"{size.rate}/second burst {size.burst}"}]})
    # The first `burst` items need no time.
    at_best = (size.items - size.burst) / size.rate
    outcomes = []
    for name, work in CLIENTS:
        job = clients.Job(server.port, name, dialect, range(size.items), size.rate, size.burst)
        begun = time.monotonic()
        if inspect.iscoroutinefunction(work):
            asyncio.run(clients.in_session(work, job))
        else:
            work(job)
        outcomes.append(outcome(server, job, time.monotonic() - begun, at_best))
    return outcomes


def against_windows(server: Server, size: Size) -> list[Outcome]:
    """A pacer that learns, in each dialect; all at once, each a client of its own to the server."""
    window = {
        "rate": f"{size.window_quota}/{size.window}s",
        "algorithm": "fixed_window",
        "align": "first_request",
    }
    server.limit({"limit": [window]})
    # The first window is there at once, each other after a reset.
    at_best = (math.ceil(size.window_items / size.window_quota) - 1) * size.window
    items = range(size.window_items)
    jobs = [clients.Job(server.port, name, name, items, 0, 0) for name in DIALECTS]

    async def timed(job: clients.Job) -> float:
        begun = time.monotonic()
        await clients.in_session(clients.learning, job)
        return time.monotonic() - begun

    async def all_at_once() -> list[float]:
        return await asyncio.gather(*(timed(job) for job in jobs))

    times = asyncio.run(all_at_once())
    return [outcome(server, job, took, at_best, size.window) for job, took in zip(jobs, times)]


def table(outcomes: list[Outcome], by: str, resets: bool) -> str:
    head = f"{by:24}{'time':>9}{'at best':>9}{'ratio':>7}{'requests':>10}{'wasted':>8}{'pauses':>8}"
    lines = [head + ("  resets" if resets else "")]
    for it in outcomes:
        pauses = "-" if it.pauses is None else str(it.pauses)
        figures = f"{it.seconds:7.2f} s{it.at_best:7.2f} s{it.seconds / it.at_best:7.3f}"
        counts = f"{it.requests:10,}{it.wasted:8,}{pauses:>8}"
        lines.append(f"{it.client:24}{figures}{counts}" + (f"{it.resets:8}" if resets else ""))
    return "\n".join(lines)


def title(size: Size) -> str:
    return (
        f"{size.items:,} items, {clients.WORKERS} workers; "
        f"the server allows {size.rate}/second, burst {size.burst}"
    )


def run(size: Size, dialect: str, picture: Path | None, figures: Path | None) -> None:
    with Server() as server:
        bucket = against_bucket(server, size, dialect)
        print(f"{title(size)} (headers: {dialect})\n")
        print(table(bucket, "client", resets=False), flush=True)
        windows = against_windows(server, size)
    print(
        f"\n{size.window_items} items, learned from headers alone; "
        f"the server allows {size.window_quota} in each window of {size.window} s\n"
    )
    print(table(windows, "headers", resets=True))
    if picture is not None:
        curves = [plot.Curve(it.client, it.passed, it.refused) for it in bucket]
        picture.write_text(plot.draw(title(size), curves, size.rate, size.burst))
        print(f"\ndrawn: {picture}")
    if figures is not None:
        told = {"bucket": [asdict(it) for it in bucket], "windows": [asdict(it) for it in windows]}
        figures.write_text(json.dumps(told))


def main() -> None:
    parser = argparse.ArgumentParser(description="A job by client after client.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, or less")
    parser.add_argument("--dialect", choices=DIALECTS, default="draft", help="the headers' form")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw an SVG")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    args = parser.parse_args()
    run(QUICK if args.quick else FULL, args.dialect, args.plot, args.json)


if __name__ == "__main__":
    main()
