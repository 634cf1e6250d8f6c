"""Checked by mypy, never run: the types that users rely on."""

from datetime import timedelta

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
limiter.acquire("a", 1.5)  # type: ignore[arg-type]
limiter.acquire("a", 1, 5)  # type: ignore[call-arg]
work("1")  # type: ignore[arg-type]
tidegate.Limiter("1/second", max_key=5)  # type: ignore[call-arg]
tidegate.Limiter("1/second", on_full="explode")  # type: ignore[arg-type]
decision.allowed = True  # type: ignore[misc]
