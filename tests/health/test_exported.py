"""What the exporter says of the app's health: the app's word, or none."""

import socket
import socketserver
import threading

import pytest
from tests.support.hole import Hole
from tests.support.peer import Peer
from tests.support.ports import free_port
from tests.support.waiting import until

from watchroom.conf.health import CheckSettings, Health
from watchroom.exporter.failures import Failures
from watchroom.exporter.probe.health import AppHealth, address

DETAILS = {
    "database": {"kind": "hard", "error": "", "seconds": 0.012, "age_seconds": 1.0},
    "cache": {"kind": "soft", "error": "timeout", "seconds": 1.0, "age_seconds": 0.0},
    "cache_other": {"kind": "soft", "error": "", "seconds": 0.0, "age_seconds": 0.0},
}
CHECKS = {"database": "ok", "cache": "error", "cache_other": "dummy"}


class App(Peer):
    """Answers /livez and /health/ as it is told, under any prefix."""

    def __init__(self, *server):
        self.live = 200
        self.body = {"status": "degraded", "checks": CHECKS}
        self.slow = threading.Event()
        self.slow.set()
        super().__init__(*server)

    def answer(self, asked):
        if asked.path.endswith("/livez"):
            return self.live, {}
        self.slow.wait(30)
        known = asked.headers.get("Authorization") == "Bearer t0ken"
        return {**self.body, "details": DETAILS} if known else self.body


@pytest.fixture
def app():
    made = App()
    yield made
    made.slow.set()
    made.close()


def asking(url, *, token="t0ken", sites=(), now=None, **settings):
    settings = Health(url=url, **settings)
    where = address(settings, sites)
    failures = Failures()
    more = {} if now is None else {"now": now}
    return AppHealth(where, settings, lambda: token, failures, **more), failures


def shown(source, wanted=lambda values: values):
    """Return the values by name and labels, once they are there."""

    def look():
        values = {
            (one.name, *(value for _, value in one.labels)): one.value
            for family in source.families()
            for one in family.samples
        }
        return values if wanted(values) else None

    return until(look, 30, "health is shown")


def test_every_check_that_the_app_names_has_a_series(app):
    source, failures = asking(app.url + "/ops")
    assert shown(source) == {
        ("health_livez",): 1.0,
        ("health_check_status", "database", "hard"): 1.0,
        ("health_check_status", "cache", "soft"): 0.0,
        ("health_check_duration_seconds", "database"): 0.012,
        ("health_check_duration_seconds", "cache"): 1.0,
        ("health_check_duration_seconds", "cache_other"): 0.0,
    }
    asked = [(one.path, one.headers.get("Authorization")) for one in app.asked[:2]]
    assert asked == [("/ops/livez", None), ("/ops/health/", "Bearer t0ken")]
    assert not failures.family().samples


