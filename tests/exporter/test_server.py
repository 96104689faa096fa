"""The exporter's HTTP: what it answers, whom it refuses, and that it cannot be held."""

import contextlib
import json
import logging
import random
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest

from watchroom.callers import PROXIED
from watchroom.errors import ConfigError
from watchroom.exporter import connections
from watchroom.exporter.token import Token, refuse_open
from watchroom.formats import exposition
from watchroom.formats.exposition import Family, Sample
from watchroom.listen import Listen, parse_listen
from watchroom.runtime.token import from_environment

TOKEN = "a-token-for-tests"


def values(text):
    return {
        exposition.series(series): exposition.value_of(value)
        for series, value, *_ in exposition.split(text)
    }


def metric(text, name, **labels):
    wanted = tuple(sorted({"__name__": name, **labels}.items()))
    return values(text).get(wanted)


def test_metrics_are_the_app_the_gauges_and_the_exporter(exporter):
    exporter.gauges.found = [Family("books", "gauge", "x", [Sample("books", (), 3.0)])]
    status, headers, text = exporter.call("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert metric(text, "app_up") == 1
    assert metric(text, "books") == 3
    assert metric(text, "watchroom_exporter_info", version="0.1.0") == 1
    assert metric(text, "watchroom_exporter_errors_total", part="merge") == 0
    assert metric(text, "watchroom_exporter_scrape_duration_seconds") < 1


def test_a_failing_merge_is_no_answer_rather_than_zeros(exporter, caplog):
    exporter.app.error = OSError("no such directory")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            status, _, text = exporter.call("GET", "/metrics")
        exporter.app.error = None
        _, _, again = exporter.call("GET", "/metrics")
    assert status == 503
    assert "the app's files: OSError" in text
    assert metric(again, "watchroom_exporter_errors_total", part="merge") == 3
    assert [record.getMessage() for record in caplog.records] == [
        "merge: OSError: no such directory",
        "merge: works again",
    ]


def test_a_failing_source_leaves_the_app_served(exporter):
    exporter.gauges.error = RuntimeError("no")
    _, _, text = exporter.call("GET", "/metrics")
    assert metric(text, "app_up") == 1
    assert metric(text, "watchroom_exporter_errors_total", part="gauges") == 1


@pytest.mark.judge
def test_promtool_accepts_the_exporters_own_metrics(exporter):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs Debian's promtool")
    exporter.app.text = ""
    _, _, text = exporter.call("GET", "/metrics")
    judged = subprocess.run(
        [promtool, "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (judged.returncode, judged.stderr) == (0, "")


def test_wrong_paths_and_methods_are_told_what_exists(exporter):
    status, _, text = exporter.call("GET", "/metric")
    assert (status, "/metrics" in text) == (404, True)
    status, headers, text = exporter.call("POST", "/metrics", {})
    assert (status, headers["Allow"], text) == (
        405,
        "GET",
        "/metrics accepts only GET\n",
    )
    status, headers, _ = exporter.call("DELETE", "/drill/receipt")
    assert (status, headers["Allow"]) == (405, "GET, POST")
    assert exporter.call("HEAD", "/metrics")[0] == 405
    assert exporter.call("GET", "/-/healthy")[0] == 200


def test_requests_that_are_no_http_get_one_line(exporter):
    for sent in (b"hello\r\n\r\n", b"BREW /pot HTTP/1.1\r\n\r\n", b"\x00\xff\r\n\r\n"):
        with socket.create_connection(exporter.address, timeout=5) as raw:
            raw.sendall(sent)
            answer = b"".join(iter(lambda r=raw: r.recv(4096), b""))
        assert b"<html" not in answer.lower()
        assert b"Traceback" not in answer


def test_steering_a_drill_needs_the_token_even_on_loopback(exporter):
    for path in ("/drill/start", "/drill/recover", "/drill/stop"):
        assert exporter.call("POST", path, {"nonce": "a"})[0] == 401
        assert exporter.call("POST", path, {"nonce": "a"}, token="wrong")[0] == 401
        status, _, text = exporter.call("POST", path, {"nonce": "a"}, token=TOKEN)
        assert status == 400, text


def test_beyond_loopback_everything_but_health_needs_the_token(exporters):
    exporter = exporters(listen=Listen("0.0.0.0", 0))
    assert exporter.call("GET", "/-/healthy")[0] == 200
    for path in ("/metrics", "/drill/targets", "/probe?target=x"):
        assert exporter.call("GET", path)[0] == 401
    assert exporter.call("GET", "/metrics", token=TOKEN)[0] == 200


def test_no_token_beyond_loopback_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match="WATCHROOM_TOKEN"):
        refuse_open(Listen("0.0.0.0", 9000), Token({}, tmp_path))
    given = {"WATCHROOM_TOKEN": "x" * 16}
    refuse_open(Listen("0.0.0.0", 9000), Token(given, tmp_path))
    refuse_open(Listen("::1", 9000), Token({}, tmp_path))


def test_the_token_file_is_made_private_and_comes_back_when_removed(tmp_path):
    token = Token({}, tmp_path)
    first = token.current()
    path = tmp_path / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() == first
    assert len(first) > 30
    path.unlink()
    assert token.allows(f"Bearer {first}")
    assert path.read_text().strip() == first
    assert Token({}, tmp_path).current() == first
    assert not token.allows(first)
    assert not token.allows("")
    assert not token.allows("Bearer ü")


def test_a_token_that_others_can_write_is_not_trusted(tmp_path):
    (tmp_path / "token").write_text("planted\n")
    (tmp_path / "token").chmod(0o666)
    with pytest.raises(ConfigError, match="mode"):
        Token({}, tmp_path).current()


def test_tokens_come_from_the_environment_first(tmp_path):
    (tmp_path / "given").write_text("from a file, long\n")
    environ = {"WATCHROOM_TOKEN_FILE": str(tmp_path / "given")}
    assert Token(environ, None).current() == "from a file, long"
    given = {"WATCHROOM_TOKEN": "x" * 16, **environ}
    assert Token(given, None).current() == "x" * 16
    with pytest.raises(ConfigError, match="cannot be read"):
        Token({"WATCHROOM_TOKEN_FILE": str(tmp_path / "none")}, None)
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="empty"):
        Token({"WATCHROOM_TOKEN_FILE": str(tmp_path / "empty")}, None)


def test_without_a_place_for_a_token_a_drill_cannot_start(exporters, tmp_path):
    exporter = exporters(environ={})
    shutil.rmtree(tmp_path)
    status, _, text = exporter.call("POST", "/drill/start", {}, token="x")
    assert (status, "WATCHROOM_TOKEN" in text) == (503, True)
    assert exporter.call("GET", "/metrics")[0] == 200


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:9000", Listen("127.0.0.1", 9000)),
        ("[::1]:9000", Listen("::1", 9000)),
        ("localhost:0", Listen("localhost", 0)),
        (":9000", Listen("", 9000)),
    ],
)
def test_addresses_are_read_and_written_alike(text, listen):
    assert parse_listen(text) == listen
    assert str(listen) == text


