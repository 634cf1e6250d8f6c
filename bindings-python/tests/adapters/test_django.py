"""Django, in a process of its own for each settings: sync and async, routes, streams, settings that are wrong."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PRELUDE = """
import asyncio, json, sys
import django, tidegate
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path, re_path
from tidegate.django import RateLimitMiddleware, current

clock = tidegate.ManualClock(1_700_049_600)
seen = []

def skip(request):
    seen.append(request.route)
    return request.path == "/health"

def identify(request):
    return request.header("X-User")

def set_up(**given):
    settings.configure(
        ROOT_URLCONF="__main__", ALLOWED_HOSTS=["*"], SECRET_KEY="of no use", TIDEGATE=given,
        MIDDLEWARE=["tidegate.django.RateLimitMiddleware"], DEBUG_PROPAGATE_EXCEPTIONS=False,
    )
    django.setup()

def used(limiter, key="127.0.0.1"):
    return [bucket.used for bucket in limiter.snapshot(key).buckets]
"""

PROGRAMS = {
    "sync": """
        limiter = tidegate.Limiter("3/minute; 30s/minute", clock=clock)
        set_up(LIMITER="__main__.limiter", IDENTIFY="__main__.identify", SKIP=skip, HEADERS="both", BODY="message")

        def item(request, number):
            clock.advance(1)
            return HttpResponse(str(current(request.META).decision.remaining))

        def broken(request):
            raise ZeroDivisionError

        urlpatterns = [
            path("items/<int:number>/", item), path("broken", broken), re_path(r"^old/(\\d+)$", item),
            path("shop/", include([path("<slug:name>/", broken)])),
        ]
        client = Client(raise_request_exception=False)
        first = client.get("/items/1/")
        assert first.content == b"2" and first.headers["X-RateLimit-Limit"] == "3"
        assert first.headers["RateLimit-Policy"] == '"3/minute";q=3;w=60'
        # The second in which the response was made is charged; a sixtieth of the supply came back.
        assert 0.4e9 < used(limiter)[1] <= 1e9
        assert client.get("/broken").status_code == 500
        assert client.get("/nowhere").headers["X-RateLimit-Remaining"] == "0"
        denied = client.get("/items/2/")
        assert denied.status_code == 429 and denied.json() == {"message": "Too many requests", "code": 429}
        assert denied.headers["Retry-After"] == "19"
        assert client.get("/items/2/", headers={"X-User": "ann"}).status_code == 200
        assert "X-RateLimit-Limit" not in client.get("/health").headers
        client.get("/old/3"), client.get("/shop/hat/")
        assert seen == [
            "GET /items/<int:number>/", "GET /broken", "GET /nowhere", "GET /items/<int:number>/",
            "GET /items/<int:number>/", "GET /health", "GET /old/3", "GET /shop/<slug:name>/",
        ], seen
    """,
    "stream": """
        policy = {"limit": [{"rate": "30s/minute", "algorithm": "fixed_window"}, {"method": "concurrency", "quota": 1}]}
        limiter = tidegate.Limiter(policy, clock=clock)
        set_up(LIMITER=limiter)

        def chunks():
            for _ in range(3):
                clock.advance(1)
                yield b"x"

        def stream(request):
            return StreamingHttpResponse(chunks())

        urlpatterns = [path("", stream)]
        response = Client().get("/")
        assert used(limiter) == [0, 1]
        assert b"".join(response) == b"xxx"
        response.close()
        assert used(limiter) == [3_000_000_000, 0]
        response.close()
        assert used(limiter) == [3_000_000_000, 0]
    """,
    "async": """
        limiter = tidegate.Limiter("2/minute; 30s/minute", clock=clock)

        async def who(request):
            await asyncio.sleep(0)
            return request.header("x-user")

        set_up(LIMITER=limiter, IDENTIFY=who, SKIP=skip)

        async def item(request, number):
            clock.advance(1)
            return HttpResponse("")

        urlpatterns = [path("items/<int:number>", item)]

        async def main():
            client = AsyncClient()
            headers = {"X-User": "ann"}
            answers = [await client.get("/items/1", headers=headers) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200, 200, 429]
            assert answers[0].headers["X-RateLimit-Remaining"] == "1"
            assert answers[2].json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
            assert used(limiter, "ann")[1] > 0.4e9
            assert (await client.get("/items/1")).status_code == 200

        asyncio.run(main())
        assert set(seen) == {"GET /items/<int:number>"}
    """,
    "closed": """
        class Broken(tidegate.Limiter):
            def _admit(self, key, cost):
                raise tidegate.Error("gone")

        set_up(LIMITER=Broken("1/minute"))
        urlpatterns = []
        assert Client().get("/").status_code == 503
    """,
    "file": """
        import pathlib, tempfile
        file = pathlib.Path(tempfile.mkdtemp()) / "policy.toml"
        file.write_text('[[limit]]\\nname = "one"\\nrate = "1/hour"\\n')
        set_up(FILE=file)
        urlpatterns = [path("", lambda request: HttpResponse(""))]
        client = Client()
        assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    """,
    "wrong": """
        set_up()
        for given, text in [
            ({}, "TIDEGATE: give LIMITER or FILE"),
            ({"LIMITER": "1/minute", "FILE": "x"}, "TIDEGATE: give LIMITER or FILE"),
            ({"LIMITER": "1/minute", "IDENTITY": 1}, "TIDEGATE: unknown ['IDENTITY']; there are LIMITER, FILE"),
            (None, 'settings: give TIDEGATE = {"LIMITER"'),
            ({"LIMITER": "policy.toml"}, "TIDEGATE: LIMITER: No module named 'policy'; give a rate such as"),
            ({"LIMITER": "limiter"}, "TIDEGATE: LIMITER: limiter doesn't look like a module path; give a rate such"),
            ({"LIMITER": "1/minute", "SKIP": "os.none"}, 'TIDEGATE: SKIP: Module "os" does not define a "none"'),
            ({"LIMITER": "1/minute", "SKIP": "nobody.skip"}, "TIDEGATE: SKIP: No module named 'nobody'; give a"),
        ]:
            settings.TIDEGATE = given
            try:
                RateLimitMiddleware(lambda request: None)
            except ImproperlyConfigured as error:
                assert str(error).startswith(text), error
            else:
                raise AssertionError(given)
        settings.TIDEGATE = {"LIMITER": "5 per day"}
        RateLimitMiddleware(lambda request: None)
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_django(name):
    here = str(Path(__file__).parent)
    program = PRELUDE + textwrap.dedent(PROGRAMS[name])
    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=here, capture_output=True, text=True, env=os.environ.copy()
    )
    assert asked.returncode == 0, asked.stderr
