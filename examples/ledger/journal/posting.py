"""The only way into the journal."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from django.db import transaction

from journal.models import Entry, Posting

BANK = "1000"
RECEIVABLES = "1200"
VAT = "2200"
SALES = "4000"


class UnbalancedEntryError(ValueError):
    """The postings of an entry do not sum to zero."""


class Amount(NamedTuple):
    """Cents on one account: a debit is positive, a credit negative."""

    account: str
    cents: int


def post(
    reference: str, memo: str, booked_on: date, amounts: Iterable[Amount]
) -> Entry:
    """Write one balanced entry, whole or not at all.

    Raises:
        UnbalancedEntryError: The amounts do not sum to zero, or there are none.
        django.db.IntegrityError: The reference was posted before.
    """
    amounts = [amount for amount in amounts if amount.cents]
    total = sum(amount.cents for amount in amounts)
    if total or not amounts:
        raise UnbalancedEntryError(
            f"{reference}: the amounts sum to {total}, not to zero"
        )
    with transaction.atomic():
        entry = Entry.objects.create(
            reference=reference, memo=memo[:200], booked_on=booked_on
        )
        Posting.objects.bulk_create(
            Posting(entry=entry, account_id=amount.account, amount=amount.cents)
            for amount in amounts
        )
    return entry


def reverse(
    reference: str, memo: str, booked_on: date, reversed_reference: str
) -> Entry:
    """Undo an entry by one with the opposite amounts."""
    postings = Posting.objects.filter(entry__reference=reversed_reference)
    return post(
        reference,
        memo,
        booked_on,
        [Amount(posting.account_id, -posting.amount) for posting in postings],
    )
