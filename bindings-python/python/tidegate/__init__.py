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
    PacerEvent,
    PacerStats,
    Reservation,
    ServerLimits,
    ServerQuota,
    Snapshot,
    Stats,
    UsageLimit,
    UsageReport,
    WatchEvent,
    hash_secret,
    read_headers,
)
from tidegate._pacer import Pacer
from tidegate._pacer_errors import (
    BreakerOpen,
    DeadlineExceeded,
    PacerClosed,
    PacerError,
    RetriesExhausted,
    RetryAfterTooLong,
    RetryWarning,
)
from tidegate._watch import Watch

__version__: str = VERSION

__all__ = [
    "Alert",
    "ArgumentError",
    "BreakerOpen",
    "BucketSnapshot",
    "DeadlineExceeded",
    "Decision",
    "Error",
    "Limiter",
    "ManualClock",
    "Measure",
    "Pacer",
    "PacerClosed",
    "PacerError",
    "PacerEvent",
    "PacerStats",
    "PolicyError",
    "RateLimited",
    "Reservation",
    "RetriesExhausted",
    "RetryAfterTooLong",
    "RetryWarning",
    "ServerLimits",
    "ServerQuota",
    "Snapshot",
    "Stats",
    "UsageLimit",
    "UsageReport",
    "Watch",
    "WatchEvent",
    "hash_secret",
    "read_headers",
]
