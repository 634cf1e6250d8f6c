"""Flask: the extension by its own routes, the decorators, and what users of Flask-Limiter write."""

import functools

import flask
import pytest
import tidegate
from flask.views import MethodView
from kit import NOON
from tidegate.flask import Limiter, RateLimit, RateLimitExceeded, current, get_remote_address


@pytest.fixture
def clock():
    return tidegate.ManualClock(NOON)


@pytest.fixture
def app():
    return flask.Flask("site")


def statuses(client, *paths):
    return [client.get(path).status_code for path in paths]


# --- RateLimit


def test_routes_are_flask_s_own(app, clock):
    policy = {"limit": [{"name": "r", "rate": "2/minute", "by": ["ip", "route"]}]}
    limiter = tidegate.Limiter(policy, clock=clock)
    RateLimit(app, limiter)

    @app.get("/items/<int:number>")
    def item(number):
        seen.append(current(flask.request.environ).route)
        return "item"

    seen = []
    client = app.test_client()
    # One bucket for the route, whichever the item; one for each path that has no route.
    assert statuses(client, "/items/1", "/items/2", "/items/3") == [200, 200, 429]
    assert statuses(client, "/nowhere", "/nowhere", "/nowhere") == [404, 404, 429]
    assert seen == ["GET /items/<int:number>"] * 2


def test_errors_have_headers_and_are_charged(app, clock):
    limiter = tidegate.Limiter("9/minute; 10s/minute", clock=clock)
    RateLimit(app, limiter)

    @app.get("/broken")
    def broken():
        clock.advance(1)
        raise ZeroDivisionError

    response = app.test_client().get("/broken")
    assert response.status_code == 500 and response.headers["X-RateLimit-Limit"] == "9"
    response.close()
    assert limiter.snapshot("127.0.0.1").buckets[1].used == 1_000_000_000
    app.testing = True  # the error goes on to the server: no response
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/broken")
    assert limiter.snapshot("127.0.0.1").buckets[1].used > 1_500_000_000


def test_a_stream_is_charged_to_its_end(app, clock):
    limiter = tidegate.Limiter({"limit": [{"rate": "10s/minute", "algorithm": "fixed_window"}]}, clock=clock)
    RateLimit(app, limiter)

    @app.get("/stream")
    def stream():
        def chunks():
            for _ in range(3):
                clock.advance(1)
                yield b"x"

        return flask.Response(chunks())

    def used():
        return limiter.snapshot("127.0.0.1").buckets[0].used

    response = app.test_client().get("/stream", buffered=False)
    assert used() == 0
    assert response.data == b"xxx"
    response.close()
    assert used() == 3_000_000_000
    gone = app.test_client().get("/stream", buffered=False)
    next(gone.iter_encoded())
    gone.close()
    assert used() == 4_000_000_000


def test_a_failing_limiter(app):
    class Broken(tidegate.Limiter):
        def _admit(self, key, cost):
            raise tidegate.Error("gone")

    limited = RateLimit(app, Broken("1/minute"))
    assert app.test_client().get("/").status_code == 503 and limited.errors == 1


# --- Limiter: the usage examples of Flask-Limiter's documentation, written anew


def shop(clock=None, **options):
    """The quick start: three routes, defaults for those without limits of their own."""
    app = flask.Flask("shop")
    defaults = ["200 per day", "50 per hour"]
    limiter = Limiter(
        get_remote_address,
        app=app,
        **{"default_limits": defaults, "storage_uri": "memory://", "clock": clock, **options},
    )

    @app.route("/slow")
    @limiter.limit("1 per day")
    def slow():
        return ":("

    @app.route("/medium")
    @limiter.limit("1/second", override_defaults=False)
    def medium():
        return ":|"

    @app.route("/fast")
    def fast():
        return ":)"

    @app.route("/ping")
    @limiter.exempt
    def ping():
        return "PONG"

    return app, limiter


