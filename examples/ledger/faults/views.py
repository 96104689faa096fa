"""The switches as a page, and as JSON for scripts."""

import json

from django.http import JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from faults.switches import FAULTS, BadSettingError, switches


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST", "DELETE"])
def page(request):
    """GET shows the switches, POST {"errors": "30%", "slow-queries": "off"} turns them.

    DELETE turns all of them off. Forms need Django's CSRF token, JSON does not: a
    browser cannot send it across sites unasked.
    """
    if request.method == "DELETE":
        switches.clear()
    elif request.content_type == "application/json":
        return changed_by_script(request)
    elif request.method == "POST":
        return changed_by_form(request)
    if (
        request.method == "DELETE"
        or request.get_preferred_type(["text/html", "application/json"])
        == "application/json"
    ):
        return answer()
    current = switches.current()
    rows = [(fault, current.get(name)) for name, fault in FAULTS.items()]
    return render(request, "faults/switches.html", {"rows": rows})


def answer() -> JsonResponse:
    return JsonResponse(
        {name: str(setting) for name, setting in switches.current().items()}
    )


def changed_by_script(request):
    try:
        sent = json.loads(request.body or b"{}")
        if not isinstance(sent, dict):
            raise BadSettingError("the body must be a JSON object")
        switches.change({n: amount(value) for n, value in sent.items()})
    except ValueError as error:
        return JsonResponse({"error": str(error)}, status=400)
    return answer()


def amount(value) -> str:
    """Return an amount as text; JSON also says it as null, a flag or a share of 1."""
    if value is None or value is False or value == 0:
        return "off"
    if value is True:
        return "on"
    return f"{value * 100:g}%" if isinstance(value, float) else str(value)


@csrf_protect
def changed_by_form(request):
    try:
        switches.change({request.POST.get("name", ""): request.POST.get("setting", "")})
    except BadSettingError as error:
        return JsonResponse({"error": str(error)}, status=400)
    return redirect("faults:switches")
