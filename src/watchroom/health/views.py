"""The four endpoints, and what each returns to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from django.http import HttpResponse

from watchroom.health import checks
from watchroom.health.access import may_see_details
from watchroom.health.drain import Drain
from watchroom.health.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.http import HttpRequest

    from watchroom.health.checks import Check
    from watchroom.health.runner import Result

    Body = dict[str, Any]

OK, DEGRADED, DRAINING, STARTING = "ok", "degraded", "draining", "starting"
_METHODS = ("GET", "HEAD")


class _Everything:
    """Contains every alias: no database is opened before the view (ATOMIC_REQUESTS)."""

    def __contains__(self, _: object) -> bool:
        return True


class HealthAnswer(NamedTuple):
    """What an endpoint returns."""

    good: bool
    body: Body


class Endpoint:
    """One address; answers alike in a thread and on an event loop."""

    csrf_exempt = True
    login_required = False
    _non_atomic_requests = _Everything()

    def __init__(
        self,
        run: Callable[[], Iterable[Check]],
        say: Callable[[HttpRequest, Sequence[Result]], HealthAnswer],
    ) -> None:
        self._run = run
        self._say = say

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, in a thread that may wait."""
        if request.method not in _METHODS:
            return _refused()
        return _response(request, self._say(request, RUNNER.run(self._run())))

    async def acall(self, request: HttpRequest) -> HttpResponse:
        """Answer on an event loop."""
        if request.method not in _METHODS:
            return _refused()
        return _response(request, self._say(request, await RUNNER.arun(self._run())))


def _response(request: HttpRequest, answer: HealthAnswer) -> HttpResponse:
    text = json.dumps(answer.body) + "\n"
    response = HttpResponse(
        b"" if request.method == "HEAD" else text,
        content_type="application/json",
        status=200 if answer.good else 503,
    )
    response["Content-Length"] = str(len(text.encode()))
    return _quiet(response)


def _refused() -> HttpResponse:
    return _quiet(HttpResponse(status=405, headers={"Allow": ", ".join(_METHODS)}))


def _quiet(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    # Django would log each 503 as an error and mail it to the administrators; the
    # runner logs the change.
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own mark  # noqa: SLF001
    return response


def _statuses(results: Iterable[Result]) -> dict[str, str]:
    return {result.check.name: result.status for result in results}


def _works(results: Iterable[Result]) -> bool:
    return all(result.ok for result in results if result.check.hard)


def _all() -> Iterable[Check]:
    return checks.checks().values()


def _hard() -> Iterable[Check]:
    return [check for check in _all() if check.hard]


def _live_answer(_: HttpRequest, __: Sequence[Result]) -> HealthAnswer:
    return HealthAnswer(good=True, body={"status": OK})


def _health_answer(request: HttpRequest, results: Sequence[Result]) -> HealthAnswer:
    well = all(result.ok for result in results)
    body: Body = {"status": OK if well else DEGRADED, "checks": _statuses(results)}
    if may_see_details(request):
        body["details"] = {
            result.check.name: {
                "kind": result.check.kind,
                "error": result.error,
                "seconds": round(result.seconds, 6),
                "age_seconds": round(result.age, 3),
            }
            for result in results
        }
    return HealthAnswer(_works(results), body)


def _ready_answer(_: HttpRequest, results: Sequence[Result]) -> HealthAnswer:
    draining, works = DRAIN.watch(), _works(results)
    status = DRAINING if draining else OK if works else DEGRADED
    body: Body = {"status": status, "checks": _statuses(results)}
    return HealthAnswer(works and not draining, body)


def _started_answer(_: HttpRequest, results: Sequence[Result]) -> HealthAnswer:
    started = _works(results)
    body: Body = {"status": OK if started else STARTING, "checks": _statuses(results)}
    return HealthAnswer(started, body)


RUNNER = Runner()
DRAIN = Drain(lambda: checks.settings().drain)
health = Endpoint(_all, _health_answer)
livez = Endpoint(tuple, _live_answer)
readyz = Endpoint(_hard, _ready_answer)
startupz = Endpoint(lambda: (checks.startup(),), _started_answer)