def test_the_quick_start(clock):
    app, _ = shop(clock)
    client = app.test_client()
    assert statuses(client, "/slow", "/slow") == [200, 429]
    assert statuses(client, "/medium", "/medium") == [200, 429]
    clock.advance(1)
    assert statuses(client, "/medium") == [200]
    assert statuses(client, *["/fast"] * 51) == [200] * 50 + [429]
    assert statuses(client, *["/ping"] * 300) == [200] * 300
    clock.advance(3600)
    assert statuses(client, "/fast", "/slow") == [200, 429]
    # Defaults hold for /medium too, and were charged only when all had room.
    for _ in range(48):
        clock.advance(1)
        assert statuses(client, "/medium") == [200]
    assert client.get("/medium").headers["X-RateLimit-Limit"] == "1"


def test_all_limits_of_a_request_are_charged_or_none(app, clock):
    limiter = Limiter(lambda: "k", app=app, clock=clock)

    @app.get("/")
    @limiter.limit("3/hour")
    @limiter.limit("1/minute")
    def view():
        return ""

    client = app.test_client()
    # Denied by the minute nine times: the hour has lost only what was admitted.
    assert statuses(client, *"/" * 10) == [200] + [429] * 9
    for _ in range(2):
        clock.advance(60)
        assert statuses(client, "/") == [200]
    clock.advance(60)
    assert client.get("/").headers["X-RateLimit-Limit"] == "3"


def test_as_many_rates_as_an_application_has(app, clock):
    limiter = Limiter(lambda: "k", app=app, clock=clock, application_limits=["1000/day"])
    for number in range(1, 41):
        app.add_url_rule(f"/{number}", f"view{number}", limiter.limit(f"{number}/minute")(lambda: ""))
    client = app.test_client()
    for number in range(1, 41):
        assert statuses(client, *[f"/{number}"] * (number + 1)) == [200] * number + [429]
    clock.advance(60)
    assert statuses(client, "/1", "/1", "/40") == [200, 429, 200]
    limiter.reset()
    assert statuses(client, "/1", "/40") == [200, 200]


@pytest.mark.parametrize("other", [0, 20])
def test_nor_are_some_charged_where_there_are_many(app, clock, other):
    """With so many others between that the two are of different limiters."""
    limiter = Limiter(lambda: "k", app=app, clock=clock)
    app.add_url_rule("/day", "day", limiter.shared_limit("3/day", scope="day")(lambda: ""))
    for number in range(1, other):
        app.add_url_rule(f"/{number}", f"view{number}", limiter.limit(f"{number}/hour")(lambda: ""))

    @app.get("/")
    @limiter.shared_limit("3/day", scope="day")
    @limiter.limit("1/minute", error_message="Not so fast.")
    def view():
        return ""

    before = ["/day", *(f"/{number}" for number in range(1, other))]
    assert set(statuses(app.test_client(), *before)) == {200}
    client = app.test_client()
    assert statuses(client, *"////") == [200, 429, 429, 429]
    assert client.get("/").json["error"]["message"] == "Not so fast."
    clock.advance(60)
    assert client.get("/").headers["X-RateLimit-Remaining"] == "0"
    assert statuses(client, "/day") == [429]


@pytest.mark.parametrize("rates", [("3s/minute", "9/minute"), ("9/minute", "3s/minute")])
def test_time_is_charged_to_limits_of_every_cost(app, clock, rates):
    limiter = Limiter(lambda: "k", app=app, clock=clock)

    @app.get("/")
    @limiter.limit(rates[0], cost=2)
    @limiter.limit(rates[1])
    def view():
        clock.advance(2)
        return ""

    client = app.test_client()
    assert [client.get("/", buffered=True).status_code for _ in range(3)] == [200, 200, 429]


def test_several_rates_in_one_string(app, clock):
    limiter = Limiter(get_remote_address, app=app, clock=clock)

    @app.get("/")
    @limiter.limit("100/day;10/hour, 2/minute | 30s/minute")
    def view():
        return ""

    assert statuses(app.test_client(), *"///") == [200, 200, 429]


