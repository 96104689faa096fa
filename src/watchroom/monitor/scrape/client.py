"""One HTTP request for one exposition: bounded in time and size, refused in words."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from watchroom.errors import FormatError
from watchroom.formats import masked
from watchroom.messages.network import reason
from watchroom.messages.scrub import scrubbed

if TYPE_CHECKING:
    from watchroom.monitor.scrape.target import Target

_ACCEPT = "text/plain;version=0.0.4;q=1,text/plain;q=0.5,*/*;q=0.1"


def session() -> aiohttp.ClientSession:
    """Return the client that scrapes and discovery share; close it after use."""
    return aiohttp.ClientSession(
        headers={"User-Agent": f"watchroom/{version('watchroom')}"},
        connector=aiohttp.TCPConnector(limit=256, limit_per_host=64),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None),
    )


async def fetch(client: aiohttp.ClientSession, target: Target) -> str:
    """Return the body of a scrape.

    Raises:
        FormatError: Anything went wrong; the message gives the reason in one line.
    """
    try:
        async with asyncio.timeout(target.timeout):
            return await _body(client, target)
    except TimeoutError as error:
        raise FormatError(
            f"no complete response within {target.timeout:g} s (the scrape timeout)"
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        message = scrubbed(problem(error), masked.secrets_of(target.url))
        raise FormatError(message) from error


def problem(error: Exception) -> str:
    """Return in one line why a request failed."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {reason(error)}"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"invalid HTTP response: {text[:200]}"


async def _body(client: aiohttp.ClientSession, target: Target) -> str:
    headers = {
        "Accept": _ACCEPT,
        "Accept-Encoding": "gzip",
        "X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout:g}",
    }
    if target.credentials is not None:
        try:
            token = await asyncio.to_thread(target.credentials.read_text)
        except OSError as error:
            raise FormatError(
                f"credentials file {target.credentials}: {error.strerror}"
            ) from error
        headers["Authorization"] = f"Bearer {token.strip()}"
    url = URL(target.url, encoded=True)  # as written, not quoted again
    async with client.get(url, headers=headers, max_redirects=5) as response:
        if response.status != 200:
            raise FormatError(f"server returned HTTP status {response.status}")
        _check_type(response.headers.get("Content-Type", ""))
        chunks: list[bytes] = []
        size = 0
        # Chunks arrive decompressed, so a small bomb counts with its real size.
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > target.body_limit:
                raise FormatError(
                    f"body size limit exceeded: more than {target.body_limit} bytes"
                )
            chunks.append(chunk)
    try:
        return b"".join(chunks).decode()
    except UnicodeDecodeError as error:
        line = b"".join(chunks)[: error.start].count(b"\n") + 1
        raise FormatError(f"line {line}: not UTF-8") from error


def _check_type(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {"text/plain", ""}:
        raise FormatError(
            f"answered Content-Type {kind[:80]!r}, expected text/plain; version=0.0.4"
        )
