"""What billing counts."""

import watchroom

invoices = watchroom.counter(
    "invoices_total", labels=("kind",), help="Steps that invoices took."
)