def test_key_functions_and_the_same_rate_twice(app, clock):
    limiter = Limiter(get_remote_address, app=app, clock=clock)

    @app.get("/")
    @limiter.limit("4/minute")
    @limiter.limit("4/minute", key_func=lambda: flask.request.headers.get("user", "guest"))
    def view():
        return ""

    client = app.test_client()
    for user in ("ann", "ann", "bob", "bob"):
        assert client.get("/", headers={"user": user}).status_code == 200
    assert client.get("/", headers={"user": "cy"}).status_code == 429  # the address
    other = {"environ_base": {"REMOTE_ADDR": "198.51.100.2"}}
    assert client.get("/", headers={"user": "ann"}, **other).status_code == 200
    assert client.get("/", headers={"user": "ann"}, **other).status_code == 200
    assert client.get("/", headers={"user": "ann"}, **other).status_code == 429  # the user


def test_limits_that_a_function_says(app, clock):
    limiter = Limiter(lambda: flask.request.headers["user"], app=app, clock=clock)

    @app.get("/")
    @limiter.limit(lambda: "3/minute" if flask.request.headers["user"] == "pro" else "1/minute")
    def view():
        return ""

    client = app.test_client()

    def ask(user):
        return [client.get("/", headers={"user": user}).status_code for _ in range(4)]

    assert ask("free") == [200, 429, 429, 429]
    assert ask("pro") == [200, 200, 200, 429]


def test_shared_limits_and_scopes(app, clock):
    limiter = Limiter(get_remote_address, app=app, clock=clock)
    database = limiter.shared_limit("2/minute", scope="database")

    for name in ("a", "b"):
        app.add_url_rule(f"/{name}", name, database(lambda: ""))

    hosts = limiter.shared_limit("1/minute", scope=lambda endpoint: f"host of {endpoint}")
    app.add_url_rule("/c", "c", hosts(lambda: ""))
    app.add_url_rule("/d", "d", hosts(lambda: ""))
    client = app.test_client()
    assert statuses(client, "/a", "/b", "/a", "/b") == [200, 200, 429, 429]
    assert statuses(client, "/c", "/d", "/c", "/d") == [200, 200, 429, 429]


def test_application_limits(app, clock):
    Limiter(get_remote_address, app=app, application_limits=["3/minute"], default_limits=["2/minute"], clock=clock)
    app.add_url_rule("/a", "a", lambda: "")
    app.add_url_rule("/b", "b", lambda: "")
    assert statuses(app.test_client(), "/a", "/a", "/a", "/b", "/b") == [200, 200, 429, 200, 429]


def test_methods_per_method_cost_and_exempt_when(app, clock):
    limiter = Limiter(get_remote_address, app=app, clock=clock)
    both = ["GET", "POST"]

    @app.route("/post", methods=both)
    @limiter.limit("1/minute", methods=["POST"])
    def post():
        return ""

    @app.route("/per", methods=both)
    @limiter.limit("1/minute", per_method=True)
    def per():
        return ""

    @app.route("/cost")
    @limiter.limit("10/minute", cost=lambda: int(flask.request.args["n"]))
    @limiter.limit("2/minute")
    def cost():
        return ""

    @app.route("/staff")
    @limiter.limit("1/minute", exempt_when=lambda: "staff" in flask.request.args)
    def staff():
        return ""

    client = app.test_client()
    assert statuses(client, "/post", "/post") == [200, 200]
    assert [client.post("/post").status_code for _ in range(2)] == [200, 429]
    assert statuses(client, "/per", "/per") == [200, 429]
    assert client.post("/per").status_code == 200
    # Of two costs: the dear one is given back when the other denies.
    assert statuses(client, "/cost?n=11", "/cost?n=4", "/cost?n=4") == [429, 200, 200]
    assert client.get("/cost?n=2").headers["X-RateLimit-Limit"] == "2"
    clock.advance(60)
    assert statuses(client, "/cost?n=9", "/cost?n=2", "/cost?n=1") == [200, 429, 200]
    assert statuses(client, *["/staff?staff"] * 3, "/staff", "/staff") == [200] * 4 + [429]


