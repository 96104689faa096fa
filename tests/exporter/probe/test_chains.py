"""Certificates as browsers judge them, and when the chain that they trust ends."""

import shutil
import socket
import subprocess
import time
import urllib.request
from typing import NamedTuple

import pytest
from tests.exporter.probe.test_odd_sites import REAL, run
from tests.support.chains import NOW, make, serving
from tests.support.odd_sites import OddSite
from tests.support.ports import free_port

from watchroom.exporter.probe.site import trusting
from watchroom.formats import exposition

OK = b"HTTP/1.1 204 OK\r\n\r\n"
NAMES = (
    "localhost",
    "shop.test",
    "*.wild.test",
    "xn--mnchen-3ya.test",
    "127.0.0.1",
    "::1",
)
CHAIN = "probe_ssl_last_chain_expiry_timestamp_seconds"
SENT = "probe_ssl_earliest_cert_expiry"
LIFE = "probe_ssl_earliest_cert_lifetime_seconds"

ROOT = make("New Root", "New Root", 3000)
OLD_ROOT = make("Old Root", "Old Root", 2000)
INTER = make("Inter", "New Root", 900)
LEAF = make("site", "Inter", 335, NAMES)
CROSS_GONE = make("New Root", "Old Root", -5)
CROSS_SOON = make("New Root", "Old Root", 5)
INTER_SOON = make("Inter", "Old Root", 5)
INTER_GONE = make("Inter", "Old Root", -5)


class Chain(NamedTuple):
    """A site's chain.

    Attributes:
        what: Its name in the report.
        sent: What the server sends, the leaf first.
        trusted: The roots that visitors have.
        days: In how many days what counts ends; None where nothing can be dated.
        up: Whether browsers take it.
        host: What visitors write.
    """

    what: str
    sent: tuple
    trusted: tuple
    days: int | None
    up: bool = True
    host: str = "localhost"


GOOD = (LEAF, INTER)
CHAINS = [
    Chain("good", GOOD, (ROOT,), 335),
    Chain("an expired cross-signed root beside it", (*GOOD, CROSS_GONE), (ROOT,), 335),
    Chain("that one first", (LEAF, CROSS_GONE, INTER), (ROOT,), 335),
    Chain("with the old root trusted too", (*GOOD, CROSS_GONE), (ROOT, OLD_ROOT), 335),
    Chain("a cross-signed root that ends soon", (*GOOD, CROSS_SOON),
          (OLD_ROOT, ROOT), 335),
    Chain("only the cross-signed root", (*GOOD, CROSS_SOON), (OLD_ROOT,), 5),
    Chain("two intermediates, the expired first", (LEAF, INTER_GONE, INTER),
          (OLD_ROOT, ROOT), 335),
    Chain("two intermediates, the short one first", (LEAF, INTER_SOON, INTER),
          (OLD_ROOT, ROOT), 335),
    Chain("two intermediates, one root trusted", (LEAF, INTER_SOON, INTER),
          (OLD_ROOT,), 5),
    Chain("the root is sent too", (*GOOD, ROOT), (ROOT,), 335),
    Chain("another site's certificate sent along",
          (*GOOD, make("else", "Inter", -99, ("else.test",))), (ROOT,), 335),
    Chain("the intermediate ends first",
          (LEAF, make("Inter", "New Root", 9)), (ROOT,), 9),
    Chain("the root ends first", GOOD, (make("New Root", "New Root", 3),), 3),
    Chain("an intermediate that is trusted by itself", GOOD, (INTER,), 335),
    Chain("without identifiers of keys",
          (make("site", "Inter", 335, NAMES, ids=False), INTER), (ROOT,), 335),
    Chain("by its IPv4", GOOD, (ROOT,), 335, host="127.0.0.1"),
    Chain("by its IPv6", GOOD, (ROOT,), 335, host="[::1]"),
    Chain("with a trailing dot", GOOD, (ROOT,), 335, host="shop.test."),
    Chain("by a wildcard", GOOD, (ROOT,), 335, host="a.wild.test"),
    Chain("by an IDN", GOOD, (ROOT,), 335, host="münchen.test"),
    Chain("a missing intermediate", (LEAF,), (ROOT,), 335, up=False),
    Chain("self-signed", (make("site", "site", 50, NAMES),), (ROOT,), 50, up=False),
    Chain("for another name", GOOD, (ROOT,), 335, up=False, host="other.test"),
    Chain("below a wildcard's level", GOOD, (ROOT,), 335, up=False,
          host="a.b.wild.test"),
    Chain("for another address", GOOD, (ROOT,), 335, up=False, host="127.0.0.2"),
    Chain("an unknown root", (*GOOD, ROOT), (OLD_ROOT,), 335, up=False),
    Chain("expired", (make("site", "Inter", -2, NAMES), INTER), (ROOT,), -2, up=False),
    Chain("not begun", (make("site", "Inter", 90, NAMES, begun=3), INTER), (ROOT,), 90,
          up=False),
    Chain("an expired intermediate", (LEAF, INTER_GONE), (OLD_ROOT,), -5, up=False),
    Chain("an expired root", GOOD, (make("New Root", "New Root", -5),), 335, up=False),
]  # fmt: skip


