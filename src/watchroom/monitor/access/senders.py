"""Whose attempts are counted, of a request to the monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom import callers

if TYPE_CHECKING:
    from aiohttp import web


def sender_of(request: web.Request) -> str:
    """Return whose attempts these are; see `callers.sender`."""
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport else None
    local = transport.get_extra_info("sockname") if transport else None
    forwarded = request.headers.get("X-Forwarded-For", "")
    return callers.sender(peer or (request.remote or "",), local or (), forwarded)
