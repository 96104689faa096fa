"""What the network did, in words, without the address it did it to."""

from __future__ import annotations

import os
import socket
import ssl

_WORDS = {
    "TimeoutError": "no answer in time",
    "RemoteDisconnected": "connection closed without an answer",
    "ServerDisconnectedError": "connection closed without an answer",
}


def reason(error: BaseException) -> str:
    """Return in a few words why a connection failed, or ended before its answer.

    Also of what aiohttp and urllib wrap.
    """
    for name in ("certificate_error", "os_error", "reason"):
        inner = getattr(error, name, None)
        if isinstance(inner, BaseException):
            return reason(inner)
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, socket.gaierror):
        return "the host name is unknown"
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        # Not its own text: asyncio's has the address in it.
        text = os.strerror(error.errno or 0)
        return text[:1].lower() + text[1:]
    name = type(error).__name__
    return _WORDS.get(name) or str(getattr(error, "reason", "") or name)


def _tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return f"TLS failed: {error.reason or type(error).__name__}"
