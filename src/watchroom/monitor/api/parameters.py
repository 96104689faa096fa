"""Which parameters each endpoint has: honoured or refused, never passed over.

One that Prometheus or Alertmanager knows and this monitor does not would change the
answer there and be lost here, so it is refused by name. One that they do not know
either is ignored, as they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.api.params import BadDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import web

_SELECTED = frozenset({"match[]", "start", "end", "limit"})
_ASKED = frozenset({"query", "timeout", "limit", "lookback_delta", "stats"})
_COSTS = frozenset({"cost", "max_series", "max_samples_read", "max_query_duration"})
_STATES = frozenset({"active", "silenced", "inhibited", "receiver", "filter"})


class Parameters(NamedTuple):
    """The parameters of one endpoint that its original knows."""

    honoured: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


PARAMETERS: Mapping[str, Parameters] = {
    "/api/v1/query": Parameters(_ASKED | {"time"}, _COSTS),
    "/api/v1/query_range": Parameters(_ASKED | {"start", "end", "step"}, _COSTS),
    "/api/v1/series": Parameters(_SELECTED),
    "/api/v1/labels": Parameters(_SELECTED),
    "/api/v1/label/{name}/values": Parameters(_SELECTED),
    "/api/v1/rules": Parameters(
        frozenset(
            {
                *("type", "rule_name[]", "rule_group[]", "file[]", "match[]"),
                "exclude_alerts",
            }
        ),
        frozenset({"group_limit", "group_next_token"}),
    ),
    "/api/v1/alerts": Parameters(),
    "/api/v1/targets": Parameters(frozenset({"state", "scrapePool"})),
    "/api/v1/alertmanagers": Parameters(),
    # There is nothing to answer, whatever is asked for.
    "/api/v1/metadata": Parameters(frozenset({"metric", "limit", "limit_per_metric"})),
    "/api/v1/status/buildinfo": Parameters(),
    "/api/v1/status/config": Parameters(),
    "/api/v1/status/runtimeinfo": Parameters(),
    "/api/v1/status/flags": Parameters(),
    # No alert here waits unprocessed, and no group is muted by a time interval.
    "/api/v2/alerts": Parameters(_STATES | {"unprocessed"}),
    "/api/v2/alerts/groups": Parameters(_STATES | {"muted"}),
    "/api/v2/receivers": Parameters(),
    "/api/v2/status": Parameters(),
    "/api/v2/silences": Parameters(frozenset({"filter"})),
    "/api/v2/silence/{id}": Parameters(),
}


def check(request: web.Request, names: Iterable[str]) -> None:
    """Refuse the parameters of a request that would not be honoured.

    Raises:
        BadDataError: There is one; the message names it.
    """
    resource = request.match_info.route.resource
    path = "" if resource is None else resource.canonical
    # Under a proxy's prefix the path is longer.
    supported = PARAMETERS.get(path[max(0, path.find("/api/")) :], Parameters())
    for name in names:
        if name in supported.refused:
            raise BadDataError(
                f'parameter "{name}" is not supported by this monitor; leave it out'
            )
