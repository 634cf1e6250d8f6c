"""An embeddable rate-limit engine: count and latency limits in one exact decision.

>>> import tidegate
>>> limiter = tidegate.Limiter("100/minute")
>>> if limiter.try_acquire("user:42"):
...     pass  # do the work

Amounts are whole units. Durations are seconds (int, float or timedelta; every answer has an
exact `..._ns` twin). Keys are `str` (their UTF-8) or `bytes`. Where a key stands, a mapping of
attributes may stand: `{"key": "k1", "account": "acme", "route": "GET /v3/configs"}`.
"""

from tidegate._errors import ArgumentError, Error, PolicyError, RateLimited
from tidegate._limiter import Limiter
from tidegate._measure import Measure
from tidegate._native import (
    VERSION,
    Alert,
    BucketSnapshot,
    Decision,
    ManualClock,
    Reservation,
    Snapshot,
    Stats,
    UsageLimit,
    UsageReport,
    WatchEvent,
    hash_secret,
)
from tidegate._watch import Watch

__version__: str = VERSION

__all__ = [
    "Alert",
    "ArgumentError",
    "BucketSnapshot",
    "Decision",
    "Error",
    "Limiter",
    "ManualClock",
    "Measure",
    "PolicyError",
    "RateLimited",
    "Reservation",
    "Snapshot",
    "Stats",
    "UsageLimit",
    "UsageReport",
    "Watch",
    "WatchEvent",
    "hash_secret",
]
