"""What must be true for the ledger to work, beside its servers being there."""

import watchroom
from journal import posting
from journal.models import Account


@watchroom.health_check("accounts", ttl="30s")
def accounts():
    """The accounts that every invoice is posted to: a migration makes them."""
    needed = {posting.BANK, posting.RECEIVABLES, posting.VAT, posting.SALES}
    found = Account.objects.filter(code__in=needed).values_list("code", flat=True)
    return needed == set(found)
