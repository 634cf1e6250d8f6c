#!/usr/bin/env python3
"""Turns the shared JSON files of tests/ into lines that a C program reads without a library.

usage: to_lines.py vectors|bad|good|headers|scripts FILE... > LINES

A line is a kind and `name=value` pairs, separated by spaces. Texts and keys are written as
hexadecimal digits; numbers, durations and times as decimal digits. What this script does not know,
it refuses: nothing of a file goes unchecked silently.
"""

import json
import sys

NEVER = 2**64 - 1
DECISION = {"acquire", "peek", "reserve"}
# The arguments of each call besides its key or request, in the files' own names.
ARGUMENTS = {
    "new": ["policy", "now"],
    "acquire": ["cost", "now"],
    "acquire_many": ["cost", "now"],
    "peek": ["cost", "now"],
    "try_acquire": ["cost", "now"],
    "record_latency": ["latency_ns", "now"],
    "penalize": ["units", "now"],
    "refund": ["cost", "now"],
    "release": ["now"],
    "renew": ["now"],
    "reserve": ["id", "cost", "now"],
    "settle": ["id", "actual", "now"],
    "cancel": ["id", "now"],
    "reset": ["now"],
    "block": ["duration_ns", "now"],
    "update": ["policy", "now"],
    "snapshot": ["now"],
    "assign": ["value", "plan", "duration_ns", "now"],
    "unassign": ["value", "now"],
    "plan_of": ["now"],
    "usage": ["window_ns", "now"],
    "alerts": ["now"],
}
# Arguments that need not be given, and what C is given then.
DEFAULTS = {("assign", "duration_ns"): NEVER, ("usage", "window_ns"): NEVER}
WITHOUT_KEY = {"new", "update", "settle", "cancel", "assign", "unassign", "alerts"}
TEXTS = {
    "policy", "id", "reason", "name", "limit_name", "method", "plan", "shadow", "message", "value",
}
# Texts that are "" in C where they are null here, and a number that is the largest.
DECISION_FIELDS = {
    "allowed", "reason", "limit", "remaining", "retry_after_ns", "reset_after_ns", "name",
    "plan", "burst_remaining", "shadow", "message", "closes", "status",
}
BUCKET_FIELDS = {
    "limit", "name", "method", "quota", "capacity", "used", "remaining", "refresh_after_ns",
}


def text(value):
    return "" if value is None else str(value).encode().hex()


def number(value):
    if value is None or value == "never":
        return NEVER
    if isinstance(value, float):
        raise SystemExit(f"{value}: not a whole number")
    return int(value)


def subject(step):
    if "request" not in step:
        yield f"key={step.pop('key_hex') if 'key_hex' in step else text(step.pop('key'))}"
        return
    request = step.pop("request")
    yield f"attributes={len(request)}"
    for name, value in request.items():
        yield f"name={text(name)}"
        yield f"value={text(value)}"


def keys(step):
    hexes = step.pop("keys_hex") if "keys_hex" in step else [text(key) for key in step.pop("keys")]
    yield f"keys={len(hexes)}"
    for key in hexes:
        yield f"key={key}"


def fields(given, known):
    for name, value in given.items():
        if name not in known:
            raise SystemExit(f"unknown field {name!r} of an expectation")
        if name in TEXTS:
            yield f"{name}={text(value)}"
        else:
            yield f"{name}={number(value)}"


def http(expect):
    for style, headers in expect.pop("headers", {}).items():
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        yield f"headers_{style}={text(lines)}"
    for style, (content_type, body) in expect.pop("body", {}).items():
        yield f"type_{style}={text(content_type)}"
        yield f"body_{style}={text(body)}"


def usage(expect):
    limit, kinds = expect.pop("limit"), expect.pop("by_kind")
    yield f"has_limit={int(limit is not None)}"
    if limit is not None:
        limit["limit_name"] = limit.pop("name")
        yield from fields(limit, {"limit_name", "quota", "remaining", "utilization_permille"})
    yield from fields(expect, {"plan", "window_ns", "total", "dropped"})
    yield f"kinds={len(kinds)}"
    for name, units in kinds:
        yield f"name={text(name)}"
        yield f"units={number(units)}"


def alerts(expect):
    yield f"alerts={len(expect)}"
    for alert in expect:
        for name, value in (
            ("limit_name", text(alert.pop("limit"))),
            ("threshold_permille", number(alert.pop("threshold_permille"))),
            ("used", number(alert.pop("used"))),
            ("capacity", number(alert.pop("capacity"))),
        ):
            yield f"{name}={value}"
        if alert:
            raise SystemExit(f"unknown fields {sorted(alert)} of an alert")


