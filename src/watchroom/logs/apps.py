"""Which of INSTALLED_APPS are the project's own."""

from __future__ import annotations

import sys
import sysconfig
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PACKAGES = ("site-packages", "dist-packages")
_OURS = frozenset(("django", "watchroom"))


def own_roots(installed: Iterable[str]) -> list[str]:
    """Return the root packages of apps that were not installed with pip or Python."""
    roots = dict.fromkeys(app.partition(".")[0] for app in installed)
    return [root for root in roots if root not in _OURS and _own(root)]


def _own(root: str) -> bool:
    if root in sys.stdlib_module_names:
        return False
    try:
        spec = find_spec(root)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    locations = [spec.origin or "", *(spec.submodule_search_locations or ())]
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return not any(
        location.startswith(tuple(installed))
        or any(f"/{directory}/" in location for directory in _PACKAGES)
        for location in locations
    )
