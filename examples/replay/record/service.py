"""A small HTTP service whose requests take from a millisecond to about a second.

It limits nobody: it records when each request arrived, whose it was (the X-Api-Key header) and
how long it took, and writes that as CSV when its standard input is closed. Its work is real:
SQLite look-ups and scans, hashing, compression, files forced to disk, and answers that wait for
a slow upstream over a socket.
"""

import argparse
import csv
import hashlib
import http.client
import json
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
import zlib
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

ROWS = 20_000
WORDS = ("harbour", "tide", "gate", "lock", "buoy", "keel", "mast", "anchor", "pier", "dyke")


def fill(path):
    """Builds the database that the service reads."""
    rng = random.Random(7)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, title TEXT, price INTEGER)")
        rows = ((n, " ".join(rng.choices(WORDS, k=8)), rng.randrange(10_000)) for n in range(ROWS))
        db.executemany("INSERT INTO item VALUES (?, ?, ?)", rows)


class Upstream(BaseHTTPRequestHandler):
    """The slow dependency: answers after the time it was asked to take."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(float(parse_qs(urlsplit(self.path).query)["seconds"][0]))
        reply(self, {"rates": [random.random() for _ in range(50)]})

    def log_message(self, *_):
        pass


class Service(BaseHTTPRequestHandler):
    """One client connection; a thread of its own serves it."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.db = sqlite3.connect(self.server.database)

    def finish(self):
        self.db.close()
        super().finish()

    def do_GET(self):
        arrived_ns, started_ns = time.time_ns(), time.perf_counter_ns()
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        work = ENDPOINTS.get(url.path)
        if work is None:
            self.send_error(404)
            return
        reply(self, work(self, query))
        duration_ns = time.perf_counter_ns() - started_ns
        # HTTP headers are Latin-1, so a key travels percent-encoded.
        key = unquote(self.headers["X-Api-Key"])
        self.server.records.append((arrived_ns, key, duration_ns))

    def log_message(self, *_):
        pass

    def item(self, query):
        """About 1 ms: a row by its primary key, with its neighbours."""
        number = int(query["id"]) % ROWS
        rows = self.db.execute(
            "SELECT * FROM item WHERE id BETWEEN ? AND ?", (number - 300, number + 300)
        ).fetchall()
        return {"items": rows}

    def search(self, query):
        """A few to some tens of ms: a scan of the whole table."""
        rows = self.db.execute(
            "SELECT id, title FROM item WHERE title LIKE ? ORDER BY price LIMIT 20",
            (f"%{query['q']}%",),
        ).fetchall()
        return {"found": rows}

    def thumbnail(self, query):
        """Some tens of ms of processor time: hashing and compression."""
        seed = query["id"].encode()
        pixels = hashlib.pbkdf2_hmac("sha256", seed, b"thumbnail", 15_000, 64) * 4_000
        return {"bytes": len(zlib.compress(pixels, 6))}

    def export(self, query):
        """Some tens to hundreds of ms of disk: rows written in chunks, each forced to disk."""
        rows = self.db.execute("SELECT * FROM item LIMIT 4000").fetchall()
        with tempfile.NamedTemporaryFile("w", dir=self.server.folder) as out:
            for start in range(0, len(rows), 400):
                json.dump(rows[start : start + 400], out)
                out.flush()
                os.fsync(out.fileno())
            size = out.tell()
        return {"bytes": size}

    def report(self, query):
        """0.3 to 1 s: waits for the upstream, then sums up a table."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port)
        upstream.request("GET", f"/?seconds={random.uniform(0.3, 0.95):.3f}")
        rates = json.load(upstream.getresponse())["rates"]
        upstream.close()
        (total,) = self.db.execute("SELECT sum(price) FROM item").fetchone()
        return {"total": total * rates[0]}


ENDPOINTS = {
    "/item": Service.item,
    "/search": Service.search,
    "/thumbnail": Service.thumbnail,
    "/export": Service.export,
    "/report": Service.report,
}


def reply(handler, document):
    body = json.dumps(document).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # All clients connect in the same instant.
    request_queue_size = 128


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()


def rfc3339(ns):
    """UTC with all nine digits: `time_ns` has them, `datetime` would drop three."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    stamp = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{fraction:09}Z"


def write(path, records):
    with open(path, "w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(("timestamp", "key", "duration"))
        for arrived_ns, key, duration_ns in sorted(records):
            rows.writerow((rfc3339(arrived_ns), key, f"{duration_ns / 1e9:.9f}"))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", required=True, help="the CSV file to write at the end")
    out = options.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        upstream = Server(("127.0.0.1", 0), Upstream)
        service = Server(("127.0.0.1", 0), Service)
        service.folder, service.database = folder, os.path.join(folder, "items.db")
        service.upstream_port, service.records = upstream.server_address[1], []
        fill(service.database)
        serve(upstream)
        serve(service)
        print(service.server_address[1], flush=True)
        sys.stdin.read()
        service.shutdown()
        write(out, service.records)


if __name__ == "__main__":
    main()
