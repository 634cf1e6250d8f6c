"""Plans, assigned while running, reports of use, and the hashes of secrets."""

import math
from datetime import timedelta

import pytest
import tidegate
from conftest import ROOT

HOUR = 3_600_000_000_000
REQUEST = {"key": "k1", "account": "acme", "plan": "starter", "route": "GET /v3/environments"}


@pytest.fixture
def limiter(clock):
    path = ROOT / "examples" / "policies" / "plans.toml"
    return tidegate.Limiter.from_file(path, clock=clock)


def admitted(limiter, request, most=10_000):
    return next((count for count in range(most) if not limiter.acquire(request)), most)


def test_p13_a_plan_for_a_while_ends_by_itself(limiter, clock):
    assert limiter.plan_of(REQUEST) == "starter"
    assert admitted(limiter, REQUEST) == 60 + 10
    limiter.assign("acme", "pro", timedelta(hours=72))
    assert limiter.plan_of(REQUEST) == "pro"
    assert admitted(limiter, REQUEST) == 600 - 60  # what was used is used; the pool stays empty
    assert limiter.acquire(REQUEST).plan == "pro"
    clock.advance(72 * 3600)
    assert limiter.plan_of(REQUEST) == "starter"
    assert admitted(limiter, REQUEST) == 60 + 10


@pytest.mark.parametrize("value", ["acme", b"acme"])
def test_plans_for_good_and_for_a_while(limiter, clock, value):
    now = clock.now_ns()
    limiter.assign(value, "pro")
    limiter.assign(value, "enterprise", duration_ns=HOUR, now_ns=now + HOUR)
    assert limiter.plan_of(REQUEST) == "enterprise"
    seen = [limiter.plan_of(REQUEST, now_ns=now + HOUR + span) for span in (HOUR - 1, HOUR)]
    assert seen == ["enterprise", "pro"]
    clock.set(now_ns=now + 2 * HOUR)
    assert limiter.plan_of(REQUEST) == "pro"
    limiter.unassign(value)
    assert limiter.plan_of(REQUEST) == "starter"
    limiter.unassign(value)


def test_there_may_be_no_plan(limiter, clock):
    assert limiter.plan_of({**REQUEST, "plan": "gold"}) is None
    assert limiter.plan_of({"key": "k1"}) == "starter"
    assert tidegate.Limiter("1/minute", clock=clock).plan_of("a") is None
    with pytest.raises(tidegate.ArgumentError, match="^plan: ") as caught:
        limiter.acquire({**REQUEST, "plan": "gold"})
    assert caught.value.field == "plan" and "enterprise" in caught.value.remedy


BAD_ASSIGNMENTS = [
    (("acme", "gold"), {}, tidegate.ArgumentError, "^plan: .*enterprise"),
    (("acme", "\ud800"), {}, tidegate.ArgumentError, "^plan: the string has lone surrogates"),
    (("\ud800", "pro"), {}, tidegate.ArgumentError, "^value: the string has lone surrogates"),
    ((42, "pro"), {}, TypeError, "^value: expected str or bytes, got int"),
    (({"account": "acme"}, "pro"), {}, TypeError, "^value: expected str or bytes, got dict"),
    (("acme", b"pro"), {}, TypeError, "^plan: expected a str, got bytes"),
    (("acme", "pro", -1), {}, tidegate.ArgumentError, "^duration: the duration is negative"),
    (("acme", "pro", math.inf), {}, tidegate.ArgumentError, "^duration: an infinite"),
    (("acme", "pro", 1), {"duration_ns": 1}, TypeError, "not both"),
    (("acme", "pro"), {"now_ns": -1}, tidegate.ArgumentError, "^now_ns"),
    (("acme",), {}, TypeError, "plan"),
]


@pytest.mark.parametrize(("arguments", "keywords", "error", "message"), BAD_ASSIGNMENTS)
def test_bad_assignments(limiter, arguments, keywords, error, message):
    with pytest.raises(error, match=message):
        limiter.assign(*arguments, **keywords)
    assert limiter.plan_of(REQUEST) == "starter"


def test_a_policy_without_plans_assigns_none(clock):
    with pytest.raises(tidegate.ArgumentError, match="plan"):
        tidegate.Limiter("1/minute", clock=clock).assign("a", "pro")
    with pytest.raises(TypeError, match="^value: expected str or bytes, got NoneType"):
        tidegate.Limiter("1/minute", clock=clock).unassign(None)