@pytest.mark.parametrize("text", [":0", "localhost:0", "0.0.0.0:0"])
def test_any_address_to_listen_on_is_listened_on(text, exporters):
    assert exporters(listen=parse_listen(text)).call("GET", "/-/healthy")[0] == 200


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (":9700", "http://127.0.0.1:9700"),
        ("0.0.0.0:9700", "http://127.0.0.1:9700"),
        ("[::]:9700", "http://[::1]:9700"),
        ("watch.lan:9700", "http://watch.lan:9700"),
    ],
)
def test_programs_of_this_machine_reach_every_address_by_loopback(text, url):
    assert parse_listen(text).url == url


@pytest.mark.parametrize("text", ["9000", "::1:9000", "a:b", "a:99999", "http://a:1"])
def test_other_addresses_are_refused(text):
    with pytest.raises(ConfigError, match="listen"):
        parse_listen(text)


def test_only_loopback_is_loopback():
    hosts = {"127.0.0.1": 1, "127.9.9.9": 1, "localhost": 1, "::1": 1}
    hosts |= {"0.0.0.0": 0, "": 0, "::": 0, "example.com": 0, "10.0.0.1": 0}
    for host, expected in hosts.items():
        assert Listen(host, 1).loopback is bool(expected), host


def test_ipv6_loopback_is_served(exporters):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        exporter = exporters(listen=Listen("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with socket.create_connection(("::1", exporter.address[1]), timeout=5) as raw:
        raw.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 200")


def test_bodies_are_bounded_and_must_be_json(exporter):
    def post(headers, body=b""):
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        head = f"POST /drill/receipt HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
        with socket.create_connection(exporter.address, timeout=10) as raw:
            raw.sendall(head.encode() + body)
            raw.shutdown(socket.SHUT_WR)
            return raw.recv(4096).split(b" ", 2)[1]

    assert post({}) == b"411"
    assert post({"Transfer-Encoding": "chunked"}) == b"411"
    assert post({"Content-Length": "-1"}) == b"411"
    assert post({"Content-Length": "99999999"}) == b"413"
    assert post({"Content-Length": "9" * 30}) == b"413"
    assert post({"Content-Length": "10"}, b"{}") == b"400"
    assert post({"Content-Length": "2"}, b"{]") == b"400"
    assert post({"Content-Length": "100000"}, b"[" * 100_000) == b"400"
    assert post({"Content-Length": "2"}, b"{}") == b"400"


def test_a_token_that_can_be_guessed_is_refused_as_the_monitor_refuses_it(tmp_path):
    for text in ("x", "x" * 15):
        with pytest.raises(ConfigError, match="fewer than 16") as refused:
            Token({"WATCHROOM_TOKEN": text}, tmp_path)
        assert refused.value.field == "WATCHROOM_TOKEN"
        (tmp_path / "given").write_text(text)
        with pytest.raises(ConfigError, match="fewer than 16"):
            Token({"WATCHROOM_TOKEN_FILE": str(tmp_path / "given")}, tmp_path)
        with pytest.raises(ConfigError, match="fewer than 16"):
            from_environment({"WATCHROOM_TOKEN": text})
    (tmp_path / "token").write_text("x\n")
    (tmp_path / "token").chmod(0o600)
    assert len(Token({}, tmp_path).current()) > 30


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9000", "", "localhost.evil.example", "[::2]"]
)
def test_a_page_whose_own_name_leads_here_reads_nothing(exporter, host):
    for path in ("/metrics", "/-/processes", "/probe?target=x", "/drill/targets"):
        status, _, text = exporter.call("GET", path, headers={"Host": host})
        assert (status, "Host" in text) == (403, True)
        status, _, _ = exporter.call("GET", path, headers={"Host": host}, token=TOKEN)
        assert status != 403
    assert exporter.call("GET", "/-/healthy", headers={"Host": host})[0] == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]", "LOCALHOST.:9"])
