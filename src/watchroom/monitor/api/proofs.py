"""/api/v1/watchroom/proofs: results of drills and checks, kept and asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from watchroom.errors import ConfigError
from watchroom.monitor.api.answers import API, answered, failure, success, success_of
from watchroom.monitor.api.params import BadDataError
from watchroom.monitor.state.proofs import MOST_AT_ONCE, PostedProofs

if TYPE_CHECKING:
    from aiohttp import web


class ProofsAPI(API):
    """Handlers of results."""

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/api/v1/watchroom/proofs", answered(self.proofs))
        app.router.add_post("/api/v1/watchroom/proofs", answered(self.note))
        app.router.add_get("/api/v1/watchroom/receivers", answered(self.receivers))

    async def proofs(self, request: web.Request) -> web.StreamResponse:
        """Answer with the last result of everything."""
        results = await asyncio.to_thread(self._services.proofs.all)
        return success(msgspec.json.encode(results).decode(), request)

    async def receivers(self, request: web.Request) -> web.StreamResponse:
        """Answer when each receiver last took a message, and last did not."""
        by_receiver = await asyncio.to_thread(self._services.ledger.by_receiver)
        return success_of(by_receiver, request)

    async def note(self, request: web.Request) -> web.StreamResponse:
        """Keep results; only who has the token can make a checklist green."""
        if not self._services.access.bears_token(request):
            return failure(
                401, "unauthorized", "results need the token: Authorization: Bearer …"
            )
        try:
            posted = msgspec.json.decode(await request.read(), type=PostedProofs)
        except msgspec.DecodeError as error:
            raise BadDataError(f"invalid body: {error}") from None
        if len(posted.results) > MOST_AT_ONCE:
            raise BadDataError(f"at most {MOST_AT_ONCE} results can be posted at once")
        try:
            done = self._services.proofs.note(posted.results, self._services.now())
        except ConfigError as error:
            raise BadDataError(str(error)) from None
        await asyncio.wrap_future(done)
        return success_of({"kept": len(posted.results)}, request)
