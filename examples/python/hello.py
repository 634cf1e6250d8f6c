"""Three requests a minute for each user, and not more than two seconds of work."""

import tidegate

limiter = tidegate.Limiter("3/minute; 2s/minute")

for request in range(4):
    decision = limiter.acquire("user:42")
    if decision:
        limiter.record_latency("user:42", 0.153)
        print(f"request {request}: welcome, {decision.remaining} left of {decision.name}")
    else:
        print(f"request {request}: come back in {decision.retry_after:.1f} s")
