# ruff: noqa: RUF012 - this is how Django reads classes
"""The double-entry journal: accounts, entries and their postings.

Amounts are whole cents. A debit is positive, a credit negative, and the postings of
an entry sum to zero. Entries are never changed; a mistake is reversed by another.
"""

from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce


class AccountQuerySet(models.QuerySet):
    def with_balance(self):
        """Add `balance`: debits minus credits, in cents."""
        return self.annotate(balance=Coalesce(Sum("postings__amount"), 0))


class Account(models.Model):
    class Kind(models.TextChoices):
        ASSET = "asset", "Asset"
        LIABILITY = "liability", "Liability"
        EQUITY = "equity", "Equity"
        INCOME = "income", "Income"
        EXPENSE = "expense", "Expense"

    code = models.CharField(max_length=8, primary_key=True)
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=Kind)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                name="journal_account_kind",
                condition=Q(
                    kind__in=["asset", "liability", "equity", "income", "expense"]
                ),
            ),
        ]

    def __str__(self):
        return f"{self.code} {self.name}"


class EntryQuerySet(models.QuerySet):
    def unbalanced(self):
        """Entries whose postings do not sum to zero: there must be none."""
        wrong = Posting.objects.order_by().values("entry").annotate(total=Sum("amount"))
        return self.filter(pk__in=wrong.exclude(total=0).values("entry"))


class Entry(models.Model):
    # Names the event behind the entry, so that no event is ever posted twice.
    reference = models.CharField(max_length=60, unique=True)
    memo = models.CharField(max_length=200)
    booked_on = models.DateField(db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EntryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "entries"

    def __str__(self):
        return f"{self.booked_on} {self.memo}"


class Posting(models.Model):
    entry = models.ForeignKey(
        Entry, on_delete=models.PROTECT, related_name="postings", db_index=False
    )
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="postings", db_index=False
    )
    amount = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="journal_posting_not_zero", condition=~Q(amount=0)
            ),
        ]
        indexes = [
            # Both sums are answered from the index alone.
            models.Index(name="journal_posting_entry", fields=["entry", "amount"]),
            models.Index(name="journal_posting_account", fields=["account", "amount"]),
        ]

    def __str__(self):
        return f"{self.account_id} {self.amount}"
