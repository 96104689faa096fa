"""What may happen to an invoice, each step one transaction.

A step locks the invoice first, so two people paying the same invoice queue up.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import F

from billing import keys, tasks
from billing.models import Customer, Invoice, Line, NumberSeries, Payment
from billing.vitals import invoices
from journal.posting import BANK, RECEIVABLES, SALES, VAT, Amount, post, reverse

VAT_PERCENT = 20
LARGEST_NET = 1_000_000_000_00  # keeps every sum far inside 64 bits


class RefusedError(Exception):
    """The invoice or payment does not allow this step; the message says why."""


class Item(NamedTuple):
    """One line to invoice; `unit_price` in cents."""

    text: str
    quantity: int
    unit_price: int


def draft(
    customer: Customer, items: Iterable[Item], today: date, days: int = 30
) -> Invoice:
    """Write an invoice that may still change and is in no book yet."""
    items = list(items)
    if not items:
        raise RefusedError("An invoice needs at least one line.")
    net = sum(item.quantity * item.unit_price for item in items)
    if net > LARGEST_NET:
        raise RefusedError("An invoice this large needs two signatures, on paper.")
    with transaction.atomic():
        invoice = Invoice.objects.create(
            customer=customer,
            due_on=today + timedelta(days=days),
            net=net,
            vat=(net * VAT_PERCENT + 50) // 100,
        )
        Line.objects.bulk_create(
            Line(invoice=invoice, **item._asdict()) for item in items
        )
        _count("drafted")
    return invoice


def issue(invoice_id: int, today: date, *, send: bool = True) -> Invoice:
    """Number an invoice, book it and send it to the customer."""
    with transaction.atomic():
        invoice = _locked(invoice_id, Invoice.Status.DRAFT)
        invoice.number = _next_number(today.year)
        invoice.issued_on = today
        invoice.status = Invoice.Status.OPEN
        if invoice.gross == 0:
            invoice.status = Invoice.Status.PAID
        invoice.save(update_fields=["number", "issued_on", "status"])
        if invoice.gross:
            post(
                f"invoice {invoice.number}",
                f"Invoice {invoice.number}, {invoice.customer}",
                today,
                [
                    Amount(RECEIVABLES, invoice.gross),
                    Amount(SALES, -invoice.net),
                    Amount(VAT, -invoice.vat),
                ],
            )
        _after_commit(invoice, "issued")
        if send:
            # Robust: the invoice is issued even when no broker listens, and
            # send_missed() catches up later. No partial: Django names a robust
            # function that fails, and a partial has no name.
            transaction.on_commit(
                lambda: tasks.send_invoice.delay(invoice.pk), robust=True
            )
    return invoice


def receive(invoice_id: int, amount: int, reference: str, today: date) -> Payment:
    """Book a payment; the one that covers the rest closes the invoice."""
    try:
        with transaction.atomic():
            invoice = _locked(invoice_id, Invoice.Status.OPEN)
            if not 0 < amount <= invoice.due:
                raise RefusedError(
                    f"{amount / 100:.2f} is not between 0.01 and "
                    f"{invoice.due / 100:.2f}, which is due."
                )
            payment = Payment.objects.create(
                invoice=invoice, reference=reference, amount=amount, received_on=today
            )
            invoice.paid += amount
            if invoice.paid == invoice.gross:
                invoice.status = Invoice.Status.PAID
            invoice.save(update_fields=["paid", "status"])
            post(
                f"payment {reference}",
                f"Payment of invoice {invoice.number}",
                today,
                [Amount(BANK, amount), Amount(RECEIVABLES, -amount)],
            )
            _after_commit(
                invoice,
                "paid" if invoice.status == Invoice.Status.PAID else "part-paid",
            )
    except IntegrityError as error:
        if Payment.objects.filter(reference=reference).exists():
            raise RefusedError(f"The payment {reference} is booked already.") from error
        raise
    return payment


def void(invoice_id: int, today: date) -> Invoice:
    """Take back an unpaid invoice by the opposite entry."""
    with transaction.atomic():
        invoice = _locked(invoice_id, Invoice.Status.OPEN)
        if invoice.paid:
            raise RefusedError("An invoice with payments cannot be voided.")
        invoice.status = Invoice.Status.VOID
        invoice.save(update_fields=["status"])
        reverse(
            f"void {invoice.number}",
            f"Invoice {invoice.number} voided",
            today,
            f"invoice {invoice.number}",
        )
        _after_commit(invoice, "voided")
    return invoice


def _locked(invoice_id: int, status: str) -> Invoice:
    # SQLite has no row locks and needs none: BEGIN IMMEDIATE holds the only pen.
    invoices = Invoice.objects.select_for_update(of=("self",)).select_related(
        "customer"
    )
    invoice = invoices.get(pk=invoice_id)
    if invoice.status != status:
        raise RefusedError(f"The invoice is {invoice.status}, not {status}.")
    return invoice


def _next_number(year: int) -> str:
    NumberSeries.objects.get_or_create(year=year)
    NumberSeries.objects.filter(year=year).update(last=F("last") + 1)
    last = NumberSeries.objects.values_list("last", flat=True).get(year=year)
    return f"{year}-{last:06}"


def _after_commit(invoice: Invoice, step: str) -> None:
    _count(step)
    # Robust: a cache that is away must not fail what is already booked.
    transaction.on_commit(lambda: _forget(invoice.customer_id), robust=True)


def _count(step: str) -> None:
    # What is rolled back has not happened and is not counted.
    transaction.on_commit(lambda: invoices.inc(kind=step))


def _forget(customer_id: int) -> None:
    cache.delete(keys.summary(customer_id))
