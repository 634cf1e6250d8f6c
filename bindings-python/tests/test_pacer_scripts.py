"""The scripts of calls and the headers of `tests/client`, which all hosts replay."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tidegate
from conftest import ROOT
from pacer_kit import Answer

SCRIPTS = json.loads((ROOT / "tests/client/scripts.json").read_text("utf-8"))
HEADERS = json.loads((ROOT / "tests/client/headers.json").read_text("utf-8"))
KINDS = {
    tidegate.RetriesExhausted: "retries_exhausted",
    tidegate.RetryAfterTooLong: "retry_after_too_long",
    tidegate.DeadlineExceeded: "deadline_exceeded",
    tidegate.BreakerOpen: "breaker_open",
    tidegate.PacerClosed: "closed",
    tidegate.ArgumentError: "impossible",
}


def from_now(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)


class Replay:
    def __init__(self, options: dict[str, Any]) -> None:
        self.clock = tidegate.ManualClock(now_ns=int(SCRIPTS["start_ns"]))
        self.told: list[tidegate.PacerEvent] = []
        self.taken = 0
        self.means: str | None = None
        given: dict[str, Any] = {}
        for name, value in options.items():
            if name.endswith("_ns"):
                given[name[:-3]] = int(value) / 1e9
            elif name == "near_limit":
                given[name] = int(value) / 1000
            elif name != "policy":
                given[name] = int(value)
        self.pacer = tidegate.Pacer(
            options.get("policy"),
            clock=self.clock,
            on_event=self.told.append,
            classify=lambda _: self.means,
            **given,
        )
        self.calls: dict[str, Any] = {}

    def step(self, step: dict[str, Any]) -> Any:
        return getattr(self, step["do"])(step)

    def begin(self, step: dict[str, Any]) -> None:
        options = {name: step[name] for name in ("label", "max_retries") if name in step}
        if "cost" in step:
            options["cost"] = int(step["cost"])
        if "deadline_ns" in step:
            options["deadline"] = int(step["deadline_ns"]) / 1e9
        self.calls[step["call"]] = self.pacer.with_options(**options)._begin()

    def check(self, step: dict[str, Any]) -> Any:
        try:
            turn = self.calls[step["call"]].poll(lambda: None)
        except tidegate.Error as error:
            return told({"step": "fail"}, error)
        return {"step": "go" if turn is True else "wait"}

    def finish(self, step: dict[str, Any]) -> Any:
        self.means = step.get("class")
        headers = {name: value for name, value in step.get("headers", ())}
        before = len(self.told)
        try:
            again, _ = self.calls[step["call"]].returned(Answer(step["status"], headers))
        except tidegate.Error as error:
            return told({"finish": "raise"}, error)
        if not again:
            return {"finish": "done"}
        delay = next(event.delay for event in self.told[before:] if event.kind == "retry")
        return {"finish": "retry", "after_ns": from_now(delay)}

    def drop(self, step: dict[str, Any]) -> None:
        self.calls.pop(step["call"]).close()

    def advance(self, step: dict[str, Any]) -> None:
        self.clock.advance(duration_ns=int(step["ns"]))

    def stats(self, step: dict[str, Any]) -> Any:
        stats = self.pacer.stats()
        shown = {name: getattr(stats, name) for name in step["expect"]}
        return {**shown, "wait_ns": str(shown["wait_ns"])}

    def events(self, step: dict[str, Any]) -> Any:
        news = [event.kind for event in self.told[self.taken :]]
        self.taken = len(self.told)
        return news

    def close(self, step: dict[str, Any]) -> None:
        self.pacer.close()


def told(shown: dict[str, Any], error: Any) -> dict[str, Any]:
    shown |= {"kind": KINDS[type(error)], "message": str(error)}
    shown["retry_after_ns"] = from_now(getattr(error, "retry_after", None))
    for name in ("attempts", "label"):
        shown[name] = getattr(error, name, None)
    return shown


@pytest.mark.parametrize("script", SCRIPTS["scripts"], ids=lambda script: script["name"])
def test_scripts(script):
    replay = Replay(script["options"])
    for number, step in enumerate(script["steps"]):
        if step["do"] == "tick":  # for hosts without wakers
            continue
        seen, expected = replay.step(step), step.get("expect")
        if isinstance(expected, dict):
            # How long a call waits with a manual clock, nobody is told.
            expected = {name: value for name, value in expected.items() if name != "ns"}
            for name in ("retry_after_ns", "after_ns"):
                if name in expected:
                    # Seconds as float, to 4 µs or so.
                    assert seen[name] == pytest.approx(int(expected.pop(name)), abs=4000)
            seen = {name: seen[name] for name in expected}
        assert seen == expected, (number, step)


@pytest.mark.parametrize("row", HEADERS["rows"], ids=lambda row: row["api"])
def test_headers(row):
    limits = tidegate.read_headers(
        [(name, value) for name, value in row["headers"]], now_ns=int(HEADERS["now_ns"])
    )
    expected = row["expect"]
    shown = {
        "retry_after_ns": number(limits.retry_after_ns),
        "near_limit": limits.near_limit or None,
        "quotas": [
            {
                name: value
                for name, value in {
                    "name": quota.name,
                    "limit": number(quota.limit),
                    "remaining": number(quota.remaining),
                    "reset_after_ns": number(quota.reset_after_ns),
                    "window_ns": number(quota.window_ns),
                }.items()
                if value is not None
            }
            for quota in limits.quotas
        ]
        or None,
    }
    assert {name: value for name, value in shown.items() if value is not None} == expected
    as_bytes = [(name.encode(), value.encode()) for name, value in row["headers"]]
    assert tidegate.read_headers(as_bytes, now_ns=int(HEADERS["now_ns"])) == limits
    assert hash(limits) == hash(tidegate.read_headers(as_bytes, now_ns=int(HEADERS["now_ns"])))


def number(value: int | None) -> str | None:
    return None if value is None else str(value)


def test_forms_of_headers():
    expected = tidegate.read_headers({"Retry-After": "2.5"})
    assert (expected.retry_after, expected.retry_after_ns, expected.delay) == (2.5, 2 * 10**9 + 5 * 10**8, 2.5)
    for headers in [
        [("retry-after", "2.5")],
        {b"Retry-After": b"2.5"},
        (pair for pair in [("RETRY-AFTER", b"2.5")]),
        [("retry-after", "2.5"), ("x-odd", "\udc80")],
    ]:
        assert tidegate.read_headers(headers) == expected
    nothing = tidegate.read_headers({})
    assert (nothing.retry_after, nothing.quotas, nothing.delay) == (None, (), None)
    for wrong in [3, None, "text", b"bytes", ["ab"], {"a": 3}, {3: "a"}]:
        with pytest.raises(TypeError, match="headers"):
            tidegate.read_headers(wrong)
    date = {"Retry-After": "Tue, 14 Nov 2023 22:14:00 GMT"}
    assert tidegate.read_headers(date, now=1_700_000_000).retry_after == 40.0
    assert tidegate.read_headers(date).retry_after == 0.0
    with pytest.raises(TypeError, match="not both"):
        tidegate.read_headers(date, now=1, now_ns=1)
    limits = tidegate.read_headers({"X-RateLimit-Limit": "9", "X-RateLimit-Remaining": "0"})
    assert repr(limits) == (
        "ServerLimits(retry_after=None, near_limit=False, quotas=(ServerQuota(name='', limit=9, "
        "remaining=0, reset_after=None, window=None),))"
    )
