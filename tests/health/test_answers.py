"""What each address says, to whom, and what it never says."""

import json

import pytest
from tests.support.app import counts, run

ASK = """
from pathlib import Path
flags = Path(os.environ["TESTS_APP_FLAGS"])

def ask(path, method="GET", **headers):
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "10.1.2.3",
        "SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
    } | {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    said = []
    response = application(environ, lambda *head: said.append(head))
    body = b"".join(response).decode()
    response.close()
    status, headers = said[0]
    return int(status[:3]), body, dict(headers)

def body(path, **headers):
    status, text, _ = ask(path, **headers)
    return status, json.loads(text)

def told(path):
    return body(path, authorization="Bearer a-token-of-16-signs")
"""
# One process answers everything that needs no settings of its own.
ALL = """
from unittest import mock
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.test import override_settings
from watchroom.health import views
said = {}

class Later(Migration):
    pass

made = MigrationLoader.build_graph
def with_one_more(self):
    made(self)
    self.graph.add_node(("watchroom", "0001_later"), Later("0001_later", "watchroom"))

# A project with a migration more than its database.
newer = mock.patch.object(  # a mock: this project has no migrations of its own
    MigrationLoader, "build_graph", with_one_more
)
with newer:
    said["starting"] = body("/startupz")
views.RUNNER._lines.clear()
said["started"] = body("/startupz")
with newer:
    said["started still"] = body("/startupz")

said["well"] = body("/health/")
said["wrong token"] = body("/health/", authorization="Bearer wrong")
said["token"] = told("/health/")
(flags / "mail").touch()
said["soft"], said["soft ready"] = body("/health/"), body("/readyz")
(flags / "false").touch()
said["hard"], said["hard ready"] = told("/health/"), body("/readyz")
(flags / "raise").touch()
said["raising"] = [ask("/health/"), ask("/readyz"), told("/health/")]
for flag in flags.iterdir():
    flag.unlink()
said["again"] = body("/readyz")

said["get"], said["head"] = ask("/livez"), ask("/livez", "HEAD")
said["post"], said["slash"] = ask("/livez", "POST"), ask("/livez/")
said["own"], said["inner"] = ask("/own/health/"), ask("/inner/readyz")
dummy = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
views.RUNNER._lines.clear()
with override_settings(CACHES=dummy):
    said["dummy"] = body("/health/")
call("/work/")
show(said)
"""


def asked(tmp_path, script, **more):
    flags = tmp_path / "flags"
    flags.mkdir()
    (tmp_path / "db.sqlite3").touch()
    more = {"TESTS_APP_FLAGS": str(flags), "TESTS_APP_DATA": str(tmp_path)} | more
    return run(
        tmp_path / "run", ASK + script, WATCHROOM_TOKEN="a-token-of-16-signs", **more
    )


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    return asked(folder, ALL) | {"counts": counts(folder / "run")}


def test_the_shape_is_the_guides(said):
    names = ("database", "cache", "cache_other", "disk", "mail")
    assert said["well"] == [
        200,
        {"status": "ok", "checks": dict.fromkeys(names, "ok")},
    ]


def test_details_need_the_token(said):
    assert said["wrong token"] == said["well"]
    status, body = said["token"]
    details = body.pop("details")
    assert [status, body] == said["well"]
    assert details["database"]["kind"] == "hard"
    assert details["mail"]["kind"] == details["cache"]["kind"] == "soft"
    assert 0 < details["database"]["seconds"] < 5


def test_a_soft_check_degrades_and_is_nothing_to_readiness(said):
    status, body = said["soft"]
    assert (status, body["status"], body["checks"]["mail"]) == (
        *(200, "degraded"),
        "error",
    )
    fine = {"status": "ok", "checks": {"database": "ok", "disk": "ok"}}
    assert said["soft ready"] == [200, fine]


def test_a_hard_check_is_503_until_it_passes_again(said):
    status, body = said["hard"]
    assert (status, body["status"]) == (503, "degraded")
    assert body["details"]["disk"]["error"] == "FalseReturnedError"
    assert said["hard ready"] == [
        503,
        {"status": "degraded", "checks": {"database": "ok", "disk": "error"}},
    ]
    assert said["again"][0] == 200


