"""What the applications of served_asgi.py, served_servers.py and served_wsgi.py share: the policy, an independent count of the work done,
and what their limiters say.
"""

import asyncio
import threading
import time
from contextlib import contextmanager

import limits

QUOTA = 300
POLICY = {
    "limit": [
        {"name": "calls", "rate": f"{QUOTA}/day", "algorithm": "fixed_window", "align": "first_request"},
        {"name": "time", "rate": "80000s/day", "algorithm": "fixed_window", "align": "first_request"},
        {"name": "open", "method": "concurrency", "quota": 1000},
    ]
}
# The same as rates, for decorators; and what the `limits` package knows of them.
RATES = f"{QUOTA}/day; 80000s/day"
COUNT = f"{QUOTA}/day"


class Work:
    """How often handlers ran, and how long, by their own clock."""

    def __init__(self):
        self._lock = threading.Lock()
        self.begun = {}
        self.ended = {}
        self.seconds = {}

    @contextmanager
    def running(self, name):
        with self._lock:
            self.begun[name] = self.begun.get(name, 0) + 1
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.ended[name] = self.ended.get(name, 0) + 1
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class AsyncWork(Work):
    """As handlers on an event loop do it."""

    async def slow(self, seconds, name):
        with self.running(name):
            await asyncio.sleep(seconds)

    async def chunks(self, seconds, name):
        with self.running(name):
            for _ in range(4):
                await asyncio.sleep(seconds / 4)
                yield b"chunk"


def by_user(request):
    return request.header("x-user")


def report(limiter, work, name, user):
    """What a limiter knows of a user, and what its handlers did."""
    if name == "decorated":
        key = f"\x1fshared:all\x1f{user}"
        request = {"l0": key, "l1": key}
    else:
        request = user
    used = {bucket.method: bucket.used for bucket in limiter.snapshot(request).buckets} if limiter else {}
    stats = limiter.stats() if limiter else None
    return {
        "used": used,
        "allowed": stats.allowed if stats else 0,
        "begun": work.begun.get(name, 0),
        "ended": work.ended.get(name, 0),
        "seconds": work.seconds.get(name, 0.0),
    }


def counted(limiter, work, name, user):
    """The same of what counts by the `limits` package: requests alone."""
    remaining = limiter.limiter.get_window_stats(limits.parse(COUNT), user, "all").remaining
    return {
        "used": {"count": QUOTA - remaining},
        "begun": work.begun.get(name, 0),
        "ended": work.ended.get(name, 0),
    }


def django_set_up(limiter, work_view, stream_view):
    """Django in this process, with these two views."""
    import types
    import sys

    import django
    from django.conf import settings
    from django.urls import path

    urls = types.ModuleType("served_urls")
    urls.urlpatterns = [path("work/<str:seconds>", work_view), path("stream/<str:seconds>", stream_view)]
    urls.limiter = limiter
    urls.identify = lambda request: request.header("X-User")
    sys.modules["served_urls"] = urls
    settings.configure(
        ROOT_URLCONF="served_urls",
        MIDDLEWARE=["tidegate.django.RateLimitMiddleware"],
        TIDEGATE={"LIMITER": "served_urls.limiter", "IDENTIFY": "served_urls.identify"},
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="of no use",
    )
    django.setup()


def django_json():
    from django.http import JsonResponse

    return JsonResponse({})


def django_streaming(chunks):
    from django.http import StreamingHttpResponse

    return StreamingHttpResponse(chunks)
