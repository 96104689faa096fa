"""Pages for people."""

from datetime import date

from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from billing import invoicing, reports, tasks
from billing.forms import (
    CustomerFilter,
    CustomerForm,
    InvoiceFilter,
    InvoiceForm,
    LineFormSet,
    PaymentForm,
)
from billing.models import Customer, Invoice, MonthlyReport

require_form = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
def dashboard(request):
    return render(
        request,
        "billing/dashboard.html",
        {
            "figures": reports.dashboard(timezone.localdate()),
            "latest": Invoice.objects.select_related("customer")[:12],
        },
    )


@require_safe
def customers(request):
    chosen = CustomerFilter(request.GET)
    found = Customer.objects.all()
    if chosen.is_valid() and chosen.cleaned_data["q"]:
        found = found.filter(name__icontains=chosen.cleaned_data["q"])
    page = Paginator(found, 40).get_page(request.GET.get("page"))
    return render(request, "billing/customers.html", {"page": page, "filter": chosen})


@require_form
def customer_new(request):
    form = CustomerForm(request.POST or None)
    if form.is_valid():
        return redirect(form.save())
    return render(request, "billing/form.html", {"title": "New customer", "form": form})


@require_safe
def customer(request, pk):
    found = get_object_or_404(Customer, pk=pk)
    return render(
        request,
        "billing/customer.html",
        {
            "customer": found,
            "summary": reports.customer_summary(pk, timezone.localdate()),
            "invoices": found.invoices.all()[:25],
        },
    )


@require_safe
def invoices(request):
    chosen = InvoiceFilter(request.GET)
    found = Invoice.objects.select_related("customer")
    if chosen.is_valid() and chosen.cleaned_data["status"]:
        found = found.filter(status=chosen.cleaned_data["status"])
    page = Paginator(found, 40).get_page(request.GET.get("page"))
    return render(request, "billing/invoices.html", {"page": page, "filter": chosen})


@require_form
def invoice_new(request):
    form = InvoiceForm(
        request.POST or None, initial={"customer": request.GET.get("customer")}
    )
    lines = LineFormSet(request.POST or None, prefix="lines")
    if request.method == "POST" and form.is_valid() and lines.is_valid():
        items = [invoicing.Item(**line) for line in lines.cleaned_data if line]
        try:
            written = invoicing.draft(
                form.cleaned_data["customer"],
                items,
                timezone.localdate(),
                form.cleaned_data["days"],
            )
        except invoicing.RefusedError as refused:
            form.add_error(None, str(refused))
        else:
            return redirect(written)
    return render(request, "billing/invoice_new.html", {"form": form, "lines": lines})


@require_safe
def invoice(request, pk):
    return invoice_page(request, pk, PaymentForm())


def invoice_page(request, pk, form, refused="", status=200):
    found = get_object_or_404(
        Invoice.objects.select_related("customer").prefetch_related(
            "lines", "payments"
        ),
        pk=pk,
    )
    context = {"invoice": found, "form": form, "refused": refused}
    return render(request, "billing/invoice.html", context, status=status)


@require_POST
def invoice_issue(request, pk):
    return step(request, pk, invoicing.issue)


@require_POST
def invoice_void(request, pk):
    return step(request, pk, invoicing.void)


def step(request, pk, action):
    """Take one step of an invoice and show it, with the reason if it was refused."""
    get_object_or_404(Invoice, pk=pk)
    try:
        done = action(pk, timezone.localdate())
    except invoicing.RefusedError as refused:
        return invoice_page(request, pk, PaymentForm(), str(refused), status=409)
    return redirect(done)


@require_POST
def invoice_pay(request, pk):
    found = get_object_or_404(Invoice, pk=pk)
    form = PaymentForm(request.POST)
    if not form.is_valid():
        return invoice_page(request, pk, form, status=400)
    try:
        invoicing.receive(pk, today=timezone.localdate(), **form.cleaned_data)
    except invoicing.RefusedError as refused:
        return invoice_page(request, pk, form, str(refused), status=409)
    return redirect(found)


@require_safe
def reports_list(request):
    return render(
        request,
        "billing/reports.html",
        {
            "reports": MonthlyReport.objects.all()[:36],
            "this_month": timezone.localdate(),
        },
    )


@require_safe
def report(request, year, month):
    first = month_or_404(year, month)
    return render(
        request,
        "billing/report.html",
        {"month": first, "figures": reports.monthly(first)},
    )


@require_POST
def report_build(_request, year, month):
    first = month_or_404(year, month)
    tasks.build_report.delay(first.year, first.month)
    return redirect("billing:report", first.year, first.month)


def month_or_404(year: int, month: int) -> date:
    """Return the month's first day; the books begin in 2000 and end today."""
    today = timezone.localdate()
    if not (2000 <= year <= today.year and 1 <= month <= 12):
        raise Http404("no such month")
    first = date(year, month, 1)
    if first > today:
        raise Http404("this month has not begun")
    return first
