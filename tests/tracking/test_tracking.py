"""What the real sentry-sdk sends: errors, some transactions, and no secret."""

import json
import os

import pytest
from sentry_sdk.envelope import Envelope
from tests.support.app import run
from tests.support.envelopes import Receiver
from tests.support.lines import ASGI, BODY, HEADERS, PLANTED, QUERY, output
from tests.support.redis_server import redis_server

import watchroom
from watchroom import tracking
from watchroom.errors import ConfigError, MissingExtraError

WSGI = """
def ask(path, query="", body="", **headers):
    given = {"HTTP_" + key.upper(): value for key, value in headers.items()}
    environ = {
        "REQUEST_METHOD": "POST" if body else "GET", "PATH_INFO": path,
        "QUERY_STRING": query, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "203.0.113.9", "wsgi.input": io.BytesIO(body.encode()),
        "wsgi.url_scheme": "http", **given,
    }
    response = application(environ, lambda *_: None)
    b"".join(response)
    response.close()
"""
ASKED = {key.lower().replace("-", "_"): value for key, value in HEADERS.items()}
SCRIPT = """
import logging, sentry_sdk
def asked(*args, **named):
    done = ask(*args, **named)
    if asyncio.iscoroutine(done):
        asyncio.run(done)

asked("/{leak}/", {query!r}, {body!r}, **json.loads({headers!r}))
asked("/{leak}/", {query!r}, {body!r}, **json.loads({headers!r}), x_request_id="r-2")
for path in ("/health/", "/inner/livez", "/inner/health", "/metrics", "/fine/1/"):
    asked(path)
logging.getLogger("tests.app").error("got %s", {{"password": "planted-in-body"}})
sentry_sdk.flush(10)
import os, pathlib
from watchroom.exporter.processes.merge import Merger
text = Merger(pathlib.Path(os.environ["WATCHROOM_RUNTIME_DIR"]), "testapp").render()
print("\\n".join(l for l in text.splitlines() if l.startswith("watchroom_sentry")))
"""


def script(leak):
    return SCRIPT.format(leak=leak, query=QUERY, body=BODY, headers=json.dumps(ASKED))


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def received(request, tmp_path_factory):
    receiver = Receiver()
    code, leak = (WSGI, "leak") if request.param == "wsgi" else (ASGI, "aleak")
    receiver.stdout = output(
        tmp_path_factory.mktemp("runtime"),
        code + script(leak),
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="staging",
        WATCHROOM_RELEASE="v7",
        TESTS_APP_SENTRY='{"traces_sample_rate": 1.0}',
    )
    receiver.stop()
    return receiver


def everything(receiver):
    """All texts of all envelopes: as they came, and as a reader decodes them."""
    decoded = json.dumps(receiver.items, ensure_ascii=False)
    return b"".join(receiver.bodies).decode() + decoded


def test_no_secret_is_in_any_envelope(received):
    text = everything(received)

    assert len(received.of("event")) >= 2
    assert len(received.of("transaction")) >= 2
    for secret in (*PLANTED, "203.0.113.9"):
        assert secret not in text, secret


def test_the_process_says_that_it_sends_errors(received):
    assert 'watchroom_sentry_processes{role="web"} 1' in received.stdout.splitlines()


def test_an_error_says_what_happened_where_and_in_which_release(received):
    event = next(one for one in received.of("event") if "exception" in one)

    error = event["exception"]["values"][-1]
    assert error["type"] == "RuntimeError"
    assert error["value"].startswith("no card [redacted] of [redacted] at /")
    assert error["stacktrace"]["frames"][-1]["function"] == "leak"
    assert event["environment"] == "staging"
    assert event["release"] == "v7"
    assert event["transaction"].strip("/") in {"leak", "aleak"}
    assert event["request"]["headers"].get("X-Api-Key", "[redacted]") == "[redacted]"


def test_what_is_sent_carries_the_id_of_the_request(received):
    events = [one.get("tags", {}).get("request_id") for one in received.of("event")]
    transactions = [one["tags"].get("request_id") for one in received.of("transaction")]

    assert "r-2" in events
    assert "r-2" in transactions


def test_health_and_metrics_are_never_traced(received):
    names = {one["transaction"].strip("/") for one in received.of("transaction")}

    assert names & {"leak", "aleak"}
    assert "fine/{number}" in names or "fine/<int:number>" in names
    assert not names & {"health", "metrics", "inner/livez", "inner/health"}


def test_the_sdks_own_parser_reads_the_same(received):
    for body in received.bodies:
        envelope = Envelope.deserialize(body)
        for item in envelope.items:
            assert item.type in {"event", "transaction", "sessions", "client_report"}
    assert sum(len(Envelope.deserialize(b).items) for b in received.bodies) == len(
        received.items
    )


RESET = """
import sentry_sdk
cookie = {"cookie": "sessionid=planted-in-cookie-0", "x_planted": "planted-token-3"}
for body in ("", "{}"):
    for told in ("", "http://localhost/{view}/MQ/planted-token-2/"):
        done = ask(
            "/{view}/MQ/planted-token/", body=body, referer=told, host="localhost",
            **cookie,
        )
        if asyncio.iscoroutine(done):
            asyncio.run(done)
sentry_sdk.flush(10)
"""


