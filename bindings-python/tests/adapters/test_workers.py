"""Several workers, as docs/python.md tells of them: each counts for itself, and quotas may be divided."""

import collections
import http.client

import pytest
from load import Server
from served_workers import QUOTA

WORKERS = 4


def answers(server):
    """Each on a connection of its own; they may all meet one worker."""
    for _ in range(1000):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        yield answer.headers["X-Worker"], answer.status


@pytest.mark.parametrize("preload", [[], ["--preload"]])
@pytest.mark.parametrize(("app", "own"), [("whole", QUOTA), ("quarter", QUOTA // WORKERS)])
def test_each_worker_has_its_own_counts(app, own, preload):
    command = (
        "gunicorn", "--bind", "fd://{fd}", "--workers", str(WORKERS), "--no-control-socket", "--log-level", "error",
        *preload, f"served_workers:{app}",
    )  # fmt: skip
    server = Server(command)
    seen, admitted, denied = collections.Counter(), collections.Counter(), set()
    try:
        for worker, status in answers(server):
            seen[worker] += 1
            admitted[worker] += status == 200
            if status == 429:
                denied.add(worker)
            if len(denied) == WORKERS:
                break
    finally:
        server.stop()
    assert len(seen) <= WORKERS and denied
    assert {worker: min(count, own) for worker, count in seen.items()} == admitted
    assert sum(admitted.values()) <= own * WORKERS
