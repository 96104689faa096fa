"""The front door: TLS on loopback, so that there is a certificate to watch."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
import sys
from pathlib import Path

LIFETIME = dt.timedelta(days=90)  # as the public authorities' certificates


def certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate; return the key with its chain, and who signed it, as PEM."""
    import trustme

    chain, signed_by = directory / "site.pem", directory / "authority.pem"
    authority = trustme.CA(organization_name="ledger")
    ends = dt.datetime.now(dt.UTC) + LIFETIME
    site = authority.issue_cert("localhost", "127.0.0.1", not_after=ends)
    chain.touch(mode=0o600)
    site.private_key_and_cert_chain_pem.write_to_path(str(chain))
    authority.cert_pem.write_to_path(str(signed_by))
    return chain, signed_by


async def serve(chain: Path, port: int, behind: int) -> None:
    """Take TLS on `port` and pass what is in it on to the port `behind`, for ever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)

    async def visit(
        visitor: asyncio.StreamReader, answer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            app, asked = await asyncio.open_connection("127.0.0.1", behind)
            await asyncio.gather(_pass(visitor, asked), _pass(app, answer))

    server = await asyncio.start_server(visit, "127.0.0.1", port, ssl=context)
    async with server:
        await server.serve_forever()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
