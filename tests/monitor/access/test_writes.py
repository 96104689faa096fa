"""What changes something needs the token, on this machine too; reading does not."""

from __future__ import annotations

import grp
import json
import os
import re
import socket
import stat
import urllib.parse
from types import SimpleNamespace

import pytest
from aiohttp import web
from tests.support import documents
from tests.support.listener import listening
from tests.support.ports import free_port
from tests.support.servers import running
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, request

from watchroom.callers import network_of, user_at
from watchroom.cli.ask import token_for, url_of
from watchroom.errors import ConfigError
from watchroom.monitor.access.policy import READ_BY_POST
from watchroom.monitor.access.sessions import Sessions
from watchroom.monitor.app import _APIS, _PAGES
from watchroom.monitor.state.directory import StorageDir
from watchroom.runtime import state

OPEN = {"/login", "/login/x", "/answer/x"}  # what follows is a secret, or asks for one
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def pages():
    with listening() as listener:
        yield listener


@pytest.fixture(scope="module")
def local(tmp_path_factory, pages):
    where = tmp_path_factory.mktemp("writes")
    found = Monitor(Files(where / "monitoring", pages.url()).write(), where)
    yield found.start().ready()
    found.stop()


def writing_routes():
    """Return method and path of every route that is no GET."""
    app = web.Application()
    for part in _APIS:
        part(None).routes(app)
    for page in _PAGES:
        page(SimpleNamespace(), None).routes(app)
    return {
        (route.method, re.sub(r"\{.*?\}+", "x", route.resource.canonical))
        for route in app.router.routes()
        if route.method not in {"GET", "HEAD"}
    }


def test_every_route_that_writes_refuses_who_has_no_token(local):
    found = writing_routes()
    assert ("POST", "/-/reload") in found
    assert ("DELETE", "/api/v2/silence/x") in found
    assert len(found) > 15
    for method, path in sorted(found):
        url = local.url + path.replace("/incidents/x", "/incidents/1")
        answer = request(url, data=b"{}", method=method, **JSON)
        if path in OPEN:
            assert answer.status in {303, 404, 410}, path
        elif path in READ_BY_POST:
            assert answer.status in {200, 400}, path
        else:
            assert answer.status == 401, path
            assert "watchroom login" in answer.body or path == "/-/login-link"
    assert {path for _, path in found} >= READ_BY_POST


def test_this_machine_reads_without_a_token_and_grafana_by_post_too(local):
    query = urllib.parse.urlencode({"query": "up"}).encode()
    read = local.post("/api/v1/query", query, stranger=True)
    assert (read.status, read.json["status"]) == (200, "success")
    for path in ("/", "/alerts", "/metrics", "/api/v2/alerts", "/api/v2/silences"):
        assert local.get(path).status == 200, path
    evil = {"Origin": "https://evil.example"}
    assert local.post("/api/v1/query", query, stranger=True, **evil).status == 403


def test_nobody_silences_everything_for_ten_years_without_the_token(local):
    matcher = {"name": "alertname", "value": ".+", "isRegex": True}
    body = {
        "matchers": [matcher], "createdBy": "x", "comment": "x",
        "startsAt": "2026-12-01T00:00:00Z", "endsAt": "2096-12-01T00:00:00Z",
    }  # fmt: skip
    raw = json.dumps(body).encode()
    refused = local.post("/api/v2/silences", raw, stranger=True, **JSON)
    assert refused.status == 401
    assert "Authorization: Bearer" in refused.json["error"]
    wrong = {"Authorization": "Bearer of-the-wrong-one"}
    assert local.post("/api/v2/silences", raw, **wrong, **JSON).status == 401
    assert local.get("/api/v2/silences").json == []
    made = local.post("/api/v2/silences", raw, **JSON).json["silenceID"]
    delete = f"{local.url}/api/v2/silence/{made}"
    assert request(delete, method="DELETE").status == 401
    assert request(delete, method="DELETE", **local.bearer).status == 200


def test_a_browser_that_acts_without_a_login_comes_back_to_its_page(local):
    page = {"Accept": "text/html", "Referer": f"{local.url}/incidents/1"}
    refused = local.post("/incidents/1/note", b"text=x", stranger=True, **page)
    assert refused.status == 303
    assert refused.headers["Location"] == "../../login?then=incidents/1"
    looked = request(f"{local.url}/incidents/", Accept="text/html").body
    assert 'href="../login?then=incidents%2F"' in looked
    assert "<form" not in looked
    acting = request(f"{local.url}/incidents/", **local.login()).body
    assert 'name="form_token"' in acting


def test_a_session_that_was_ended_stays_ended_over_a_restart(local):
    ended, kept = local.login(), local.login()
    page = request(f"{local.url}/", **ended).body
    form = re.search(r'name="form_token" value="(\w+)"', page)[0]
    token = form.rpartition('="')[2].strip('"')
    data = f"form_token={token}".encode()
    assert local.post("/logout", data, stranger=True, **ended).status == 303
    assert local.stop() == 0
    local.start().ready()
    via = {"X_Forwarded_For": "203.0.113.9"}
    assert local.get("/", **via, **ended).status == 401
    assert local.get("/", **via, **kept).status == 200
    assert stat.S_IMODE((local.state / "logouts").stat().st_mode) == 0o600


