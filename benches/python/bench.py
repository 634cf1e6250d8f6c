"""Tidegate beside its peers in Python: both sides by turns, medians, one table.

    python benches/python/bench.py [--quick] [--json PATH] [--check] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from time import perf_counter_ns

import aiolimiter
import limits
import pyrate_limiter
import throttled

import tidegate

KEY = "user:123456"
# Rates that nobody reaches.
PER_SECOND = 1_000_000_000
HEAD = ["what", "ours", "peer", "ratio", "bar", "holds"]


def calling(call, admitted=bool):
    """A side that makes `calls` calls of `call(KEY)`; ns per call. Each must be admitted."""

    def side(calls):
        key, turns = KEY, range(calls)
        start = perf_counter_ns()
        for _ in turns:
            answer = call(key)
        nanos = perf_counter_ns() - start
        assert admitted(answer), "every request is admitted"
        return nanos / calls

    return side


def tidegate_side(policy, method):
    """A side of ours, which also proves that every call was counted."""
    limiter = tidegate.Limiter(policy)
    measure = calling(getattr(limiter, method))

    def side(calls):
        before = limiter.stats().allowed
        nanos = measure(calls)
        assert limiter.stats().allowed == before + calls, "every request was admitted"
        return nanos

    return side


def latency_side():
    limiter = tidegate.Limiter({"limit": [{
        "name": "time", "method": "latency", "algorithm": "gcra", "cascade": ["30s/minute"],
    }]})
    charge = limiter.record_latency

    def side(calls):
        limiter.reset(KEY)
        measured = calling(lambda key: charge(key, 1e-4), lambda _: True)(calls)
        assert limiter.snapshot(KEY).buckets[0].used > 0, "charges are counted"
        return measured

    return side


def limits_side():
    strategy = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
    rate = limits.RateLimitItemPerSecond(PER_SECOND)
    hit = strategy.hit

    def side(calls):
        key, turns = KEY, range(calls)
        start = perf_counter_ns()
        for _ in turns:
            answer = hit(rate, key)
        nanos = perf_counter_ns() - start
        assert answer, "every request is admitted"
        return nanos / calls

    return side


def throttled_side():
    quota = throttled.rate_limiter.per_sec(PER_SECOND, burst=PER_SECOND)
    gcra = throttled.Throttled(using="gcra", quota=quota, store=throttled.store.MemoryStore())
    return calling(gcra.limit, lambda result: not result.limited)


def pyrate_side():
    # A bucket remembers every request in a second; with more, it would measure its own cleaning.
    rate = pyrate_limiter.Rate(PER_SECOND, pyrate_limiter.Duration.SECOND)
    return calling(pyrate_limiter.Limiter(rate).try_acquire)


def aiolimiter_side():
    limiter = aiolimiter.AsyncLimiter(PER_SECOND, 1)

    async def run(calls):
        turns = range(calls)
        start = perf_counter_ns()
        for _ in turns:
            await limiter.acquire()
        return (perf_counter_ns() - start) / calls

    # One loop for all turns: the limiter belongs to it.
    return asyncio.Runner().run, run


def aiolimiter_blocking():
    run, turn = aiolimiter_side()
    return lambda calls: run(turn(calls))


def compare(ours, peer, rounds, calls, peer_calls):
    """Medians of both, and of the ratio of neighbours in time; the first round warms up."""
    pairs = []
    for turn in range(rounds + 1):
        if turn % 2:
            pair = ours(calls), peer(peer_calls)
        else:
            theirs = peer(peer_calls)
            pair = ours(calls), theirs
        pairs.append(pair)
    pairs = pairs[1:]
    mine, theirs = (statistics.median(side) for side in zip(*pairs))
    ratios = sorted(b / a for a, b in pairs)
    quartiles = [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]]
    return mine, theirs, statistics.median(ratios), quartiles


def measure(rounds, calls):
    peers = [
        ("limits FixedWindow", limits_side, 25),
        ("throttled-py gcra", throttled_side, 40),
        ("pyrate-limiter", pyrate_side, None),
        ("aiolimiter, no key", aiolimiter_blocking, None),
    ]
    for name, peer, bar in peers:
        yield "try_acquire", name, bar, compare(
            tidegate_side("1000000000/second", "try_acquire"), peer(), rounds, calls, calls // 10)
    for what, side in [
        ("acquire", lambda: tidegate_side("1000000000/second", "acquire")),
        ("record_latency", latency_side),
    ]:
        yield what, "limits FixedWindow", None, compare(
            side(), limits_side(), rounds, calls, calls // 10)


def row(what, peer_name, bar, measured):
    ours, peer, ratio, quartiles = measured
    return {
        "what": what, "unit": "ns", "ours": ours, "peer": peer, "peer_name": peer_name,
        "ratio": ratio, "ratio_quartiles": quartiles, "bar": f"≥ {bar}×" if bar else "",
        "holds": ratio >= bar if bar else None,
    }


def show(rows):
    amount = lambda nanos: f"{nanos:.1f} ns" if nanos < 100 else f"{nanos:.0f} ns"
    cells = [HEAD] + [[
        row["what"], amount(row["ours"]), f"{amount(row['peer'])} ({row['peer_name']})",
        f"{row['ratio']:.2f}×", row["bar"], {True: "yes", False: "NO", None: ""}[row["holds"]],
    ] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * width for width in widths])
    for line in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def main():
    parser = argparse.ArgumentParser(description="Tidegate beside its peers in Python.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, no figure means anything")
    parser.add_argument("--json", metavar="PATH", help="also write the table as JSON")
    parser.add_argument("--check", action="store_true", help="fail when a bar is not reached")
    parser.add_argument("--rounds", type=int, default=151, help="turns of each side, at least 7")
    options = parser.parse_args()
    rounds, calls = (7, 2_000) if options.quick else (max(options.rounds, 7), 10_000)
    rows = [row(*measured) for measured in measure(rounds, calls)]
    show(rows)
    if options.quick:
        print("(tiny sizes: these figures mean nothing)")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"host": "python", "rows": rows}, file, ensure_ascii=False, indent=2)
            file.write("\n")
    if options.check and any(row["holds"] is False for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
