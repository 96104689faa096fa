"""The exporter's HTTP: what it answers, whom it refuses, and that it cannot be held."""

import json
import logging
import shutil
import socket
import stat
import subprocess
import time

import pytest

from watchroom.errors import ConfigError
from watchroom.exporter import server as server_module
from watchroom.exporter.access import Listen, Token, parse_listen, refuse_open
from watchroom.formats import exposition
from watchroom.formats.exposition import Family, Sample

TOKEN = "a-token-for-tests"


def values(text):
    return {
        exposition.series(series): exposition.value_of(value)
        for series, value, _ in exposition.split(text)
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
    assert (status, headers["Allow"], text) == (405, "GET", "/metrics takes GET\n")
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
    refuse_open(Listen("0.0.0.0", 9000), Token({"WATCHROOM_TOKEN": "x"}, tmp_path))
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
    (tmp_path / "given").write_text("from a file\n")
    environ = {"WATCHROOM_TOKEN_FILE": str(tmp_path / "given")}
    assert Token(environ, None).current() == "from a file"
    assert Token({"WATCHROOM_TOKEN": "x", **environ}, None).current() == "x"
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
        head = f"POST /drill/receipt HTTP/1.1\r\nHost: x\r\n{lines}\r\n"
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


def test_slow_clients_are_cut_and_others_are_served_meanwhile(exporter, monkeypatch):
    monkeypatch.setattr(server_module, "ASKING_SECONDS", 0.6)  # sooner
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


def test_too_many_connections_are_turned_away_and_counted(exporter):
    held = []
    try:
        for _ in range(server_module.CONNECTIONS + 5):
            one = socket.create_connection(exporter.address, timeout=5)
            one.sendall(b"GET /metrics HTTP/1.1\r\n")
            held.append(one)
        deadline = time.monotonic() + 5
        while exporter.server.refused < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert exporter.server.refused == 5
    finally:
        for one in held:
            one.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        status, _, text = exporter.call("GET", "/metrics")
        if status == 200:
            break
    name = "watchroom_exporter_refused_connections_total"
    assert metric(text, name) >= 5


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
