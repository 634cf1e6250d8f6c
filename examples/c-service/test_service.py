"""Real clients against the service in C: what it admits, what it tells, what it charges, and who goes away."""

import http.client
import json
import pathlib
import queue
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICE = ROOT / ".build" / "c-service" / "service"
CLIENTS = 50
# Long beside what a client in Python takes for itself. That does not grow with the work: where the machine is so busy
# that the first is too short, a longer one is taken.
WORK_MS = (500, 1000, 2000, 4000)
ADMITTED = 250
REQUESTS = 2000
# How often a test looks for what comes by itself.
POLLS = 3000

POLICY = f"""
[[limit]]
name = "requests"
cascade = ["{ADMITTED - 50}/day", "50/week"]
algorithm = "fixed_window"

[[limit]]
name = "time"
method = "latency"
rate = "20h/day"
algorithm = "fixed_window"

[[limit]]
name = "connections"
method = "concurrency"
quota = 1000
"""


def daily(quota: int) -> str:
    return f'[[limit]]\nname = "requests"\nrate = "{quota}/day"\nalgorithm = "fixed_window"\n'


class Service:
    """A running service and its policy file."""

    def __init__(self, policy: str, *options: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.policy = pathlib.Path(self.folder.name, "policy.toml")
        self.policy.write_text(policy)
        self.log = tempfile.TemporaryFile("w+")
        arguments = [SERVICE, "--port", "0", "--policy", self.policy, *options]
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()
        self.port = int(re.fullmatch(r"listening on port (\d+)\n", line)[1])

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.folder.cleanup()
        assert status == 0, status

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def get(self, path: str, application: str | None = "acme", client=None):
        headers = {} if application is None else {"X-Application": application}
        connection = client or self.client()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        if client is None:
            connection.close()
        return response, body

    def limits(self, application: str = "acme") -> dict:
        return {
            (bucket["limit"], bucket["bucket"]): bucket
            for bucket in json.loads(self.get("/limits", application)[1])
        }

    def settled(self, as_hoped) -> dict:
        """The limits once they are as hoped: who has its answer may be faster than what follows it in the service."""
        for _ in range(POLLS):
            limits = self.limits()
            if as_hoped(limits):
                return limits
            time.sleep(0.01)
        raise AssertionError(f"it stays {limits}")

    def wait_for(self, words: str) -> None:
        for _ in range(POLLS):
            if words in self.logged():
                return
            time.sleep(0.01)
        raise AssertionError(f"{words!r} is not in the log: {self.logged()}")

    def logged(self) -> str:
        self.log.seek(0)
        return self.log.read()


class Concurrent(unittest.TestCase):
    def test_many_clients(self) -> None:
        for work_ms in WORK_MS:
            charged, measured = self.hammer(work_ms)
            self.assertLessEqual(charged, measured)
            if charged > 0.98 * measured:
                break
        self.assertAlmostEqual(charged / measured, 1, delta=0.02)

    def hammer(self, work_ms: int) -> tuple[float, float]:
        """The time that was charged, and that clients measured, of those that were admitted."""
        with Service(POLICY) as service:
            free: queue.SimpleQueue[http.client.HTTPConnection] = queue.SimpleQueue()
            for _ in range(CLIENTS):
                client = service.client()
                client.connect()
                self.addCleanup(client.close)
                free.put(client)

            def one(_: int):
                client = free.get()
                begin = time.monotonic()
                response, body = service.get(f"/data?ms={work_ms}", client=client)
                span = time.monotonic() - begin
                free.put(client)
                return response, body, span

            with ThreadPoolExecutor(CLIENTS) as pool:
                answers = list(pool.map(one, range(REQUESTS)))
            passed = [answer for answer in answers if answer[0].status == 200]
            denied = [answer for answer in answers if answer[0].status == 429]
            self.assertEqual((len(passed), len(denied)), (ADMITTED, REQUESTS - ADMITTED))

            for response, body, _ in answers:
                self.assertRegex(response.headers["X-RateLimit-Remaining"], r"^\d+$")
                self.assertRegex(response.headers["X-RateLimit-Reset"], r"^\d+$")
                self.assertIn("RateLimit", response.headers)
                self.assertIn("RateLimit-Policy", response.headers)
                self.assertEqual("Retry-After" in response.headers, response.status == 429)
            for response, body, _ in denied:
                retry_after = int(response.headers["Retry-After"])
                self.assertTrue(1 <= retry_after <= 86_400, retry_after)
                error = json.loads(body)["error"]
                self.assertEqual(error["code"], "RATE_LIMIT_EXCEEDED")
                self.assertEqual(error["details"]["remaining"], 0)
                self.assertEqual(error["details"]["retry_after_seconds"], retry_after)

            limits = service.settled(lambda limits: limits["connections", "connections"]["used"] == 0)
            self.assertEqual(limits["requests", f"{ADMITTED - 50}/day"]["used"], ADMITTED - 50)
            self.assertEqual(limits["requests", "50/week"]["used"], 50)
            return limits["time", "20h/day"]["used"] / 1e9, sum(span for _, _, span in passed)

    def test_clients_that_go_away(self) -> None:
        gone, work = 500, 100
        policy = POLICY.replace(f'"{ADMITTED - 50}/day"', '"1000/day"')
        with Service(policy) as service:
            request = f"GET /data?ms={work} HTTP/1.1\r\nHost: a\r\nX-Application: acme\r\n\r\n"

            def leave(_: int) -> None:
                with socket.create_connection(("127.0.0.1", service.port)) as client:
                    client.sendall(request.encode())

            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(leave, range(gone)))

            def all_have_ended(limits: dict) -> bool:
                began = limits["requests", "1000/day"]["used"]
                return (began, limits["connections", "connections"]["used"]) == (gone, 0)

            limits = service.settled(all_have_ended)
            charged = limits["time", "20h/day"]["used"] / 1e9
            self.assertGreaterEqual(charged, gone * work / 1000)