def test_conditional_deduction(app, clock):
    limiter = Limiter(get_remote_address, app=app, clock=clock)

    @app.get("/login/<int:status>")
    @limiter.limit("2/minute", deduct_when=lambda response: response.status_code == 401)
    def login(status):
        return "", status

    paths = ["/login/200"] * 5 + ["/login/401"] * 2 + ["/login/200"]
    assert statuses(app.test_client(), *paths) == [200] * 5 + [401] * 2 + [429]


def test_blueprints_and_class_views(app, clock):
    limiter = Limiter(get_remote_address, app=app, default_limits=["1/minute"], clock=clock)
    login, docs = flask.Blueprint("login", "login"), flask.Blueprint("docs", "docs")
    login.add_url_rule("/login", "login", lambda: "")
    docs.add_url_rule("/docs", "docs", lambda: "")
    limiter.limit("2/minute")(login)
    limiter.exempt(docs)
    app.register_blueprint(login)
    app.register_blueprint(docs)

    class Mine(MethodView):
        decorators = [limiter.limit("3/minute")]

        def get(self):
            return ""

    class Theirs(MethodView):
        decorators = [limiter.limit("4/minute")]
        get = Mine.get

    app.add_url_rule("/mine", view_func=Mine.as_view("mine"))
    app.add_url_rule("/theirs", view_func=Theirs.as_view("theirs"))
    client = app.test_client()
    for path, admitted in (("/login", 2), ("/docs", 9), ("/mine", 3), ("/theirs", 4)):
        assert statuses(client, *[path] * 9) == [200] * admitted + [429] * (9 - admitted), path


def test_functions_and_blocks_within_a_request(app, clock):
    limiter = Limiter(get_remote_address, app=app, clock=clock)

    @limiter.limit("2/minute")
    def dear():
        return ""

    @app.get("/function")
    def function():
        return dear() if "dear" in flask.request.args else ""

    @app.get("/block")
    def block():
        with limiter.limit("1/minute"):
            return ""

    client = app.test_client()
    assert statuses(client, *["/function"] * 3) == [200] * 3
    assert statuses(client, *["/function?dear"] * 3) == [200, 200, 429]
    assert statuses(client, "/block", "/block") == [200, 429]


def test_filters_switch_and_reset(clock):
    app, limiter = shop(clock)
    client = app.test_client()
    assert statuses(client, "/slow", "/slow") == [200, 429]
    limiter.reset()
    assert statuses(client, "/slow", "/slow") == [200, 429]
    limiter.request_filter(lambda: flask.request.headers.get("X-Internal") == "true")
    assert client.get("/slow", headers={"X-Internal": "true"}).status_code == 200
    limiter.enabled = False
    assert statuses(client, "/slow", "/slow") == [200, 200]


def test_what_a_denial_looks_like(app, clock):
    told = []
    limiter = Limiter(get_remote_address, app=app, on_breach=told.append, headers="both", body="problem", clock=clock)

    @app.get("/")
    @limiter.limit("1/minute", error_message="Chill.")
    def view():
        return ""

    @app.get("/made")
    @limiter.limit("1/minute", error_message=lambda: "Chill for now.")
    def made():
        return ""

    client = app.test_client()
    first = client.get("/")
    assert first.headers["X-RateLimit-Remaining"] == "0" and "Retry-After" not in first.headers
    denied = client.get("/")
    assert denied.headers["Retry-After"] == "60"
    assert denied.headers["RateLimit"] == '"1/minute";r=0;t=60'
    assert denied.content_type == "application/problem+json"
    assert denied.json["detail"] == "Chill."
    [breach] = told
    assert (breach.limit, breach.remaining, breach.reset_at) == ("1/minute", 0, NOON + 60)
    client.get("/made")
    assert "Chill for now." in client.get("/made").text