@pytest.fixture(scope="module")
def redis():
    with redis_server() as url:
        yield url.split(":")[-1].partition("/")[0]


@pytest.mark.parametrize("traces", ["static", "stream"])
@pytest.mark.parametrize(("serve", "view"), [(WSGI, "reset"), (ASGI, "areset")])
def test_no_key_of_a_cache_and_no_path_of_a_route_is_sent(
    tmp_path, redis, traces, serve, view
):
    receiver = Receiver()
    output(
        tmp_path,
        serve + RESET.replace("{view}", view),
        SENTRY_DSN=receiver.dsn,
        TESTS_APP_REDIS_PORT=redis,
        TESTS_APP_SENTRY=json.dumps(
            {"traces_sample_rate": 1.0, "trace_lifecycle": traces}
        ),
    )
    receiver.stop()

    text = everything(receiver)
    assert "planted-in-cookie-0" not in text
    assert "planted-token" not in text
    event = next(one for one in receiver.of("event") if "exception" in one)
    assert event["request"]["url"] == f"http://localhost/{view}/{{uidb64}}/{{token}}/"
    crumbs = [one for one in event["breadcrumbs"]["values"] if one["type"] == "redis"]
    assert [one["message"] for one in crumbs] == ["GET", "MGET"]
    assert "looks at" in text
    assert '"db.redis"' in text


ROUTED = """
import types
from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path, re_path, set_script_prefix, set_urlconf
from watchroom.tracking.clean import scrub

urls = types.ModuleType("urls")
urls.urlpatterns = i18n_patterns(path("", include("tests.app.urls")))
old = types.ModuleType("old")
old.urlpatterns = [re_path(r"^orders/(?P<key>[0-9a-z]+)/$", print)]

def sent(url, **more):
    return scrub({"request": {"url": url}, **more})["request"]["url"]

set_urlconf(urls)
found = {"i18n": sent("http://h/de/reset/MQ/planted/")}
set_urlconf(old)
found["pattern"] = sent("http://h/orders/planted7/")
set_urlconf(None)
pattern = {"source": "route"}, r"^orders/(?P<key>[0-9a-z]+)/$"
named = dict(zip(("transaction_info", "transaction"), pattern))
found["pattern of the SDK"] = sent("http://h/orders/planted7/", **named)
found["fails early"] = sent("http://h/reset/MQ/planted/")
found["no slash"] = sent("http://h/reset/MQ/planted")
found["nowhere"] = sent("http://h/nowhere/planted")
route = {"transaction_info": {"source": "route"}, "transaction": "/r/{id}/"}
found["of the SDK"] = sent("http://h/reset/MQ/planted/", **route)
set_script_prefix("/app/")
found["prefix"] = sent("http://h/app/reset/MQ/planted/")
set_script_prefix("/")
event = {"request": {"url": "http://h/fine/1/"}, "message": "/fine/1/ /a/fine/1/ fine"}
found["texts"] = scrub(event)["message"]
show(found)
"""


def test_a_path_is_told_by_its_route_however_it_is_found(tmp_path):
    assert run(tmp_path, ROUTED) == {
        "i18n": "http://h/de/reset/<uidb64>/<token>/",
        "pattern": "http://h/orders/<key>/",
        "pattern of the SDK": "http://h/orders/<key>/",
        "fails early": "http://h/reset/<uidb64>/<token>/",
        "no slash": "http://h/reset/<uidb64>/<token>/",
        "nowhere": "http://h/nowhere/planted",
        "of the SDK": "http://h/r/{id}/",
        "prefix": "http://h/reset/<uidb64>/<token>/",
        "texts": "/fine/<int:number>/ /a/fine/1/ fine",
    }


@pytest.mark.parametrize(
    ("given", "environ", "named"),
    [
        ({}, {}, ("staging", "1.4.2")),
        ({}, {"SENTRY_ENVIRONMENT": "qa", "SENTRY_RELEASE": "v8"}, ("qa", "1.4.2")),
        ({"environment": "mine", "release": "v9"}, {}, ("mine", "v9")),
    ],
)
def test_errors_name_the_environment_and_the_release_of_the_metrics(
    tmp_path, given, environ, named
):
    receiver = Receiver()
    output(
        tmp_path,
        'call("/boom/")\nimport sentry_sdk\nsentry_sdk.flush(10)\n',
        SENTRY_DSN=receiver.dsn,
        TESTS_APP_RELEASE="1.4.2",
        TESTS_APP_SENTRY=json.dumps({"traces_sample_rate": 1.0, **given}),
        **environ,
    )
    receiver.stop()

    sent = [*receiver.of("event"), *receiver.of("transaction")]
    assert len(sent) == 2
    assert {(one["environment"], one["release"]) for one in sent} == {named}
    for body in receiver.bodies:
        trace = json.loads(body.partition(b"\n")[0]).get("trace")
        if trace:
            assert (trace["environment"], trace["release"]) == named
    for session in receiver.of("sessions"):
        attributes = session["attrs"]
        assert (attributes["environment"], attributes["release"]) == named