class Alone(unittest.TestCase):
    def test_sandboxes_have_limits_of_their_own(self) -> None:
        with Service(daily(3), "--sandbox-policy", "examples/policies/data-api-sandbox.toml") as service:
            statuses = [service.get("/data")[0].status for _ in range(4)]
            self.assertEqual(statuses, [200, 200, 200, 429])
            self.assertEqual(service.get("/data", "other")[0].status, 200)
            self.assertEqual(service.get("/data", "sandbox:acme")[0].status, 200)
            quotas = {name[1]: bucket["quota"] for name, bucket in service.limits("sandbox:acme").items()}
            self.assertEqual(quotas["100/minute"], 50)
            self.assertIn("application=acme allowed=0 limit=requests remaining=0", service.logged())

    def test_who_does_not_say_who_it_is(self) -> None:
        with Service(daily(3)) as service:
            self.assertEqual(service.get("/data", None)[0].status, 400)

    def test_nobody_gets_around_the_limits_by_saying_nothing(self) -> None:
        with Service(daily(3)) as service:
            answers = [service.get(path, None)[0] for path in ("/data", "/limits", "/data?ms=9000", "/data")]
            self.assertEqual([answer.status for answer in answers], [400, 400, 400, 429])
            self.check_headers(answers, ["2", "1", "0", "0"])
            self.assertEqual(service.get("/data")[0].status, 200)
            self.assertIn("application=address:127.0.0.1 allowed=0", service.logged())

    def test_what_is_left_is_in_the_headers_of_limits_too(self) -> None:
        with Service(daily(2)) as service:
            answers = [service.get("/limits")[0] for _ in range(3)]
            service.get("/data")
            answers.append(service.get("/limits")[0])
            service.get("/data")
            answers.append(service.get("/limits")[0])
            self.assertEqual({answer.status for answer in answers}, {200})
            self.check_headers(answers, ["2", "2", "2", "1", "0"])

    def test_limits_are_shown_while_time_is_used_up(self) -> None:
        policy = '[[limit]]\nname = "time"\nrate = "1ms/day"\nalgorithm = "fixed_window"\n'
        with Service(policy) as service:
            self.assertEqual(service.get("/data?ms=20")[0].status, 200)
            service.settled(lambda limits: limits["time", "1ms/day"]["remaining"] == 0)
            self.assertEqual(service.get("/data")[0].status, 429)
            shown, body = service.get("/limits")
            self.assertEqual((shown.status, json.loads(body)[0]["remaining"]), (200, 0))
            self.assertEqual(shown.headers["X-RateLimit-Remaining"], "0")
            self.assertNotIn("Retry-After", shown.headers)

    def check_headers(self, answers: list, remaining: list[str]) -> None:
        self.assertEqual([answer.headers["X-RateLimit-Remaining"] for answer in answers], remaining)
        for answer in answers:
            for name in ("X-RateLimit-Limit", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy"):
                self.assertIn(name, answer.headers)
            self.assertEqual("Retry-After" in answer.headers, answer.status == 429)

    def test_bodies(self) -> None:
        kinds = {
            "message": ("application/json", {"message": "Too many requests", "code": 429}),
            "problem": ("application/problem+json", None),
        }
        for style, (kind, expected) in kinds.items():
            with self.subTest(style), Service(daily(1), "--body", style) as service:
                service.get("/data")
                response, body = service.get("/data")
                self.assertEqual((response.status, response.headers["Content-Type"]), (429, kind))
                if expected is None:
                    self.assertIn("quota-exceeded", json.loads(body)["type"])
                else:
                    self.assertEqual(json.loads(body), expected)

    def test_a_policy_that_changes_while_it_runs(self) -> None:
        with Service(daily(1)) as service:
            self.assertEqual(service.get("/data")[0].status, 200)
            self.assertEqual(service.get("/data")[0].status, 429)
            service.policy.write_text("quota = 2")
            service.wait_for("quota")
            self.assertEqual(service.get("/data")[0].status, 429)
            service.policy.write_text(daily(3))
            service.wait_for("in force")
            self.assertEqual([service.get("/data")[0].status for _ in range(3)], [200, 200, 429])

    def test_options_that_are_wrong(self) -> None:
        for arguments in (["--port", "70000"], ["--body", "xml"]):
            done = subprocess.run([SERVICE, *arguments], cwd=ROOT, capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn("usage:", done.stderr)
        done = subprocess.run(
            [SERVICE, "--policy", "/nowhere.toml"], cwd=ROOT, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere.toml", done.stderr)


class Undecided(unittest.TestCase):
    """The policy counts by what this service does not tell."""

    POLICY = '[[limit]]\nrate = "1/day"\nby = ["account"]\n'

    def test_it_is_denied_and_counted(self) -> None:
        with Service(self.POLICY) as service:
            for failure in (1, 2):
                response, _ = service.get("/data")
                self.assertEqual(response.status, 503)
                service.wait_for(f"failures={failure} account: ")

    def test_it_is_let_through_and_counted(self) -> None:
        with Service(self.POLICY, "--on-error", "allow") as service:
            for failure in (1, 2):
                response, body = service.get("/data")
                self.assertEqual((response.status, json.loads(body)), (200, {"data": []}))
                self.assertIsNone(response.getheader("RateLimit"))
                service.wait_for(f"failures={failure} account: ")


if __name__ == "__main__":
    unittest.main()
