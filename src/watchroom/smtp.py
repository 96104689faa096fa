"""Handing one mail to one server, within a time, and saying how that went."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import time
from typing import TYPE_CHECKING, NamedTuple

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
        hello: Who we say we are.
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

    Never raises for what the server does. Blocks for about `seconds` at most: each step
    gets what is left of them.
    """
    end = time.monotonic() + seconds
    try:
        with _connected(server, end) as talk:
            if server.password:
                if not _private(talk, server.host):
                    raise _RefusedError("the password would go in clear: use TLS")  # noqa: TRY301 - told like the rest
                talk.login(server.username, server.password)
            _limit(talk, end)
            talk.send_message(message, sender, to)
    except (_RefusedError, OSError) as error:  # smtplib's are OSErrors
        return _outcome(error, seconds)
    return Outcome("", False)


@contextlib.contextmanager
def _connected(server: Server, end: float) -> Iterator[smtplib.SMTP]:
    left = max(0.1, end - time.monotonic())
    where = (server.host, server.port, server.hello)
    context = ssl.create_default_context(cafile=server.ca_file)
    if server.port == _IMPLICIT_TLS:
        talk: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=left, context=context)
    else:
        talk = smtplib.SMTP(*where, timeout=left)
    with contextlib.closing(talk):
        _limit(talk, end)
        if server.require_tls and server.port != _IMPLICIT_TLS:
            talk.ehlo_or_helo_if_needed()
            if not talk.has_extn("starttls"):
                raise _RefusedError("does not offer STARTTLS, and TLS is required")
            talk.starttls(context=context)
            _limit(talk, end)
        yield talk
        # The mail is taken by now: how the goodbye goes changes nothing.
        with contextlib.suppress(OSError):
            _limit(talk, end)
            talk.quit()


def _limit(talk: smtplib.SMTP, end: float) -> None:
    if talk.sock is not None:
        talk.sock.settimeout(max(0.1, end - time.monotonic()))


def _private(talk: smtplib.SMTP, host: str) -> bool:
    return isinstance(talk.sock, ssl.SSLSocket) or host in _LOCAL


def _outcome(error: Exception, seconds: float) -> Outcome:
    if isinstance(error, _RefusedError):
        return Outcome(str(error), False)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return Outcome(f"refused every address: {code} {_text(said)}", code < 500)
    if isinstance(error, smtplib.SMTPResponseException):
        # 5xx is for good; what is below 400 is no answer of SMTP's.
        why = f"answered {error.smtp_code} {_text(error.smtp_error)}"
        return Outcome(why, not 500 <= error.smtp_code < 600)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Outcome(f"does not offer what is needed: {error}", False)
    return Outcome(_network(error, seconds), True)


def _network(error: Exception, seconds: float) -> str:
    match error:
        case smtplib.SMTPException():
            return "connection closed in mid-talk"
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case ssl.SSLCertVerificationError():
            return f"certificate refused: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or type(error).__name__}"
        case _:
            return getattr(error, "strerror", None) or type(error).__name__


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