def test_ended_sessions_are_bounded_and_none_of_them_comes_back(tmp_path):
    now = [1_000_000.0]

    def sessions():
        return Sessions(b"secret", lambda: now[0], tmp_path / "logouts")

    found = sessions()
    ended = []
    for _ in range(1002):
        now[0] += 1
        ended.append(found.begin())
        found._ended.add(int(ended[-1].split(".")[0]), ended[-1].split(".")[1])
    now[0] += 1
    newest = found.begin()
    again = sessions()
    for one in (found, again):
        assert not any(map(one.holds, ended))
        assert one.holds(newest)
        assert len(one._ended._until) < 1000
    (tmp_path / "logouts").write_text("nonsense")
    now[0] += 1
    damaged = sessions()
    assert not damaged.holds(newest), "who was logged out is not known"
    now[0] += 1
    fresh = damaged.begin()
    assert damaged.holds(fresh)
    assert sessions().holds(fresh), "everybody is logged out once"


def test_the_token_is_its_owners_alone_or_a_groups_too(tmp_path):
    files = tmp_path / "monitoring"
    # Root may give a file to any group, others to their own.
    group = grp.getgrall()[-1] if os.getuid() == 0 else grp.getgrgid(os.getgid())
    with StorageDir(tmp_path / "state", files) as storage:
        token, _ = storage.token({})
        path = storage.path / "token"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert storage.token({}, group.gr_name) == (token, False)
        storage.note_address("http://127.0.0.1:9700")
        for name, mode in ((".", 0o710), ("token", 0o640), ("address", 0o640)):
            found = (storage.path / name).stat()
            assert (stat.S_IMODE(found.st_mode), found.st_gid) == (mode, group.gr_gid)
        with pytest.raises(ConfigError, match="there is no such group"):
            storage.token({}, "no-such-group")
        with pytest.raises(ConfigError, match="comes from the environment"):
            storage.token({"WATCHROOM_TOKEN": "0123456789abcdef"}, group.gr_name)
        storage.token({})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_commands_find_the_token_of_the_monitor_they_ask(tmp_path, monkeypatch):
    for name in ("STATE_DIRECTORY", "WATCHROOM_TOKEN", "WATCHROOM_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    monkeypatch.setattr(state, "_SYSTEM", tmp_path / "lib")  # not ours to write
    for number, where in enumerate(("mine/watchroom/blog", "lib/watchroom/shop")):
        place = tmp_path / where
        place.mkdir(parents=True)
        (place / "token").write_text(f"token {number}\n")
        (place / "address").write_text(f"http://127.0.0.1:970{number}\n")
    (tmp_path / "watchroom.json").write_text('{"project": "shop"}')
    assert url_of(tmp_path, None) == ("http://127.0.0.1:9701", "shop")
    assert token_for("http://127.0.0.1:9701", "shop") == "token 1"
    assert token_for("http://localhost:9701", "") == "token 1"
    assert token_for("http://127.0.0.1:9700", "") == "token 0"
    assert token_for("http://127.0.0.1:9700", "shop") == "", "another monitor's"
    assert token_for("http://127.0.0.1:1", "") == ""
    assert token_for("http://watch.example.org:9701", "shop") == ""


def test_who_guesses_on_this_machine_is_a_user_of_it(files, monitor):
    files.write()
    local = monitor.start().ready()
    with socket.create_connection(("127.0.0.1", local.port)) as ours:
        assert user_at(ours.getsockname(), ours.getpeername()) == os.getuid()
        other = ("127.0.0.2", ours.getsockname()[1])
        assert user_at(other, ours.getpeername()) is None
    wrong = {"Authorization": "Bearer of-the-wrong-one"}
    for _ in range(10):
        assert local.get("/", **wrong).status == 200, "reading needs none"
    # What this user says now is not looked at; visitors of a proxy are others.
    assert local.post("/-/reload").status == 401
    through = {"X_Forwarded_For": "203.0.113.9"}
    assert local.post("/-/reload", **through).status == 200


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2:bbbb::2]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("unknown", "unknown"),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_client_is_counted_by_what_it_cannot_change(said, counted):
    assert network_of(said) == counted


@pytest.mark.judge("prometheus")
def test_a_real_prometheus_sends_its_alerts_as_the_docs_say(local, pages, tmp_path):
    document = documents.ROOT / "docs" / "receivers.md"
    (text,) = (
        one for one in documents.blocks(document, "yaml") if one.startswith("alerting")
    )
    text = text.replace("/var/lib/watchroom/shop", str(local.state))
    text = text.replace("127.0.0.1:9700", f"127.0.0.1:{local.port}")
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{evaluation_interval: 1s}}\nrule_files: [r.yml]\n{text}"
    )
    rule = {"alert": "FromPrometheus", "expr": "vector(1)"}
    groups = {"groups": [{"name": "g", "rules": [rule]}]}
    (tmp_path / "r.yml").write_text(json.dumps(groups))
    command = (
        "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{free_port()}",
        "--rules.alert.resend-delay=1s",  # it looks for the monitor after 5 s only
    )  # fmt: skip
    with running(*command, cwd=tmp_path):
        until(lambda: "FromPrometheus" in json.dumps(pages.messages()), 25, "the page")
