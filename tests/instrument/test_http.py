"""Requests: counted once, and never answered differently."""

import pytest
from tests.support.app import counts, run

REQUESTS = "http_requests_total"
DURATION = "http_request_duration_seconds"


def test_a_request_is_counted_by_method_route_and_status(tmp_path):
    run(tmp_path, 'call("/fine/1/"); call("/fine/2/"); call("/nowhere/")')

    found = counts(tmp_path)

    route = "fine/<int:number>/"
    assert found.get(REQUESTS, method="GET", route=route, status="200") == 2
    assert found.get(REQUESTS, method="GET", route="unresolved", status="404") == 1
    assert found.get(f"{DURATION}_count", method="GET", route=route) == 2


def test_the_root_has_a_route_that_prometheus_keeps(tmp_path):
    run(tmp_path, 'call("/")')

    assert counts(tmp_path).get(REQUESTS, method="GET", route="/", status="200") == 1


def test_the_first_failure_of_a_route_is_an_increase(tmp_path):
    run(tmp_path, 'call("/fine/1/")')

    found = counts(tmp_path)

    route = "fine/<int:number>/"
    assert found.get(REQUESTS, method="GET", route=route, status="500") == 0
    assert found.get(REQUESTS, method="GET", route=route, status="lost") == 0
    assert found.get(REQUESTS, method="GET", route="unresolved", status="500") == 0


def test_a_failing_request_is_observed_once(tmp_path):
    status, _ = run(tmp_path, 'show(call("/boom/"))')

    found = counts(tmp_path)
    assert status.startswith("500")
    assert found.get(REQUESTS, method="GET", route="boom/", status="500") == 1
    assert found.get(f"{DURATION}_count", method="GET", route="boom/") == 1


def test_an_exit_that_escapes_is_a_500_and_goes_on(tmp_path):
    raised = run(
        tmp_path,
        """
try:
    call("/exit/")
except SystemExit as error:
    show(error.code)
""",
    )

    found = counts(tmp_path)
    assert raised == 3
    assert found.get(REQUESTS, method="GET", route="exit/", status="500") == 1
    assert found.get("http_requests_in_flight") == 0
    assert found.sum(REQUESTS, status="lost") == 0


def test_a_stream_lasts_until_it_is_closed(tmp_path):
    run(tmp_path, 'call("/stream/")')

    found = counts(tmp_path)
    assert found.get(REQUESTS, method="GET", route="stream/", status="200") == 1
    assert found.get(f"{DURATION}_sum", method="GET", route="stream/") >= 0.05


def test_invented_methods_share_one_label(tmp_path):
    run(tmp_path, 'for n in range(5): call("/fine/1/", method=f"HACK{n}")')

    found = counts(tmp_path)
    assert found.sum(REQUESTS, method="other") == 5
    assert found.sum(f"{DURATION}_count") == 5


def test_little_traffic_makes_few_lines(tmp_path):
    run(tmp_path, 'call("/"); call("/fine/1/"); call("/boom/"); call("/nowhere/")')

    assert len(counts(tmp_path)) < 150  # a peer: 234


ASYNC = """
from django.core.asgi import get_asgi_application
application = get_asgi_application()

async def acall(path, gone_after=None, query=b""):
    sent, asked = [], 0
    async def receive():
        nonlocal asked
        asked += 1
        if asked == 1:
            return {"type": "http.request", "body": b""}
        if gone_after is None:
            await asyncio.sleep(30)
        # Not before its answer began: the first request imports the views.
        while gone_after < 0.05 and not any("body" in one for one in sent):
            await asyncio.sleep(0.005)
        await asyncio.sleep(gone_after)
        return {"type": "http.disconnect"}
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "method": "GET", "path": path, "headers": [],
             "query_string": query, "server": ("localhost", 80)}
    await application(scope, receive, send)
    return sent
"""


