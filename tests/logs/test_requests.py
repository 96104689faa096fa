"""One line a request: in full, in the right context, and of nothing else."""

import json
import re

import pytest
from tests.support.lines import ASGI, BODY, HEADERS, PLANTED, QUERY, lines, output

CLIENT = """
from django.test import Client
client = Client(raise_request_exception=False)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the project wrote of a few requests in turn, by route."""
    found = lines(
        tmp_path_factory.mktemp("runtime"),
        CLIENT
        + """
client.get("/work/")
client.get("/note/", headers={"X-Request-ID": "from-outside_1"})
client.get("/nowhere/planted", headers={"X-Request-ID": "bad id\\x00"})
client.get("/boom/")
list(client.get("/stream/"))
for path in ("/health/", "/inner/health", "/inner/livez", "/metrics"):
    client.get(path)
trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
client.get("/fine/1/", headers={"traceparent": trace})
client.get("/fine/2/", headers={"traceparent": "00-" + 32 * "0" + trace[35:]})
""",
    )
    return {
        (one["name"], one.get("route"), one.get("status")): one for one in found
    } | {"all": found}


def test_the_line_tells_route_status_duration_and_tallies(told):
    line = told["watchroom.request", "work/", 200]

    assert line["levelname"] == "INFO"
    assert line["message"] == "GET /work/ 200"
    assert line["method"] == "GET"
    assert line["duration_ms"] > line["db_ms"] > 0
    assert line["db_count"] == 3
    assert (line["cache_hits"], line["cache_misses"]) == (2, 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["asctime"])


def test_an_id_from_outside_is_on_every_line_of_the_request(told):
    noted = told["tests.app", None, None]

    assert noted["request_id"] == "from-outside_1"
    assert noted["levelname"] == "DEBUG"
    assert told["watchroom.request", "note/", 200]["request_id"] == "from-outside_1"


def test_an_id_that_is_no_plain_word_is_replaced(told):
    line = told["watchroom.request", "unresolved", 404]

    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])
    assert line["levelname"] == "WARNING"
    assert line["path"] == "/nowhere/planted"


def test_the_path_of_a_route_is_no_more_than_that(tmp_path):
    """A visitor's host is wrong, and whom the view is for never looked up."""
    script = CLIENT + 'client.get("/reset/MQ/planted-token/")'
    found = lines(tmp_path, script, TESTS_APP_STRICT="1")

    line = next(one for one in found if one["name"] == "watchroom.request")
    assert (line["route"], line["status"]) == ("unresolved", 400)
    assert line["path"] == "/reset/<uidb64>/<token>/"
    said = next(one for one in found if one["name"] == "django.security.DisallowedHost")
    assert said["request"] == "<WSGIRequest: GET '/reset/<uidb64>/<token>/'>"
    assert "planted-token" not in json.dumps(found)


def test_what_django_says_of_a_forbidden_request_names_its_route(tmp_path):
    script = """
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory
from django.urls import resolve
request = RequestFactory().post("/reset/MQ/planted-token/")
request.resolver_match = resolve(request.path_info)
CsrfViewMiddleware(lambda _: None).process_view(request, resolve, (), {})
"""
    found = lines(tmp_path, script)

    assert found[0]["message"].endswith(": /reset/<uidb64>/<token>/")
    assert "planted-token" not in json.dumps(found)


def test_a_failure_is_one_line_with_its_traceback(told):
    line = told["watchroom.request", "boom/", 500]

    assert line["levelname"] == "ERROR"
    assert line["error_type"] == "RuntimeError"
    assert line["exc_info"].endswith("RuntimeError: boom")
    assert not [one for one in told["all"] if one["name"] == "django.request"]


def test_a_stream_is_told_when_it_has_ended(told):
    assert told["watchroom.request", "stream/", 200]["duration_ms"] >= 50


@pytest.mark.parametrize("served", ["wsgi", "asgi"])
def test_a_stream_that_breaks_is_one_failure_with_its_traceback(tmp_path, served):
    wsgi = """
response = served = application.get_response(RequestFactory().get("/breaks/1/"))
try:
    list(response)
except RuntimeError:
    response.close()
"""
    asgi = """
import warnings
warnings.simplefilter("ignore", ResourceWarning)  # Django leaves the body's file open
try:
    asyncio.run(ask("/abreaks/1/"))
except RuntimeError:
    pass
"""
    script = "from django.test import RequestFactory" + (
        wsgi if served == "wsgi" else ASGI + asgi
    )
    (line,) = lines(tmp_path, script)

    assert (line["levelname"], line["status"]) == ("ERROR", 500)
    assert line["error_type"] == "RuntimeError"
    assert line["exc_info"].endswith("RuntimeError: in the middle of it")
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])


def test_an_exit_is_a_failure_with_its_traceback(tmp_path):
    (line,) = lines(
        tmp_path,
        """
try:
    call("/exit/")
except SystemExit:
    pass
""",
    )

    assert (line["levelname"], line["error_type"]) == ("ERROR", "SystemExit")


