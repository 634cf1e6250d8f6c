"""The data API of a low-code platform: each application, and each sandbox of it, has its own limits.

    make example-data-api    # http://127.0.0.1:8000, stop it with Ctrl-C
    curl -H 'X-Application: shop' http://127.0.0.1:8000/records/orders
    curl -H 'X-Application: shop' http://127.0.0.1:8000/limits

Requests and their time are limited together (../policies/data-api.toml): when the minute is spent the hour pays, then
the day. Sandboxes have half (../policies/data-api-sandbox.toml). Both files are followed while the service runs: what
is changed in them holds within a second, and nobody's use is forgotten. Actions are another kind of traffic, with a
limiter of their own. Each line of the log says what the application has left.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import tidegate
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from tidegate.fastapi import RateLimit, RateLimitMiddleware, install

POLICIES = Path(os.environ.get("POLICIES", Path(__file__).parent.parent / "policies"))
ACTIONS = "60/minute burst 10"

log = logging.getLogger("data-api")
records: dict[str, list[dict[str, Any]]] = {}


def application(request: Any) -> str:
    """The key: an application, or one of its sandboxes."""
    name = request.header("X-Application") or "anonymous"
    return f"{name}/sandbox" if is_sandbox(request) else name


def is_sandbox(request: Any) -> bool:
    return bool(request.header("X-Sandbox") == "true")


def is_free(request: Any) -> bool:
    """Not a call of the data API."""
    return not str(request.path).startswith("/records")


class Limits:
    """The limiters of the service."""

    def __init__(self, clock: tidegate.ManualClock | None = None) -> None:
        self.production = tidegate.Limiter.from_file(POLICIES / "data-api.toml", clock=clock)
        self.sandboxes = tidegate.Limiter.from_file(POLICIES / "data-api-sandbox.toml", clock=clock)
        self.actions = tidegate.Limiter(ACTIONS, clock=clock)

    def follow(self) -> list[tidegate.Watch]:
        """Change limits while running: no restart, nothing forgotten."""
        return [
            self.production.watch(POLICIES / "data-api.toml", tell),
            self.sandboxes.watch(POLICIES / "data-api-sandbox.toml", tell),
        ]

    def of(self, key: str) -> tidegate.Limiter:
        return self.sandboxes if key.endswith("/sandbox") else self.production

    def left(self, key: str) -> dict[str, dict[str, int]]:
        """What is left in each bucket, by limit and bucket; milliseconds of time."""
        left: dict[str, dict[str, int]] = {}
        for bucket in self.of(key).snapshot(key).buckets:
            unit = 1_000_000 if bucket.method == "latency" else 1
            left.setdefault(bucket.limit, {})[bucket.name] = bucket.remaining // unit
        return left


def tell(event: tidegate.WatchEvent) -> None:
    if event.updated:
        log.info("new limits are in force")
    else:
        log.error("the limits stay as they were: %s", event.error)


def create(clock: tidegate.ManualClock | None = None) -> FastAPI:
    limits = Limits(clock)

    @asynccontextmanager
    async def following(app: FastAPI) -> AsyncIterator[None]:
        watches = limits.follow()
        yield
        for watch in watches:
            watch.close()

    app = FastAPI(title="Data API", lifespan=following)
    app.state.limits = limits
    app.middleware("http")(logged(limits))
    # The last one added is the first to see a request.
    options: dict[str, Any] = {"identify": application, "headers": "both"}
    app.add_middleware(
        RateLimitMiddleware,
        limiter=limits.production,
        skip=lambda request: is_free(request) or is_sandbox(request),
        **options,
    )
    app.add_middleware(
        RateLimitMiddleware,
        limiter=limits.sandboxes,
        skip=lambda request: is_free(request) or not is_sandbox(request),
        **options,
    )
    install(app)
    routes(app, limits)
    return app


def logged(limits: Limits) -> Any:
    """One line for each request, with what is left: whoever builds the application sees a limit coming."""

    async def logs(request: Request, call_next: Any) -> Any:
        start = time.perf_counter()
        response = await call_next(request)
        spent = (time.perf_counter() - start) * 1000
        seen = request.scope.get("tidegate")
        left = limits.left(application(seen)) if seen else {}
        line = "%s %s %d %.1f ms, left: %s"
        log.info(line, request.method, request.url.path, response.status_code, spent, left)
        return response

    return logs


def routes(app: FastAPI, limits: Limits) -> None:
    actions = Depends(RateLimit(limits.actions, identify=application, headers="both"))

    @app.get("/records/{table}")
    async def read(table: str) -> list[dict[str, Any]]:
        return records.get(table, [])

    @app.post("/records/{table}", status_code=201)
    async def write(table: str, record: dict[str, Any]) -> dict[str, Any]:
        kept = {**record, "id": len(records.setdefault(table, [])) + 1}
        records[table].append(kept)
        return kept

    @app.get("/records/{table}/{number}")
    async def one(table: str, number: int) -> dict[str, Any]:
        rows = records.get(table, [])
        if not 0 < number <= len(rows):
            raise HTTPException(404, f"{table} has no record {number}")
        return rows[number - 1]

    @app.post("/actions/{name}", dependencies=[actions])
    async def act(name: str) -> dict[str, str]:
        return {"started": name}

    @app.get("/limits")
    async def left(
        response: Response,
        x_application: Annotated[str, Header()] = "anonymous",
        x_sandbox: Annotated[str, Header()] = "",
    ) -> dict[str, dict[str, int]]:
        key = x_application + ("/sandbox" if x_sandbox == "true" else "")
        told = limits.of(key).peek(key, 0).headers("both")
        told.pop("Retry-After", None)  # for denials alone, and this is none
        response.headers.update(told)
        return limits.left(key)


logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
log.setLevel(logging.INFO)
app = create()