def test_under_asgi_no_request_takes_a_thread(tmp_path):
    threads = run(
        tmp_path,
        ASYNC
        + """
import threading
async def main():
    await acall("/afine/")
    before = threading.active_count()
    for _ in range(20):
        await acall("/afine/")
    from watchroom.middleware import Middleware
    async def inner(request): ...
    from asgiref.sync import iscoroutinefunction
    made = Middleware(inner)
    return [iscoroutinefunction(made), iscoroutinefunction(made.process_view)]
show(asyncio.run(main()))
""",
        serve=False,
    )

    found = counts(tmp_path)
    assert threads == [True, True]
    assert found.get(REQUESTS, method="GET", route="afine/", status="200") == 21


def test_concurrent_async_requests_are_counted_one_by_one(tmp_path):
    run(
        tmp_path,
        ASYNC
        + """
async def main():
    await asyncio.gather(*(acall("/aslow/", query=b"seconds=0.05") for _ in range(20)))
    await acall("/astream/")
asyncio.run(main())
""",
        serve=False,
    )

    found = counts(tmp_path)
    assert found.get(REQUESTS, method="GET", route="aslow/", status="200") == 20
    assert found.get(f"{DURATION}_sum", method="GET", route="astream/") >= 0.05
    assert found.sum(REQUESTS, status="lost") == 0


# Where a middleware that only knows synchronous requests stands: above, below, nowhere.
AMONG = pytest.mark.parametrize(
    "among", [{}, {"TESTS_APP_SYNC_ONLY": "0"}, {"TESTS_APP_SYNC_ONLY": "1"}]
)


@AMONG
def test_a_client_that_leaves_is_no_server_error(tmp_path, among):
    run(
        tmp_path,
        ASYNC
        + """
async def main():
    for path in ("/aslow/", "/slow/"):
        await acall(path, gone_after=0.1, query=b"seconds=0.3")
    await asyncio.sleep(0.3)
asyncio.run(main())
""",
        serve=False,
        **among,
    )

    found = counts(tmp_path)
    for route in ("aslow/", "slow/"):
        assert found.get(REQUESTS, method="GET", route=route, status="499") == 1
        assert found.get(REQUESTS, method="GET", route=route, status="500") == 0
    assert found.sum(REQUESTS, status="lost") == 0


def test_a_cancellation_that_no_client_asked_for_is_a_failure(tmp_path):
    raised = run(
        tmp_path,
        ASYNC
        + """
raised = []
for ask in (lambda: asyncio.run(acall("/cancels/")),
            lambda: call("/cancels/", app=get_wsgi_application())):
    try:
        ask()
    except BaseException as error:
        raised.append(type(error).__name__)
show(raised)
""",
        serve=False,
    )

    found = counts(tmp_path)
    assert raised == ["CancelledError"] * 2
    assert found.get(REQUESTS, method="GET", route="cancels/", status="500") == 2
    assert found.sum(REQUESTS, status="499") == 0


@AMONG
def test_a_stream_that_breaks_is_one_failure_under_asgi(tmp_path, among):
    raised = run(
        tmp_path,
        ASYNC
        + """
import warnings
warnings.simplefilter("ignore")  # Django's, of a synchronous body
async def main():
    raised = 0
    for path in ("/breaks/1/", "/abreaks/1/", "/abreaks/0/"):
        try:
            await acall(path)
        except RuntimeError:
            raised += 1
    return raised
show(asyncio.run(main()))
from watchroom.registry.process import PROCESS
assert PROCESS.on
""",
        serve=False,
        **among,
    )

    found = counts(tmp_path)
    assert raised == 3
    broken, abroken = "breaks/<int:after>/", "abreaks/<int:after>/"
    assert found.get(REQUESTS, method="GET", route=broken, status="500") == 1
    assert found.get(REQUESTS, method="GET", route=abroken, status="500") == 2
    assert found.sum(f"{DURATION}_count") == 3
    assert found.sum(REQUESTS, status="200") == 0
    assert found.sum(REQUESTS, status="lost") == 0


