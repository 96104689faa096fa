"""A database whose host vanishes after the login, and one that takes its place."""

import contextlib
import socket
import threading

import pytest
from tests.support.app import run
from tests.support.postgres import server

SCRIPT = """
import socket, threading, time
from django.db import connections
from watchroom.health import probes

def stuck():
    return sum(t.name == "health-database" for t in threading.enumerate())

said = {"answers": [], "seconds": [], "threads": 0}
until = time.monotonic() + 30
while time.monotonic() < until and "200 OK" not in said["answers"]:
    began = time.monotonic()
    said["answers"].append(call("/readyz")[0])
    said["seconds"].append(time.monotonic() - began)
    said["threads"] = max(said["threads"], stuck())
    time.sleep(0.1)

def kept(**options):
    connections.settings["default"]["OPTIONS"] = options
    with probes._connection("default", 1.0) as opened:
        opened.ensure_connection()
        with socket.socket(fileno=os.dup(opened.connection.fileno())) as one:
            return [
                one.getsockopt(socket.IPPROTO_TCP, named)
                for named in (
                    socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT
                )
            ]

said["ours"] = kept()
said["the app's"] = list(connection.get_connection_params())
said["theirs"] = kept(keepalives_idle=77)
show(said)
"""


class Failover:
    """Passes on to a server, but for one connection that falls silent at its query.

    To the client that is a host which vanished after the last acknowledgement: its
    connection stays up, and nothing comes any more.
    """

    def __init__(self, to):
        self.to = to
        self.open = []
        self.vanished = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                host = socket.create_connection(("127.0.0.1", self.to))
                self.open += (client, host)
                for pair in ((client, host), (host, client)):
                    threading.Thread(target=self.copy, args=pair, daemon=True).start()

    def copy(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if b"SELECT 1" in data and not self.vanished:
                    self.vanished = True
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def close(self):
        for one in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    with server() as database, contextlib.closing(Failover(database.port)) as hosts:
        found = run(
            tmp_path_factory.mktemp("failover"),
            SCRIPT,
            TESTS_APP_POSTGRES_PORT=str(hosts.port),
        )
        assert hosts.vanished
    return found


def test_readiness_comes_back_with_the_database_and_holds_up_nobody(said):
    assert said["answers"][0] == "503 Service Unavailable"
    assert said["answers"][-1] == "200 OK"
    assert said["seconds"][0] < 1.1 + 1.0  # a busy machine
    assert max(said["seconds"][1:]) < 1.0
    assert said["threads"] <= 2


def test_only_the_checks_connection_is_kept_alive_and_as_the_project_says(said):
    assert said["ours"] == [5, 2, 3]
    assert said["theirs"] == [77, 2, 3]
    assert not [name for name in said["the app's"] if name.startswith("keepalive")]
