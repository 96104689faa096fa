"""Sites as visitors see them: a table of odd ones, and curl's own look at each."""

import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time
from typing import NamedTuple

import idna  # aiohttp needs it
import pytest
from tests.support.odd_sites import OddSite

from watchroom.exporter.probe.browse.address import ascii_host, parse
from watchroom.exporter.probe.site import Probe

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO = b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"
REAL = socket.getaddrinfo
SECONDS = 10.0


def to(location, *more):
    """Return a redirect."""
    where = location if isinstance(location, bytes) else location.encode()
    fields = b"".join(b"\r\n" + field.encode() for field in more)
    head = b"HTTP/1.1 302 Found\r\nLocation: " + where + fields
    return head + b"\r\nContent-Length: 0\r\n\r\n"


def when(good):
    return OK if good else NO


class Odd(NamedTuple):
    """A site.

    Attributes:
        what: Its name in the report.
        url: Where visitors start; PORT stands for the server's.
        answer: From an `Asked` and the port to bytes.
        up: Whether a browser shows it.
        why: What the reason says when it does not.
        curl: Whether curl judges it as browsers do.
        seconds: How long it may take.
    """

    what: str
    url: str
    answer: object
    up: bool = True
    why: str = ""
    curl: bool = True
    seconds: float = SECONDS


def host(name):
    """Answer well when the Host header is that name."""
    return lambda asked, port: when(asked.host.lower() == f"{name}:{port}")


def paths(**answers):
    """Answer by the first word of the path; `start` is /."""

    def answer(asked, port):
        word = re.match(r"/([a-z]*)", asked.path)[1] or "start"
        said = answers.get(word, NO)
        return said(asked, port) if callable(said) else said

    return answer


def hop(location, path):
    """Redirect once; well when the second request is for that path."""

    def answer(asked, port):
        if asked.path == "/start/here?x=1":
            where = location if isinstance(location, bytes) else location.encode()
            return to(where.replace(b"PORT", str(port).encode()))
        return when(asked.path.lower() == path.lower())  # curl writes %c3

    return answer


def bare(*parts):
    """Answer everything with these bytes."""
    return lambda _asked, _port: iter(parts)


def setting(cookie, check, *, then="/next"):
    """Set a cookie and redirect; `check` judges the second request."""

    def answer(asked, port):
        if asked.path == "/":
            where = then.replace("PORT", str(port))
            return to(where, f"Set-Cookie: {cookie}")
        return when(check(asked))

    return answer


def needs_cookie(asked, _port):
    return OK if "seen=1" in asked.cookie else to("/", "Set-Cookie: seen=1; Path=/")


def keeps_password(asked, _port):
    if asked.path == "/":
        return to("/next")
    return when(asked.authorization == "Basic dTpww7Y=")


def leaks_password(asked, port):
    if asked.host.startswith("shop."):
        return to(f"http://other.test:{port}/", "Set-Cookie: seen=1")
    return when(not asked.authorization and not asked.cookie)


