"""Work that waits for nobody: e-mails and reports. Every task may run twice."""

from datetime import date, timedelta

from celery import shared_task
from django.core.mail import EmailMessage
from django.db import OperationalError
from django.template.loader import render_to_string
from django.utils import timezone

from billing import reports
from billing.models import Invoice


@shared_task(autoretry_for=(OSError,), retry_backoff=5, max_retries=5)
def send_invoice(invoice_id: int) -> None:
    """E-mail an issued invoice to its customer, once."""
    invoice = (
        Invoice.objects.select_related("customer")
        .prefetch_related("lines")
        .get(pk=invoice_id)
    )
    if invoice.emailed_at or invoice.status in {
        Invoice.Status.DRAFT,
        Invoice.Status.VOID,
    }:
        return
    EmailMessage(
        subject=f"Invoice {invoice.number}",
        body=render_to_string("billing/invoice.txt", {"invoice": invoice}),
        to=[invoice.customer.email],
    ).send()
    Invoice.objects.filter(pk=invoice_id).update(emailed_at=timezone.now())


@shared_task
def send_missed() -> int:
    """Queue the e-mails of invoices that were issued while no broker listened."""
    yesterday = timezone.localdate() - timedelta(days=1)
    missed = Invoice.objects.filter(
        status=Invoice.Status.OPEN,
        emailed_at=None,
        issued_on__gte=yesterday,
        created_at__lt=timezone.now() - timedelta(minutes=5),
    )
    ids = list(missed.values_list("pk", flat=True)[:500])
    for invoice_id in ids:
        send_invoice.delay(invoice_id)
    return len(ids)


@shared_task
def build_report(year: int, month: int) -> None:
    """Build the report of a month."""
    reports.build(date(year, month, 1))


@shared_task(autoretry_for=(OperationalError,), retry_backoff=30, max_retries=5)
def build_last_report() -> None:
    """Build the report of the month before this one, also of what came in late."""
    last = timezone.localdate().replace(day=1) - timedelta(days=1)
    reports.build(last.replace(day=1))


@shared_task
def build_current_report() -> None:
    """Build the report of the month we are in."""
    today = timezone.localdate()
    build_report.delay(today.year, today.month)
