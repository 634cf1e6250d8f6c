"""What pacing adds to a call when nothing waits, beside aiolimiter: by turns, medians.

    python benches/python/pacer.py [--quick] [--check] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from time import perf_counter_ns

import aiolimiter

import tidegate

# A rate that nobody reaches.
PER_SECOND = 1_000_000_000
BAR_NS = 2_000


class Response:
    """As those of HTTP libraries, with the headers that many servers send."""

    status_code = 200
    headers = {
        "Date": "Tue, 14 Nov 2023 22:13:20 GMT",
        "Content-Type": "application/json",
        "Content-Length": "1234",
        "Connection": "keep-alive",
        "Cache-Control": "no-store",
        "Vary": "Accept-Encoding",
    }


RESPONSE = Response()


def work():
    return 3


def respond():
    return RESPONSE


async def work_async():
    return 3


def timed(calls, each):
    start = perf_counter_ns()
    for _ in range(calls):
        each()
    return (perf_counter_ns() - start) / calls


def sync_side(function):
    """What `call` takes more than the function alone."""
    pacer = tidegate.Pacer(f"{PER_SECOND}/second")
    call = pacer.call

    def paced(calls):
        start = perf_counter_ns()
        for _ in range(calls):
            call(function)
        return (perf_counter_ns() - start) / calls

    return lambda calls: paced(calls) - timed(calls, function)


def asynchronous(runner, attempt):
    async def many(calls):
        start = perf_counter_ns()
        for _ in range(calls):
            await attempt()
        paced = perf_counter_ns() - start
        start = perf_counter_ns()
        for _ in range(calls):
            await work_async()
        return (paced - (perf_counter_ns() - start)) / calls

    return lambda calls: runner.run(many(calls))


def async_side(runner):
    call = tidegate.Pacer(f"{PER_SECOND}/second").call_async
    return asynchronous(runner, lambda: call(work_async))


def peer_side(runner):
    limiter = aiolimiter.AsyncLimiter(PER_SECOND, 1)

    async def attempt():
        async with limiter:
            return await work_async()

    return asynchronous(runner, attempt)


def main():
    parser = argparse.ArgumentParser(description="What pacing adds to a call.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, no figure means anything")
    parser.add_argument("--check", action="store_true", help="fail when a bar is not reached")
    parser.add_argument("--rounds", type=int, default=101, help="turns of each side, at least 7")
    options = parser.parse_args()
    rounds, calls = (7, 500) if options.quick else (max(options.rounds, 7), 2_000)
    runner = asyncio.Runner()
    sides = {
        "call, any result": (sync_side(work), BAR_NS),
        "call, a response with six headers": (sync_side(respond), None),
        "call_async": (async_side(runner), None),
        "aiolimiter (a rate alone)": (peer_side(runner), None),
    }
    measured = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, (side, _) in sides.items():
            figure = side(calls)
            if turn:  # the first round warms up
                measured[name].append(figure)
    runner.close()
    failed = False
    print(f"| {'what':34} | {'added':>8} | bar        |")
    print(f"| {'-' * 34} | {'-' * 8} | ---------- |")
    for name, (_, bar) in sides.items():
        figure = statistics.median(measured[name])
        failed |= bar is not None and figure > bar
        print(f"| {name:34} | {figure:5.0f} ns | {f'≤ {bar} ns' if bar else '':10} |")
    if options.quick:
        print("(tiny sizes: these figures mean nothing)")
    if options.check and failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