def test_names_of_this_machine_read_without_a_token(exporter, host):
    assert exporter.call("GET", "/metrics", headers={"Host": host})[0] == 200


def test_what_came_through_a_proxy_needs_the_token(exporter):
    for name in PROXIED:
        told = {name: "203.0.113.9"}
        assert exporter.call("GET", "/metrics", headers=told)[0] == 401
        assert exporter.call("GET", "/metrics", headers=told, token=TOKEN)[0] == 200
    said = raw(exporter, b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b" 401 " in said.splitlines()[0]


def test_who_guesses_is_not_looked_at_for_a_while(exporter):
    path, told = "/drill/stop", {"X-Forwarded-For": "203.0.113.9"}
    for number in range(12):
        wrong = f"of-the-wrong-one-{number}"
        assert exporter.call("POST", path, {}, token=wrong, headers=told)[0] == 401
    assert exporter.call("POST", path, {}, token=TOKEN, headers=told)[0] == 401
    assert exporter.call("POST", path, {}, token=TOKEN)[0] == 400, "others are"


def raw(exporter, sent):
    """Send bytes; return all that comes back."""
    with socket.create_connection(exporter.address, timeout=10) as one:
        one.sendall(sent)
        return b"".join(iter(lambda: one.recv(65536), b""))


def test_slow_clients_are_cut_and_others_are_served_meanwhile(exporter, monkeypatch):
    monkeypatch.setattr(connections, "ASKING_SECONDS", 0.6)  # sooner
    slow = [socket.create_connection(exporter.address, timeout=5) for _ in range(20)]
    try:
        began = time.monotonic()
        for one in slow[:10]:
            one.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        assert exporter.call("GET", "/metrics")[0] == 200
        while time.monotonic() - began < 0.5:  # dripping keeps no connection alive
            for one in slow[:10]:
                one.sendall(b"a")
            time.sleep(0.1)
        for one in slow:
            assert one.recv(100) == b""
        assert time.monotonic() - began < 3
    finally:
        for one in slow:
            one.close()


PARTS_OF_REQUESTS = {
    "idle": b"",
    "half a head": b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: ",
    "half a body": b"POST /drill/receipt HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Length: 100000\r\n\r\n{",
}


@contextlib.contextmanager
def held(exporter, count, sent):
    """Hold so many connections, renewed whenever the exporter cuts one."""
    leaving, threads = threading.Event(), []
    with contextlib.ExitStack() as open_:

        def hold():
            mine = []
            while not leaving.is_set():
                with contextlib.suppress(OSError):
                    while len(mine) < count // 4 and not leaving.is_set():
                        one = socket.create_connection(exporter.address, timeout=2)
                        mine.append(open_.enter_context(one))
                        one.sendall(sent)
                        one.setblocking(False)
                leaving.wait(0.05)
                for one in list(mine):
                    with contextlib.suppress(BlockingIOError):
                        with contextlib.suppress(ConnectionError):
                            one.recv(10)
                        mine.remove(one)
                        one.close()

        for _ in range(4):
            threads.append(threading.Thread(target=hold))
            threads[-1].start()
        try:
            yield
        finally:
            leaving.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("sent", PARTS_OF_REQUESTS)
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])
def test_connections_that_ask_nothing_keep_no_scrape_out(
    exporters, monkeypatch, caplog, sent, listen
):
    monkeypatch.setattr(connections, "CONNECTIONS", 100)  # fewer of this process'
    exporter = exporters(listen=Listen(listen, 0))
    token = TOKEN if listen == "0.0.0.0" else ""
    with caplog.at_level(logging.INFO), held(exporter, 200, PARTS_OF_REQUESTS[sent]):
        end = time.monotonic() + 10
        while exporter.server.refused < 100:
            assert time.monotonic() < end
            time.sleep(0.01)
        for _ in range(20):
            began = time.monotonic()
            assert exporter.call("GET", "/metrics", token=token)[0] == 200
            assert time.monotonic() - began < 4  # a scraper's patience
        _, _, text = exporter.call("GET", "/metrics", token=token)
    assert metric(text, "watchroom_exporter_refused_connections_total") >= 100
    assert metric(text, "watchroom_exporter_errors_total", part="http") == 0
    lines = [one for one in caplog.records if "too many" in one.getMessage()]
    assert len(lines) == 1


