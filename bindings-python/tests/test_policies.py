"""Policies of the repository, good and bad, through the public classes."""

import json
import re

import pytest
import tidegate
from conftest import ROOT


def cases(file):
    path = ROOT / "tests" / "policies" / file
    return json.loads(path.read_text()) if path.exists() else []


def name(case):
    return case["name"]


def name_of(path):
    return path.name


@pytest.mark.parametrize("case", cases("bad.json"), ids=name)
def test_bad_policy_says_where_and_what(case):
    with pytest.raises(tidegate.PolicyError) as caught:
        tidegate.Limiter(case["text"])
    error = caught.value
    assert (error.line, error.column, error.field) == (case["line"], case["column"], case["field"])
    assert case["remedy_contains"] in error.remedy
    assert error.remedy in str(error) and error.field in str(error)


def dicts():
    """The bad policies that a dict can express: JSON objects without a name given twice."""
    for case in cases("bad.json"):
        try:
            document = json.loads(case["text"])
        except ValueError:
            continue
        if isinstance(document, dict) and "duplicate key" not in case["name"]:
            yield pytest.param(document, id=case["name"])


@pytest.mark.parametrize("policy", list(dicts()))
def test_bad_policy_as_dict_has_no_position(policy):
    with pytest.raises(tidegate.PolicyError) as caught:
        tidegate.Limiter(policy)
    assert caught.value.line is None and caught.value.column is None
    assert "line" not in str(caught.value).partition(":")[0]


@pytest.mark.parametrize("case", cases("good.json"), ids=name)
def test_good_policy(case):
    tidegate.Limiter(case["text"]).acquire("a")


# Examples that are about more than keys, and a request that gives all they ask for.
REQUESTS = {
    "plans.toml": {"key": "k1", "account": "acme", "route": "GET /v3/configs"},
    "platform.toml": {"ip": "192.0.2.7", "user": "u1", "route": "GET /v1/documents/7"},
}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples" / "policies").glob("*.*")), ids=lambda path: path.name
)
def test_example_policies_admit_a_first_request(path):
    limiter = tidegate.Limiter.from_file(path)
    decision = limiter.acquire(REQUESTS.get(path.name, "a"))
    assert decision and decision.reason == "ok"


def test_the_position_of_a_mistake():
    with pytest.raises(tidegate.PolicyError) as caught:
        tidegate.Limiter('[[limit]]\nname = "n"\nrate = "5/fortnight"\n')
    assert caught.value.line == 3
    assert caught.value.field == "limit[0].rate.period"
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, tidegate.Error)


def test_a_small_scale_which_json_writes_with_an_exponent():
    policy = {"scale": 0.00005, "limit": [{"rate": "100000/minute"}]}
    assert "5e-05" in json.dumps(policy)
    assert tidegate.Limiter(policy).peek("a").limit == 5
    with pytest.raises(tidegate.PolicyError) as caught:
        tidegate.Limiter({**policy, "scale": 1e-10})
    assert caught.value.field == "scale"


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "policies").glob("*.*")), ids=name_of)
def test_examples_load(path):
    assert tidegate.Limiter.from_file(path).stats().keys == 0


def test_the_secret_of_an_example_lets_pass():
    text = (ROOT / "examples" / "policies" / "platform.toml").read_text()
    known = re.search(r'"dev_key"\nsecrets   = \["(sha256:[0-9a-f]{64})"', text)[1]
    limiter = tidegate.Limiter(text.replace(known, tidegate.hash_secret("open sesame")))
    request = {"ip": "192.0.2.1", "route": "GET /", "dev_key": "open sesame"}
    assert limiter.acquire(request).reason == "bypass"
    assert tidegate.Limiter(text).acquire(request).reason == "ok"
