"""Checked by mypy, never run: the types that users rely on."""

from datetime import timedelta
from ipaddress import ip_address
from types import MappingProxyType

import tidegate
from typing_extensions import assert_type

clock = tidegate.ManualClock(1_700_000_000)
limiter = tidegate.Limiter("1/second", clock=clock, max_keys=10, on_full="deny", name="api")
tidegate.Limiter({"limit": [{"rate": "1/second"}]})
assert_type(tidegate.Limiter.from_file("policy.toml", clock="system"), tidegate.Limiter)
tidegate.Limiter("1/second", clock="counter")
tidegate.Limiter("1/second", clock="coarse")
tidegate.Limiter("1/second", clock="sundial")  # type: ignore[arg-type]

decision = limiter.acquire("a", cost=2, now_ns=5)
assert_type(decision, tidegate.Decision)
assert_type(decision.retry_after, float)
assert_type(decision.retry_after_ns, int | None)
assert_type(limiter.acquire_many(["a", b"b"], now_ns=5), list[tidegate.Decision])
limiter.acquire_many((key for key in {"a": 1}), 2)
assert_type(limiter.try_acquire(b"a"), bool)
limiter.record_latency("a", timedelta(seconds=1))
limiter.record_latency("a", 1)
limiter.record_latency("a", duration_ns=1)
with limiter.reserve("a", 600) as reservation:
    assert_type(reservation, tidegate.Reservation)
    reservation.settle(412)
with limiter.measure("a") as admitted:
    assert_type(admitted, tidegate.Decision)
request = {"key": "k1", "route": "GET /v3/configs"}
assert_type(limiter.acquire(request, cost=1), tidegate.Decision)
limiter.acquire({"ip": ip_address("::1"), "user": b"u1"})
limiter.acquire(MappingProxyType(request))
limiter.acquire_many(["a", request, {"key": b"k"}])
limiter.block({"ip": "203.0.113.9"}, 60)
assert_type(limiter.renew(request), bool)
assert_type(limiter.plan_of(request, now_ns=0), str | None)
limiter.assign("acme", "pro")
limiter.assign(b"acme", "pro", timedelta(hours=72))
limiter.unassign("acme")
report = limiter.usage(request, 3600, now_ns=5)
assert_type(report, tidegate.UsageReport)
assert_type(report.by_kind, dict[str, int])
assert_type(report.utilization, float | None)
assert_type(report.limit, tidegate.UsageLimit | None)
assert_type(decision.plan, str | None)
assert_type(decision.window, float | None)
assert_type(decision.burst_remaining, int | None)
assert_type(decision.closes, bool)
assert_type(decision.made_at, float)
assert_type(decision.headers("both"), dict[str, str])
assert_type(decision.body(style="problem"), str)
assert_type(decision.status, int)
assert_type(tidegate.hash_secret("open sesame"), str)


def on_alert(alert: tidegate.Alert) -> None:
    assert_type(alert.threshold, float)
    assert_type(alert.request, dict[str, str | bytes])


def on_event(event: tidegate.WatchEvent) -> None:
    assert_type(event.error, tidegate.PolicyError | OSError | None)


limiter.on_alert(on_alert)
limiter.on_alert(None)
with limiter.watch("policy.toml", on_event) as watch:
    assert_type(watch, tidegate.Watch)
measure = limiter.measure(request)
with measure:
    assert_type(measure.renew(), bool)
for bucket in limiter.snapshot("a").buckets:
    assert_type(bucket, tidegate.BucketSnapshot)


@limiter.measure("a")
def work(value: int) -> str:
    return str(value)


@limiter.measure("a")
async def work_async(value: int) -> str:
    return str(value)


assert_type(work(1), str)


async def main() -> None:
    assert_type(await work_async(1), str)
    assert_type(await limiter.wait_async("a", timeout=5), tidegate.Decision)
    async with limiter.measure("a") as admitted:
        assert_type(admitted, tidegate.Decision)


limiter.acquire(42)  # type: ignore[arg-type]
limiter.acquire_many([42])  # type: ignore[list-item]
limiter.acquire({"key": 42})  # type: ignore[dict-item]
limiter.assign(request, "pro")  # type: ignore[arg-type]
limiter.on_alert(on_event)  # type: ignore[arg-type]
decision.headers("modern")  # type: ignore[arg-type]
tidegate.hash_secret(b"open sesame")  # type: ignore[arg-type]
limiter.acquire("a", 1.5)  # type: ignore[arg-type]
limiter.acquire("a", 1, 5)  # type: ignore[call-arg]
work("1")  # type: ignore[arg-type]
tidegate.Limiter("1/second", max_key=5)  # type: ignore[call-arg]
tidegate.Limiter("1/second", on_full="explode")  # type: ignore[arg-type]
decision.allowed = True  # type: ignore[misc]