def test_answers_that_nobody_reads_keep_no_scrape_out(exporters, monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS", 50)  # fewer of this process'
    monkeypatch.setattr(connections, "LEAVING_SECONDS", 0.1)  # sooner
    exporter = exporters()
    exporter.app.text = "x 1\n" * 2_000_000
    with contextlib.ExitStack() as open_:
        for _ in range(50):
            one = open_.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(exporter.address)
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        exporter.app.text = "app_up 1\n"
        end = time.monotonic() + 10
        while exporter.call("GET", "/metrics")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_body_that_waits_to_be_asked_for_is_asked_for(exporter):
    head = (
        b"POST /drill/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(exporter.address, timeout=10) as one:
        one.sendall(head)
        assert one.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(b'{"alerts":[]}')
        assert one.recv(100).startswith(b"HTTP/1.1 200 ")


def test_no_bytes_end_the_exporter(exporter):
    chance = random.Random(9)
    pieces = [
        *(b"GET ", b"POST ", b"/metrics", b"/drill/receipt", b" HTTP/1.1", b" HTTP/9"),
        *(b"\r\n", b"\n", b"\r", b": ", b"\0", b"\xff" * 9, b" ", b"x" * 3000, b"?a=%"),
        *(b"Host: localhost", b"Content-Length: ", b"5", b"-1", b"99999999999", b"{}"),
        *(b"Expect: 100-continue", b"Transfer-Encoding: chunked", b"Authorization: "),
    ]
    for _ in range(300):
        sent = b"".join(chance.choices(pieces, k=chance.randrange(1, 30)))
        with (
            socket.create_connection(exporter.address, timeout=10) as one,
            contextlib.suppress(ConnectionError),
        ):
            for at in range(0, len(sent), 2000):
                one.sendall(sent[at : at + 2000])
            if chance.random() < 0.7:
                one.shutdown(socket.SHUT_WR)
                one.recv(1000)
    _, _, text = exporter.call("GET", "/metrics")
    assert metric(text, "watchroom_exporter_errors_total", part="http") == 0


def test_an_answer_reaches_who_is_still_sending(exporter):
    body = b"x" * (connections.LARGEST_BODY + 1)
    head = (
        b"POST /drill/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    )
    assert b" 413 " in raw(exporter, head % len(body) + body).splitlines()[0]


def test_a_head_without_end_is_refused(exporter):
    line = b"X-a: " + b"x" * 1000 + b"\r\n"
    said = raw(exporter, b"GET /metrics HTTP/1.1\r\n" + line * 80 + b"\r\n")
    assert b" 431 " in said.splitlines()[0]


def test_a_peer_that_goes_away_is_no_error(exporter):
    exporter.app.text = "x 1\n" * 500_000
    for _ in range(3):
        with socket.create_connection(exporter.address, timeout=5) as raw:
            raw.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            raw.recv(10)
    exporter.app.text = ""
    _, _, text = exporter.call("GET", "/metrics")
    assert metric(text, "watchroom_exporter_errors_total", part="http") == 0


def test_an_answer_never_names_the_python_below(exporter):
    _, headers, _ = exporter.call("GET", "/-/healthy")
    assert headers["Server"].startswith("watchroom/")
    assert "Python" not in json.dumps(dict(headers))
