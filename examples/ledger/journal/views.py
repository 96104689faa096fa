"""Pages of the journal: read only, entries come from posting.post()."""

from django.core.cache import cache
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from journal.models import Account, Entry


def balances() -> list[dict]:
    """Return every account with its balance; the sums may be half a minute old."""
    return cache.get_or_set("journal:balances", _balances, timeout=30)


def _balances() -> list[dict]:
    return list(
        Account.objects.with_balance().values("code", "name", "kind", "balance")
    )


@require_safe
def trial_balance(request):
    accounts = balances()
    return render(
        request,
        "journal/trial_balance.html",
        {
            "accounts": accounts,
            "debits": sum(a["balance"] for a in accounts if a["balance"] > 0),
            "credits": -sum(a["balance"] for a in accounts if a["balance"] < 0),
            "latest": Entry.objects.all()[:10],
        },
    )


@require_safe
def entries(request):
    pages = Paginator(Entry.objects.all(), 50)
    return render(
        request,
        "journal/entries.html",
        {"page": pages.get_page(request.GET.get("page"))},
    )


@require_safe
def entry(request, pk):
    found = get_object_or_404(
        Entry.objects.prefetch_related("postings__account"), pk=pk
    )
    return render(request, "journal/entry.html", {"entry": found})