def test_an_error_handler_of_the_application_answers(clock):
    app, _ = shop(clock)

    @app.errorhandler(429)
    def handler(error):
        assert isinstance(error, RateLimitExceeded) and error.decision.retry_after == 86400
        return flask.make_response({"error": f"ratelimit exceeded {error.description}"}, 429)

    client = app.test_client()
    client.get("/slow")
    denied = client.get("/slow")
    assert denied.json == {"error": "ratelimit exceeded 1 per day"}
    assert denied.headers["Retry-After"] == "86400"


def test_a_breach_may_answer(clock):
    def answer(breach):
        return flask.make_response(f"{breach.limit} is all", 418)

    app, _ = shop(clock, on_breach=answer)
    client = app.test_client()
    client.get("/slow")
    denied = client.get("/slow")
    assert (denied.status_code, denied.text) == (418, "1 per day is all")


@pytest.mark.parametrize(
    ("strategy", "again"), [(None, 60), ("fixed-window", 60), ("gcra", 30), ("moving-window", 66.7)]
)
def test_strategies(app, clock, strategy, again):
    limiter = Limiter(get_remote_address, app=app, strategy=strategy, clock=clock)
    app.add_url_rule("/", "view", limiter.limit("2/minute")(lambda: ""))
    client = app.test_client()
    assert statuses(client, *"///") == [200, 200, 429]
    clock.advance(again - 1)
    assert statuses(client, "/") == [429]
    clock.advance(1)
    assert statuses(client, "/") == [200]


def test_what_is_wrong_is_refused_where_it_is_written(app):
    limiter = Limiter(get_remote_address, app=app)
    with pytest.raises(tidegate.PolicyError):
        limiter.limit("5/fortnight")
    with pytest.raises(TypeError, match="^limit: expected a rate string or a function, got int"):
        limiter.limit(5)
    with pytest.raises(tidegate.PolicyError):
        Limiter(get_remote_address, default_limits=["many"])
    with pytest.raises(tidegate.ArgumentError, match="^strategy: unknown 'leaky'; give \"fixed-window\""):
        Limiter(get_remote_address, strategy="leaky")
    with pytest.raises(tidegate.ArgumentError, match="^storage_uri: 'redis://x' is no store"):
        Limiter(get_remote_address, storage_uri="redis://x")


async def says_yes(*_):
    return True


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"key_func": None}, "key_func: expected a function, got NoneType"),
        ({"key_func": says_yes}, "key_func: expected a function that is not async"),
        ({"headers": "rfc"}, "headers: unknown 'rfc'; give \"legacy\""),
        ({"body": "html"}, "body: unknown 'html'; give \"error\""),
        ({"default_limits": "5/minute"}, "default_limits: expected a list, got str; give"),
        ({"application_limits": "5/minute"}, "application_limits: expected a list, got str; give"),
        ({"default_limits": [says_yes]}, "limit: expected a function that is not async"),
        ({"on_breach": says_yes}, "on_breach: expected a function that is not async"),
        ({"default_limits_cost": "2"}, "cost: expected an int"),
        ({"default_limits_exempt_when": True}, "default_limits_exempt_when: expected a function, got bool"),
        ({"default_limits_deduct_when": says_yes}, "default_limits_deduct_when: expected a function that is not"),
    ],
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises((TypeError, ValueError), match=f"^{text}"):
        Limiter(**{"key_func": get_remote_address, **options})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        # A text's letters would be methods, and no request would be limited.
        ({"methods": "POST"}, "methods: expected a list, got str; give"),
        # A coroutine is true, and each is another key.
        ({"exempt_when": says_yes}, "exempt_when: expected a function that is not async"),
        ({"key_func": says_yes}, "key_func: expected a function that is not async"),
        ({"exempt_when": True}, "exempt_when: expected a function, got bool"),
        ({"cost": "2"}, "cost: expected an int or a function, got str"),
        ({"cost": -2}, "cost: -2 is negative"),
        ({"cost": says_yes}, "cost: expected a function that is not async"),
    ],
)
def test_wrong_terms_are_refused_where_they_are_written(options, text):
    limiter = Limiter(get_remote_address)
    for mark in (limiter.limit, functools.partial(limiter.shared_limit, scope="s")):
        with pytest.raises((TypeError, ValueError), match=f"^{text}"):
            mark("5/minute", **options)


