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


def of_decision(decision):
    return {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "limit": text(decision.limit),
        "remaining": text(decision.remaining),
        "retry_after_ns": text(decision.retry_after_ns),
        "reset_after_ns": text(decision.reset_after_ns),
        "name": decision.name,
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


class Replayer:
    def new(self, step):
        clock = tidegate.ManualClock(now_ns=int(step["now"]))
        self.limiter = tidegate.Limiter(step["policy"], clock=clock)
        self.reservations = {}

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
            keys = step.get("keys") or map(bytes.fromhex, step.get("keys_hex", []))
            answers = self.limiter.acquire_many(keys, int(step["cost"]), **now)
            return [of_decision(answer) for answer in answers]
        key = bytes.fromhex(step["key_hex"]) if "key_hex" in step else step["key"]
        if call == "reserve":
            self.reservations[step["id"]] = self.limiter.reserve(key, int(step["cost"]), **now)
            return of_decision(self.reservations[step["id"]].decision)
        arguments = [int(step[name]) for name in ("cost", "units") if name in step]
        if "latency_ns" in step or "duration_ns" in step:
            now["duration_ns"] = int(step.get("latency_ns", step.get("duration_ns")))
        answer = getattr(self.limiter, call)(key, *arguments, **now)
        if isinstance(answer, tidegate.Decision):
            return of_decision(answer)
        return of_snapshot(answer) if isinstance(answer, tidegate.Snapshot) else answer


def replay(vector):
    replayer = Replayer()
    for number, step in enumerate(vector["steps"]):
        answer = replayer.replay(step)
        if "expect" in step:
            assert answer == normal(step["expect"]), f"step {number}: {step}"


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


def test_the_replayer_itself():
    replay(OWN)
    wrong = json.loads(json.dumps(OWN))
    wrong["steps"][3]["expect"]["retry_after_ns"] = "2"
    with pytest.raises(AssertionError, match="step 3"):
        replay(wrong)