def test_the_app_is_asked_as_browsers_ask_it(app, monkeypatch):
    """By a name beyond ASCII, past an address where nobody listens."""
    port, real = int(app.url.rpartition(":")[2]), socket.getaddrinfo

    def look(name, _port, **more):
        assert name == "xn--strae-oqa.test"
        dead = real("127.0.0.1", 1, **more)  # a port that needs root, and nobody has
        return [*dead, *real("127.0.0.1", port, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look)  # the name is made up
    source, _ = asking(f"http://straße.test:{port}")
    assert shown(source)["health_livez",] == 1.0
    assert app.asked[0].headers["Host"] == f"xn--strae-oqa.test:{port}"


def test_without_the_token_kinds_come_from_the_settings_and_it_says_so(app):
    app.body["checks"] = {**CHECKS, "mail": "ok", "disk": "ok"}
    source, failures = asking(
        app.url, token="other", checks={"mail": CheckSettings(hard=False)}
    )
    found = shown(source)
    assert found == {
        ("health_livez",): 1.0,
        ("health_check_status", "database", "hard"): 1.0,
        ("health_check_status", "cache", "soft"): 0.0,
        ("health_check_status", "mail", "soft"): 1.0,
        ("health_check_status", "disk", "hard"): 1.0,
    }
    assert failures.family().samples[0].value >= 1


def test_it_follows_the_app_down_and_up(app):
    source, _ = asking(app.url)
    shown(source)
    app.live = 503
    assert shown(source, lambda v: v.get(("health_livez",)) == 0) == {
        ("health_livez",): 0.0
    }
    app.live = 200
    shown(source, lambda v: ("health_check_status", "database", "hard") in v)


def test_an_app_that_is_not_there_or_hangs_is_not_live():
    source, failures = asking(f"http://127.0.0.1:{free_port()}")
    assert shown(source) == {("health_livez",): 0.0}
    assert failures.family().samples[0].value >= 1
    clock = [100.0]
    with Hole() as hole:
        source, _ = asking(f"http://127.0.0.1:{hole.port}", now=lambda: clock[0])
        assert source.families() == []
        until(lambda: hole.taken, 30)
        clock[0] += 9.0
        assert shown(source) == {("health_livez",): 0.0}


def test_whoever_else_answers_is_neither_up_nor_down(app):
    app.live = 404
    source, failures = asking(app.url)
    source.families()
    until(lambda: failures.family().samples, 30)
    assert source.families() == []


def test_a_site_tells_checks_and_not_whether_the_app_lives(app):
    clock = [100.0]
    source, failures = asking("", sites=(app.url + "/shop/?x=1",), now=lambda: clock[0])
    found = shown(source)
    assert ("health_livez",) not in found
    assert found["health_check_status", "database", "hard"] == 1.0
    assert app.asked[0].path == "/shop/livez"
    # Without our addresses it is left alone for a while.
    app.live = 404
    # The question under way may have been answered before.
    until(lambda: (source.families(), failures.family().samples)[1], 30)
    until(lambda: source._began == 0.0, 30)
    many = len(app.asked)
    for _ in range(5):
        clock[0] += 10.0
        assert source.families() == []
    assert len(app.asked) == many


def test_checks_outlive_an_answer_that_is_late_and_no_more(app, monkeypatch):
    monkeypatch.setattr("watchroom.exporter.probe.health.ASK_SECONDS", 0.3)  # not 4
    clock = [100.0]
    source, failures = asking(app.url, now=lambda: clock[0])
    known = shown(source)
    until(lambda: source._began == 0.0, 30)
    app.slow.clear()
    for _ in range(2):
        clock[0] += 10.0
        assert shown(source) == known
        until(lambda: source._began == 0.0, 30)
    assert failures.family().samples[0].value >= 1
    clock[0] += 15.0
    assert shown(source) == {("health_livez",): 1.0}
    app.slow.set()
    shown(source, lambda values: values == known)


def test_an_old_answer_is_no_answer(app):
    clock = [100.0]
    source, _ = asking(app.url, now=lambda: clock[0])
    shown(source)
    until(lambda: source._began == 0.0, 30)  # the next question is answered too
    clock[0] += 31.0
    assert source.families() == []


def test_a_unix_socket_will_do(tmp_path):
    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    made = App(Server, str(tmp_path / "app.sock"))
    try:
        source, _ = asking(f"unix:{tmp_path}/app.sock")
        assert shown(source)["health_check_status", "cache", "soft"] == 0.0
    finally:
        made.close()


def test_an_answer_that_is_none_is_told_and_shows_nothing(app):
    app.body = {"status": "ok"}
    source, failures = asking(app.url)
    assert shown(source) == {("health_livez",): 1.0}
    assert failures.family().samples[0].value >= 1


def test_nowhere_to_ask_is_nowhere():
    assert address(None, ()) is None
    assert address(Health(), ("https://shop.example",)).url == "https://shop.example"
    assert not address(Health(), ("http://shop.example/",)).private
