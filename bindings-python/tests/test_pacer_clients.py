"""The adapters, against a server that enforces real limits and says so in every dialect."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import tidegate
from pacer_kit import pass_time

aiohttp = pytest.importorskip("aiohttp")
httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")

import tidegate.aiohttp
import tidegate.httpx
import tidegate.requests

QUOTA = 5  # requests a second

_Headers = Callable[[tidegate.Decision, float], dict[str, str]]


def _seconds(decision: tidegate.Decision) -> int:
    return -(-(decision.retry_after_ns or 0) // 10**9)


# What a refusal says, and what an answer does: by those who have them.
DIALECTS: dict[str, tuple[_Headers, _Headers]] = {
    "nothing": (lambda d, now: {}, lambda d, now: {}),
    "seconds": (lambda d, now: {"Retry-After": str(_seconds(d))}, lambda d, now: {}),
    "fraction": (lambda d, now: {"Retry-After": f"{d.retry_after:.6f}1"}, lambda d, now: {}),
    "milliseconds": (
        lambda d, now: {"retry-after-ms": str(-(-(d.retry_after_ns or 0) // 10**6))},
        lambda d, now: {},
    ),
    "date": (
        lambda d, now: {"Retry-After": formatdate(int(now) + 1 + _seconds(d), usegmt=True)},
        lambda d, now: {},
    ),
    "legacy": (lambda d, now: d.headers("legacy"), lambda d, now: d.headers("legacy")),
    "draft": (lambda d, now: d.headers("draft"), lambda d, now: d.headers("draft")),
    "epoch": (
        lambda d, now: {
            "X-RateLimit-Limit": str(d.limit),
            "X-RateLimit-Remaining": str(d.remaining),
            "X-RateLimit-Reset": str(int(now) + 1 + _seconds(d)),
        },
        lambda d, now: {},
    ),
    "provider": (
        lambda d, now: {
            "x-ratelimit-limit-requests": str(d.limit),
            "x-ratelimit-remaining-requests": str(d.remaining),
            "x-ratelimit-reset-requests": f"{-(-(d.retry_after_ns or 0) // 10**6)}ms",
        },
        lambda d, now: {},
    ),
}


class Server(ThreadingHTTPServer):
    """Enforces 5 requests a second on a clock that the test moves."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, clock: tidegate.ManualClock) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.clock = clock
        self.limiter = tidegate.Limiter(f"{QUOTA}/second", clock=clock)
        self.dialect = "nothing"
        self.refused = 0
        self.bodies: list[bytes] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def reset(self, dialect: str) -> None:
        self.limiter.reset("client")
        self.dialect, self.refused, self.connections = dialect, 0, 0
        self.bodies.clear()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written apart
    server: Server

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.server.clock.now() if timestamp is None else timestamp, usegmt=True)

    def do_GET(self) -> None:
        server = self.server
        if self.path.startswith("/moved"):
            return self.answer(302, {"Location": "/item"}, b"")
        if self.path.startswith("/status/"):
            return self.answer(int(self.path[8:]), {}, b"{}")
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length is not None else self.chunks()
        decision = server.limiter.acquire("client")
        refuses, answers = DIALECTS[server.dialect]
        headers = (answers if decision else refuses)(decision, server.clock.now())
        with server.lock:
            server.refused += not decision
            if decision:
                server.bodies.append(body)
        status = 200 if decision else 429
        self.answer(status, headers, json.dumps({"path": self.path}).encode())

    do_POST = do_GET

    def chunks(self) -> bytes:
        body = b""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return body
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server(tidegate.ManualClock(1_700_049_600))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(running: Server) -> Server:
    running.reset("nothing")
    return running


# Each client: (pacer, url, count) -> the statuses of so many requests, some at once.


def paced(pacer: tidegate.Pacer) -> httpx.Client:
    # (Reading certificates takes longer than most tests.)
    sender = httpx.HTTPTransport(verify=False)
    return httpx.Client(transport=tidegate.httpx.PacedTransport(pacer, sender))


def with_httpx(pacer: tidegate.Pacer, url: str, count: int) -> list[int]:
    with paced(pacer) as client:
        fetch = tidegate.Pacer(concurrency=4).map(lambda i: client.get(f"{url}/item"), range(count))
        return [response.status_code for response in fetch]


