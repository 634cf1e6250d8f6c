"""The WSGI applications of test_load.py, behind one server: each under its name, `/NAME/...`, and `/NAME/report`."""

import json
import time

import flask
import flask_limiter
import served
import tidegate
from django.core.wsgi import get_wsgi_application
from tidegate.flask import Limiter as FlaskLimiter
from tidegate.flask import RateLimit
from tidegate.limits import URI
from tidegate.wsgi import RateLimitMiddleware

work = served.Work()
by_user = served.by_user


def slow(seconds, name):
    with work.running(name):
        time.sleep(seconds)


def chunks(seconds, name):
    with work.running(name):
        for _ in range(4):
            time.sleep(seconds / 4)
            yield b"chunk"


def plain_app(environ, start_response):
    kind, seconds = environ["PATH_INFO"].strip("/").split("/")
    start_response("200 OK", [("Content-Type", "application/json")])
    if kind == "stream":
        return chunks(float(seconds), "wsgi")
    slow(float(seconds), "wsgi")
    return [b"{}"]


def flask_app(name, mark):
    app = flask.Flask(name)

    @app.get("/work/<float:seconds>")
    @mark
    def handler(seconds):
        slow(seconds, name)
        return {}

    @app.get("/stream/<float:seconds>")
    @mark
    def stream(seconds):
        return flask.Response(chunks(seconds, name))

    return app


def django_work(request, seconds):
    slow(float(seconds), "django")
    return served.django_json()


def django_stream(request, seconds):
    return served.django_streaming(chunks(float(seconds), "django"))


limiters = {name: tidegate.Limiter(served.POLICY) for name in ("wsgi", "flask", "django")}
decorated = FlaskLimiter(lambda: flask.request.headers["X-User"])
served.django_set_up(limiters["django"], django_work, django_stream)
extended = flask_app("flask", lambda view: view)
RateLimit(extended, limiters["flask"], identify=by_user)
marked = flask_app("decorated", decorated.shared_limit(served.RATES, scope="all"))
decorated.init_app(marked)
plugged = flask_limiter.Limiter(
    lambda: flask.request.headers["X-User"], storage_uri=URI, headers_enabled=True
)
counting = flask_app("flask-limiter", plugged.shared_limit(served.COUNT, scope="all"))
plugged.init_app(counting)
apps = {
    "wsgi": RateLimitMiddleware(plain_app, limiters["wsgi"], identify=by_user),
    "flask": extended,
    "decorated": marked,
    "django": get_wsgi_application(),
    "flask-limiter": counting,
}


def said(name, user):
    if name == "flask-limiter":
        return served.counted(plugged, work, name, user)
    limiter = decorated._rates.limiter if name == "decorated" else limiters[name]
    return served.report(limiter, work, name, user)


def app(environ, start_response):
    name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
    if rest.startswith("report/"):
        body = json.dumps(said(name, rest.partition("/")[2])).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    return apps[name]({**environ, "PATH_INFO": f"/{rest}"}, start_response)
