"""The vectors that every host replays: the same calls, the same answers to the nanosecond."""

import json

import pytest
import tidegate
from conftest import ROOT

VECTORS = sorted((ROOT / "tests" / "vectors").glob("*.json"))


def load():
    for path in VECTORS:
        content = json.loads(path.read_text())
        for index, vector in enumerate(content if isinstance(content, list) else [content]):
            yield pytest.param(vector, id=f"{path.stem}-{vector.get('name', index)}")


def text(number):
    return "never" if number is None else str(number)


HEADERS = ("legacy", "draft", "both")
BODIES = ("error", "message", "problem")


def of_decision(decision):
    return {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "limit": text(decision.limit),
        "remaining": text(decision.remaining),
        "retry_after_ns": text(decision.retry_after_ns),
        "reset_after_ns": text(decision.reset_after_ns),
        "name": decision.name,
        "plan": decision.plan,
        "method": decision.method,
        "window_ns": optional(decision.window_ns),
        "burst_remaining": optional(decision.burst_remaining),
        "shadow": decision.shadow,
        "message": decision.message,
        "closes": decision.closes,
        "status": text(decision.status),
        "headers": {s: [list(field) for field in decision.headers(s).items()] for s in HEADERS},
        "body": {s: [decision.content_type(s), decision.body(s)] for s in BODIES},
    }


def optional(number):
    return None if number is None else str(number)


def of_usage(report):
    limit = report.limit and {
        "name": report.limit.name,
        "quota": text(report.limit.quota),
        "remaining": text(report.limit.remaining),
        "utilization_permille": text(report.limit.utilization_permille),
    }
    return {
        "plan": report.plan,
        "window_ns": text(report.window_ns),
        "total": text(report.total),
        "by_kind": [[kind, text(units)] for kind, units in report.by_kind.items()],
        "limit": limit,
        "dropped": text(report.dropped),
    }


def of_alert(alert):
    return {
        "limit": alert.limit,
        "plan": alert.plan,
        "threshold_permille": text(alert.threshold_permille),
        "used": text(alert.used),
        "capacity": text(alert.capacity),
        "request": alert.request,
    }


BUCKET_NUMBERS = ("quota", "capacity", "used", "remaining", "refresh_after_ns")


def of_snapshot(snapshot):
    return {
        "blocked_for_ns": text(snapshot.blocked_for_ns),
        "buckets": [
            {
                "limit": bucket.limit,
                "name": bucket.name,
                "method": bucket.method,
                **{field: text(getattr(bucket, field)) for field in BUCKET_NUMBERS},
            }
            for bucket in snapshot.buckets
        ],
    }


def normal(expected):
    """Numbers as text, whichever way the file writes them."""
    if isinstance(expected, dict):
        return {name: normal(value) for name, value in expected.items()}
    if isinstance(expected, list):
        return [normal(value) for value in expected]
    if isinstance(expected, int) and not isinstance(expected, bool):
        return str(expected)
    return expected


def subject(step):
    """Whose call it is: a key, or a request."""
    if "request" in step:
        return step["request"]
    return bytes.fromhex(step["key_hex"]) if "key_hex" in step else step["key"]


def subjects(step):
    if "requests" in step:
        return step["requests"]
    return step.get("keys") or map(bytes.fromhex, step.get("keys_hex", []))