def test_a_stream_that_breaks_is_one_failure_under_wsgi(tmp_path):
    raised = run(
        tmp_path,
        """
from wsgiref.util import FileWrapper

def serve(path, **more):
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
        **more,
    }
    response = application(environ, lambda *_: None)
    try:
        try:
            b"".join(response)
        finally:  # as servers do
            response.close()
    except (RuntimeError, OSError) as error:
        return type(error).__name__

taken = {"wsgi.file_wrapper": FileWrapper}
show([serve("/breaks/1/"), serve("/torn/"), serve("/torn/", **taken)])
""",
    )

    found = counts(tmp_path)
    assert raised == ["RuntimeError", "OSError", "OSError"]
    broken = "breaks/<int:after>/"
    assert found.get(REQUESTS, method="GET", route=broken, status="500") == 1
    assert found.get(REQUESTS, method="GET", route="torn/", status="500") == 2
    assert found.sum(REQUESTS, status="200") == 0
    assert found.sum(REQUESTS, status="lost") == 0


def test_a_body_that_nobody_takes_nor_closes_is_not_under_way_for_ever(tmp_path):
    left = run(
        tmp_path,
        """
from django.test import RequestFactory
from watchroom.registry.process import PROCESS
response = application.get_response(RequestFactory().get("/stream/"))
def flying():
    view, at = PROCESS.cells["GET", "stream/"]
    return view[at]
before = flying()
del response
after = flying()

# A body that cannot be closed: Django runs no more closers then.
def leave():
    raise SystemExit(3)
response = application.get_response(RequestFactory().get("/stream/"))
response._resource_closers.insert(0, leave)
list(response)
try:
    response.close()
except SystemExit:
    del response
show([before, after, flying()])
""",
    )

    assert left == [1, 0, 0]
    found = counts(tmp_path)
    assert found.get(REQUESTS, method="GET", route="stream/", status="499") == 1
    assert found.get(REQUESTS, method="GET", route="stream/", status="200") == 1


def test_a_client_that_leaves_a_stream_ends_it(tmp_path):
    run(
        tmp_path,
        ASYNC + 'asyncio.run(acall("/astream/", gone_after=0.02))',
        serve=False,
    )

    found = counts(tmp_path)
    assert found.sum(REQUESTS, route="astream/", status="200") == 1
    assert found.sum(REQUESTS, status="lost") == 0


def test_a_fault_of_ours_is_counted_and_the_answer_stands(tmp_path):
    answer = run(
        tmp_path,
        """
call("/fine/1/")
from watchroom.registry.process import PROCESS
import logging; logging.getLogger("watchroom").addHandler(logging.NullHandler())
PROCESS.cells[("GET", "fine/<int:number>/", 200)] = "nonsense"
show(call("/fine/1/"))
""",
    )

    found = counts(tmp_path)
    assert answer == ["200 OK", "fine 1"]
    assert found.get("watchroom_instrument_errors_total", instrument="http") == 1
    assert found.get("http_requests_in_flight") == 0


def test_disabled_leaves_nothing(tmp_path):
    left = run(
        tmp_path,
        """
from django.core.handlers.wsgi import WSGIHandler
call("/work/")
show([
    [name for name in sys.modules if name.startswith("watchroom.instrument")
     and name.rpartition(".")[2] in ("database", "cache")],
    connection.execute_wrappers,
    type(caches["default"]).__mro__[1].__name__,
])
""",
        WATCHROOM_ENABLED="0",
    )

    assert left == [[], [], "BaseCache"]
    assert list(tmp_path.iterdir()) == []


def test_bad_settings_are_reported_by_the_check_and_stop_nothing(tmp_path):
    said = run(
        tmp_path,
        """
from django.conf import settings
settings.WATCHROOM = {"PROJEKT": "x"}
from watchroom import conf
conf.settings.cache_clear()
from watchroom.apps import check_settings, check_middleware
application = get_wsgi_application()
show([[m.id, m.msg, m.hint] for m in check_settings(None)] + [call("/fine/1/")])
""",
        serve=False,
    )

    assert said == [
        [
            "watchroom.E001",
            "WATCHROOM: unknown key 'PROJEKT'.",
            "did you mean 'PROJECT'?",
        ],
        ["200 OK", "fine 1"],
    ]
