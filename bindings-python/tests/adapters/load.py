"""Real servers, and what clients measure of them."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import served

# Whatever is answered here was decided after this. (Whole seconds, rounded up, and one for the clocks.)
BEGAN = time.time() - 2
HERE = Path(__file__).parent


class Server:
    """A server of its own process; connections may be made before it is ready."""

    def __init__(self, command):
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = self._listening.getsockname()[1]
        fd = self._listening.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(fd=fd) for word in command)],
            cwd=HERE,
            pass_fds=[fd],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])},
        )

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def stop(self):
        self._listening.close()
        self._process.terminate()
        self._process.wait()


async def report(session, server, name, user):
    async with session.get(server.url(f"{name}/report/{user}")) as response:
        return json.loads(await response.read())


async def ask(session, url, user):
    start = time.perf_counter()
    async with session.get(url, headers={"X-User": user}) as response:
        body = await response.read()
        return time.perf_counter() - start, response.status, response.headers, body


def check_all(answers, said, requests):
    """As many as there is room for, each told and charged as it is."""
    admitted = [answer for answer in answers if answer[1] == 200]
    denied = [answer for answer in answers if answer[1] == 429]
    assert len(answers) == requests == len(admitted) + len(denied)
    # Each unit was given out once: an independent count, besides the handlers' own.
    remaining = sorted(int(headers["X-RateLimit-Remaining"]) for _, _, headers, _ in admitted)
    assert remaining == list(range(served.QUOTA))
    assert said["begun"] == said["ended"] == said["allowed"] == said["used"]["count"] == served.QUOTA
    for _, _, headers, body in denied:
        check_denied(headers, body)
    for _, _, headers, _ in admitted:
        assert headers["X-RateLimit-Limit"] == str(served.QUOTA) and "Retry-After" not in headers
        assert int(headers["X-RateLimit-Reset"]) > time.time()
    # The time that was charged holds the handlers' own, and lies within what the clients saw.
    charged = said["used"]["latency"] / 1e9
    seen = sum(answer[0] for answer in admitted)
    assert said["seconds"] * 0.999 <= charged <= seen * 1.001


def check_counted(answers, said, requests, body):
    """The same of what counts by the `limits` package, and tells what is left in its own way: by another look."""
    admitted = [answer for answer in answers if answer[1] == 200]
    denied = [answer for answer in answers if answer[1] == 429]
    assert len(answers) == requests == len(admitted) + len(denied)
    assert len(admitted) == said["begun"] == said["ended"] == said["used"]["count"] == served.QUOTA
    for _, _, headers, _ in answers:
        assert headers["X-RateLimit-Limit"] == str(served.QUOTA)
        assert 0 <= int(headers["X-RateLimit-Remaining"]) < served.QUOTA
        wait = int(headers["Retry-After"])  # both have it on every response
        assert 0 < wait <= 86401
        assert BEGAN < float(headers["X-RateLimit-Reset"]) - wait < time.time() + 2
    for _, _, headers, text in denied:
        assert headers["X-RateLimit-Remaining"] == "0" and body in text


async def settled(look, as_hoped):
    """What `look` tells once it is as hoped. It may take its time, as long as something happens between two looks; each
    is an answer of the server, which is at work then.
    """
    last, unchanged = None, 0
    while not as_hoped(said := await look()):
        last, unchanged = said, unchanged + 1 if said == last else 0
        if unchanged == 1000:
            pytest.fail(f"it stays {said}")
        await asyncio.sleep(0.01)
    return said


async def report_at_end(session, server, name, user):
    """The report when all has ended: a client may have its answer before the server has done what follows it."""

    def has_ended(said):
        charged = said["used"].get("latency", 0) / 1e9 >= said.get("seconds", 0) * 0.999
        return said["begun"] == said["ended"] and charged and not said["used"].get("concurrency")

    return await settled(lambda: report(session, server, name, user), has_ended)


def check_denied(headers, body):
    said = json.loads(body)["error"]
    assert said["code"] == "RATE_LIMIT_EXCEEDED"
    details = said["details"]
    assert details["limit"] == served.QUOTA and details["remaining"] == 0
    wait = int(headers["Retry-After"])
    assert details["retry_after_seconds"] == wait and 0 < wait <= 86400
    assert headers["X-RateLimit-Limit"] == str(served.QUOTA)
    assert headers["X-RateLimit-Remaining"] == "0"
    assert headers["Content-Type"] == "application/json"
    # Both are of one moment: when it was decided.
    assert BEGAN < int(headers["X-RateLimit-Reset"]) - wait < time.time() + 2
    if "Date" in headers:
        assert BEGAN < parsedate_to_datetime(headers["Date"]).timestamp() < time.time() + 2