def test_p11_a_report_of_use(limiter, clock):
    for route, count in (("GET /v3/configs", 5), ("POST /v3/configs", 2)):
        for _ in range(count):
            assert limiter.acquire({**REQUEST, "route": route})
    report = limiter.usage(REQUEST)
    assert (report.plan, report.total, report.dropped) == ("starter", 7, 0)
    assert list(report.by_kind.items()) == [("GET /v3/configs", 5), ("POST /v3/configs", 2)]
    assert (report.window, report.window_ns) == (86_400.0, 24 * HOUR)
    limit = report.limit
    assert (limit.name, limit.quota, limit.remaining) == ("day", 50_000, 49_993)
    limiter.penalize(REQUEST, 5_000)
    report = limiter.usage(REQUEST)
    assert (report.limit.utilization_permille, report.limit.utilization) == (100, 0.1)
    assert report.utilization == 0.1
    assert report == limiter.usage(REQUEST) != limiter.usage({**REQUEST, "account": "other"})
    assert hash(report) == hash(limiter.usage(REQUEST))
    assert repr(report) == (
        "UsageReport(plan='starter', window=86400.0, total=7, "
        "by_kind={'GET /v3/configs': 5, 'POST /v3/configs': 2}, "
        "limit=UsageLimit(name='day', quota=50000, remaining=44993, utilization=0.1), dropped=0)"
    )
    report.by_kind.clear()
    assert report.by_kind


def test_a_report_covers_the_time_that_is_asked_for(limiter, clock):
    limiter.acquire(REQUEST)
    clock.advance(2 * 3600)
    limiter.acquire(REQUEST, 2)
    assert limiter.usage(REQUEST).total == 3
    for window in (3600, 3600.0, timedelta(hours=1)):
        assert limiter.usage(REQUEST, window).total == 2
    assert limiter.usage(REQUEST, window_ns=HOUR).window == 3600.0
    assert limiter.usage(REQUEST, now_ns=clock.now_ns() + 23 * HOUR).total == 2


def test_reports_that_nobody_keeps(limiter, clock):
    with pytest.raises(tidegate.ArgumentError, match="^usage: .*write a table") as caught:
        tidegate.Limiter("1/minute", clock=clock).usage("a")
    assert caught.value.field == "usage"
    with pytest.raises(tidegate.ArgumentError, match="^account: ") as caught:
        limiter.usage("k1")
    assert caught.value.field == "account"
    with pytest.raises(TypeError, match="not both"):
        limiter.usage(REQUEST, 1, window_ns=1)
    with pytest.raises(tidegate.ArgumentError, match="^window: the duration is negative"):
        limiter.usage(REQUEST, -1)
    with pytest.raises(TypeError, match="^key: expected str or bytes, got int"):
        limiter.usage(42)


def test_a_report_without_a_limit(clock):
    policy = {"usage": {"window": "1h"}, "limit": [{"method": "concurrency", "quota": 5}]}
    limiter = tidegate.Limiter(policy, clock=clock)
    limiter.acquire("a")
    report = limiter.usage("a")
    assert (report.plan, report.limit, report.utilization) == (None, None, None)
    assert report.by_kind == {"": 1}


def test_a4_a_secret_passes_by_its_hash(clock):
    line = tidegate.hash_secret("open sesame")
    assert line.startswith("sha256:41ef4bb0b23661e6") and len(line) == 71
    policy = {
        "limit": [{"rate": "1/hour"}],
        "bypass": [{"name": "dev", "attribute": "dev_key", "secrets": [line]}],
    }
    limiter = tidegate.Limiter(policy, clock=clock)
    passed = [limiter.acquire({"key": "a", "dev_key": "open sesame"}) for _ in range(3)]
    assert {(seen.reason, seen.name) for seen in passed} == {("bypass", "dev")}
    guess = {"key": "a", "dev_key": "open says me"}
    assert [bool(limiter.acquire(guess)) for _ in range(2)] == [True, False]
    assert limiter.stats().bypassed == 3


def test_bad_secrets_are_refused_and_not_told():
    with pytest.raises(TypeError, match="^secret: expected a str, got bytes"):
        tidegate.hash_secret(b"open sesame")
    with pytest.raises(tidegate.ArgumentError, match="^secret: ") as caught:
        tidegate.hash_secret("hidden\ud800")
    assert "hidden" not in str(caught.value)


def test_a_listed_block_says_that_no_retry_helps(clock):
    policy = {"limit": [{"rate": "1/hour"}], "block": [{"name": "abuse", "when": {"key": "b"}}]}
    limiter = tidegate.Limiter(policy, clock=clock)
    with pytest.raises(tidegate.RateLimited) as caught, limiter.measure("b"):
        pytest.fail("the block must not run")
    assert caught.value.decision.retry_after == math.inf
    assert str(caught.value) == "blocked by 'abuse'; no retry helps"
