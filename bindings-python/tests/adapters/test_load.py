"""Real servers and real clients: what is admitted, what responses say, what is charged, what stays taken."""

import asyncio
import functools
import socket

import aiohttp
import pytest
import served
from load import Server, ask, check_all, check_counted, report, report_at_end, settled

CLIENTS, REQUESTS, GONE = 50, 2000, 500
ASGI = ("asgi", "fastapi", "decorated", "litestar", "quart", "django")
WSGI = ("wsgi", "flask", "decorated", "django")
EVERY = [*(("uvicorn", name) for name in ASGI), *(("gunicorn", name) for name in WSGI)]
# By the `limits` package: requests alone, no time, no permits. With what their denials say.
PLUGGED = {
    ("uvicorn", "slowapi"): b'{"error":"Rate limit exceeded: 300 per 1 day"}',
    ("gunicorn", "flask-limiter"): b"<p>300 per 1 day</p>",
}


UVICORN = ("uvicorn", "--fd", "{fd}", "--log-level", "error", "--no-access-log", "served_asgi:app")
GUNICORN = (
    "gunicorn", "--bind", "fd://{fd}", "--worker-class", "gthread", "--threads", "64",
    "--no-control-socket", "--log-level", "error", "served_wsgi:app",
)  # fmt: skip


@pytest.fixture(scope="module")
def servers():
    started = {"uvicorn": Server(UVICORN), "gunicorn": Server(GUNICORN)}
    yield started
    for server in started.values():
        server.stop()


async def hammer(server, name):
    """2,000 requests by 50 clients, each on a connection that it keeps."""
    left = iter(range(REQUESTS))
    url = server.url(f"{name}/work/0.02")
    answers = []

    async def client(session):
        for _ in left:
            answers.append(await ask(session, url, "hammer"))

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
        return answers, await report_at_end(session, server, name, "hammer")


@pytest.mark.parametrize(("server", "name"), EVERY)
def test_fifty_clients_are_admitted_to_the_last_unit(servers, server, name):
    answers, said = asyncio.run(hammer(servers[server], name))
    check_all(answers, said, REQUESTS)
    assert said["used"].get("concurrency", 0) == 0


@pytest.mark.parametrize(("server", "name"), PLUGGED)
def test_as_a_storage_it_admits_to_the_last_unit(servers, server, name):
    answers, said = asyncio.run(hammer(servers[server], name))
    check_counted(answers, said, REQUESTS, PLUGGED[server, name])


EACH = CLIENTS // len(EVERY)


async def measure(servers, those, seconds):
    """Long requests, `EACH` of them at each: what clients measured in all, and what was charged."""
    user = f"long{seconds}"
    async with aiohttp.ClientSession() as session:

        async def client(one, late):
            await asyncio.sleep(late)
            url = servers[one[0]].url(f"{one[1]}/work/{seconds}")
            return (await ask(session, url, user))[0]

        asked = [client(one, 0.01 * number) for number, one in enumerate(those * EACH)]
        seen = await asyncio.gather(*asked)

        def all_is_charged(said):
            return said["used"]["latency"] / 1e9 >= EACH * seconds * 0.999 and not said["used"].get("concurrency")

        reports = []
        for server, name in those:
            look = functools.partial(report, session, servers[server], name, user)
            reports.append(await settled(look, all_is_charged))
    return {
        one: (sum(seen[number :: len(those)]), said["used"]["latency"] / 1e9)
        for number, (one, said) in enumerate(zip(those, reports))
    }


def test_what_is_charged_is_what_clients_measure(servers):
    """To a fiftieth. The way to the server and back is the rest; on a busy machine it is long, but it does not grow
    with the request, so where it is more than that, the requests are made longer."""
    those = EVERY
    for seconds in (1.0, 2.0, 4.0, 8.0):
        found = asyncio.run(measure(servers, those, seconds))
        for seen, charged in found.values():
            assert charged <= seen * 1.001
        those = [one for one, (seen, charged) in found.items() if charged < 0.98 * seen]
        if not those:
            break
    assert not those, found


def test_websockets(servers):
    server = servers["uvicorn"]

    async def main():
        async with aiohttp.ClientSession(headers={"X-User": "sockets"}) as session:
            for number in range(3):
                async with session.ws_connect(server.url("asgi/socket")) as connection:
                    for text in ("these", "are", "free"):
                        await connection.send_str(text)
                        assert await connection.receive_str() == text
                    used = (await report(session, server, "asgi", "sockets"))["used"]
                    assert used["count"] == number + 1 and used["concurrency"] >= 1
            while (said := await report(session, server, "asgi", "sockets"))["used"]["concurrency"]:
                await asyncio.sleep(0.01)  # until the server has seen the last one close
            assert said["used"] == {"count": 3, "latency": 0, "concurrency": 0}
            # Requests of the same user, until there is none left.
            url = server.url("asgi/idle")
            asked = await asyncio.gather(*(ask(session, url, "sockets") for _ in range(served.QUOTA - 2)))
            assert sorted(answer[1] for answer in asked) == [200] * (served.QUOTA - 3) + [429]
            with pytest.raises(aiohttp.WSServerHandshakeError) as denied:
                await session.ws_connect(server.url("asgi/socket"))
            assert denied.value.status == 429 and int(denied.value.headers["Retry-After"]) > 0

    asyncio.run(main())


def leave(server, name, count, user):
    """Clients that ask and go away: some at once, some while the answer comes."""
    for number in range(count):
        kind = "stream" if number % 2 else "work"
        connection = socket.create_connection(("127.0.0.1", server.port))
        text = f"GET /{name}/{kind}/0.02 HTTP/1.1\r\nHost: x\r\nX-User: {user}{number % 2}\r\n\r\n"
        connection.sendall(text.encode())
        if number % 4 == 1:
            connection.recv(1)
        connection.close()


@pytest.mark.parametrize(("server", "name"), EVERY)
def test_who_goes_away_leaves_nothing_taken(servers, server, name):
    async def main():
        async with aiohttp.ClientSession() as session:

            async def both():
                return [await report(session, servers[server], name, f"gone{n}") for n in (0, 1)]

            def all_has_ended(said):
                first, second = said
                held = [one["used"].get("concurrency", 0) for one in said]
                charged = sum(one["used"].get("latency", 0) for one in said) / 1e9
                worked = first["seconds"] - before[0]["seconds"]
                ended = first["ended"] - before[0]["ended"]
                return ended == GONE and held == [0, 0] and charged >= worked * 0.999

            before = await both()
            leave(servers[server], name, GONE, "gone")
            return before[0], *await settled(both, all_has_ended)

    before, first, second = asyncio.run(main())
    assert first["begun"] - before["begun"] == first["allowed"] - before["allowed"] == GONE
    assert first["used"]["count"] + second["used"]["count"] == GONE
