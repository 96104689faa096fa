"""Logging in and out, forms, and every page under a path that a proxy has or strips."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import urllib.parse

import pytest
import segno
from tests.support.listener import listening
from tests.support.proxy import proxied
from tests.support.watched import Files, Monitor, Target, request

from watchroom.callers import Attempts
from watchroom.monitor.access.sessions import LINK_SECONDS, Sessions

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def monitor(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("access")
    target = Target()
    with listening() as pages:
        files = Files(tmp_path / "monitoring", pages.url()).job(target.address)
        files.monitor_url = "https://watch.example.org/watch/"
        running = Monitor(files.write(), tmp_path)
        running.start().ready()
        yield running
        running.stop()
    target.close()


@pytest.fixture
def target():
    found = Target()
    yield found
    found.close()


@pytest.fixture
def token(monitor):
    return (monitor.state / "token").read_text().strip()


class Visitor:
    """A browser without a screen: it follows redirects and keeps its cookie."""

    def __init__(self):
        self.cookie = ""

    def go(self, url, form=None, **headers):
        for _ in range(5):
            data = None if form is None else urllib.parse.urlencode(form).encode()
            found = request(url, data=data, Cookie=self.cookie, **HTML, **headers)
            kept = found.headers.get("Set-Cookie", "")
            if kept:
                self.cookie = kept.partition(";")[0]
            if found.status != 303:
                return url, found
            url, form = urllib.parse.urljoin(url, found.headers["Location"]), None
        raise AssertionError(f"redirected for ever: {url}")


def form_token(page):
    return re.search(r'name="form_token" value="(\w+)"', page)[1]


def pages_from(visitor, start):
    """Return every page that links lead to, by its URL.

    Without queries: those of times lead ever further.
    """
    found, waiting = {}, [start]
    while waiting:
        url = re.split("[?#]", waiting.pop())[0]
        if url in found:
            continue
        _, answer = visitor.go(url)
        found[url] = answer
        links = re.findall(r'(?:href|src)="([^"]+)"', answer.body)
        waiting += [urllib.parse.urljoin(url, link) for link in links]
    return found


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "stripped"])
@pytest.mark.parametrize("host", ["", "watch.example.org"], ids=["own", "public"])
def test_under_a_path_login_links_and_logout_work(monitor, token, keep, host):
    visitor = Visitor()
    with proxied(monitor.port, "/watch", keep=keep, host=host) as base:
        where, answer = visitor.go(f"{base}/runbooks/TooHigh")
        assert where == f"{base}/login?then=runbooks/TooHigh"
        assert "shop" not in answer.body
        wrong = {"token": "x", "then": "runbooks/TooHigh"}
        where, answer = visitor.go(f"{base}/login", wrong)
        assert "Wrong token." in answer.body
        right = {"token": token, "then": "runbooks/TooHigh"}
        where, answer = visitor.go(f"{base}/login", right)
        assert (where, answer.status) == (f"{base}/runbooks/TooHigh", 200)
        seen = pages_from(visitor, f"{base}/")
        assert {f"{base}/", f"{base}/alerts", f"{base}/runbooks/"} <= seen.keys()
        assert {url: a.status for url, a in seen.items() if a.status != 200} == {}
        assert all(url.startswith(f"{base}/") for url in seen)
        page = seen[f"{base}/"].body
        kept = visitor.cookie
        where, answer = visitor.go(f"{base}/logout", {"form_token": form_token(page)})
        assert where == f"{base}/login"
        visitor.cookie = kept
        assert visitor.go(f"{base}/")[0] == f"{base}/login", "ended, not forgotten"


def test_the_prefix_without_its_slash_leads_to_the_page(monitor):
    found = request(f"{monitor.url}/watch")
    assert (found.status, found.headers["Location"]) == (303, "watch/")


def test_a_cookie_of_a_shared_host_stays_under_its_path(monitor, token):
    def path(host, at="/login"):
        answer = monitor.post(
            at, urllib.parse.urlencode({"token": token}).encode(), Host=host
        )
        return re.search(r"Path=([^;]+)", answer.headers["Set-Cookie"])[1]

    assert path("watch.example.org") == "/watch/"
    assert path("localhost", "/watch/login") == "/watch/"
    assert path("localhost") == "/"


@pytest.mark.parametrize(
    "then", ["//evil.example/", "https://evil.example", "../..", "a/../../x", "\\\\x"]
)
def test_a_login_leads_to_our_own_pages_only(monitor, token, then):
    data = urllib.parse.urlencode({"token": token, "then": then}).encode()
    assert monitor.post("/login", data).headers["Location"] == "./"


def test_a_form_needs_the_token_of_its_session(monitor):
    def post(form, **headers):
        data = b"form_token=" + form.encode()
        return monitor.post("/logout", data, stranger=True, **headers).status

    mine, others = monitor.login(), monitor.login()
    ours = form_token(request(f"{monitor.url}/", **mine).body)
    theirs = form_token(request(f"{monitor.url}/", **others).body)
    assert post("", **mine) == 403
    assert post(theirs, **mine) == 403
    assert post(ours) == 401, "no session"
    assert post(ours, **mine, Origin="https://evil.example") == 403
    assert post(ours, **mine) == 303
    assert post(ours, **mine) == 401, "ended"
    assert post(theirs, **others) == 303


def test_an_error_is_a_page_for_people_and_a_line_for_programs(monitor, token):
    bearer = {"Authorization": f"Bearer {token}"}
    bare = request(f"{monitor.url}/no/where", **bearer)
    assert (bare.status, bare.headers["Content-Type"][:10]) == (404, "text/plain")
    page = request(f"{monitor.url}/no/where", **HTML, **bearer)
    assert (page.status, "Page not found" in page.body) == (404, True)
    assert 'href="../static/console.css"' in page.body
    assert 'href="../dashboards/"' in page.body
    gone = request(f"{monitor.url}/incidents/999", **HTML, **bearer)
    assert "There is no incident 999" in gone.body
    stale = request(f"{monitor.url}/logout", data=b"", **HTML, **monitor.login())
    assert (stale.status, "reload the page" in stale.body) == (403, True)
    # Strangers learn nothing from it, not even what pages there are.
    for path, headers in (("/", {"Host": "evil.example"}), ("/answer/a/b", {})):
        found = request(f"{monitor.url}{path}", **HTML, **headers)
        assert found.status in {403, 404}
        assert "<nav" not in found.body
    api = request(f"{monitor.url}/api/v1/nothing", **HTML, **bearer)
    assert "<html" not in api.body


def test_a_one_time_link_logs_in_once_and_looking_at_it_burns_nothing(monitor):
    assert monitor.post("/-/login-link", stranger=True).status == 401
    assert monitor.post("/-/login-link", stranger=True, **monitor.login()).status == 401
    offered = monitor.post("/-/login-link").json
    assert offered["seconds"] == LINK_SECONDS
    visitor, stranger = Visitor(), {"X_Forwarded_For": "203.0.113.9"}
    url = f"{monitor.url}/{offered['path']}"
    for _ in range(3):
        assert "Log in on this device" in visitor.go(url, **stranger)[1].body
    assert visitor.go(f"{monitor.url}/alerts", **stranger)[1].status == 200
    assert "needs" not in visitor.cookie
    where, answer = visitor.go(url, {}, **stranger)
    assert (where, answer.status) == (f"{monitor.url}/", 200)
    assert "Log out" in answer.body
    used = Visitor().go(url, {}, **stranger)[1]
    assert used.status == 410
    assert "expired or was already used" in used.body
    assert monitor.get("/login/nonsense").status == 410


def test_after_ten_wrong_tokens_a_sender_waits_and_others_do_not(monitor, token):
    def attempt(given, sender):
        data = f"token={given}".encode()
        answer = monitor.post("/login", data, stranger=True, X_Forwarded_For=sender)
        return answer.headers["Location"]

    sessions = [attempt("x", "203.0.113.66") for _ in range(1)]
    assert sessions == ["login?wrong=1"]
    wrong = {"Authorization": "Bearer x"}
    for _ in range(9):
        monitor.get("/alerts", X_Forwarded_For="203.0.113.66", **wrong)
    assert attempt(token, "203.0.113.66") == "login?wrong=1"
    page = monitor.get("/login", X_Forwarded_For="203.0.113.66").body
    assert "Too many wrong tokens" in page
    assert attempt(token, "203.0.113.67") == "./"


def test_attempts_are_forgotten_with_time_and_bounded():
    now = [0.0]
    attempts = Attempts(most=2, seconds=60, senders=3, now=lambda: now[0])
    attempts.wrong("a")
    assert attempts.wait("a") == 0
    attempts.wrong("a")
    assert 0 < attempts.wait("a") <= 61
    now[0] = 61.0
    assert attempts.wait("a") == 0
    for sender in "bcdef":
        attempts.wrong(sender)
    assert len(attempts._wrong) == 3


def test_links_and_sessions_end_with_their_time():
    now = [1_000_000.0]
    sessions = Sessions(b"secret", lambda: now[0])
    code, cookie = sessions.offer(), sessions.begin()
    assert sessions.is_offered(code)
    assert sessions.holds(cookie)
    assert not Sessions(b"other", lambda: now[0]).holds(cookie)
    now[0] += LINK_SECONDS + 1
    assert not sessions.is_offered(code)
    assert sessions.take(code) is None
    now[0] += 8 * 86400
    assert not sessions.holds(cookie)
    assert code not in repr(vars(sessions))


def watchroom(*words, **env):
    base = {k: v for k, v in os.environ.items() if not k.startswith("WATCHROOM")}
    return subprocess.run(
        [sys.executable, "-m", "watchroom", *words],
        env=base | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_login_prints_a_link_that_works_once_and_a_code_for_a_phone(monitor, token):
    asked = ("login", "--url", monitor.url)
    done = watchroom(*asked, "--phone", WATCHROOM_TOKEN=token)
    assert done.returncode == 0, done.stderr
    link = done.stdout.splitlines()[-1]
    assert link.startswith("https://watch.example.org/watch/login/")
    drawn = io.StringIO()
    segno.make(link, micro=False).terminal(drawn, border=2, compact=True)
    assert drawn.getvalue() in done.stdout
    assert "10 minutes" in done.stderr
    assert token not in done.stdout + done.stderr
    here = f"{monitor.url}/watch/login/{link.rpartition('/')[2]}"
    assert "Log out" in Visitor().go(here, {})[1].body
    assert Visitor().go(here, {})[1].status == 410
    offered = json.loads(watchroom(*asked, "--json", WATCHROOM_TOKEN=token).stdout)
    assert offered["seconds"] == LINK_SECONDS


def test_login_says_who_refuses_and_what_a_phone_cannot_open(
    monitor, token, tmp_path, target
):
    refused = watchroom("login", "--url", monitor.url, WATCHROOM_TOKEN="w" * 20)
    assert refused.returncode == 1
    assert "WATCHROOM_TOKEN" in refused.stderr
    with listening() as pages:
        files = Files(tmp_path / "monitoring", pages.url()).job(target.address)
        files.monitor_url = ""
        own = Monitor(files.write(), tmp_path)
        own.start(WATCHROOM_TOKEN=token).ready()
        done = watchroom("login", "--url", own.url, "--phone", WATCHROOM_TOKEN=token)
        own.stop()
    assert done.returncode == 2
    assert "a phone can't open http://127.0.0.1" in done.stderr
    assert "MONITOR_URL" in done.stderr