@pytest.mark.parametrize("name", ["exempt_when", "key_func"])
def test_a_coroutine_lets_nobody_pass(app, name):
    app.testing = True
    limiter = Limiter(get_remote_address, app=app)

    @app.get("/lambda")
    @limiter.limit("5/minute", **{name: lambda: says_yes()})
    def view():
        return "hello"

    with pytest.raises(TypeError, match=f"^{name}: expected .*, got coroutine; give a function"):
        app.test_client().get("/lambda")


@pytest.mark.parametrize("message", ["two\nlines", "long " * 200, "\t"])
def test_a_message_that_no_policy_takes_is_told_by_flask(app, clock, message):
    limiter = Limiter(get_remote_address, app=app, clock=clock)
    app.errorhandler(429)(lambda error: (error.description, 429))

    @app.get("/")
    @limiter.limit("1/minute", error_message=message)
    def view():
        return "hello"

    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    assert client.get("/").text == message


def test_nor_does_a_filter_that_is_one(app):
    limiter = Limiter(get_remote_address, app=app, default_limits=["1/minute"])
    with pytest.raises(TypeError, match="^request_filter: expected a function that is not async"):
        limiter.request_filter(says_yes)
    app.testing = True
    limiter.request_filter(lambda: says_yes())
    app.get("/")(lambda: "hello")
    with pytest.raises(TypeError, match="^request_filter: expected true or false, got coroutine"):
        app.test_client().get("/")


@pytest.mark.parametrize(
    ("term", "value", "remedy"),
    [
        ("DEFAULT", "200/day", "give the option default_limits to Limiter"),
        ("DEFAULTS_PER_METHOD", True, "give the option default_limits_per_method to Limiter"),
        ("APPLICATION", "9/day", "give the option application_limits to Limiter"),
        ("ENABLED", False, "give the option enabled to Limiter"),
        ("ON_BREACH_CALLBACK", print, "give the option on_breach to Limiter"),
        ("STORAGE_URI", "redis://x", "leave it out"),
        ("META", "1/day", "leave it out"),
    ],
)
def test_configuration_that_is_not_read_is_refused(app, term, value, remedy):
    app.config[f"RATELIMIT_{term}"] = value
    with pytest.raises(tidegate.ArgumentError, match=f"^RATELIMIT_{term}: no configuration is read; {remedy}$"):
        Limiter(get_remote_address, app=app)


def test_configuration_that_says_what_is_so_anyway_may_stay(app):
    app.config.update(RATELIMIT_ENABLED=True, RATELIMIT_STORAGE_URI="memory://")
    Limiter(get_remote_address, app=app)


def test_options_that_errors_name_are_there():
    import inspect

    from tidegate._flask import _OPTIONS, _SAME

    options = set(inspect.signature(Limiter).parameters)
    assert {*_OPTIONS.values(), *(name.lower() for name in _SAME)} <= options
    terms = ("per_method", "exempt_when", "deduct_when", "cost")
    assert {f"default_limits_{term}" for term in terms} <= options


def test_a_limiter_that_fails(app, monkeypatch):
    for swallow, status in ((False, 500), (True, 200)):
        app = flask.Flask("site")
        limiter = Limiter(get_remote_address, app=app, swallow_errors=swallow)
        app.add_url_rule("/", "view", limiter.limit("2/minute")(lambda: ""))
        monkeypatch.setattr(limiter._rates, "enter", lambda asked: 1 / 0)
        assert app.test_client().get("/").status_code == status
        assert limiter.errors == 1