def expectation(call, expect):
    if call == "try_acquire":
        yield f"allowed={int(expect)}"
    elif call == "renew":
        yield f"renewed={int(expect)}"
    elif call in DECISION:
        yield from http(expect)
        yield from fields(expect, DECISION_FIELDS)
    elif call == "plan_of":
        yield from fields(expect, {"plan"})
    elif call == "usage":
        yield from usage(expect)
    elif call == "alerts":
        yield from alerts(expect)
    elif call == "acquire_many":
        yield f"decisions={len(expect)}"
        for index, decision in enumerate(expect):
            yield f"decision={index}"
            yield from fields(decision, DECISION_FIELDS)
    elif call == "snapshot":
        buckets = expect.pop("buckets")
        yield f"blocked_for_ns={number(expect.pop('blocked_for_ns'))}"
        yield f"buckets={len(buckets)}"
        if expect:
            raise SystemExit(f"unknown fields {sorted(expect)} of a snapshot")
        for index, bucket in enumerate(buckets):
            yield f"bucket={index}"
            bucket["limit_name"] = bucket.pop("limit")
            yield from fields(bucket, BUCKET_FIELDS | {"limit_name"})
    else:
        raise SystemExit(f"{call}: nothing to expect of it")


def outcome(call, expect):
    """A refusal, which names what is wrong, or the answer."""
    if isinstance(expect, dict) and "error" in expect:
        error = expect.pop("error")
        if expect or set(error) != {"field"}:
            raise SystemExit(f"not a refusal: {sorted(expect)}, {sorted(error)}")
        return ["expect=error", f"field={text(error['field'])}"]
    return ["expect=1", *expectation(call, expect)]


def step_line(index, step):
    call = step.pop("call")
    parts = [call, f"step={index}"]
    if call == "acquire_many":
        parts += keys(step)
    elif call not in WITHOUT_KEY:
        parts += subject(step)
    for name in ARGUMENTS[call]:
        value = step.pop(name) if name in step else DEFAULTS[call, name]
        parts.append(f"{name}={text(value) if name in TEXTS else number(value)}")
    if "expect" in step:
        parts += outcome(call, step.pop("expect"))
    for comment in ("about", "note", "why"):
        step.pop(comment, None)
    if step:
        raise SystemExit(f"step {index}: unknown {sorted(step)}")
    return " ".join(parts)


def vectors(document):
    for vector in document if isinstance(document, list) else [document]:
        print("vector", f"name={text(vector['name'])}")
        for index, step in enumerate(vector["steps"]):
            try:
                print(step_line(index, dict(step)))
            except (KeyError, SystemExit) as problem:
                raise SystemExit(f"vector {vector['name']!r}, step {index}: {problem!r}") from None


def bad(document):
    for case in document:
        print(
            f"bad name={text(case['name'])} policy={text(case['text'])} line={case['line'] or 0}"
            f" column={case['column'] or 0} field={text(case['field'])}"
            f" remedy={text(case['remedy_contains'])}"
        )


def good(document):
    for case in document:
        buckets = [
            f"bucket={index} limit_name={text(limit['name'])} name={text(bucket['name'])}"
            f" method={text(limit['method'])} quota={bucket['quota']}"
            for index, (limit, bucket) in enumerate(
                (limit, bucket) for limit in case["limits"] for bucket in limit["buckets"]
            )
        ]
        print(
            f"good name={text(case['name'])} policy={text(case['text'])} buckets={len(buckets)}",
            *buckets,
        )


QUOTA_FIELDS = ("limit", "remaining", "reset_after_ns", "window_ns")


def headers(document):
    for row in document["rows"]:
        expect, fields = dict(row["expect"]), row["headers"]
        parts = [f"api={text(row['api'])}", f"now={number(document['now_ns'])}"]
        parts.append(f"headers={len(fields)}")
        for name, value in fields:
            parts += [f"name={text(name)}", f"value={text(value)}"]
        parts.append(f"retry_after_ns={number(expect.pop('retry_after_ns', None))}")
        parts.append(f"near_limit={int(expect.pop('near_limit', False))}")
        quotas = expect.pop("quotas", [])
        parts.append(f"quotas={len(quotas)}")
        for quota in map(dict, quotas):
            parts.append(f"name={text(quota.pop('name'))}")
            for field in QUOTA_FIELDS:
                told = field in quota
                parts += [f"told={int(told)}", f"{field}={number(quota.pop(field, 0))}"]
            if quota:
                raise SystemExit(f"unknown fields {sorted(quota)} of a quota")
        if expect:
            raise SystemExit(f"unknown fields {sorted(expect)} of an expectation")
        print("headers", *parts)