@pytest.fixture
def named(monkeypatch):
    """Names of the table lead to loopback: no name service here knows them."""

    def look(name, *args, **kwargs):
        known = name.rstrip(".").endswith("test")
        return REAL("127.0.0.1" if known else name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look)  # the names are made up


@pytest.fixture
def site(tmp_path):
    """Return a function that serves a chain and returns its address and its roots."""
    running = []

    def start(chain, answer=OK):
        context = serving(tmp_path, *chain.sent)
        asked = []
        context.sni_callback = lambda _, name, __: asked.append(name)
        host = "::1" if chain.host == "[::1]" else ""
        host = host or ("127.0.0.2" if chain.host == "127.0.0.2" else "127.0.0.1")
        running.append(OddSite(lambda _: answer, context, host))
        roots = tmp_path / "roots.pem"
        roots.write_text("".join(one.pem for one in chain.trusted))
        return f"https://{chain.host}:{running[-1].port}/", roots, asked

    yield start
    for one in running:
        one.__exit__()


def trust(roots, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    monkeypatch.setenv("SSL_CERT_DIR", str(roots.parent / "none"))
    return trusting()


def seconds(days):
    return NOW.timestamp() + days * 86400


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.what)
def test_a_chain_is_judged_as_browsers_do_and_dated_by_what_they_trust(
    chain, site, monkeypatch
):
    url, roots, asked = site(chain)
    probe, found = run(url, 5, trust(roots, monkeypatch))
    assert found["probe_success"] == chain.up, probe.reason
    assert found["probe_failed_due_to_certificate"] == (not chain.up)
    assert found[SENT] == seconds(chain.days)
    assert found.get(CHAIN) == (seconds(chain.days) if chain.up else None)
    assert found[LIFE] >= 86400
    literal = chain.host[:1] in "[1"
    wanted = chain.host.rstrip(".").replace("münchen", "xn--mnchen-3ya")
    assert set(asked) == {None if literal else wanted}


def test_of_a_redirects_hosts_the_chain_that_ends_first_counts(site, monkeypatch):
    soon = Chain("soon", (make("site", "Inter", 7, NAMES), INTER), (ROOT,), 7)
    for first, second in ((soon, CHAINS[0]), (CHAINS[0], soon)):
        there, roots, _ = site(second)
        moved = f"HTTP/1.1 301 Moved\r\nLocation: {there}\r\n\r\n".encode()
        here, _, _ = site(first, moved)
        probe, found = run(here, 5, trust(roots, monkeypatch))
        counts = found["probe_success"], found["probe_http_redirects"]
        assert counts == (1, 1), probe.reason
        assert found[CHAIN] == found[SENT] == seconds(7)


def test_a_page_whose_server_just_hangs_up_is_shown_if_it_is_whole(site, monkeypatch):
    # Without the close_notify of TLS, as many servers end a connection.
    for body, up in (
        (b"\r\n\r\nhello", True),
        (b"\r\nContent-Length: 9\r\n\r\n", False),
    ):
        url, roots, _ = site(CHAINS[0], b"HTTP/1.1 200 OK" + body)
        probe, found = run(url, 5, trust(roots, monkeypatch))
        assert found["probe_success"] == up, probe.reason


# A name of the table reaches loopback only in this process.
ELSEWHERE = [one for one in CHAINS if not one.host.strip(".").endswith("test")]


@pytest.fixture(scope="module")
def blackbox(tmp_path_factory):
    """Debian's blackbox_exporter; returns a function that asks it of a chain."""
    binary = shutil.which("prometheus-blackbox-exporter")
    if binary is None:
        pytest.skip("needs Debian's prometheus-blackbox-exporter")
    folder, port = tmp_path_factory.mktemp("blackbox"), free_port()
    modules = []
    for number, chain in enumerate(ELSEWHERE):
        roots = folder / f"{number}.pem"
        roots.write_text("".join(one.pem for one in chain.trusted))
        modules.append(
            f"  m{number}: {{prober: http, http: {{preferred_ip_protocol: ip4, "
            f"tls_config: {{ca_file: {roots}}}}}}}\n"
        )
    config = folder / "blackbox.yml"
    config.write_text("modules:\n" + "".join(modules))
    running = subprocess.Popen(
        [binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"],
        stderr=subprocess.DEVNULL,
    )

    def ask(chain, url):
        module = f"m{ELSEWHERE.index(chain)}"
        asked = f"http://127.0.0.1:{port}/probe?module={module}&target={url}"
        end = time.monotonic() + 10
        while True:
            try:
                with urllib.request.urlopen(asked, timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)
            else:
                return {
                    series: exposition.value_of(value)
                    for series, value, *_ in exposition.split(text)
                }

    yield ask
    running.kill()
    running.wait()


@pytest.mark.judge
@pytest.mark.parametrize("chain", ELSEWHERE, ids=lambda chain: chain.what)
def test_blackbox_exporter_says_the_same_of_a_chain(chain, site, blackbox):
    url, _, _ = site(chain)
    found = blackbox(chain, url)
    assert found["probe_success"] == chain.up
    assert found.get(CHAIN) == (seconds(chain.days) if chain.up else None)