@pytest.mark.parametrize("among", [{}, {"TESTS_APP_SYNC_ONLY": "1"}])
def test_a_client_that_leaves_is_told_without_an_error(tmp_path, among):
    (line,) = lines(
        tmp_path,
        ASGI
        + """
async def leave():
    told = ApplicationCommunicator(served, {
        "type": "http", "method": "GET", "path": "/aslow/", "headers": [],
        "query_string": b"seconds=20", "server": ("localhost", 80),
    })
    await told.send_input({"type": "http.request", "body": b""})
    await asyncio.sleep(0.3)
    await told.send_input({"type": "http.disconnect"})
    await told.wait(10)
asyncio.run(leave())
""",
        **among,
    )

    assert (line["levelname"], line["message"]) == ("WARNING", "GET /aslow/ 499")
    assert "exc_info" not in line


def test_health_and_metrics_are_quiet(told):
    routes = {"health/", "metrics", "unresolved"}
    quiet = [one for one in told["all"] if one.get("route") in routes]
    assert [one["path"] for one in quiet] == ["/nowhere/planted"]


def test_the_trace_from_outside_is_kept_if_it_is_one(told):
    found = [one["trace_id"] for one in told["all"] if "fine" in one.get("route", "")]

    assert found[0] == "0af7651916cd43dd8448eb211c80319c"
    assert re.fullmatch("(?!0{32})[0-9a-f]{32}", found[1])


def test_the_answer_carries_the_id_through_threads_and_loop(tmp_path):
    found = lines(
        tmp_path,
        ASGI
        + """
async def both():
    return await asyncio.gather(
        *(ask("/anote/", x_request_id=f"n-{n}") for n in range(5)), ask("/astream/")
    )
show([answer["x-request-id"] for answer in asyncio.run(both())])
""",
    )

    *told, answers = found
    for number in range(5):
        mine = [one for one in told if one.get("request_id") == f"n-{number}"]
        assert [one["message"] for one in mine] == [
            "noted in the loop",
            "noted",
            "GET /anote/ 200",
        ]
        assert mine[-1]["db_count"] == 3
    assert answers[:5] == [f"n-{number}" for number in range(5)]
    streamed = [one for one in told if one.get("route") == "astream/"]
    assert [one["request_id"] for one in streamed] == [answers[5]]


def test_a_thread_of_ones_own_keeps_the_id_in_a_copy_of_the_context(tmp_path):
    found = lines(
        tmp_path,
        CLIENT
        + """
import contextvars, logging
from threading import Thread
from django.http import HttpResponse
from django.urls import path
from tests.app import urls

def work():
    logging.getLogger("tests.app").info("works")

def view(request):
    copied = Thread(target=contextvars.copy_context().run, args=(work,))
    for thread in (copied, Thread(target=work)):
        thread.start()
        thread.join()
    return HttpResponse()

urls.urlpatterns.append(path("threads/", view))
client.get("/threads/", headers={"X-Request-ID": "from-outside"})
""",
    )

    works = [one.get("request_id") for one in found if one["message"] == "works"]
    assert works == ["from-outside", None]


@pytest.mark.parametrize(
    ("server", "logs"),
    [("wsgi", {"form": "text"}), ("wsgi", {}), ("asgi", {"schema": "ecs"})],
    ids=["text", "guide", "ecs"],
)
def test_no_secret_of_a_request_is_in_any_line(tmp_path, server, logs):
    asked = json.dumps({key.lower(): value for key, value in HEADERS.items()})
    wsgi = f"""
client.cookies["sessionid"] = "planted-in-cookie"
client.post("/leak/?{QUERY}", {BODY!r}, "application/json", headers={HEADERS!r})
"""
    asgi = f"asyncio.run(ask('/aleak/', {QUERY!r}, {BODY!r}, **json.loads({asked!r})))"

    text = output(tmp_path, CLIENT + wsgi if server == "wsgi" else ASGI + asgi, logs)

    assert text.count("asked /") == 1
    assert text.count("RuntimeError") >= 1
    for secret in PLANTED:
        assert secret not in text


def test_a_project_without_these_logs_pays_nothing(tmp_path):
    from tests.support.app import run

    found = run(
        tmp_path,
        """
status = call("/work/")
ours = ("watchroom.logs", "watchroom.middleware.trailing", "watchroom.redact")
show([name for name in sys.modules if name.startswith(ours)])
""",
    )
    assert found == []


def test_a_user_who_is_not_loaded_stays_so(tmp_path):
    found = lines(
        tmp_path,
        """
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from types import SimpleNamespace
from watchroom.context.trace import of_request
from watchroom.logs import lines

def never():
    raise AssertionError("loaded")

for user in (SimpleLazyObject(never), SimpleNamespace(pk=7), SimpleNamespace(pk=None)):
    request = HttpRequest()
    request.method, request.user = "GET", user
    lines.request(of_request({}), request, 200)
loaded = SimpleLazyObject(lambda: SimpleNamespace(pk=8))
loaded.pk
request.user = loaded
lines.request(of_request({}), request, 200)
""",
    )
    assert [one.get("user_id") for one in found] == [None, "7", None, "8"]
