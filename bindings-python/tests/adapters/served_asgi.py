"""The ASGI applications of test_load.py, behind one server: each under its name, `/NAME/...`, and `/NAME/report`."""

import json

import served
import served_servers
import slowapi
import tidegate
from django.core.asgi import get_asgi_application
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from tidegate.asgi import RateLimitMiddleware
from tidegate.fastapi import Limiter as FastAPILimiter
from tidegate.fastapi import RateLimit, install
from tidegate.limits import URI

work = served.AsyncWork()
slow, chunks, by_user = work.slow, work.chunks, served.by_user


def starlette_app():
    async def idle(request):
        return JSONResponse({})

    async def handler(request):
        await slow(float(request.path_params["seconds"]), "asgi")
        return JSONResponse({})

    async def stream(request):
        return StreamingResponse(chunks(float(request.path_params["seconds"]), "asgi"))

    async def socket(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    app = Starlette(
        routes=[
            Route("/work/{seconds}", handler),
            Route("/stream/{seconds}", stream),
            Route("/idle", idle),
            WebSocketRoute("/socket", socket),
        ]
    )
    return app


def fastapi_app(limiter):
    app = FastAPI()
    install(app)
    limited = Depends(RateLimit(limiter, identify=by_user))

    @app.get("/work/{seconds}", dependencies=[limited])
    async def handler(seconds: float):
        await slow(seconds, "fastapi")
        return {}

    @app.get("/stream/{seconds}", dependencies=[limited])
    async def stream(seconds: float):
        return StreamingResponse(chunks(seconds, "fastapi"))

    return app


def decorated_app(limiter):
    app = FastAPI()
    limiter.init_app(app)
    shared = limiter.shared_limit(served.RATES, scope="all")

    @app.get("/work/{seconds}")
    @shared
    async def handler(seconds: float):
        await slow(seconds, "decorated")
        return {}

    @app.get("/stream/{seconds}")
    @shared
    async def stream(seconds: float):
        return StreamingResponse(chunks(seconds, "decorated"))

    return app


def slowapi_app(limiter):
    """slowapi, with Tidegate as its storage."""
    app = FastAPI()
    app.state.limiter = limiter
    app.add_exception_handler(slowapi.errors.RateLimitExceeded, slowapi._rate_limit_exceeded_handler)

    @app.get("/work/{seconds}")
    @limiter.shared_limit(served.COUNT, scope="all")
    async def handler(request: Request, response: Response, seconds: float):
        await slow(seconds, "slowapi")
        return {}

    return app


async def django_work(request, seconds):
    await slow(float(seconds), "django")
    return served.django_json()


async def django_stream(request, seconds):
    return served.django_streaming(chunks(float(seconds), "django"))


def user_of(request: Request):
    return request.headers["x-user"]


limiters = {
    name: tidegate.Limiter(served.POLICY) for name in ("asgi", "fastapi", "django")
}
decorated = FastAPILimiter(key_func=user_of)
plugged = slowapi.Limiter(key_func=user_of, storage_uri=URI, headers_enabled=True)
served.django_set_up(limiters["django"], django_work, django_stream)
apps = {
    "asgi": RateLimitMiddleware(starlette_app(), limiters["asgi"], identify=by_user),
    "fastapi": fastapi_app(limiters["fastapi"]),
    "decorated": decorated_app(decorated),
    "django": get_asgi_application(),
    "slowapi": slowapi_app(plugged),
}


def said(name, user):
    if name == "slowapi":
        return served.counted(plugged, work, name, user)
    limiter = decorated._rates.limiter if name == "decorated" else limiters[name]
    return served.report(limiter, work, name, user)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    name, _, rest = scope["path"].lstrip("/").partition("/")
    if name in served_servers.apps:
        return await served_servers.app(scope, receive, send)
    if rest.startswith("report/"):
        body = json.dumps(said(name, rest.partition("/")[2])).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    path = f"/{rest}"
    await apps[name]({**scope, "path": path, "raw_path": path.encode()}, receive, send)
