"""The one guard of the app side: our failures never become the app's."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from watchroom.registry.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def guarded(
    instrument: str,
) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Return a decorator that counts and swallows whatever the function raises.

    The function takes positional arguments only: keywords cost a dict per event.

    The first fault per instrument and process is logged with its traceback.

    Args:
        instrument: The label of ``watchroom_instrument_errors_total``.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T | None]:
        @wraps(function)
        def call(*args: Any) -> T | None:
            try:
                return function(*args)  # type: ignore[call-arg]  # positional only
            except Exception:  # noqa: BLE001 - the app's answer comes first
                fault(instrument)
            return None

        return cast("Callable[P, T | None]", call)

    return decorate


def fault(instrument: str) -> None:
    """Count what is being handled, and log it the first time; never raises.

    For the few hot functions that write the guard out: its frame costs a microsecond
    per event when the app's own code has emptied the caches (measured).
    """
    with suppress(Exception):
        key = ("told", instrument)
        if key not in PROCESS.cells:
            PROCESS.cells[key] = True
            logging.getLogger("watchroom").warning(
                "The instrument %r failed; the app is not affected. Further failures "
                "are only counted, in watchroom_instrument_errors_total.",
                instrument,
                exc_info=True,  # noqa: LOG014 - called while it is handled
            )
        PROCESS.failed(instrument)
