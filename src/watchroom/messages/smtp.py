"""Handing one mail to one server, within a time, and saying how that went."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.messages.network import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import EmailMessage
    from pathlib import Path

_IMPLICIT_TLS = 465
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Server(NamedTuple):
    """A mail server and how to talk to it.

    Attributes:
        host: Its name or address.
        port: 465 means TLS from the start.
        hello: Our host name in EHLO.
        require_tls: Use STARTTLS, and refuse a server without it.
        ca_file: Whose certificates are believed; None is the system's choice.
        username: For AUTH; empty for none.
        password: Never sent in clear, but to this machine.
    """

    host: str
    port: int
    hello: str = "localhost"
    require_tls: bool = True
    ca_file: Path | None = None
    username: str = ""
    password: str = ""


class Outcome(NamedTuple):
    """How it went.

    Attributes:
        error: Why the server did not take the mail; "" when it did.
        retry: Whether trying again may help.
    """

    error: str
    retry: bool


class _RefusedError(Exception):
    """What no second try will change."""


def send(
    server: Server,
    message: EmailMessage,
    sender: str,
    to: Sequence[str],
    seconds: float,
) -> Outcome:
    """Hand over `message` once, from `sender` to the addresses in `to`.

    Never raises for what the server does. Blocks for `seconds`, and for as long as a
    name takes to resolve; nothing is sent after them.
    """
    end = time.monotonic() + seconds
    try:
        with _connected(server, end) as talk:
            if server.password:
                if not _private(talk, server.host):
                    raise _RefusedError(  # noqa: TRY301 - reported like the rest
                        "the password would be sent unencrypted: use TLS"
                    )
                talk.login(server.username, server.password)
            talk.send_message(message, sender, to)
    except _RefusedError as error:
        return Outcome(str(error), False)
    except OSError as error:  # smtplib's are OSErrors
        # An answer that was cut short looks like another one.
        if isinstance(error, TimeoutError) or time.monotonic() >= end:
            return Outcome(f"no answer within {seconds:g} s", True)
        return _outcome(error)
    return Outcome("", False)


class _Talk(smtplib.SMTP):
    """SMTP whose connection is cut at its deadline, in any state.

    A socket's own timeout begins anew with each byte of a peer that trickles.
    """

    def __init__(self, server: Server, end: float) -> None:
        self._end = end
        self.context = ssl.create_default_context(cafile=server.ca_file)
        left = max(0.1, end - time.monotonic())
        super().__init__(server.host, server.port, server.hello, timeout=left)

    def connect(
        self, host: str = "", port: int = 0, source_address: Any = None
    ) -> tuple[int, bytes]:
        """Connect, with TLS where the port means that, and read the greeting."""
        sock = socket.create_connection((host, port), self.timeout, source_address)
        self._wire = sock.dup()  # TLS takes the other one over
        self._timer = threading.Timer(self._end - time.monotonic(), self._cut)
        self._timer.daemon = True
        self._timer.start()
        try:
            if port == _IMPLICIT_TLS:
                sock = self.context.wrap_socket(sock, server_hostname=host)
            self.sock, self.file = sock, None
            return self.getreply()
        except OSError:
            self.close()
            raise

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, so that the deadline cannot cut another."""
        super().close()
        self._timer.cancel()
        self._timer.join()
        self._wire.close()


@contextlib.contextmanager
def _connected(server: Server, end: float) -> Iterator[smtplib.SMTP]:
    with contextlib.closing(_Talk(server, end)) as talk:
        if server.require_tls and server.port != _IMPLICIT_TLS:
            talk.ehlo_or_helo_if_needed()
            if not talk.has_extn("starttls"):
                raise _RefusedError("doesn't offer STARTTLS, but TLS is required")
            talk.starttls(context=talk.context)
        yield talk
        # The mail is taken by now: how the goodbye goes changes nothing.
        with contextlib.suppress(OSError):
            talk.quit()


def _private(talk: smtplib.SMTP, host: str) -> bool:
    return isinstance(talk.sock, ssl.SSLSocket) or host in _LOCAL


def _outcome(error: OSError) -> Outcome:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        return Outcome(f"refused every recipient: {code} {_text(answer)}", code < 500)
    if isinstance(error, smtplib.SMTPResponseException):
        # 5xx is permanent; below 400 is not an SMTP reply.
        why = f"answered {error.smtp_code} {_text(error.smtp_error)}"
        return Outcome(why, not 500 <= error.smtp_code < 600)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Outcome(f"doesn't offer a required feature: {error}", False)
    if isinstance(error, smtplib.SMTPException):
        return Outcome("connection closed before the message was accepted", True)
    return Outcome(reason(error), True)


def _text(answer: bytes | str) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer
