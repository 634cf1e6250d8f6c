"""The Python host: replays an event file through the package.

    python replay.py EVENTS POLICY OUT

reads the event file (its lines are described in src/event.rs), and writes OUT/python.decisions
and OUT/python.json (described in src/outcome.rs).
"""

import json
import pathlib
import statistics
import sys
import time
from urllib.parse import unquote_to_bytes

import tidegate

# The same events are run through so many fresh limiters, for a steady time.
PASSES = 5
# A wait that never ends, in the decisions' file.
NEVER = 2**64 - 1


def read_events(path):
    """Tuples of (kind, at_ns, key, id, duration_ns); the last is the only snapshot."""
    events = []
    for line in pathlib.Path(path).read_text("ascii").splitlines():
        kind, at_ns, key, *numbers = line.split(" ")
        duration_ns = int(numbers[0]) if kind == "L" else 0
        request = int(numbers[-1]) if kind in "AL" else None
        events.append((kind, int(at_ns), unquote_to_bytes(key), request, duration_ns))
    if not events or events[-1][0] != "S":
        sys.exit(f"{path}: the last line is not a snapshot")
    return events


def replay(limiter, events):
    """Runs all events through a limiter: the decisions, and the seconds that took."""
    decisions = [None] * sum(kind == "A" for kind, *_ in events)
    acquire, record_latency = limiter.acquire, limiter.record_latency
    start = time.perf_counter()
    for kind, at_ns, key, request, duration_ns in events:
        if kind == "A":
            decisions[request] = acquire(key, now_ns=at_ns)
        elif kind == "L" and decisions[request]:
            record_latency(key, duration_ns=duration_ns, now_ns=at_ns)
    return decisions, time.perf_counter() - start


def nanoseconds(span):
    return NEVER if span is None else span


def line(request, decision):
    return (
        f"{request} {decision.allowed:d} {decision.reason} {decision.limit} {decision.remaining}"
        f" {nanoseconds(decision.retry_after_ns)} {nanoseconds(decision.reset_after_ns)}"
        f" {decision.name}\n"
    )


BUCKET = ("limit", "name", "method", "quota", "capacity", "used", "remaining", "refresh_after_ns")


def main(events, policy, out):
    events, out = read_events(events), pathlib.Path(out)
    seconds = []
    for _ in range(PASSES):
        limiter = tidegate.Limiter.from_file(policy)
        decisions, spent = replay(limiter, events)
        seconds.append(spent)
    _, at_ns, key, *_ = events[-1]
    buckets = limiter.snapshot(key, now_ns=at_ns).buckets
    summary = {
        "decisions": len(decisions),
        "admitted": sum(map(bool, decisions)),
        "seconds": statistics.median(seconds),
        "buckets": [{name: getattr(bucket, name) for name in BUCKET} for bucket in buckets],
    }
    with open(out / "python.decisions", "w", encoding="utf-8", newline="") as file:
        file.writelines(line(*pair) for pair in enumerate(decisions))
    (out / "python.json").write_text(json.dumps(summary, indent=1), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: replay.py EVENTS POLICY OUT")
    main(*sys.argv[1:])