HEAD = b"HTTP/1.1 200 OK\r\n"
SHOP = "http://shop.test:PORT/"
START = "http://shop.test:PORT/start/here?x=1"
MANY = b"".join(b"X-%d: x\r\n" % at for at in range(150))
ODD = [
    # Names
    Odd("IDN", "http://münchen.test:PORT/", host("xn--mnchen-3ya.test")),
    Odd("IDN, capitals", "http://MÜNCHEN.test:PORT/", host("xn--mnchen-3ya.test")),
    Odd("IDN, ß stays", "http://straße.test:PORT/", host("xn--strae-oqa.test")),
    Odd("IDN, decomposed", "http://mu\u0308nchen.test:PORT/",
        host("xn--mnchen-3ya.test")),
    Odd("IDN, CJK dot", "http://例え。test:PORT/", host("xn--r8jz45g.test")),
    Odd("IDN, emoji", "http://i❤️.test:PORT/", host("xn--i-7iq.test"), curl=False),
    Odd("IDN, percent", "http://m%C3%BCnchen.test:PORT/", host("xn--mnchen-3ya.test")),
    Odd("trailing dot", "http://shop.test.:PORT/", host("shop.test.")),
    Odd("capitals", "http://SHOP.Test:PORT/", host("shop.test")),
    Odd("underscore", "http://my_shop.test:PORT/", host("my_shop.test")),
    Odd("IPv4", "http://127.0.0.1:PORT/", host("127.0.0.1")),
    Odd("IPv4, short", "http://127.1:PORT/", host("127.0.0.1")),
    Odd("IPv4, one number", "http://0x7f000001:PORT/", host("127.0.0.1")),
    Odd("empty label", "http://shop..test:PORT/", host("shop..test"), up=False,
        why="isn't a host name", curl=False),
    # Paths
    Odd("path beyond ASCII", "http://shop.test:PORT/über uns?q=größer als#top",
        lambda asked, _: when(
            asked.path == "/%C3%BCber%20uns?q=gr%C3%B6%C3%9Fer%20als"), curl=False),
    Odd("path, encoded already", "http://shop.test:PORT/a%2Fb%20c?d=%26",
        lambda asked, _: when(asked.path == "/a%2Fb%20c?d=%26")),
    # Redirects
    Odd("relative", START, hop("next", "/start/next")),
    Odd("absolute path", START, hop("/next?y=2", "/next?y=2")),
    Odd("absolute", START, hop("http://www.shop.test:PORT/w", "/w")),
    Odd("same scheme", START, hop("//www.shop.test:PORT/w", "/w")),
    Odd("query only", START, hop("?y=2", "/start/here?y=2")),
    Odd("dots", START, hop("../a/./b/%2e%2e/c", "/a/c"), curl=False),
    Odd("fragment", START, hop("/next#part", "/next")),
    Odd("raw UTF-8 and a blank", START, hop("/über uns", "/%C3%BCber%20uns")),
    Odd("raw Latin-1", START, hop("/über".encode("latin-1"), "/%FCber")),
    Odd("encoded stays", START, hop("/a%2Fb%20c", "/a%2Fb%20c")),
    Odd("blanks around", START, hop("  /next \t", "/next")),
    Odd("backslashes", START, hop("\\next\\a", "/next/a"), curl=False),
    Odd("scheme in capitals", START, hop("HTTP://shop.test:PORT/n", "/n")),
    Odd("to an IDN, raw", START, hop("http://münchen.test:PORT/m", "/m")),
    Odd("to itself until it has its cookie", SHOP, needs_cookie),
    Odd("two equal Locations", SHOP,
        paths(start=to("/next", "Location: /next"), next=OK)),
    Odd("Location over two lines", SHOP, paths(start=to("\r\n /next"), next=OK),
        curl=False),
    Odd("loop", SHOP, bare(to("/")), up=False, why="more than 10 redirects"),
    Odd("to ftp", SHOP, bare(to("ftp://shop.test/")), up=False, why="ftp: isn't http"),
    Odd("without a Location", SHOP, bare(to("")), up=False, why="302"),
    Odd("307 and 308", SHOP, paths(
        start=to("/a").replace(b"302", b"307"), a=to("/b").replace(b"302", b"308"),
        b=OK)),
    Odd("300 is shown, not followed", SHOP, paths(
        start=to("/next").replace(b"302", b"300"), next=OK), up=False, why="300",
        curl=False),
    Odd("304 is no page", SHOP, bare(b"HTTP/1.1 304 Same\r\n\r\n"), up=False,
        why="304"),
    # Cookies and passwords
    Odd("cookie of the domain", SHOP, setting(
        "a=1; Domain=.Shop.test", lambda asked: asked.cookie == "a=1",
        then="http://www.shop.test:PORT/next")),
    Odd("cookie of the host alone", SHOP, setting(
        "a=1", lambda asked: asked.cookie == "",
        then="http://www.shop.test:PORT/next")),
    Odd("cookie of another's domain", SHOP, setting(
        "a=1; Domain=other.test", lambda asked: asked.cookie == "",
        then="http://other.test:PORT/next")),
    Odd("cookie of a whole top domain", SHOP, setting(
        "a=1; Domain=test", lambda asked: asked.cookie == "",
        then="http://other.test:PORT/next")),
    Odd("cookie below a path", SHOP, setting(
        "a=1; Path=/in", lambda asked: asked.cookie == "a=1", then="/in/side")),
    Odd("cookie beside a path", SHOP, setting(
        "a=1; Path=/in", lambda asked: asked.cookie == "", then="/inside")),
    Odd("secure cookie on a plain page", SHOP, setting(
        "a=1; Secure", lambda asked: asked.cookie == "")),
    Odd("cookie gone at once", SHOP, setting(
        "a=1; Max-Age=0", lambda asked: asked.cookie == "")),
    Odd("cookie gone long ago", SHOP, setting(
        "a=1; Expires=Thu, 01-Jan-1970 00:00:00 GMT",
        lambda asked: asked.cookie == "")),
    Odd("cookie with an = and quotes", SHOP, setting(
        'a="x=y"; HttpOnly; SameSite=Lax', lambda asked: asked.cookie == 'a="x=y"')),
    Odd("cookie with a control character", SHOP, setting(
        "a=1\x01", lambda asked: asked.cookie == "")),
    Odd("__Host- without its rules", SHOP, setting(
        "__Host-a=1; Path=/", lambda asked: asked.cookie == "")),
    Odd("password stays with its host", "http://u:p%C3%B6@shop.test:PORT/",
        keeps_password),
    Odd("password and cookie leave it not", "http://u:p@shop.test:PORT/",
        leaks_password),
    # Status lines
    Odd("no reason", SHOP, bare(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")),
    Odd("a reason in UTF-8", SHOP, bare("HTTP/1.1 200 Schön\r\n\r\n".encode())),
    Odd("two blanks", SHOP, bare(b"HTTP/1.1  200  OK\r\n\r\n"), curl=False),
    Odd("HTTP/1.0", SHOP, bare(b"HTTP/1.0 200 OK\r\n\r\nhello")),
    Odd("299", SHOP, bare(b"HTTP/1.1 299 Fine\r\n\r\n")),
    Odd("bare line feeds", SHOP, bare(b"HTTP/1.1 200 OK\nX: y\n\nhello")),
    Odd("100 first", SHOP, bare(b"HTTP/1.1 100 Continue\r\n\r\n", OK)),
    Odd("103 first, twice", SHOP, bare(
        *[b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"] * 2, OK)),
    Odd("101 unasked", SHOP, bare(b"HTTP/1.1 101 Up\r\nUpgrade: h2c\r\n\r\n"), up=False,
        why="101"),
    Odd("two digits", SHOP, bare(b"HTTP/1.1 20 OK\r\n\r\n"), up=False, why="not HTTP"),
    Odd("no HTTP", SHOP, bare(b"<html>hello</html>\r\n\r\n"), up=False, why="not HTTP"),
    Odd("another protocol", SHOP, bare(b"SSH-2.0-OpenSSH_9.2\r\n"), up=False),
    Odd("nothing at all", SHOP, bare(b""), up=False, why="empty response"),
    # Headers
    Odd("150 fields", SHOP, bare(HEAD, MANY, b"\r\n")),
    Odd("a field of 70 kB", SHOP, bare(HEAD, b"X: ", b"x" * 70_000, b"\r\n\r\n")),
    Odd("fields without end", SHOP, bare(HEAD, (b"X: " + b"x" * 90 + b"\r\n") * 40_000),
        up=False, why="the response header has more than"),
    Odd("a line without a colon", SHOP, bare(HEAD, b"nonsense\r\n\r\n"), curl=False),
    Odd("ends within its header", SHOP, bare(HEAD, b"X: y\r\n"), up=False,
        why="within its header", curl=False),
    Odd("slow, but it comes", SHOP, bare(HEAD, 0.2, b"X:", 0.2, b" y\r\n\r\n")),
    Odd("too slow", SHOP, bare(HEAD, *[b"X: y\r\n", 0.2] * 30), up=False,
        why="no answer within", seconds=0.7),
    # Bodies
    Odd("chunks", SHOP, bare(
        HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"2;a=b\r\nok\r\n",
        b"000A\r\n0123456789\r\n", b"0\r\nX-Trailer: y\r\n\r\n")),
    Odd("chunks and a length", SHOP, bare(
        HEAD, b"Content-Length: 900\r\nTransfer-Encoding: Chunked\r\n\r\n",
        b"2\r\nok\r\n0\r\n\r\n")),
    Odd("chunks that stop", SHOP, bare(
        HEAD, b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"), up=False,
        why="within its chunks"),
    Odd("a chunk that stops", SHOP, bare(
        HEAD, b"Transfer-Encoding: chunked\r\n\r\nff\r\nok"), up=False,
        why="within a chunk"),
    Odd("chunks of no size", SHOP, bare(
        HEAD, b"Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n"), up=False,
        why="not a chunk: "),
    Odd("no length", SHOP, bare(HEAD, b"\r\n", b"hello", 0.1, b"hello")),
    Odd("cut short", SHOP, bare(HEAD, b"Content-Length: 10\r\n\r\nhello"), up=False,
        why="after 5 of 10 bytes"),
    Odd("two equal lengths", SHOP, bare(
        HEAD, b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")),
    Odd("two lengths", SHOP, bare(
        HEAD, b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk"), up=False,
        why="two different lengths", curl=False),
    Odd("204 with a length", SHOP, bare(
        b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n")),
    Odd("gzip unasked", SHOP, bare(
        HEAD, b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b")),
]  # fmt: skip


@pytest.fixture(scope="module")
def port():
    """The port of one server for all of the table; a site is the first label."""
    with OddSite(lambda asked: NOW[0].answer(asked, site.port)) as site:
        yield site.port


NOW = [ODD[0]]


@pytest.fixture
def named(monkeypatch):
    """Names of the table lead to loopback: no name service here knows them."""

    def look(name, *args, **kwargs):
        known = isinstance(name, str) and name.rstrip(".").endswith("test")
        return REAL("127.0.0.1" if known else name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look)  # the names are made up


def run(url, seconds=SECONDS, context=None):
    """Probe a URL; return the probe and its values."""
    probe = Probe(url, seconds, context)
    thread = threading.Thread(target=probe.run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        probe.end()
    families = probe.families()
    return probe, {s.name: s.value for f in families for s in f.samples if not s.labels}


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.what)
def test_a_site_is_up_exactly_when_a_browser_shows_it(odd, port):
    NOW[0] = odd
    probe, found = run(odd.url.replace("PORT", str(port)), odd.seconds)
    assert (found["probe_success"], odd.why in probe.reason) == (odd.up, True), (
        probe.reason
    )
    assert "u:p" not in probe.reason
    assert found["probe_failed_due_to_certificate"] == 0


@pytest.mark.judge
@pytest.mark.parametrize("odd", [o for o in ODD if o.curl], ids=lambda odd: odd.what)
def test_curl_judges_the_table_alike(odd, port):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl")
    NOW[0] = odd
    url = odd.url.replace("PORT", str(port))
    done = subprocess.run(
        [curl, "-sSfLg", "--max-redirs", "10", "-b", "", "-o", "/dev/null", url,
         "--max-time", str(odd.seconds), "--connect-to", f"::127.0.0.1:{port}",
         "-w", "%{http_code}", "--proto-redir", "=http,https", "--noproxy", "*"],
        capture_output=True, check=False, env={"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    shown = done.returncode == 0 and done.stdout[:1] == b"2"
    assert shown == odd.up, (done.returncode, done.stdout, done.stderr)


ADDRESSES = {
    "https://shop.test": "https shop.test 443 / shop.test",
    "https://shop.test:443/a": "https shop.test 443 /a shop.test",
    "https://shop.test:80": "https shop.test 80 / shop.test:80",
    "http://shop.test:/": "http shop.test 80 / shop.test",
    " http:\\\\Shop.TEST\\a?b\\c ": "http shop.test 80 /a?b\\c shop.test",
    "http:/shop.test/a/..": "http shop.test 80 / shop.test",
    "http://[0:0::1]:8000/": "http [::1] 8000 / [::1]:8000",
    "http://[fe80::1%25eth0]/": "http [fe80::1] 80 / [fe80::1]",
    "http://faß.test/": "http xn--fa-hia.test 80 / xn--fa-hia.test",
    "http://\uff33\uff28OP\uff0etest/": "http shop.test 80 / shop.test",
    "http://127.0.0.1./": "http 127.0.0.1 80 / 127.0.0.1",
    "http://u:p@x.test@shop.test/": "http shop.test 80 / shop.test",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_read_as_browsers_read_it(text):
    found = parse(text)
    shown = f"{found.scheme} {found.host} {found.port} {found.target} {found.authority}"
    assert shown == ADDRESSES[text]


def test_names_are_looked_up_with_their_zone_and_certified_without_their_dot():
    assert parse("https://[fe80::1%25eth0]/").lookup == "fe80::1%eth0"
    assert parse("https://[fe80::1%25eth0]/").certified == "fe80::1"
    assert parse("https://shop.test./").lookup == "shop.test."
    assert parse("https://shop.test./").certified == "shop.test"


@pytest.mark.parametrize(
    "text",
    [
        *("", "shop.test", "//shop.test/", "ftp://shop.test/", "http://", "http:///"),
        *(
            "http://a b/",
            "http://a%00b/",
            "http://[::1/",
            "http://[::g]/",
            "http://a..b/",
        ),
        *("http://a:99999/", "http://a:x/", "http://a:\uff11/", "http://256.1.1.1/"),
        *("http://1.2.3.4.5/", f"http://{'ü' * 63}.test/", f"http://{'a.' * 200}test/"),
        *("http://\udcff.test/", "http://a%ff.test/", "http://<a>/", "x" * 100_000),
    ],
)
def test_what_is_no_address_is_refused_in_one_short_line(text):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - any text
        parse(text)
    assert 0 < len(str(refused.value)) < 250
    assert "\n" not in str(refused.value)


@pytest.mark.judge
def test_names_beyond_ascii_are_those_of_the_idna_package():
    names = "bücher ΒΌΛΟΣ βόλος 日本語 пример ÅNGSTRÖM \uff46\uff55ll ﬁne ǆ naïve"
    for name in [
        *names.split(),
        "ĿŀL",
        "x\u00ady",
        "a.ü.b",
        "שלום",
        "مثال",
        "ไทย",
        "हिन्दी",
    ]:
        wanted = idna.encode(name, uts46=True).decode()
        assert ascii_host(name) == wanted, name


def taking(monkeypatch, *addresses):
    """Let every name lead to these addresses, in this order."""
    found = []
    for host, port in addresses:
        found += REAL(host, port, type=socket.SOCK_STREAM)
    answer = lambda *_, **__: found  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", answer)  # no name service is there


@pytest.fixture
def refusing():
    """A port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


@pytest.fixture
def silent():
    """A listener whose queue is full: it never takes a connection, nor refuses one."""
    with contextlib.ExitStack() as open_:
        full = open_.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            one = open_.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def test_a_dead_address_beside_a_good_one_costs_a_moment(
    port, refusing, silent, monkeypatch
):
    NOW[0] = ODD[0]._replace(answer=bare(OK))
    good = ("127.0.0.1", port)
    for dead in (("127.0.0.1", refusing), ("127.0.0.1", silent), ("::1", refusing)):
        for addresses in ([dead, good], [dead, dead, good], [good, dead]):
            taking(monkeypatch, *addresses)
            probe, found = run("http://shop.test/")
            assert found["probe_success"] == 1, (addresses, probe.reason)
            assert found["probe_duration_seconds"] < SECONDS / 2


def test_only_dead_addresses_are_a_site_that_is_down(refusing, silent, monkeypatch):
    taking(monkeypatch, ("127.0.0.1", refusing), ("::1", refusing))
    probe, found = run("http://shop.test/")
    assert (found["probe_success"], "refused" in probe.reason) == (0, True)
    taking(monkeypatch, ("127.0.0.1", silent), ("127.0.0.1", refusing))
    began = time.monotonic()
    probe, found = run("http://shop.test/", 0.6)
    assert (found["probe_success"], "no answer within" in probe.reason) == (0, True)
    assert time.monotonic() - began < 5


def test_ipv6_is_probed_by_its_address():
    with OddSite(
        lambda asked: when(asked.host == f"[::1]:{six.port}"), None, "::1"
    ) as six:
        _, found = run(f"http://[::1]:{six.port}/")
    assert found["probe_success"] == 1
