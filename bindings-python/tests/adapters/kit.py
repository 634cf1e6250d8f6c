"""Small clients for applications in this process, without a socket."""

import asyncio
import io
import json

NOON = 1_700_049_600  # 2023-11-15T12:00:00Z


class Answer:
    def __init__(self, status, headers, body, messages=()):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.pairs = [(name.lower(), value) for name, value in headers]
        self.body = body
        self.messages = messages

    def json(self):
        return json.loads(self.body)


def scope_of(method, path, headers, client, **more):
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": raw,
        "client": client, "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    return {**scope, **more}


async def ask_asgi_async(app, path="/", *, method="GET", headers=(), client=("198.51.100.7", 1), **more):
    messages = []
    received = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        return received.pop(0) if received else {"type": "http.disconnect"}

    async def send(message):
        messages.append(message)

    await app(scope_of(method, path, headers, client, **more), receive, send)
    start = next(one for one in messages if one["type"].endswith("response.start"))
    pairs = [(name.decode(), value.decode()) for name, value in start["headers"]]
    body = b"".join(one.get("body", b"") for one in messages if one["type"].endswith("body"))
    return Answer(start["status"], pairs, body, messages)


def ask_asgi(app, path="/", **options):
    return asyncio.run(ask_asgi_async(app, path, **options))


def environ_of(path, method, headers, client, more):
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    for name, value in headers:
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    if client is not None:
        environ["REMOTE_ADDR"] = client[0]
    return {**environ, **more}


def ask_wsgi(app, path="/", *, method="GET", headers=(), client=("198.51.100.7", 1), **more):
    started = []

    def start_response(status, pairs, exc_info=None):
        started[:] = [int(status[:3]), pairs]

    body = app(environ_of(path, method, headers, client, more), start_response)
    try:
        text = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return Answer(started[0], started[1], text)
