# ruff: noqa: RUF012 - this is how Django reads classes
"""Customers, their invoices and what they paid. Amounts are whole cents."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse


class Customer(models.Model):
    name = models.CharField(max_length=120)
    email = models.EmailField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "id"]
        indexes = [models.Index(name="billing_customer_name", fields=["name", "id"])]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("billing:customer", args=[self.pk])


class NumberSeries(models.Model):
    """The last invoice number of a year: one locked row, so no gaps and no doubles."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "number series"

    def __str__(self):
        return f"{self.year}: {self.last}"


class Invoice(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        OPEN = "open", "Open"
        PAID = "paid", "Paid"
        VOID = "void", "Void"

    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="invoices", db_index=False
    )
    number = models.CharField(max_length=20, unique=True, null=True)  # noqa: DJ001 - drafts have none, and NULLs are distinct
    status = models.CharField(max_length=5, choices=Status, default=Status.DRAFT)
    issued_on = models.DateField(null=True, db_index=True)
    due_on = models.DateField()
    net = models.BigIntegerField(default=0)
    vat = models.BigIntegerField(default=0)
    paid = models.BigIntegerField(default=0)
    emailed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                name="billing_invoice_customer", fields=["customer", "status"]
            ),
            models.Index(name="billing_invoice_status", fields=["status", "due_on"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="billing_invoice_status_known",
                condition=Q(status__in=["draft", "open", "paid", "void"]),
            ),
            models.CheckConstraint(
                name="billing_invoice_numbered_when_issued",
                condition=Q(status="draft", number=None, issued_on=None)
                | (
                    ~Q(status="draft")
                    & Q(number__isnull=False, issued_on__isnull=False)
                ),
            ),
            models.CheckConstraint(
                name="billing_invoice_paid_within_total",
                condition=Q(
                    net__gte=0, vat__gte=0, paid__gte=0, paid__lte=F("net") + F("vat")
                ),
            ),
            models.CheckConstraint(
                name="billing_invoice_paid_in_full",
                condition=~Q(status="paid") | Q(paid=F("net") + F("vat")),
            ),
        ]

    def __str__(self):
        return self.number or f"draft {self.pk}"

    def get_absolute_url(self):
        return reverse("billing:invoice", args=[self.pk])

    @property
    def gross(self) -> int:
        return self.net + self.vat

    @property
    def due(self) -> int:
        """Cents still to be paid; nothing is due on drafts and voided invoices."""
        return self.gross - self.paid if self.status == self.Status.OPEN else 0


class Line(models.Model):
    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    text = models.CharField(max_length=120)
    quantity = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    unit_price = models.BigIntegerField(validators=[MinValueValidator(0)])

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="billing_line_positive",
                condition=Q(quantity__gte=1, unit_price__gte=0),
            ),
        ]

    def __str__(self):
        return f"{self.quantity} of {self.text}"

    @property
    def amount(self) -> int:
        return self.quantity * self.unit_price


class Payment(models.Model):
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, related_name="payments"
    )
    # The bank's name for the transfer; importing a statement twice pays once.
    reference = models.CharField(max_length=60, unique=True)
    amount = models.BigIntegerField(validators=[MinValueValidator(1)])
    received_on = models.DateField(db_index=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="billing_payment_positive", condition=Q(amount__gt=0)
            ),
        ]

    def __str__(self):
        return self.reference


class MonthlyReport(models.Model):
    month = models.DateField(unique=True)
    figures = models.JSONField()
    built_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-month"]

    def __str__(self):
        return f"{self.month:%Y-%m}"

    def get_absolute_url(self):
        return reverse("billing:report", args=[self.month.year, self.month.month])
