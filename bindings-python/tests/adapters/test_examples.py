"""The example services: what their pages promise, by a manual clock and on a real server."""

import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import tidegate
from kit import NOON, ask_asgi

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def load(folder):
    spec = importlib.util.spec_from_file_location(folder.replace("-", "_"), EXAMPLES / folder / "service.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clock():
    return tidegate.ManualClock(NOON)


@pytest.fixture
def data_api(tmp_path, monkeypatch):
    for name in ("data-api.toml", "data-api-sandbox.toml"):
        shutil.copy(EXAMPLES / "policies" / name, tmp_path)
    monkeypatch.setenv("POLICIES", str(tmp_path))
    return load("data-api")


class Application:
    """A client of the data API."""

    def __init__(self, app, name, sandbox=False):
        self.app = app
        self.headers = [("x-application", name), *([("x-sandbox", "true")] if sandbox else [])]

    def ask(self, path="/records/orders", **options):
        return ask_asgi(self.app, path, headers=self.headers, **options)

    def left(self):
        return self.ask("/limits").json()


def test_d_requests_and_time_in_cascades(data_api, clock):
    app = data_api.create(clock)
    shop = Application(app, "shop")
    answers = [shop.ask() for _ in range(102)]
    assert {answer.status for answer in answers} == {200}
    # D6: the minute first, then the hour.
    assert shop.left()["requests"] == {"100/minute": 0, "2600/hour": 2598, "1150/day": 1150}
    assert answers[0].headers["x-ratelimit-limit"] == "100" and "ratelimit" in answers[0].headers
    clock.advance(60)
    assert shop.left()["requests"]["100/minute"] == 100
    # D1, D11: few, but slow.
    limiter = app.state.limits.production
    limiter.record_latency("shop", 30 + 390 + 172.5)
    denied = shop.ask()
    assert denied.status == 429 and denied.json()["error"]["details"]["limit"] == 592500
    # D7: until the earliest refresh that gives room.
    assert denied.headers["retry-after"] == "60"
    assert Application(app, "other").ask().status == 200  # D2
    clock.advance(60)
    assert shop.ask().status == 200


def test_d_what_is_left_is_in_the_headers_of_limits_too(data_api, clock):
    app = data_api.create(clock)
    shop = Application(app, "shop")
    shop.ask()
    answers = [shop.ask(path) for path in ("/limits", "/limits", "/records/orders/7", "/limits")]
    assert [answer.status for answer in answers] == [200, 200, 404, 200]
    remaining = [answer.headers["x-ratelimit-remaining"] for answer in answers]
    assert remaining == ["99", "99", "98", "98"]
    app.state.limits.production.record_latency("shop", 1000)
    denied, shown = shop.ask(), shop.ask("/limits")
    assert (denied.status, shown.status) == (429, 200)
    assert "retry-after" in denied.headers and "retry-after" not in shown.headers
    assert shown.headers["x-ratelimit-remaining"] == "0"


def test_d_time_is_recorded(data_api, clock, monkeypatch):
    app = data_api.create(clock)

    class Slow(dict):
        def get(self, *key):
            clock.advance(7)
            return []

    monkeypatch.setattr(data_api, "records", Slow())
    shop = Application(app, "shop")
    shop.ask()
    assert shop.left()["time"]["30s/minute"] == 23_000


def test_d_sandboxes_have_half(data_api, clock):
    app = data_api.create(clock)
    sandbox = Application(app, "shop", sandbox=True)
    assert sandbox.ask().headers["x-ratelimit-limit"] == "50"
    assert Application(app, "shop").left()["requests"]["100/minute"] == 100
    # Buckets are called as they are written; the scale is that of the policy.
    assert sandbox.left()["requests"] == {"100/minute": 49, "2600/hour": 1300, "1150/day": 575}


def test_d_limits_change_while_running(data_api, clock):
    app = data_api.create(clock)
    shop = Application(app, "shop")
    for _ in range(3):
        shop.ask()
    file = data_api.POLICIES / "data-api.toml"
    app.state.limits.production.update(file.read_text().replace("100/minute", "200/minute"))
    assert shop.left()["requests"]["200/minute"] == 197


def test_d_actions_are_limited_apart(data_api, clock):
    app = data_api.create(clock)
    shop = Application(app, "shop")
    answers = [shop.ask("/actions/send", method="POST") for _ in range(11)]
    assert [answer.status for answer in answers] == [200] * 10 + [429]
    assert answers[0].headers["x-ratelimit-limit"] == "60"
    assert shop.left()["requests"]["100/minute"] == 100


def test_d_what_is_left_is_in_the_log(data_api, clock, caplog):
    caplog.set_level(logging.INFO, "data-api")
    Application(data_api.create(clock), "shop").ask()
    assert "GET /records/orders 200" in caplog.text and "'requests': {'100/minute': 99," in caplog.text


# --- platform


SERVER_KEY, DEV_KEY = "the server's key", "a key of a developer"


@pytest.fixture
def platform():
    return load("platform")


@pytest.fixture
def policy():
    """The policy with secrets that are known here."""
    text = (EXAMPLES / "policies" / "platform.toml").read_text()
    first, second = [word.strip('"][') for word in text.split() if word.startswith('["sha256:')]
    text = text.replace(first, tidegate.hash_secret(SERVER_KEY))
    return text.replace(second, tidegate.hash_secret(DEV_KEY))


def test_a_endpoints_are_limited_by_address(platform, policy, clock):
    client = platform.create(policy, clock=clock).test_client()
    answers = [client.post("/v1/account") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [201] * 10 + [429]
    denied = answers[-1]
    assert denied.json == {"message": "Too many requests", "code": 429}  # A3
    assert int(denied.headers["X-RateLimit-Reset"]) > NOON and denied.headers["X-RateLimit-Limit"] == "10"
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.99"}}
    assert client.post("/v1/account", **elsewhere).status_code == 201


def test_a_or_by_user(platform, policy, clock):
    client = platform.create(policy, clock=clock).test_client()
    ann = {"headers": {"Authorization": "Bearer token-of-ann"}}
    answers = [client.put(f"/v1/documents/{n}", json={}, buffered=True, **ann) for n in range(121)]
    assert [answer.status_code for answer in answers] == [200] * 120 + [429]
    bob = {"headers": {"Authorization": "Bearer token-of-bob"}}
    assert client.put("/v1/documents/x", json={}, **bob).status_code == 200
    assert client.put("/v1/documents/x", json={}).status_code == 429  # guests do not write


def test_a_servers_are_not_limited_and_developers_only_in_development(platform, policy, clock):
    for production, dev_status in ((False, 201), (True, 429)):
        client = platform.create(policy, production=production, clock=clock).test_client()

        def sign_up(**headers):
            return [client.post("/v1/account", headers=headers).status_code for _ in range(12)][-1]

        assert sign_up(**{"X-Api-Key": SERVER_KEY}) == 201
        assert sign_up(**{"X-Dev-Key": DEV_KEY}) == dev_status
        assert sign_up(**{"X-Api-Key": "guessed"}) == 429
        assert [client.get("/health").status_code for _ in range(9)] == [200] * 9


def test_a_polling_is_counted_by_route_not_by_job(platform, policy, clock):
    client = platform.create(policy, clock=clock).test_client()
    answers = [client.get(f"/v1/jobs/{number}", buffered=True) for number in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert answers[-1].json["message"] == "Polled too often. Use realtime events."


def test_a_abuse_closes_the_connection(platform, policy, clock, monkeypatch):
    import tidegate.flask

    shut = []
    monkeypatch.setattr(tidegate.flask, "shut", shut.append)
    app = platform.create(policy, clock=clock)
    app.view_functions["job"] = lambda name: clock.advance(60) or ""
    client = app.test_client()
    client.get("/v1/jobs/long").close()
    # Of the minute that was used up at once, in a window of a minute.
    denied = client.get("/whoami")
    denied.close()
    assert denied.status_code == 429 and denied.json["message"] == "The requests take too much time."
    assert len(shut) == 1


def test_a_addresses_are_those_that_trusted_proxies_saw(platform, policy, clock):
    spoofed = {"headers": {"X-Forwarded-For": "203.0.113.9"}}  # one that the policy blocks
    assert platform.create(policy, clock=clock).test_client().get("/whoami", **spoofed).json == {
        "address": "127.0.0.1", "route": "GET /whoami", "reason": "ok",
    }  # fmt: skip
    trusting = platform.create(policy, clock=clock, trusted_proxies=1).test_client()
    assert trusting.get("/whoami", **spoofed).status_code == 429


# --- as `make example-data-api` and `make example-platform` start them


@pytest.mark.parametrize(
    ("folder", "command", "path", "expected"),
    [
        ("data-api", ["--log-level", "error", "--fd"], "/records/orders", []),
        ("platform", ["--log-level", "error", "-b"], "/health", {"status": "ok"}),
    ],
)
def test_they_start_and_leave_nothing_behind(folder, command, path, expected, tmp_path):
    import socket

    recipes = (EXAMPLES.parent / "bindings-python" / "python.mk").read_text()
    [recipe] = re.findall(rf"cd examples/{folder} && \S+/python -m (.+) service:app", recipes)
    command = [*recipe.split(), *command]
    # Where servers put what they keep for themselves.
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("XDG_RUNTIME_DIR", None)
    before = set((EXAMPLES / folder).rglob("*"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        where = str(fd) if folder == "data-api" else f"fd://{fd}"
        process = subprocess.Popen(
            [sys.executable, "-m", *command, where, "service:app"],
            cwd=EXAMPLES / folder, pass_fds=[fd], env=env, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}{path}"
            with urllib.request.urlopen(url) as answer:
                assert json.load(answer) == expected
        finally:
            process.terminate()
            process.wait()
    assert set((EXAMPLES / folder).rglob("*")) == before and not list(tmp_path.iterdir())
