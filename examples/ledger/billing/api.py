"""JSON for programs.

Amounts come in as euros ("12.50") and go out as cents. A body that is not declared
as JSON is refused: a browser cannot send that type across sites unasked, which is
what lets these views do without a CSRF token.
"""

import json
from functools import wraps

from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from billing import invoicing, reports
from billing.forms import CustomerForm, InvoiceForm, LineForm, PaymentForm
from billing.models import Customer, Invoice
from billing.views import month_or_404
from journal.views import balances

PAGE = 50
MAX_LINES = 50


class InvalidError(Exception):
    """What was sent is not what the view takes; `errors` says where."""

    def __init__(self, errors, status=400):
        super().__init__(errors)
        self.errors = errors
        self.status = status


def json_view(view):
    """Answer in JSON also when the answer is no."""

    @csrf_exempt
    @wraps(view)
    def wrapped(request, *args, **kwargs):
        try:
            answer = view(request, *args, **kwargs)
        except Http404 as error:
            return JsonResponse({"errors": {"": [str(error)]}}, status=404)
        except InvalidError as error:
            return JsonResponse({"errors": error.errors}, status=error.status)
        except invoicing.RefusedError as error:
            return JsonResponse({"errors": {"": [str(error)]}}, status=409)
        return answer if isinstance(answer, HttpResponse) else JsonResponse(answer)

    return wrapped


def body(request) -> dict:
    """Return the JSON object of a request."""
    if request.content_type != "application/json":
        raise InvalidError({"": ["Content-Type must be application/json"]}, status=415)
    try:
        sent = json.loads(request.body)
        # Half a surrogate pair is JSON but no text that a database stores.
        json.dumps(sent, ensure_ascii=False).encode()
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise InvalidError({"": ["the body must be a JSON object"]})
    return sent


def cleaned(form) -> dict:
    """Return a form's clean data."""
    if not form.is_valid():
        raise InvalidError(form.errors.get_json_data())
    return form.cleaned_data


def listed(request, found, row) -> dict:
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    return {
        "results": [row(item) for item in page],
        "page": page.number,
        "pages": page.paginator.num_pages,
    }


def found_or_404(found, pk):
    item = found.filter(pk=pk).first()
    if item is None:
        raise Http404("there is no such thing")
    return item


def customer_row(customer) -> dict:
    return {"id": customer.pk, "name": customer.name, "email": customer.email}


def invoice_row(invoice) -> dict:
    return {
        "id": invoice.pk,
        "number": invoice.number,
        "customer": invoice.customer_id,
        "status": invoice.status,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "net": invoice.net,
        "vat": invoice.vat,
        "gross": invoice.gross,
        "due": invoice.due,
    }


@json_view
@require_http_methods(["GET", "HEAD", "POST"])
def customers(request):
    if request.method == "POST":
        form = CustomerForm(body(request))
        cleaned(form)
        return JsonResponse(customer_row(form.save()), status=201)
    return listed(request, Customer.objects.all(), customer_row)


@json_view
@require_safe
def customer(_request, pk):
    found = found_or_404(Customer.objects, pk)
    summary = reports.customer_summary(pk, timezone.localdate())
    return customer_row(found) | {"summary": summary}


@json_view
@require_http_methods(["GET", "HEAD", "POST"])
def invoices(request):
    if request.method == "POST":
        return JsonResponse(invoice_row(written(body(request))), status=201)
    found = Invoice.objects.all()
    if (status := request.GET.get("status")) in Invoice.Status:
        found = found.filter(status=status)
    return listed(request, found, invoice_row)


def written(sent: dict) -> Invoice:
    """Draft the invoice that was sent, and issue it unless it asks to stay a draft."""
    asked = cleaned(InvoiceForm({"days": 30} | sent))
    lines = sent.get("lines")
    if (
        not isinstance(lines, list)
        or len(lines) > MAX_LINES
        or not all(isinstance(line, dict) for line in lines)
    ):
        raise InvalidError(
            {"lines": [f"must be a list of at most {MAX_LINES} objects"]}
        )
    items = [invoicing.Item(**cleaned(LineForm(line))) for line in lines]
    today = timezone.localdate()
    with transaction.atomic():
        invoice = invoicing.draft(asked["customer"], items, today, asked["days"])
        return (
            invoice if sent.get("draft") is True else invoicing.issue(invoice.pk, today)
        )


@json_view
@require_safe
def invoice(_request, pk):
    found = found_or_404(Invoice.objects.prefetch_related("lines", "payments"), pk)
    return invoice_row(found) | {
        "lines": [
            {
                "text": line.text,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
            }
            for line in found.lines.all()
        ],
        "payments": [
            {"reference": payment.reference, "amount": payment.amount}
            for payment in found.payments.all()
        ],
    }


@json_view
@require_POST
def payments(request, pk):
    found_or_404(Invoice.objects, pk)
    asked = cleaned(PaymentForm(body(request)))
    payment = invoicing.receive(pk, today=timezone.localdate(), **asked)
    return JsonResponse(
        {"reference": payment.reference, "amount": payment.amount}, status=201
    )


@json_view
@require_safe
def report(_request, year, month):
    return reports.monthly(month_or_404(year, month))


@json_view
@require_safe
def balance(_request):
    return {"accounts": balances()}