class Replayer:
    def new(self, step):
        self.clock = tidegate.ManualClock(now_ns=int(step["now"]))
        self.limiter = tidegate.Limiter(step["policy"], clock=self.clock)
        self.reservations = {}
        self.alerts = []
        self.limiter.on_alert(self.alerts.append)

    def answer(self, step):
        """As `replay`; of a call that is refused, the field that the refusal names."""
        try:
            return self.replay(step)
        except tidegate.ArgumentError as error:
            return {"error": {"field": error.field}}

    def replay(self, step):
        """What the step answers, in the words of the file; None when it answers nothing."""
        if step["call"] == "new":
            return self.new(step)
        now = {"now_ns": int(step["now"])} if "now" in step else {}
        call = step["call"]
        if call == "settle":
            return self.reservations.pop(step["id"]).settle(int(step["actual"]), **now)
        if call == "cancel":
            return self.reservations.pop(step["id"]).cancel(**now)
        if call == "update":
            return self.limiter.update(step["policy"], **now)
        if call == "acquire_many":
            answers = self.limiter.acquire_many(subjects(step), int(step["cost"]), **now)
            return [of_decision(answer) for answer in answers]
        if call == "alerts":
            told, self.alerts[:] = [of_alert(alert) for alert in self.alerts], []
            return told
        if "duration_ns" in step:
            now["duration_ns"] = int(step["duration_ns"])
        if call == "assign":
            return self.limiter.assign(step["value"], step["plan"], **now)
        if call == "unassign":
            return self.limiter.unassign(step["value"])
        key = subject(step)
        if call == "plan_of":
            # It has no form with a time of its own.
            self.clock.set(now_ns=now.get("now_ns", self.clock.now_ns()))
            return {"plan": self.limiter.plan_of(key)}
        if call == "usage":
            window = {"window_ns": int(step["window_ns"])} if "window_ns" in step else {}
            return of_usage(self.limiter.usage(key, **window, **now))
        if call == "reserve":
            self.reservations[step["id"]] = self.limiter.reserve(key, int(step["cost"]), **now)
            return of_decision(self.reservations[step["id"]].decision)
        arguments = [int(step[name]) for name in ("cost", "units") if name in step]
        if "latency_ns" in step:
            now["duration_ns"] = int(step["latency_ns"])
        answer = getattr(self.limiter, call)(key, *arguments, **now)
        if isinstance(answer, tidegate.Decision):
            return of_decision(answer)
        return of_snapshot(answer) if isinstance(answer, tidegate.Snapshot) else answer


def replay(vector):
    replayer = Replayer()
    for number, step in enumerate(vector["steps"]):
        answer = replayer.answer(step)
        if "expect" in step:
            expected = normal(step["expect"])
            assert seen(answer, expected) == expected, f"step {number}: {step}"
        else:
            assert not isinstance(answer, dict) or "error" not in answer, f"step {number}: {step}"


# What a file may leave out of an answer. It invents none.
OPTIONAL = {"plan", "method", "window_ns", "burst_remaining", "shadow", "message", "closes"}
OPTIONAL |= {"status", "headers", "body", "request", "dropped", *HEADERS, *BODIES}


def seen(answer, expected):
    """The answer, without the optional fields that the file does not speak of."""
    if isinstance(answer, list) and isinstance(expected, list):
        short = [None] * (len(answer) - len(expected))
        return [seen(*pair) for pair in zip(answer, expected + short, strict=False)]
    if not (isinstance(answer, dict) and isinstance(expected, dict)):
        return answer
    names = [name for name in answer if name in expected or name not in OPTIONAL]
    return {name: seen(answer[name], expected.get(name)) for name in names}


@pytest.mark.parametrize("vector", list(load()))
def test_vector(vector):
    replay(vector)


OWN = {
    "name": "own",
    "steps": [
        {"call": "new", "policy": "1/second; 5s/minute", "now": "1000000000"},
        {"call": "try_acquire", "key": "a", "cost": 1, "now": "1000000000", "expect": True},
        {"call": "record_latency", "key": "a", "latency_ns": "7", "now": "1000000000"},
        {
            "call": "acquire",
            "key_hex": "61",
            "cost": 1,
            "now": "1999999999",
            "expect": {
                "allowed": False,
                "reason": "limited",
                "limit": "1",
                "remaining": "0",
                "retry_after_ns": "1",
                "reset_after_ns": "1",
                "name": "1/second",
            },
        },
        {"call": "reserve", "id": "r", "key": "a", "cost": 1, "now": "2000000000"},
        {"call": "cancel", "id": "r", "now": "2000000000"},
        {"call": "try_acquire", "key": "a", "cost": 1, "now": "2000000000", "expect": True},
        {"call": "block", "key": "a", "duration_ns": "5", "now": "2000000000"},
    ],
}


