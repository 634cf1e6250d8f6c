#!/usr/bin/env python3
"""Turns the shared JSON files of tests/ into lines that a C program reads without a library.

usage: to_lines.py vectors|bad|good FILE... > LINES

A line is a kind and `name=value` pairs, separated by spaces. Texts and keys are written as
hexadecimal digits; numbers, durations and times as decimal digits. What this script does not know,
it refuses: nothing of a file goes unchecked silently.
"""

import json
import sys

NEVER = 2**64 - 1
DECISION = {"acquire", "peek", "reserve"}
# The arguments of each call besides its key, in the files' own names.
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
    "reserve": ["id", "cost", "now"],
    "settle": ["id", "actual", "now"],
    "cancel": ["id", "now"],
    "reset": ["now"],
    "block": ["duration_ns", "now"],
    "update": ["policy", "now"],
    "snapshot": ["now"],
}
WITHOUT_KEY = {"new", "update", "settle", "cancel"}
TEXTS = {"policy", "id", "reason", "name", "limit_name", "method"}
DECISION_FIELDS = {
    "allowed", "reason", "limit", "remaining", "retry_after_ns", "reset_after_ns", "name",
}
BUCKET_FIELDS = {
    "limit", "name", "method", "quota", "capacity", "used", "remaining", "refresh_after_ns",
}


def text(value):
    return str(value).encode().hex()


def number(value):
    if value == "never":
        return NEVER
    if isinstance(value, float):
        raise SystemExit(f"{value}: not a whole number")
    return int(value)


def key(step):
    return step.pop("key_hex") if "key_hex" in step else text(step.pop("key"))


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


def expectation(call, expect):
    if call == "try_acquire":
        yield f"allowed={int(expect)}"
    elif call in DECISION:
        yield from fields(expect, DECISION_FIELDS)
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


def step_line(index, step):
    call = step.pop("call")
    parts = [call, f"step={index}"]
    if call == "acquire_many":
        parts += keys(step)
    elif call not in WITHOUT_KEY:
        parts.append(f"key={key(step)}")
    for name in ARGUMENTS[call]:
        value = step.pop(name)
        parts.append(f"{name}={text(value) if name in TEXTS else number(value)}")
    if "expect" in step:
        parts += ["expect=1", *expectation(call, step.pop("expect"))]
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


def main():
    kind = {"vectors": vectors, "bad": bad, "good": good}[sys.argv[1]]
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        try:
            kind(document)
        except SystemExit as problem:
            raise SystemExit(f"{path}: {problem}") from None


if __name__ == "__main__":
    main()
