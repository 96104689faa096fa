"""Probes of real local servers: good, bad, slow, redirecting, with bad certificates."""

import http.server
import socket
import ssl
import threading
import time
from datetime import UTC, datetime

import pytest
from tests.support.certificates import Certificate

from watchroom.errors import FormatError
from watchroom.exporter.probe import site as probe_module
from watchroom.exporter.probe.certificates import validity
from watchroom.exporter.probe.site import patience
from watchroom.formats import exposition

PAST = ("20200101000000Z", "20200201123456Z")
NOW = ("20200101000000Z", "20491231235959Z")
LONG = ("20200101000000Z", "20630102030405Z")


def moment(text):
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


class Site(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self):  # noqa: C901 - one branch a kind of site
        kind, _, rest = self.path.strip("/").partition("/")
        if kind == "status":
            self.reply(int(rest))
        elif kind == "loop":
            self.reply(302, {"Location": f"/loop/{int(rest or 0) + 1}"})
        elif kind == "hops":
            left = int(rest)
            where = f"/hops/{left - 1}" if left else "/status/200"
            self.reply(301, {"Location": where})
        elif kind == "to":
            self.reply(301, {"Location": f"https://localhost:{rest}/status/200"})
        elif kind == "file":
            self.reply(302, {"Location": "file:///etc/passwd"})
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
        elif kind == "drip":
            self.send_response(200)
            self.end_headers()
            while not self.server.leaving.wait(0.1):
                self.wfile.write(b".")
        elif kind == "agent":
            good = self.headers["User-Agent"].startswith("watchroom-probe/")
            self.reply(200 if good else 400)
        elif kind == "big":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * (3 << 20))
        elif kind == "hang":
            self.server.leaving.wait(20)

    def reply(self, status, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": "2", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class SiteServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # probes hang up, on purpose


def serve(tls=None):
    server = SiteServer(("127.0.0.1", 0), Site)
    server.leaving = threading.Event()
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    return server, thread


@pytest.fixture
def sites():
    """Return a function that starts a site and returns its address."""
    running = []

    def start(tls=None):
        running.append(serve(tls))
        scheme = "https" if tls else "http"
        return f"{scheme}://localhost:{running[-1][0].server_address[1]}"

    yield start
    for server, thread in running:
        server.leaving.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def look(exporters):
    """Return a function that probes a URL through the exporter."""

    def probe(url, *, context=None, timeout="5"):
        exporter = exporters(sites=[url], context=context)
        headers = {"X-Prometheus-Scrape-Timeout-Seconds": timeout} if timeout else {}
        status, _, text = exporter.call(
            "GET", f"/probe?module=http_2xx&target={url}", headers=headers
        )
        assert status == 200, text
        found = {s: exposition.value_of(v) for s, v, *_ in exposition.split(text)}
        return found, text

    return probe


@pytest.fixture
def openssl(tmp_path):
    """Return a function that makes a self-signed certificate for localhost."""

    def make(start, end):
        made = Certificate(tmp_path / end, start, end)
        return made.served, made.trusted()

    return make


def test_a_site_that_answers_is_a_success(sites, look):
    found, _ = look(f"{sites()}/status/200")
    assert found["probe_success"] == 1
    assert found["probe_http_status_code"] == 200
    assert found["probe_http_redirects"] == 0
    assert found["probe_http_ssl"] == 0
    assert 0 < found["probe_duration_seconds"] < 5
    phases = [
        found[f'probe_http_duration_seconds{{phase="{phase}"}}']
        for phase in probe_module.PHASES
    ]
    assert 0 < sum(phases) <= found["probe_duration_seconds"]
    assert "probe_ssl_earliest_cert_expiry" not in found


@pytest.mark.parametrize("status", [201, 204, 400, 404, 500, 503])
def test_only_2xx_is_a_success(sites, look, status):
    found, text = look(f"{sites()}/status/{status}")
    assert found["probe_success"] == (1 if status < 300 else 0)
    assert found["probe_http_status_code"] == status
    assert (f"# {status}\n" in text) is (status >= 300)


def test_redirects_are_followed_ten_times(sites, look):
    site = sites()
    found, _ = look(f"{site}/hops/9")
    assert (found["probe_success"], found["probe_http_redirects"]) == (1, 10)
    found, text = look(f"{site}/hops/10")
    assert found["probe_success"] == 0
    assert "# more than 10 redirects" in text
    assert look(f"{site}/loop/0")[0]["probe_success"] == 0


def test_a_redirect_never_leaves_http(sites, look):
    found, text = look(f"{sites()}/file")
    assert found["probe_success"] == 0
    assert "file: isn't http or https" in text


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_site_that_never_ends_is_a_failed_probe_not_a_failed_scrape(
    sites, look, kind
):
    began = time.monotonic()
    found, text = look(f"{sites()}/{kind}", timeout="1.2")
    assert time.monotonic() - began < 1.2
    assert found["probe_success"] == 0
    assert found["probe_http_status_code"] == (200 if kind == "drip" else 0)
    assert "no answer within 0.7 s" in text


def test_a_listener_that_never_speaks_tls_is_a_failed_probe(look):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://localhost:{mute.getsockname()[1]}/"
        found, _ = look(url, timeout="1")
    assert found["probe_success"] == 0


def test_a_body_cut_short_is_no_success(sites, look):
    assert look(f"{sites()}/cut")[0]["probe_success"] == 0


def test_a_huge_body_is_read_only_in_part(sites, look):
    assert look(f"{sites()}/big")[0]["probe_success"] == 1


def test_the_probe_says_who_it_is(sites, look):
    assert look(f"{sites()}/agent")[0]["probe_success"] == 1


def test_nobody_listening_is_a_failed_probe(look):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found, text = look(f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert found["probe_success"] == 0
    assert "refused" in text


def test_garbage_is_a_failed_probe(look):
    with socket.create_server(("127.0.0.1", 0)) as garbage:

        def answer():
            peer, _ = garbage.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"\x00\x01 nonsense\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        found, _ = look(f"http://127.0.0.1:{garbage.getsockname()[1]}/")
        thread.join()
    assert found["probe_success"] == 0


def test_a_trusted_certificate_is_dated(sites, look, openssl):
    served, trusting = openssl(*NOW)
    found, _ = look(f"{sites(served)}/status/200", context=trusting)
    assert (found["probe_success"], found["probe_http_ssl"]) == (1, 1)
    assert found["probe_ssl_earliest_cert_expiry"] == moment(NOW[1])
    lifetime = moment(NOW[1]) - moment(NOW[0])
    assert found["probe_ssl_earliest_cert_lifetime_seconds"] == lifetime
    assert found["probe_failed_due_to_certificate"] == 0
    assert found['probe_http_duration_seconds{phase="tls"}'] > 0


def test_of_the_hosts_on_a_redirects_way_the_certificate_that_ends_first_counts(
    sites, look, openssl, tmp_path
):
    soon, trusting = openssl(*NOW)
    later, _ = openssl(*LONG)
    trusting.load_verify_locations(tmp_path / LONG[1] / "cert.pem")
    apex, www = sites(soon), sites(later)
    for first, second in ((apex, www), (www, apex)):
        port = second.rpartition(":")[2]
        found, _ = look(f"{first}/to/{port}", context=trusting)
        assert (found["probe_success"], found["probe_http_redirects"]) == (1, 1)
        assert found["probe_ssl_earliest_cert_expiry"] == moment(NOW[1])
        lifetime = moment(NOW[1]) - moment(NOW[0])
        assert found["probe_ssl_earliest_cert_lifetime_seconds"] == lifetime


def test_an_untrusted_certificate_fails_and_is_dated(sites, look, openssl):
    served, _ = openssl(*NOW)
    found, text = look(f"{sites(served)}/status/200")
    assert (found["probe_success"], found["probe_http_status_code"]) == (0, 0)
    assert found["probe_failed_due_to_certificate"] == 1
    assert found["probe_ssl_earliest_cert_expiry"] == moment(NOW[1])
    assert "self-signed certificate" in text


def test_an_expired_certificate_fails_and_is_dated(sites, look, openssl):
    served, trusting = openssl(*PAST)
    found, text = look(f"{sites(served)}/status/200", context=trusting)
    assert found["probe_success"] == 0
    assert found["probe_ssl_earliest_cert_expiry"] == moment(PAST[1])
    assert "expired" in text


def test_a_certificate_beyond_2049_is_dated(openssl, tmp_path):
    openssl(*LONG)
    der = ssl.PEM_cert_to_DER_cert((tmp_path / LONG[1] / "cert.pem").read_text())
    assert validity(der) == (moment(LONG[1]), moment(LONG[0]))
    for cut in range(0, len(der), 7):
        with pytest.raises(FormatError):
            validity(der[:cut])


def test_only_the_projects_sites_are_probed(exporters):
    exporter = exporters(sites=["https://shop.example/"])
    for target in ("http://169.254.169.254/", "https://shop.example", "shop.example"):
        status, _, text = exporter.call("GET", f"/probe?target={target}")
        assert status == 400
        assert "SITES" in text
    assert exporter.call("GET", "/probe")[0] == 400
    wrong = "/probe?target=https://shop.example/&module=tcp"
    assert "http_2xx" in exporter.call("GET", wrong)[2]


def test_probes_at_once_are_bounded(sites, exporters, monkeypatch):
    monkeypatch.setattr(probe_module, "PROBES", 1)  # not many hanging sites
    url = f"{sites()}/hang"
    exporter = exporters(sites=[url])
    statuses = []

    def look():
        slow = {"X-Prometheus-Scrape-Timeout-Seconds": "1.5"}
        path = f"/probe?target={url}"
        statuses.append(exporter.call("GET", path, headers=slow)[0])

    both = [threading.Thread(target=look) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(statuses) == [200, 503]
    text = exporter.call("GET", "/metrics")[2]
    assert 'watchroom_exporter_errors_total{part="probe"} 1\n' in text


def test_patience_is_under_the_scrapes():
    given = {"10": 9.5, "5": 4.5, "0.6": 0.3, None: 4.5, "x": 4.5, "-1": 4.5}
    given |= {"nan": 4.5, "inf": 29.5, "3600": 29.5}
    assert {text: patience(text) for text in given} == given