PLANS = {
    "default_plan": "free",
    "plan_by": "account",
    "plan": {
        "free": {
            "limit": [
                {
                    "name": "calls",
                    "by": ["account"],
                    "algorithm": "fixed_window",
                    "rate": "2/minute",
                    "alerts": [0.5],
                    "message": "Ask for more.",
                    "close": True,
                }
            ]
        },
        "paid": {"inherits": "free", "scale": 2},
    },
    "usage": {"window": "1h"},
}
REQUEST = {"key": "k", "account": "acme", "route": "GET /"}
DENIED = {
    "allowed": False,
    "reason": "limited",
    "limit": 2,
    "remaining": 0,
    "retry_after_ns": "60000000000",
    "reset_after_ns": "60000000000",
    "name": "calls",
    "plan": "free",
    "burst_remaining": None,
    "shadow": None,
    "message": "Ask for more.",
    "closes": True,
    "status": 429,
    "headers": {
        "legacy": [
            ["X-RateLimit-Limit", "2"],
            ["X-RateLimit-Remaining", "0"],
            ["X-RateLimit-Reset", "60"],
            ["Retry-After", "60"],
        ]
    },
    "body": {"message": ["application/json", '{"message":"Ask for more.","code":429}']},
}
OWN_REQUESTS = {
    "name": "own requests",
    "steps": [
        {"call": "new", "policy": json.dumps(PLANS), "now": "0"},
        {"call": "try_acquire", "request": REQUEST, "cost": 2, "now": "0", "expect": True},
        {"call": "acquire", "request": REQUEST, "cost": 1, "now": "0", "expect": DENIED},
        {
            "call": "alerts",
            "expect": [{"limit": "calls", "threshold_permille": 500, "used": 2, "capacity": 2}],
        },
        {"call": "alerts", "expect": []},
        {"call": "plan_of", "request": REQUEST, "now": "5", "expect": {"plan": "free"}},
        {
            "call": "assign",
            "value": "acme",
            "plan": "gold",
            "now": "5",
            "expect": {"error": {"field": "plan"}},
        },
        {"call": "assign", "value": "acme", "plan": "paid", "duration_ns": "5", "now": "5"},
        {"call": "plan_of", "request": REQUEST, "now": "9", "expect": {"plan": "paid"}},
        {"call": "plan_of", "request": REQUEST, "now": "10", "expect": {"plan": "free"}},
        {"call": "assign", "value": "acme", "plan": "paid", "now": "10"},
        {"call": "unassign", "value": "acme", "now": "10"},
        {"call": "plan_of", "request": REQUEST, "now": "10", "expect": {"plan": "free"}},
        {
            "call": "usage",
            "request": REQUEST,
            "window_ns": "60000000000",
            "now": "10",
            "expect": {
                "plan": "free",
                "window_ns": 60_000_000_000,
                "total": 2,
                "by_kind": [["GET /", 2]],
                "limit": {
                    "name": "calls",
                    "quota": 2,
                    "remaining": 0,
                    "utilization_permille": 1000,
                },
            },
        },
        {"call": "renew", "request": REQUEST, "now": "10", "expect": True},
        {
            "call": "acquire",
            "key": "k",
            "cost": 1,
            "now": "10",
            "expect": {"error": {"field": "account"}},
        },
    ],
}


@pytest.mark.parametrize(
    ("step", "change"),
    [
        (2, {"message": None}),
        (2, {"headers": {"legacy": []}}),
        (2, {"body": {"message": ["text/plain", ""]}}),
        (2, {"colour": "red"}),
        (3, []),
        (5, {"plan": "paid"}),
        (6, {"error": {"field": "value"}}),
        (13, {"total": 3}),
        (14, False),
        (15, {"error": {"field": "key"}}),
    ],
)
def test_the_replayer_itself_on_requests(step, change):
    replay(OWN_REQUESTS)
    wrong = json.loads(json.dumps(OWN_REQUESTS))
    if isinstance(change, dict):
        wrong["steps"][step]["expect"].update(change)
    else:
        wrong["steps"][step]["expect"] = change
    with pytest.raises(AssertionError, match=f"^step {step}:"):
        replay(wrong)


def test_the_replayer_misses_no_field():
    short = json.loads(json.dumps(OWN))
    del short["steps"][3]["expect"]["reset_after_ns"]
    with pytest.raises(AssertionError, match="step 3"):
        replay(short)
    refused = json.loads(json.dumps(OWN_REQUESTS))
    del refused["steps"][6]["expect"]
    with pytest.raises(AssertionError, match="step 6"):
        replay(refused)


def test_the_replayer_itself():
    replay(OWN)
    wrong = json.loads(json.dumps(OWN))
    wrong["steps"][3]["expect"]["retry_after_ns"] = "2"
    with pytest.raises(AssertionError, match="step 3"):
        replay(wrong)
