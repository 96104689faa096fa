"""Certificates of every age, made by openssl, and a listener that serves one."""

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

_AUTHORITY = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = authority
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
"""


class Certificate:
    """A self-signed certificate for localhost.

    Args:
        folder: Where its files go; made. Its name is the subject's: those of one name
            are one authority to clients.
        start: From when it is good: ``20200101000000Z``, the past included.
        end: Until when.
    """

    def __init__(self, folder: Path, start: str, end: str) -> None:
        binary = shutil.which("openssl")
        if binary is None:
            pytest.skip("needs openssl")
        self._binary, self._folder = binary, folder
        folder.mkdir(exist_ok=True)
        (folder / "ca.cnf").write_text(_AUTHORITY)
        (folder / "index.txt").write_text("")
        self._run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem",
                  "-subj", f"/CN={folder.name}",
                  "-addext", "subjectAltName=DNS:localhost",
                  "-out", "csr.pem")  # fmt: skip
        # `openssl req` takes no moment in the past; its authority does.
        self._run("ca", "-batch", "-config", "ca.cnf", "-selfsign", "-keyfile",
                  "key.pem", "-in", "csr.pem", "-out", "cert.pem", "-notext",
                  "-startdate", start, "-enddate", end)  # fmt: skip
        self.file = folder / "cert.pem"
        self.served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.served.load_cert_chain(self.file, folder / "key.pem")

    def trusted(self) -> ssl.SSLContext:
        """Return a context for clients that trust it."""
        return ssl.create_default_context(cafile=str(self.file))

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [self._binary, *command], cwd=self._folder, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


class Site:
    """An https site that answers 204; `certificate` may be another at any time."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listening.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            plain.settimeout(5)
            try:
                with self.certificate.served.wrap_socket(
                    plain, server_side=True
                ) as tls:
                    tls.recv(4096)
                    tls.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            except OSError:
                plain.close()  # who does not trust it hangs up