def with_httpx_async(pacer: tidegate.Pacer, url: str, count: int) -> list[int]:
    async def main() -> list[int]:
        sender = httpx.AsyncHTTPTransport(verify=False)
        transport = tidegate.httpx.PacedTransport(pacer, sender)
        async with httpx.AsyncClient(transport=transport) as client:
            all_of_them = (client.get(f"{url}/item") for _ in range(count))
            return [response.status_code for response in await asyncio.gather(*all_of_them)]

    return asyncio.run(main())


def with_requests(pacer: tidegate.Pacer, url: str, count: int) -> list[int]:
    with requests.Session() as session:
        session.mount("http://", tidegate.requests.PacedAdapter(pacer))
        fetch = tidegate.Pacer(concurrency=4).map(lambda i: session.get(f"{url}/item"), range(count))
        return [response.status_code for response in fetch]


def with_aiohttp(pacer: tidegate.Pacer, url: str, count: int) -> list[int]:
    async def main() -> list[int]:
        paced = tidegate.aiohttp.PacedMiddleware(pacer)
        async with aiohttp.ClientSession(middlewares=[paced]) as session:

            async def fetch() -> int:
                async with session.get(f"{url}/item") as response:
                    await response.read()
                    return response.status

            return await asyncio.gather(*(fetch() for _ in range(count)))

    return asyncio.run(main())


def with_urllib(pacer: tidegate.Pacer, url: str, count: int) -> list[int]:
    """No adapter: `HTTPError` is understood as it is."""

    def fetch(item: int) -> int:
        with urllib.request.urlopen(f"{url}/item") as response:
            return response.status

    return list(pacer.map(fetch, range(count)))


CLIENTS = [with_httpx, with_httpx_async, with_requests, with_aiohttp, with_urllib]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_all_get_through_whatever_the_server_says(server, client, dialect):
    server.reset(dialect)
    options = {"concurrency": 4, "base": 0.2, "max_retries": 30, "max_failures": 0}
    pacer = tidegate.Pacer(clock=server.clock, **options)
    count = 3 * QUOTA
    statuses = pass_time(server.clock, pacer, lambda: client(pacer, server.url, count), step=0.1)
    assert statuses == [200] * count
    stats = pacer.stats()
    assert (stats.calls, stats.in_flight, stats.waiting) == (count, 0, 0)
    assert stats.limited == stats.retries == server.refused
    assert server.refused > 0 or dialect in ("legacy", "draft")


@pytest.mark.parametrize("client", CLIENTS)
def test_none_is_refused_where_the_limit_is_known(server, client):
    pacer = tidegate.Pacer(f"{QUOTA}/second", clock=server.clock, concurrency=4, headroom=0)
    statuses = pass_time(server.clock, pacer, lambda: client(pacer, server.url, 20), step=0.1)
    assert statuses == [200] * 20 and server.refused == 0
    assert pacer.stats().waits[f"{QUOTA}/second"] > QUOTA


def test_a_transport_makes_one_sender(server, monkeypatch):
    made = []

    class Sender(httpx.BaseTransport):
        def __init__(self) -> None:
            threading.Event().wait(0.001)  # so that others come meanwhile
            made.append(self)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200)

    monkeypatch.setattr(httpx, "HTTPTransport", Sender)
    pacer = tidegate.Pacer(concurrency=8)
    with httpx.Client(transport=tidegate.httpx.PacedTransport(pacer)) as client:
        list(tidegate.Pacer(concurrency=8).map(lambda i: client.get(server.url), range(16)))
    assert len(made) == 1


def exhausted(server: Server, send: Callable[[tidegate.Pacer, str], Any]) -> Any:
    """What a request to a server without room ends in."""
    while server.limiter.try_acquire("client"):
        pass
    pacer = tidegate.Pacer(clock=server.clock, base=0, max_retries=2, max_failures=0)
    with pytest.raises(tidegate.RetriesExhausted) as caught:
        send(pacer, f"{server.url}/item?secret=1")
    assert caught.value.label == f"GET {server.url}/item"
    assert (caught.value.attempts, caught.value.status) == (3, 429)
    return caught.value.response


