"""A backend platform: endpoints with limits of their own, by address or by user (../policies/platform.toml).

    make example-platform    # http://127.0.0.1:8000, stop it with Ctrl-C
    curl -i -X POST http://127.0.0.1:8000/v1/account

Servers with a valid API key are not limited. A developer's key lets development traffic pass; the policy has its hash,
and PRODUCTION=1 switches such keys off. High concurrency and expensive requests are limited on top: those denials have
messages of their own, and close the connection.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import flask
import tidegate
from tidegate.flask import RateLimit, current

POLICY = Path(__file__).parent.parent / "policies" / "platform.toml"
# Who is signed in, by the token of the session. (A real service asks its database.)
SESSIONS = {"token-of-ann": "ann", "token-of-bob": "bob"}


def identify(production: bool) -> Any:
    def attributes(request: Any) -> dict[str, str | None]:
        """What limits go by, besides `ip` and `route`: one that is None is left out."""
        token = (request.header("Authorization") or "").removeprefix("Bearer ")
        return {
            "user": SESSIONS.get(token),
            "api_key": request.header("X-Api-Key"),
            "dev_key": None if production else request.header("X-Dev-Key"),
        }

    return attributes


def create(
    policy: str | dict[str, Any] | None = None,
    *,
    production: bool = False,
    trusted_proxies: int = 0,
    clock: tidegate.ManualClock | None = None,
) -> flask.Flask:
    app = flask.Flask("platform")
    if policy is None:
        limiter = tidegate.Limiter.from_file(POLICY, clock=clock)
    else:
        limiter = tidegate.Limiter(policy, clock=clock)
    RateLimit(
        app,
        limiter,
        identify=identify(production),
        body="message",
        trusted_proxies=trusted_proxies,
    )
    routes(app)
    return app


def routes(app: flask.Flask) -> None:
    documents: dict[str, dict[str, Any]] = {}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/account")
    def sign_up() -> tuple[dict[str, str], int]:
        return {"account": "made"}, 201

    @app.post("/v1/account/sessions/<kind>")
    def sign_in(kind: str) -> tuple[dict[str, str], int]:
        return {"session": kind}, 201

    @app.get("/v1/documents")
    def listed() -> dict[str, Any]:
        return {"documents": list(documents)}

    @app.get("/v1/documents/<name>")
    def read(name: str) -> Any:
        return documents.get(name) or flask.abort(404)

    @app.put("/v1/documents/<name>")
    def write(name: str) -> dict[str, Any]:
        documents[name] = flask.request.get_json(silent=True) or {}
        return documents[name]

    @app.get("/v1/jobs/<name>")
    def job(name: str) -> dict[str, str]:
        return {"job": name, "state": "running"}

    @app.get("/whoami")
    def whoami() -> dict[str, Any]:
        seen = current(flask.request.environ)
        assert seen is not None and seen.decision is not None
        return {"address": seen.client, "route": seen.route, "reason": seen.decision.reason}


app = create(
    production=os.environ.get("PRODUCTION") == "1",
    trusted_proxies=int(os.environ.get("PROXIES", "0")),
)
