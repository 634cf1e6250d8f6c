"""The ASGI applications of test_servers.py (and of test_load.py), behind one server: each under its name, `/NAME/...`,
and `/NAME/report`.
"""

import json

import served
import tidegate
from litestar import Litestar, get, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.response import Stream
from quart import Quart
from quart import websocket as quart_websocket
from tidegate.asgi import RateLimitMiddleware

work = served.AsyncWork()
slow, chunks, by_user = work.slow, work.chunks, served.by_user


def litestar_app():
    @get("/work/{seconds:float}")
    async def handler(seconds: float) -> dict[str, str]:
        await slow(seconds, "litestar")
        return {}

    @get("/stream/{seconds:float}")
    async def stream(seconds: float) -> Stream:
        return Stream(chunks(seconds, "litestar"))

    @websocket("/socket")
    async def echo(socket: object) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return

    return Litestar([handler, stream, echo])


def quart_app():
    app = Quart("served")

    @app.get("/work/<float:seconds>")
    async def handler(seconds):
        await slow(seconds, "quart")
        return {}

    @app.get("/stream/<float:seconds>")
    async def stream(seconds):
        return chunks(seconds, "quart")

    @app.websocket("/socket")
    async def echo():
        while True:
            await quart_websocket.send(await quart_websocket.receive())

    return app


limiters = {name: tidegate.Limiter(served.POLICY) for name in ("litestar", "quart")}
# As docs/python.md says.
within = quart_app()
within.asgi_app = RateLimitMiddleware(within.asgi_app, limiters["quart"], identify=by_user)
handled = litestar_app()
handled.asgi_handler = RateLimitMiddleware(handled.asgi_handler, limiters["litestar"], identify=by_user)
apps = {"litestar": handled, "quart": within}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    name, _, rest = scope["path"].lstrip("/").partition("/")
    if rest.startswith("report/"):
        body = json.dumps(served.report(limiters[name], work, name, rest.partition("/")[2])).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    path = f"/{rest}"
    # Quart needs a scheme, which Daphne leaves out of WebSockets.
    default = {"scheme": "ws"} if scope["type"] == "websocket" else {}
    await apps[name]({**default, **scope, "path": path, "raw_path": path.encode()}, receive, send)
