"""Quart and Litestar behind each ASGI server: what is admitted, what responses say, what stays taken."""

import asyncio
import socket

import aiohttp
import pytest
import served
from load import Server, ask, check_all, report, report_at_end, settled

CLIENTS, REQUESTS, GONE = 50, 400, 20
# (Behind uvicorn there are more in test_load.py, and Litestar there alone.)
EVERY = [
    ("uvicorn", "quart"),
    *((server, name) for server in ("hypercorn", "daphne") for name in ("quart", "litestar")),
]
COMMANDS = {
    "uvicorn": ("uvicorn", "--fd", "{fd}", "--log-level", "error", "--no-access-log", "served_servers:app"),
    "hypercorn": (
        "hypercorn", "--bind", "fd://{fd}", "--workers", "0", "--graceful-timeout", "0", "--log-level", "error",
        "served_servers:app",
    ),
    "daphne": ("daphne", "--fd", "{fd}", "--verbosity", "0", "served_servers:app"),
}  # fmt: skip


@pytest.fixture(scope="module")
def servers():
    started = {name: Server(command) for name, command in COMMANDS.items()}
    yield started
    for server in started.values():
        server.stop()


async def hammer(server, name):
    left = iter(range(REQUESTS))
    url = server.url(f"{name}/work/0.01")

    async def client(session):
        return [await ask(session, url, "hammer") for _ in left]

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:
        answers = await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
        await denied_websocket(session, server, name, "hammer")
        return sum(answers, []), await report_at_end(session, server, name, "hammer")


async def reported(session, server, name, user, as_hoped):
    """What is reported once it is as hoped."""
    return await settled(lambda: report(session, server, name, user), as_hoped)


async def denied_websocket(session, server, name, user):
    """Where the server can, it answers as to any request; else it refuses to open."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as denied:
        await session.ws_connect(server.url(f"{name}/socket"), headers={"X-User": user})
    error = denied.value
    assert (error.status, "Retry-After" in error.headers) in ((429, True), (403, False))


@pytest.mark.parametrize(("server", "name"), EVERY)
def test_fifty_clients_are_admitted_to_the_last_unit(servers, server, name):
    answers, said = asyncio.run(hammer(servers[server], name))
    check_all(answers, said, REQUESTS)
    assert said["used"]["concurrency"] == 0


@pytest.mark.parametrize(("server", "name"), EVERY)
def test_websockets(servers, server, name):
    server = servers[server]

    async def main():
        async with aiohttp.ClientSession(headers={"X-User": "sockets"}) as session:
            for number in range(2):
                async with session.ws_connect(server.url(f"{name}/socket")) as connection:
                    await connection.send_str("these are free")
                    assert await connection.receive_str() == "these are free"
                    used = (await report(session, server, name, "sockets"))["used"]
                    assert used["count"] == number + 1 and used["concurrency"] >= 1
            # The server may not have seen the last one close.
            said = await reported(session, server, name, "sockets", lambda said: not said["used"]["concurrency"])
            assert said["used"] == {"count": 2, "latency": 0, "concurrency": 0}

    asyncio.run(main())


@pytest.mark.parametrize(("server", "name"), EVERY)
def test_who_goes_away_leaves_nothing_taken(servers, server, name):
    server = servers[server]

    def request(kind):
        connection = socket.create_connection(("127.0.0.1", server.port))
        text = f"GET /{name}/{kind}/0.4 HTTP/1.1\r\nHost: x\r\nX-User: gone\r\n\r\n"
        connection.sendall(text.encode())
        return connection

    async def main():
        async with aiohttp.ClientSession() as session:
            before = await report(session, server, name, "gone")
            gone = [request("stream" if number % 2 else "work") for number in range(GONE)]
            asked = (session, server, name, "gone")
            # They go when all are being served.
            said = await reported(*asked, lambda said: said["begun"] - before["begun"] == GONE)
            assert said["used"]["concurrency"] > 0
            for connection in gone:
                connection.close()
            ended = before["ended"] + GONE
            said = await reported(
                *asked, lambda said: said["ended"] == ended and not said["used"]["concurrency"]
            )
        assert said["used"]["count"] == said["allowed"] - before["allowed"] == GONE
        assert said["used"]["latency"] / 1e9 >= (said["seconds"] - before["seconds"]) * 0.999

    asyncio.run(main())
