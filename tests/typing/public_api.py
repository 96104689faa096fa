"""What a project writes, as mypy --strict sees it: no test of pytest's.

`make lint` checks it. A line that must be wrong says so with its error's code, and
mypy fails where that line is right after all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

import watchroom
from watchroom.registry.declared import Counter

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

# Settings.
assert_type(watchroom.__version__, str)
LOGGING: dict[str, Any] = watchroom.logging()
ECS: dict[str, Any] = watchroom.logging("ecs", level="WARNING", loggers={"x": "INFO"})
watchroom.logging("ecs", "INFO")  # type: ignore[call-arg]
watchroom.logging(level=20)  # type: ignore[arg-type]
watchroom.sentry(environment="production", traces_sample_rate=0.1)

# Counters.
orders = watchroom.counter("orders_total", labels=("kind",), help="Orders taken.")
assert_type(orders, Counter)
orders.inc()
orders.inc(2.5, kind="web")
orders.inc("two")  # type: ignore[arg-type]
orders.dec()  # type: ignore[attr-defined]
watchroom.counter("orders_total", labels=["kind"])  # type: ignore[arg-type]


# Gauges and checks leave a function's type as it is.
@watchroom.gauge("journal_unbalanced", every="1m")
def unbalanced() -> int:
    return 0


assert_type(unbalanced(), int)


@watchroom.gauge("queue_age_seconds", labels=("queue",))
def ages() -> dict[tuple[str, ...], float]:
    return {("mail",): 1.5}


assert_type(ages(), dict[tuple[str, ...], float])


@watchroom.health_check("ledger_open", hard=False, timeout="2s", ttl="5s")
def ledger_open() -> bool:
    return True


assert_type(ledger_open(), bool)
watchroom.health_check("ledger_open", False)  # type: ignore[call-arg]
watchroom.health_check("ledger_open", timeout=2)  # type: ignore[arg-type]


def command() -> None:
    with watchroom.job() as nothing:
        assert_type(nothing, None)
        orders.inc(kind="import")


# The middleware, as Django calls it.
def wrapped(view: Callable[[HttpRequest], HttpResponse]) -> None:
    watchroom.Middleware(view)


# A vital of the project's own.
runbook = watchroom.Runbook(
    meaning="No order for ten minutes.",
    impact="Nobody can buy.",
    diagnosis="Look at the payment provider.",
    mitigation="Switch to the other one.",
)
drill = watchroom.Drill(
    fault=("orders_total 5+0x$steps",), recovery=("orders_total 0+1x$steps",)
)
assert_type(drill, watchroom.Drill)
assert_type(watchroom.Drill.none("needs the provider"), watchroom.Drill)
watchroom.Drill(fault="orders_total 5")  # type: ignore[arg-type]
alert = watchroom.Alert(
    name="OrdersStopped",
    expr="job:orders:rate$window == 0",
    for_="10m",
    severity="critical",
    priority="P1",
    summary="No orders",
    description="No order was taken for ten minutes.",
    runbook=runbook,
    drill=drill,
    top=watchroom.Top("topk(3, orders_total)", "{{ .Labels.kind }}"),
)
alert.name = "Other"  # type: ignore[misc]
watchroom.Alert(name="OrdersStopped")  # type: ignore[call-arg]
record = watchroom.Record("job:orders:rate$window", "sum by (job) (rate(x_total[5m]))")
panel = watchroom.Panel(expr="job:orders:rate$window", presence="orders_total")
watchroom.Panel(
    expr="x",
    presence="x",
    bad="over",  # type: ignore[arg-type]
)
chart = watchroom.Chart(
    title="Orders",
    description="How many a second.",
    row="Shop",
    queries=(watchroom.Query("job:orders:rate$window", "{{ job }}"),),
)
vital = watchroom.Vital(
    title="Orders",
    metrics=("orders_total",),
    alerts=(alert,),
    records=(record,),
    panel=panel,
    charts=(chart,),
    checklist=watchroom.ChecklistItem("orders", "Orders are watched"),
    limit=0.5,
)
assert_type(vital.name, str)
watchroom.Vital(title="Orders", metrics=(), alerts=(), limit="1")  # type: ignore[arg-type]
