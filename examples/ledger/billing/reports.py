"""Figures over invoices and payments, as plain dictionaries ready for JSON."""

from datetime import date, timedelta

from django.core.cache import cache
from django.db.models import Count, F, Max, Q, Sum
from django.db.models.functions import Coalesce

from billing import keys
from billing.models import Invoice, MonthlyReport, Payment

OPEN = Q(status=Invoice.Status.OPEN)
REST = F("net") + F("vat") - F("paid")


def customer_summary(customer_id: int, today: date) -> dict:
    """Return what a customer owes and has paid; every step of an invoice renews it."""
    return cache.get_or_set(
        keys.summary(customer_id),
        lambda: _customer_summary(customer_id, today),
        timeout=300,
    )


def _customer_summary(customer_id: int, today: date) -> dict:
    issued = Invoice.objects.filter(customer=customer_id).exclude(
        status=Invoice.Status.DRAFT
    )
    return issued.aggregate(
        invoices=Count("pk"),
        due=Coalesce(Sum(REST, filter=OPEN), 0),
        overdue=Coalesce(Sum(REST, filter=OPEN & Q(due_on__lt=today)), 0),
        paid=Coalesce(Sum("paid"), 0),
        last_invoice=Max("issued_on"),
    )


def dashboard(today: date) -> dict:
    """Return the house's figures of today; they may be ten seconds old."""
    return cache.get_or_set(keys.DASHBOARD, lambda: _dashboard(today), timeout=10)


def _dashboard(today: date) -> dict:
    receivables = Invoice.objects.filter(OPEN).aggregate(
        invoices=Count("pk"),
        due=Coalesce(Sum(REST), 0),
        overdue=Coalesce(Sum(REST, filter=Q(due_on__lt=today)), 0),
    )
    first = today.replace(day=1)
    return {
        "open_invoices": receivables["invoices"],
        "due": receivables["due"],
        "overdue": receivables["overdue"],
        "sales": _sales(first, today + timedelta(days=1))["net"],
        "received": _received(first, today + timedelta(days=1))["amount"],
    }


def monthly(month: date) -> dict:
    """Return the report of a month (its first day), built when it is not there yet."""
    return cache.get_or_set(keys.report(month), lambda: _monthly(month), timeout=300)


def _monthly(month: date) -> dict:
    report = MonthlyReport.objects.filter(month=month).first()
    return report.figures if report else build(month).figures


def build(month: date) -> MonthlyReport:
    """Work out and keep the report of a month (its first day)."""
    after = (month + timedelta(days=32)).replace(day=1)
    sales = _sales(month, after)
    received = _received(month, after)
    best = (
        _issued(month, after)
        .values("customer", "customer__name")
        .annotate(net=Sum("net"))
        .order_by("-net", "customer")[:10]
    )
    figures = {
        "month": f"{month:%Y-%m}",
        "invoices": sales["invoices"],
        "net": sales["net"],
        "vat": sales["vat"],
        "payments": received["payments"],
        "received": received["amount"],
        "best_customers": [
            {"id": row["customer"], "name": row["customer__name"], "net": row["net"]}
            for row in best
        ],
    }
    report, _ = MonthlyReport.objects.update_or_create(
        month=month, defaults={"figures": figures}
    )
    cache.delete(keys.report(month))
    return report


def _issued(start: date, end: date):
    return Invoice.objects.filter(issued_on__gte=start, issued_on__lt=end).exclude(
        status=Invoice.Status.VOID
    )


def _sales(start: date, end: date) -> dict:
    return _issued(start, end).aggregate(
        invoices=Count("pk"), net=Coalesce(Sum("net"), 0), vat=Coalesce(Sum("vat"), 0)
    )


def _received(start: date, end: date) -> dict:
    return Payment.objects.filter(
        received_on__gte=start, received_on__lt=end
    ).aggregate(payments=Count("pk"), amount=Coalesce(Sum("amount"), 0))
