"""Which parameters are refused: the others are honoured, none is passed over.

One that Prometheus or Alertmanager knows and this monitor does not would change the
answer there and be lost here, so it is refused by name. One that they do not know
either is ignored, as they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.monitor.api.params import BadDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import web

_COSTS = frozenset({"cost", "max_series", "max_samples_read", "max_query_duration"})
REFUSED: Mapping[str, frozenset[str]] = {
    "/api/v1/query": _COSTS,
    "/api/v1/query_range": _COSTS,
    "/api/v1/rules": frozenset({"group_limit", "group_next_token"}),
}
"""By endpoint; every other parameter that its original knows is honoured."""


def check(request: web.Request, names: Iterable[str]) -> None:
    """Refuse the parameters of a request that would not be honoured.

    Raises:
        BadDataError: There is one; the message names it.
    """
    resource = request.match_info.route.resource
    path = "" if resource is None else resource.canonical
    # Under a proxy's prefix the path is longer.
    refused = REFUSED.get(path[max(0, path.find("/api/")) :], frozenset())
    for name in names:
        if name in refused:
            raise BadDataError(
                f'parameter "{name}" is not supported by this monitor; leave it out'
            )