def test_given_up_requests_tell_their_label_and_the_last_answer(server):
    def by_httpx(pacer: tidegate.Pacer, url: str) -> None:
        with paced(pacer) as client:
            client.get(url)

    def by_requests(pacer: tidegate.Pacer, url: str) -> None:
        with requests.Session() as session:
            session.mount("http://", tidegate.requests.PacedAdapter(pacer))
            session.get(url)

    def by_aiohttp(pacer: tidegate.Pacer, url: str) -> None:
        async def main() -> None:
            paced = tidegate.aiohttp.PacedMiddleware(pacer)
            async with aiohttp.ClientSession(middlewares=[paced]) as session:
                await session.get(url)

        asyncio.run(main())

    assert exhausted(server, by_httpx).json() == {"path": "/item?secret=1"}
    assert exhausted(server, by_requests).json() == {"path": "/item?secret=1"}
    assert exhausted(server, by_aiohttp).status == 429
    # Small refusals are read, so that their connections serve again.
    assert server.connections == 3


def test_httpx_options_of_a_request(server):
    while server.limiter.try_acquire("client"):
        pass
    told: list[tidegate.PacerEvent] = []
    pacer = tidegate.Pacer(clock=server.clock, base=0, on_event=told.append)
    with paced(pacer) as client:
        with pytest.raises(tidegate.RetriesExhausted, match="mine: "):
            options = {"label": "mine", "max_retries": 0}
            client.get(f"{server.url}/item", extensions={"tidegate": options})
        with pytest.raises(TypeError, match="lable"):
            client.get(f"{server.url}/item", extensions={"tidegate": {"lable": "mine"}})
    assert pacer.stats().attempts == 1


def redirected(server: Server, client: Callable[..., Any]) -> int:
    pacer = tidegate.Pacer(clock=server.clock)
    client(pacer)
    return pacer.stats().attempts


def test_redirects_pay_as_well(server):
    def by_httpx(pacer: tidegate.Pacer) -> None:
        transport = tidegate.httpx.PacedTransport(pacer)
        with httpx.Client(transport=transport, follow_redirects=True) as client:
            assert client.get(f"{server.url}/moved").json() == {"path": "/item"}

    def by_requests(pacer: tidegate.Pacer) -> None:
        with requests.Session() as session:
            session.mount("http://", tidegate.requests.PacedAdapter(pacer))
            assert session.get(f"{server.url}/moved").json() == {"path": "/item"}

    assert redirected(server, by_httpx) == redirected(server, by_requests) == 2


def refused_once(server: Server) -> tidegate.Pacer:
    """The server has no room, and time passes by the retry."""
    while server.limiter.try_acquire("client"):
        pass
    told = lambda event: server.clock.advance(1.0)  # noqa: E731
    return tidegate.Pacer(clock=server.clock, base=0, max_failures=0, on_event=told)


def once() -> Iterator[bytes]:
    yield b"body"


async def once_async() -> Any:
    yield b"body"


