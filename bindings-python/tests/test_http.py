"""What a decision says over HTTP: headers, bodies, status."""

import json

import pytest
import tidegate
from conftest import NOON


@pytest.fixture
def denied(clock):
    policy = {"limit": [{"name": "calls", "rate": "2/minute", "algorithm": "fixed_window"}]}
    limiter = tidegate.Limiter(policy, clock=clock)
    limiter.acquire("a", 2)
    clock.advance(duration_ns=500_000_000)
    return limiter.acquire("a")


def test_headers_come_in_styles(denied):
    legacy = {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(NOON + 60),
    }
    draft = {"RateLimit-Policy": '"calls";q=2;w=60', "RateLimit": '"calls";r=0;t=60'}
    wait = {"Retry-After": "60"}
    assert denied.headers() == denied.headers("legacy") == legacy | wait
    assert denied.headers(style="draft") == draft | wait
    assert list(denied.headers("both").items()) == list((legacy | draft | wait).items())


def test_bodies_come_in_styles(denied):
    assert denied.status == 429
    assert json.loads(denied.body()) == {
        "error": {
            "code": "RATE_LIMIT_EXCEEDED",
            "message": 'The limit "calls" has no room for the request. Try again in 60 seconds.',
            "details": {
                "limit": 2,
                "remaining": 0,
                "reset_at": "2023-11-15T12:01:00Z",
                "retry_after_seconds": 60,
                "plan": None,
            },
        }
    }
    assert denied.body("message") == '{"message":"Too many requests","code":429}'
    assert json.loads(denied.body(style="problem"))["violated-policies"] == ["calls"]
    assert denied.content_type() == denied.content_type("message") == "application/json"
    assert denied.content_type(style="problem") == "application/problem+json"


def test_what_passes_has_headers_and_no_body(clock):
    decision = tidegate.Limiter("2/minute", clock=clock).acquire("a")
    assert decision.status == 200
    assert "Retry-After" not in decision.headers("both")
    assert [decision.body(style) for style in ("error", "message", "problem")] == ["", "", ""]


def test_a_blocked_key_is_told_only_when_to_come_back(clock):
    limiter = tidegate.Limiter("2/minute", clock=clock)
    limiter.block("a", 90.5)
    assert limiter.acquire("a").headers("both") == {"Retry-After": "91"}


@pytest.mark.parametrize("call", ["headers", "body", "content_type"])
def test_styles_that_are_none(denied, call):
    with pytest.raises(tidegate.ArgumentError, match='^style: unknown style "modern"') as caught:
        getattr(denied, call)("modern")
    assert caught.value.field == "style" and "or" in caught.value.remedy
    with pytest.raises(TypeError, match="^style: expected a str, got NoneType"):
        getattr(denied, call)(None)
    with pytest.raises(tidegate.ArgumentError, match="^style: the string has lone surrogates"):
        getattr(denied, call)("\ud800")


def test_headers_are_a_copy(denied):
    denied.headers().clear()
    assert denied.headers()
