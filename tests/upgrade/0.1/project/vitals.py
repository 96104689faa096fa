"""Two vitals of the shop's own: orders that nobody has paid, and its stock."""

import watchroom
from watchroom import Alert, Drill, Runbook, Vital


@watchroom.gauge("orders_unpaid", every="10s")
def orders_unpaid() -> int:
    """Orders that wait for their payment."""
    return 7


@watchroom.gauge("stock_missing", every="10s")
def stock_missing() -> int:
    """Goods that are sold out."""
    return 3


def vital(metric: str, alert: str, limit: int, summary: str) -> Vital:
    """A gauge that is over its limit warns."""
    return Vital(
        title=summary.capitalize(),
        metrics=(metric,),
        group="shop",
        limit=limit,
        alerts=(
            Alert(
                name=alert,
                expr=f"max by (job) ({metric}) > $limit",
                for_="5s",
                severity="warning",
                priority="P2",
                summary="{{ $value }} " + summary,
                description="{{ $value }} " + summary + ".",
                runbook=Runbook(
                    meaning="The shop sells less than it could.",
                    impact="Customers leave.",
                    diagnosis="Look at the list.",
                    mitigation="Call the supplier, or the bank.",
                ),
                drill=Drill(
                    fault=(f"{metric} 90+0x$steps",),
                    recovery=(f"{metric} 0+0x$steps",),
                    calm=(f"{metric} 0+0x$steps",),
                ),
            ),
        ),
    )


ORDERS_UNPAID = vital("orders_unpaid", "OrdersUnpaid", 5, "orders are not paid")
STOCK_MISSING = vital("stock_missing", "StockMissing", 2, "goods are sold out")