# Options of a pacer that scripts set, in the names of tidegate_pacer_options; `policy` comes before them.
PACER_OPTIONS = {
    "concurrency", "headroom", "max_retries", "max_failures", "near_limit", "seed", "base_ns",
    "max_retry_after_ns", "deadline_ns",
}
COUNTERS = (
    "calls", "attempts", "retries", "limited", "wait_ns", "pauses", "exhausted", "breaker_opened",
    "in_flight", "waiting",
)


def failure(expect):
    """Of a call that is given up. Attempts and label are told by some kinds only."""
    yield f"kind={text(expect.pop('kind'))}"
    yield f"message={text(expect.pop('message'))}"
    yield f"retry_after_ns={number(expect.pop('retry_after_ns', None))}"
    yield f"told={int('attempts' in expect)}"
    yield f"attempts={number(expect.pop('attempts', 0))}"
    yield f"label={text(expect.pop('label', None))}"


def pacer_begin(step, _):
    yield f"label={text(step.pop('label', None))}"
    yield f"cost={number(step.pop('cost', 1))}"
    yield f"max_retries={number(step.pop('max_retries', 2**32 - 1))}"
    yield f"deadline_ns={number(step.pop('deadline_ns', None))}"


def pacer_check(_, expect):
    kind = expect.pop("step")
    yield f"step={text(kind)}"
    yield f"ns={number(expect.pop('ns', None) if kind == 'wait' else 0)}"
    if kind == "fail":
        yield from failure(expect)


def pacer_finish(step, expect):
    yield f"status={number(step.pop('status'))}"
    yield f"class={text(step.pop('class', None))}"
    fields = step.pop("headers", [])
    yield f"headers={len(fields)}"
    for name, value in fields:
        yield f"name={text(name)}"
        yield f"value={text(value)}"
    kind = expect.pop("finish")
    yield f"finish={text(kind)}"
    yield f"after_ns={number(expect.pop('after_ns') if kind == 'retry' else 0)}"
    if kind == "raise":
        yield from failure(expect)


def pacer_advance(step, _):
    yield f"ns={number(step.pop('ns'))}"


def pacer_tick(_, expect):
    ready = expect.pop("ready")
    yield f"ready={len(ready)}"
    for name in ready:
        yield f"call={text(name)}"
    yield f"next_ns={number(expect.pop('next_ns', None))}"


def pacer_stats(_, expect):
    for name in COUNTERS:
        yield f"{name}={number(expect.pop(name))}"
    waits = expect.pop("waits")
    yield f"waits={len(waits)}"
    for name, count in sorted(waits.items()):
        yield f"name={text(name)}"
        yield f"count={number(count)}"


def pacer_events(_, expect):
    yield f"events={len(expect)}"
    while expect:
        yield f"kind={text(expect.pop(0))}"


PACER_STEPS = {
    "begin": pacer_begin, "check": pacer_check, "finish": pacer_finish, "drop": lambda *_: (),
    "advance": pacer_advance, "tick": pacer_tick, "stats": pacer_stats, "events": pacer_events,
    "close": lambda *_: (),
}


def script_step(index, step):
    call, expect = step.pop("do"), step.pop("expect", {})
    parts = [call, f"step={index}", f"call={text(step.pop('call', None))}"]
    parts += PACER_STEPS[call](step, expect)
    if step or expect:
        raise SystemExit(f"unknown {sorted(step)} or expected {expect}")
    return " ".join(parts)


def scripts(document):
    for script in document["scripts"]:
        options = dict(script["options"])
        policy = options.pop("policy", None)
        if unknown := options.keys() - PACER_OPTIONS:
            raise SystemExit(f"script {script['name']!r}: unknown options {sorted(unknown)}")
        print(
            f"script name={text(script['name'])} start={number(document['start_ns'])}"
            f" policy={text(policy)}",
            *(f"{name}={number(value)}" for name, value in options.items()),
        )
        for index, step in enumerate(script["steps"]):
            try:
                print(script_step(index, dict(step)))
            except (KeyError, SystemExit) as problem:
                raise SystemExit(f"script {script['name']!r}, step {index}: {problem!r}") from None


def main():
    kinds = {"vectors": vectors, "bad": bad, "good": good, "headers": headers, "scripts": scripts}
    kind = kinds[sys.argv[1]]
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        try:
            kind(document)
        except SystemExit as problem:
            raise SystemExit(f"{path}: {problem}") from None


if __name__ == "__main__":
    main()
