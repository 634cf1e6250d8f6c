"""Applications of Flask-Limiter and slowapi, changed by the lines that docs/python.md says, and by no others."""

import re
import types
from pathlib import Path

import limits
import pytest
import tidegate.fastapi
import tidegate.flask
import tidegate.limits
from kit import ask_asgi

PAGE = Path(__file__).resolve().parents[3] / "docs" / "python.md"

FLASK = """
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

app = Flask("site")
app.config.from_object(settings)
limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")

@app.route("/slow")
@limiter.limit("2 per day")
def slow():
    return ":("
"""
# Where the URI is in a configuration file.
FLASK_CONFIGURED = FLASK.replace(', storage_uri="memory://"', "")
SETTINGS = """
RATELIMIT_STORAGE_URI = "memory://"
"""
SLOWAPI = """
from fastapi import FastAPI, Request
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address

limiter = Limiter(key_func=get_remote_address, storage_uri="memory://")
app = FastAPI()
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)

@app.get("/slow")
@limiter.limit("2/day")
async def slow(request: Request):
    return ":("
"""
# With an answer of its own.
SLOWAPI_OWN = SLOWAPI.replace(
    "app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)",
    """
from fastapi.responses import PlainTextResponse

def too_many(request: Request, exc: RateLimitExceeded):
    return PlainTextResponse("too many", 429)

app.add_exception_handler(RateLimitExceeded, too_many)
""",
)


def changes(section):
    """The changes that a section of the page shows: each as the lines that go and the lines that come."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = []
    for block in re.findall(r"((?:^    [-+].*\n)+)", text, re.MULTILINE):
        lines = [line[4:] for line in block.splitlines()]
        found.append([[line[1:] for line in lines if line[0] == sign] for sign in "-+"])
    return found


def changed(program, change):
    going, coming = change
    lines = program.splitlines()
    at = lines.index(going[0])
    for line in going:
        lines.remove(line)
    return "\n".join([*lines[:at], *coming, *lines[at:]])


def run(program, settings=""):
    module = types.ModuleType("settings")
    exec(compile(settings, "settings", "exec"), module.__dict__)
    names = {"__name__": "site", "settings": module}
    exec(compile(program, "site", "exec"), names)
    return names


def statuses(names):
    app = names["app"]
    if hasattr(app, "test_client"):
        client = app.test_client()
        return [client.get("/slow").status_code for _ in range(3)]
    return [ask_asgi(app, "/slow").status for _ in range(3)]


WHOLE, KEPT, CONFIGURED = changes("From Flask-Limiter")
SLOWAPI_WHOLE, OWN_HANDLER, SLOWAPI_KEPT = changes("From slowapi")


@pytest.mark.parametrize(
    ("program", "change", "kind"),
    [
        (FLASK, WHOLE, tidegate.flask.Limiter),
        (FLASK, KEPT, tidegate.limits.TidegateStorage),
        (SLOWAPI, SLOWAPI_WHOLE, tidegate.fastapi.Limiter),
        (SLOWAPI, SLOWAPI_KEPT, tidegate.limits.TidegateStorage),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # slowapi's own
def test_the_lines_of_the_page_are_all_that_changes(program, change, kind):
    before, after = run(program), run(changed(program, change))
    assert isinstance(before["limiter"]._storage, limits.storage.MemoryStorage)
    assert isinstance(after["limiter"], kind) or isinstance(after["limiter"]._storage, kind)
    assert statuses(before) == statuses(after) == [200, 200, 429]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_line_where_the_storage_is_configured():
    assert [len(lines) for lines in CONFIGURED] == [1, 1]
    names = run(FLASK_CONFIGURED, changed(SETTINGS, CONFIGURED))
    assert isinstance(names["limiter"]._storage, tidegate.limits.TidegateStorage)
    assert statuses(names) == [200, 200, 429]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_line_more_for_an_answer_of_ones_own():
    names = run(changed(changed(SLOWAPI_OWN, SLOWAPI_WHOLE), OWN_HANDLER))
    answers = [ask_asgi(names["app"], "/slow") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429] and answers[2].body == b"too many"


@pytest.mark.parametrize("change", [WHOLE, CONFIGURED, SLOWAPI_WHOLE, OWN_HANDLER])
def test_they_are_one_line(change):
    assert [len(lines) for lines in change] == [1, 1]