class Pipe(io.BytesIO):
    """A file that cannot be rewound."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError("no position")

    def seek(self, *args: Any) -> int:
        raise OSError("no position")


def test_bodies_are_sent_again_and_those_that_cannot_be_are_not_retried(server):
    url = f"{server.url}/item"

    def by_httpx(pacer: tidegate.Pacer, **body: Any) -> Any:
        with paced(pacer) as client:
            client.post(url, **body)

    def by_requests(pacer: tidegate.Pacer, **body: Any) -> Any:
        with requests.Session() as session:
            session.mount("http://", tidegate.requests.PacedAdapter(pacer))
            session.post(url, **body)

    def by_aiohttp(pacer: tidegate.Pacer, **body: Any) -> Any:
        async def main() -> None:
            paced = tidegate.aiohttp.PacedMiddleware(pacer)
            async with aiohttp.ClientSession(middlewares=[paced]) as session:
                async with session.post(url, **body):
                    pass

        asyncio.run(main())

    def form() -> Any:
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(b"body"))
        return form

    again = [
        (by_httpx, {"content": b"body"}),
        (by_httpx, {"files": {"file": io.BytesIO(b"body")}}),
        (by_requests, {"data": b"body"}),
        (by_requests, {"data": io.BytesIO(b"body")}),
        (by_requests, {"files": {"file": io.BytesIO(b"body")}}),
        (by_aiohttp, {"data": b"body"}),
        (by_aiohttp, {"data": io.BytesIO(b"body")}),
        (by_aiohttp, {"data": form()}),
    ]
    for send, body in again:
        pacer = refused_once(server)
        server.bodies.clear()
        send(pacer, **body)
        assert pacer.stats().retries > 0
        assert len(server.bodies) == 1 and b"body" in server.bodies[0], (send, body)
    not_again = [
        (by_httpx, {"content": once()}),
        (by_httpx, {"content": io.BytesIO(b"body")}),
        (by_requests, {"data": once()}),
        (by_requests, {"data": Pipe(b"body")}),
        (by_aiohttp, {"data": once_async()}),
    ]
    for send, body in not_again:
        pacer = refused_once(server)
        server.bodies.clear()
        with pytest.raises(tidegate.RetriesExhausted):
            send(pacer, **body)
        assert server.bodies == [] and pacer.stats().attempts == 1, (send, body)


def test_r4_a_refused_credential_stops_all(server):
    pacer = tidegate.Pacer(clock=server.clock)
    with paced(pacer) as client:
        assert client.get(f"{server.url}/status/401").status_code == 401
        with pytest.raises(tidegate.BreakerOpen):
            client.get(f"{server.url}/item")
    assert server.bodies == []


def test_exceptions_of_the_libraries_are_understood(server):
    pacer = refused_once(server)

    def by_requests() -> int:
        response = requests.get(f"{server.url}/item")
        response.raise_for_status()
        return response.status_code

    def by_httpx() -> int:
        return httpx.get(f"{server.url}/item").raise_for_status().status_code

    async def by_aiohttp() -> int:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            async with session.get(f"{server.url}/item") as response:
                return response.status

    assert pacer.call(by_requests) == 200 and pacer.stats().limited > 0
    pacer = refused_once(server)
    assert pacer.call(by_httpx) == 200 and pacer.stats().limited > 0
    pacer = refused_once(server)
    assert asyncio.run(pacer.call_async(by_aiohttp)) == 200 and pacer.stats().limited > 0


def test_clients_that_retry_themselves_are_told_of(server):
    pacer = tidegate.Pacer()
    with pytest.warns(tidegate.RetryWarning, match="max_retries=3"):
        tidegate.requests.PacedAdapter(pacer, max_retries=3)
    with pytest.warns(tidegate.RetryWarning, match="HTTPTransport has retries=2"):
        tidegate.httpx.PacedTransport(pacer, httpx.HTTPTransport(retries=2))
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=1))
    with pytest.warns(tidegate.RetryWarning, match="HTTPAdapter"):
        pacer.wrap(session.get)
    client = httpx.Client(transport=httpx.HTTPTransport(retries=1))
    with pytest.warns(tidegate.RetryWarning, match="HTTPTransport"):
        pacer.wrap(client.get)
    # Those that do not are not told of.
    pacer.wrap(requests.Session().get)
    pacer.wrap(httpx.Client().get)
    tidegate.httpx.PacedTransport(pacer, httpx.HTTPTransport())


def test_tenacity_is_told_of():
    tenacity = pytest.importorskip("tenacity")

    @tenacity.retry
    def fetch() -> None: ...

    with pytest.warns(tidegate.RetryWarning, match="fetch is wrapped by tenacity"):
        tidegate.Pacer().wrap(fetch)


def test_adapters_want_a_pacer():
    for adapter in [
        tidegate.requests.PacedAdapter,
        tidegate.httpx.PacedTransport,
        tidegate.aiohttp.PacedMiddleware,
    ]:
        with pytest.raises(TypeError, match=r"pacer: expected a tidegate\.Pacer"):
            adapter("100/minute")


def test_a_transport_closes_what_it_sends_with():
    closed = []

    class Sync(httpx.BaseTransport):
        def close(self) -> None:
            closed.append("sync")

    class Async(httpx.AsyncBaseTransport):
        async def aclose(self) -> None:
            closed.append("async")

    pacer = tidegate.Pacer()
    with httpx.Client(transport=tidegate.httpx.PacedTransport(pacer, Sync())):
        pass

    async def main() -> None:
        async with httpx.AsyncClient(transport=tidegate.httpx.PacedTransport(pacer, Async())):
            pass

    asyncio.run(main())
    assert closed == ["sync", "async"]
