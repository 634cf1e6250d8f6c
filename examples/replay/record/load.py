"""Starts the recording service and sends it the requests of a few dozen clients for some minutes.

The clients differ as customers do: a crawler that never pauses, an analytics job with slow
requests in parallel, a shop with steady traffic, a job that comes in bursts, and people who read
before they click. Each has its own key.
"""

import argparse
import http.client
import pathlib
import random
import subprocess
import sys
import threading
import time
from urllib.parse import quote

ITEM, SEARCH, THUMBNAIL, EXPORT, REPORT = range(5)


def path(kind, rng):
    number = rng.randrange(100_000)
    word = rng.choice(("tide", "lock", "keel", "pier"))
    return (
        f"/item?id={number}",
        f"/search?q={word}",
        f"/thumbnail?id={number}",
        "/export",
        "/report",
    )[kind]


class Client(threading.Thread):
    """One connection of one key; `pause` draws the seconds between the starts of two requests."""

    def __init__(self, port, key, seed, end, kinds, pause, burst=1):
        super().__init__(daemon=True)
        self.port, self.key, self.end = port, key, end
        self.rng = random.Random(seed)
        self.kinds, self.pause, self.burst = kinds, pause, burst

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        due = time.monotonic() + self.pause(self.rng)
        while due < self.end:
            time.sleep(max(0.0, due - time.monotonic()))
            for _ in range(self.burst):
                self.send(connection)
            due = max(time.monotonic(), due + self.pause(self.rng))
        connection.close()

    def send(self, connection):
        kind = self.rng.choices(range(5), self.kinds)[0]
        connection.request("GET", path(kind, self.rng), headers={"X-Api-Key": quote(self.key)})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            sys.exit(f"the service answered {response.status} to {self.key}")


def clients(port, end):
    """Everyone who calls the service. `kinds` weighs item, search, thumbnail, export, report."""
    crowd = []

    def every(mean):
        return lambda rng: rng.expovariate(1 / mean)

    def add(key, count, **behaviour):
        for _ in range(count):
            crowd.append(Client(port, key, len(crowd), end, **behaviour))

    add("crawler", 4, kinds=(95, 5, 0, 0, 0), pause=every(0.12))
    add("analytics", 9, kinds=(0, 2, 2, 2, 94), pause=lambda _: 0.0)
    add("shop", 3, kinds=(60, 25, 10, 3, 2), pause=every(0.8))
    add("nightly-import", 1, kinds=(90, 0, 0, 10, 0), pause=lambda rng: rng.uniform(35, 50), burst=140)
    add("café, zweiter Stock", 2, kinds=(50, 40, 10, 0, 0), pause=every(1.5))
    for number in range(20):
        pause = every(2 + number / 4)
        add(f"user:{number:02}", 1, kinds=(55, 25, 12, 4, 4), pause=pause)
    return crowd


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=220.0, help="how long to send")
    options.add_argument("--out", required=True, help="the CSV file to write")
    options = options.parse_args()
    service = subprocess.Popen(
        [sys.executable, pathlib.Path(__file__).with_name("service.py"), "--out", options.out],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(service.stdout.readline())
    crowd = clients(port, time.monotonic() + options.seconds)
    for client in crowd:
        client.start()
    for client in crowd:
        client.join()
    service.stdin.close()
    sys.exit(service.wait())


if __name__ == "__main__":
    main()