def test_no_error_text_reaches_anybody(said):
    assert "hunter2" not in json.dumps(said["raising"])
    assert said["raising"][2][1]["details"]["disk"]["error"] == "RuntimeError"


def test_only_get_and_head_and_never_stored(said):
    (status, body, headers), (head_status, head, more) = said["get"], said["head"]
    assert (status, body) == (200, '{"status": "ok"}\n')
    assert (head_status, head) == (200, "")
    assert headers["Content-Length"] == more["Content-Length"] == "17"
    assert headers["Cache-Control"] == more["Cache-Control"] == "no-store"
    assert (said["post"][0], said["post"][2]["Allow"]) == (405, "GET, HEAD")


def test_a_prefix_is_found_and_the_projects_own_addresses_stay_its_own(said):
    assert said["inner"][0] == 200
    # The project's own host check refuses them: none of ours.
    assert said["own"][0] == said["slash"][0] == 400


def test_it_is_started_when_the_migrations_are_applied_and_then_for_good(said):
    assert said["starting"] == [
        503,
        {"status": "starting", "checks": {"migrations": "error"}},
    ]
    assert said["started"] == said["started still"]
    assert said["started"][0] == 200


def test_a_cache_that_stores_nothing_says_so(said):
    status, body = said["dummy"]
    assert (status, body["status"]) == (200, "ok")
    assert body["checks"]["cache"] == "dummy"


def test_probes_are_no_traffic_and_what_they_ask_is_not_the_apps(said):
    found = said["counts"]
    assert found.sum("db_query_duration_seconds_count") == 3
    assert found.sum("cache_gets_total") == 2
    # The three that were the project's own to answer.
    assert found.sum("http_requests_total") == 3
    assert found.sum("db_query_errors_total") == found.sum("cache_errors_total") == 0


STRICT = {"TESTS_APP_STRICT": "1"}
PROBES = '("/livez", "/readyz", "/health/", "/health", "/startupz", "/fine/1/")'


@pytest.mark.parametrize("on", ["1", "0"])
def test_nothing_of_the_project_comes_before_it_nor_when_switched_off(tmp_path, on):
    script = f"show([ask(path)[0] for path in {PROBES}])"
    found = asked(tmp_path, script, **STRICT, WATCHROOM_ENABLED=on)
    assert found == [200] * 5 + [400]


def test_a_liveness_probe_opens_no_database_even_with_atomic_requests(tmp_path):
    # Without the middleware the view itself must not: port 1 refuses.
    found = asked(
        tmp_path,
        'show([call("/livez")[0][:3], call("/health/")[0][:3]])',
        TESTS_APP_POSTGRES_PORT="1",
        TESTS_APP_BARE="1",
    )
    assert found == ["200", "503"]


def test_settings_make_checks_hard_slow_or_absent_and_are_checked(tmp_path):
    found = asked(
        tmp_path,
        """
from django.core.checks import run_checks
(flags / "mail").touch()
body("/health/")
(flags / "mail").unlink()
messages = [[one.id, one.msg, one.hint] for one in run_checks(tags=["watchroom"])]
show([body("/readyz"), body("/health/"), messages])
""",
        TESTS_APP_HEALTH=json.dumps(
            {
                "checks": {
                    "cache": {"hard": True},
                    "cache_other": False,
                    "mail": {"ttl": "1m"},
                    "dsik": {"hard": False},
                }
            }
        ),
    )
    (_, ready), (_, whole), (unknown,) = found
    assert list(ready["checks"]) == ["database", "cache", "disk"]
    assert whole["checks"] == {
        "database": "ok",
        "cache": "ok",
        "disk": "ok",
        "mail": "error",
    }
    assert (unknown[0], unknown[2]) == ("watchroom.E003", "Did you mean 'disk'?")


def test_a_database_without_a_time_out_is_warned_of(tmp_path):
    found = asked(
        tmp_path,
        """
from django.core.checks import run_checks
show([[one.id, one.msg] for one in run_checks(tags=["watchroom"])])
""",
        TESTS_APP_POSTGRES_PORT="1",
    )
    ((number, text),) = found
    assert number == "watchroom.W003"
    assert "connect_timeout" in text
