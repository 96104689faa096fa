"""Who may ask what: loopback, tokens, other hosts, other origins, proxies."""

from __future__ import annotations

import socket

import pytest
from tests.support.waiting import until
from tests.support.watched import request

from watchroom.monitor.access.policy import origin_of

TOKEN = "a-token-of-the-right-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def local(target, files, monitor):
    files.job(target.address).write()
    return monitor.start().ready()


@pytest.fixture
def public(target, files, monitor):
    files.job(target.address).write()
    return monitor.start(host="0.0.0.0", WATCHROOM_TOKEN=TOKEN).ready()


def test_beyond_loopback_without_a_token_is_refused_with_what_to_do(files, monitor):
    files.job("127.0.0.1:1").write()
    assert monitor.start(host="0.0.0.0").process.wait(20) == 2
    said = monitor.log.read_text()
    assert "WATCHROOM_TOKEN" in said
    assert "Traceback" not in said


def test_loopback_is_open_to_names_of_this_machine(local):
    for host in (f"localhost:{local.port}", "127.0.0.1", "[::1]:9"):
        assert local.get("/", Host=host).status == 200, host
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "localhost@evil.example",
    ):
        assert local.get("/", Host=host).status in {400, 403}, host
    assert local.get("/api/v1/query?query=up", Host="evil.example").status == 403


def test_behind_a_proxy_every_stranger_is_loopback_so_the_token_is_asked(local):
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        answer = local.get("/api/v1/query?query=up", **{header: "203.0.113.9"})
        assert answer.status == 401
        assert answer.json["errorType"] == "unauthorized"
    token = (local.state / "token").read_text().strip()
    allowed = local.get(
        "/api/v1/query?query=up",
        X_Forwarded_For="203.0.113.9",
        Authorization=f"Bearer {token}",
    )
    assert allowed.status == 200


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://watch.example.org/watch/", "https://watch.example.org:443"),
        ("http://[::1]:9700", "http://::1:9700"),
        ("http://Watch.Example.:80", "http://watch.example:80"),
        ("null", ""),
        ("file:///x", ""),
        ("http://a:99999", ""),
        ("https://", ""),
    ],
)
def test_an_origin_has_its_port_written_out(url, origin):
    assert origin_of(url) == origin


def test_another_origin_may_not_post(local):
    own = f"http://127.0.0.1:{local.port}"
    assert local.post("/-/reload", Origin="https://evil.example").status == 403
    assert local.post("/-/reload", Origin="null").status == 403
    assert local.post("/-/reload", Sec_Fetch_Site="cross-site").status == 403
    assert (
        local.post("/-/reload", Origin=own, Sec_Fetch_Site="same-origin").status == 200
    )
    assert local.get("/-/reload").status == 405


def test_a_page_of_the_public_name_may_post_though_the_proxy_changed_the_host(local):
    def post(origin, **more):
        via = {"Via": "1.1 proxy", **more}
        answer = local.post("/login", b"token=x", stranger=True, Origin=origin, **via)
        return answer.status

    assert post("http://watch.example.org") == 303
    assert post("http://WATCH.example.org:80") == 303
    # Another scheme or port of that name is another origin, and may be another's.
    assert post("https://watch.example.org") == 403
    assert post("http://watch.example.org:8080") == 403
    assert post("http://watch.example.org.evil.example") == 403
    assert post("http://localhost:1") == 403
    assert post("http://localhost:nonsense") == 403
    # A proxy that ends TLS and keeps the name says so.
    named = {"Host": "other.example", "X-Forwarded-Proto": "https"}
    assert post("https://other.example", **named) == 303
    assert post("http://other.example", **named) == 403


def test_no_answer_invites_other_origins_and_every_answer_is_guarded(local):
    for path in ("/", "/api/v1/query?query=up", "/nowhere", "/static/console.js"):
        headers = local.get(path, Origin="https://evil.example").headers
        assert not [
            name for name in headers if name.lower().startswith("access-control")
        ]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_beyond_loopback_everything_needs_the_token(public):
    for path in (
        "/api/v1/query?query=up",
        "/metrics",
        "/-/healthy",
        "/board",
        "/runbooks/",
    ):
        assert public.get(path).status == 401, path
        wrong = {"Authorization": f"Bearer {TOKEN[:-1]}x"}
        assert public.get(path, **wrong).status == 401, path
        assert public.get(path, **BEARER).status == 200, path
    assert public.post("/-/reload", stranger=True).status == 401
    assert public.get("/", Accept="text/html").headers["Location"] == "login"
    assert "shop" not in public.get("/login").body


def test_a_login_with_the_token_gives_a_cookie_that_opens_the_page(public):
    wrong = public.post("/login", b"token=nonsense", stranger=True)
    assert (wrong.status, wrong.headers["Location"]) == (303, "login?wrong=1")
    right = public.post("/login", f"token={TOKEN}".encode(), stranger=True)
    cookie = right.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    pair = cookie.partition(";")[0]
    assert public.get("/", Cookie=pair).status == 200
    forged = pair[:-1] + ("0" if pair[-1] != "0" else "1")
    assert public.get("/", Cookie=forged).status == 401
    later = pair.replace("=", "=9", 1)
    assert public.get("/", Cookie=later).status == 401
    assert (
        public.post(
            "/login",
            f"token={TOKEN}".encode(),
            stranger=True,
            Origin="https://e.example",
        ).status
        == 403
    )


def test_the_token_is_in_no_log_and_no_answer(public):
    public.post("/login", f"token={TOKEN}".encode(), stranger=True)
    shown = "".join(
        public.get(path, **BEARER).body
        for path in ("/", "/metrics", "/api/v1/status/config", "/api/v2/status")
    )
    assert TOKEN not in shown + public.log.read_text()


def test_assets_cannot_be_walked_out_of(local):
    for path in (
        "/static/../auth.py",
        "/static/%2e%2e/auth.py",
        "/runbooks/%2e%2e%2fx",
    ):
        assert local.get(path).status == 404


@pytest.mark.parametrize(
    "cookie",
    ["watchroom=\u00b2.x", "watchroom=99999999999.\u00e9", f"watchroom={'9' * 5000}.x"],
)
def test_a_cookie_of_nonsense_is_no_login_and_no_error(public, cookie):
    raw = cookie.encode().decode("latin-1")
    assert public.get("/api/v1/query?query=up", Cookie=raw).status == 401
    odd = "Bearer \u00e9\u00ff"
    assert public.get("/api/v1/query?query=up", Authorization=odd).status == 401
    assert "Traceback" not in public.log.read_text()


def test_who_asks_by_the_public_name_comes_through_a_proxy_that_says_nothing(local):
    for host in ("watch.example.org", "WATCH.example.org.:80"):
        assert local.get("/", Host=host).status == 401, host
        assert local.get("/login", Host=host).status == 200
    silence = b"{}"
    kind = {"Host": "watch.example.org", "Content-Type": "application/json"}
    answer = local.post("/api/v2/silences", silence, stranger=True, **kind)
    assert answer.status == 401
    token = (local.state / "token").read_text().strip()
    bearer = {"Host": "watch.example.org", "Authorization": f"Bearer {token}"}
    assert local.get("/", **bearer).status == 200


def test_who_speaks_http_1_0_is_a_proxy_that_says_nothing_of_it(local):
    with socket.create_connection(("127.0.0.1", local.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b" 401 " in connection.makefile("rb").readline()


def test_requests_are_bounded(local):
    big = b"query=" + b"1" * 2_000_000
    assert local.post("/api/v1/query", big).status == 413
    until(lambda: request(local.url + "/-/healthy").status == 200)