def test_options_and_hooks_of_the_project_cannot_undo_the_cleaning(tmp_path):
    receiver = Receiver()
    output(
        tmp_path,
        WSGI
        + script("leak")
        + """
sentry_sdk.logger.warning("log of password={name}", name="planted-in-body")
sentry_sdk.flush(10)
""",
        SENTRY_DSN=receiver.dsn,
        TESTS_APP_SENTRY=json.dumps(
            {
                "include_local_variables": True,
                "include_source_context": True,
                "max_request_body_size": "always",
                "enable_logs": True,
                "before_send": "tests.app.views.tell_more",
                "environment": "mine",
            }
        ),
    )
    receiver.stop()

    text = everything(receiver)
    event = next(one for one in receiver.of("event") if "exception" in one)
    assert event["environment"] == "mine"
    assert event["extra"]["added"] == "by tell_more"
    assert event["extra"]["password"] == "[redacted]"
    assert event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["vars"]
    assert receiver.of("log")
    for secret in PLANTED:
        assert secret not in text, secret


def test_without_a_dsn_nothing_is_imported_and_it_is_said_once(tmp_path):
    text = output(
        tmp_path,
        """
from django.core.asgi import get_asgi_application
get_asgi_application()
assert "sentry_sdk" not in sys.modules
""",
        TESTS_APP_SENTRY="{}",
    )
    said = [json.loads(line)["message"] for line in text.splitlines()]
    assert said == ["SENTRY_DSN is not set: errors are in the logs only."]


NEWER = """
import sentry_sdk
sent = call("/fine/1/")[0]
print(json.dumps([sent, sentry_sdk.get_client().is_active()]))
"""


def test_a_newer_sdk_is_refused_by_one_line_and_the_app_serves(tmp_path):
    # The real SDK, which says that it is of the next major version.
    fake = tmp_path / "newer"
    fake.mkdir()
    (fake / "sitecustomize.py").write_text(
        "import sentry_sdk\nsentry_sdk.VERSION = '3.0.1'\n"
    )
    path = os.pathsep.join([str(fake), os.environ["PYTHONPATH"]])
    text = output(
        tmp_path / "run",
        NEWER,
        PYTHONPATH=path,
        SENTRY_DSN="http://key@127.0.0.1:9/1",
        TESTS_APP_SENTRY="{}",
    )
    *logged, last = [json.loads(line) for line in text.splitlines()]
    (said,) = [one["message"] for one in logged if "sentry" in one["message"]]
    assert "sends nothing: it does not know sentry-sdk 3.0.1" in said
    assert "'sentry-sdk<3'" in said
    assert last == ["200 OK", False]


def test_an_option_that_the_sdk_does_not_know_is_left_out_and_errors_are_sent(tmp_path):
    receiver = Receiver()
    text = output(
        tmp_path,
        'call("/boom/")\nimport sentry_sdk\nsentry_sdk.flush(10)\n',
        SENTRY_DSN=receiver.dsn,
        TESTS_APP_SENTRY=json.dumps({"traces_sampel_rate": 1.0}),
    )
    receiver.stop()

    said = [json.loads(line)["message"] for line in text.splitlines()]
    assert len([one for one in said if "traces_sampel_rate" in one]) == 1
    assert len(receiver.of("event")) == 1


def test_in_tests_it_is_off_and_silent(monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "http://key@127.0.0.1:9/1")

    watchroom.sentry()

    assert not tracking.active()


def test_the_missing_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sentry_sdk", None)  # as if not installed

    with pytest.raises(MissingExtraError, match=r"watchroom\[sentry\]"):
        watchroom.sentry(dsn="http://key@127.0.0.1:9/1")


@pytest.mark.parametrize("said", ["often", "2", "-1"])
def test_an_invalid_rate_is_named(monkeypatch, said):
    monkeypatch.setenv("SENTRY_TRACES_SAMPLE_RATE", said)

    with pytest.raises(ConfigError, match="SENTRY_TRACES_SAMPLE_RATE"):
        watchroom.sentry(dsn="http://key@127.0.0.1:9/1")


@pytest.mark.parametrize(
    ("path", "rate"),
    [("/health/", 0.0), ("/health", 0.0), ("/livez", 0.0), ("/startupz", 0.0),
     ("/metrics", 0.0), ("/static/a.css", 0.0), ("/healthcare", 0.1), ("/", 0.1)],
)  # fmt: skip
def test_what_is_traced(path, rate):
    sample = tracking.sampler(0.1)

    assert sample({"wsgi_environ": {"PATH_INFO": path}}) == rate
    assert sample({"asgi_scope": {"path": "/app" + path, "root_path": "/app"}}) == rate
    assert sample({"wsgi_environ": {"PATH_INFO": path}, "parent_sampled": True}) == (
        1.0 if rate else 0.0
    )
    assert tracking.sampler(0.1, lambda _: 0.7)({"asgi_scope": {"path": path}}) == (
        0.7 if rate else 0.0
    )
