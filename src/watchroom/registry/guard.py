"""The one guard of the app side: a fault of ours is never the app's."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from watchroom.registry.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def guarded(
    instrument: str,
) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Return a decorator that counts and swallows whatever the function raises.

    The first fault per instrument and process is logged with its traceback.

    Args:
        instrument: The label of ``watchroom_instrument_errors_total``.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T | None]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
            try:
                return function(*args, **kwargs)
            except Exception:  # noqa: BLE001 - the app's answer comes first
                with suppress(Exception):
                    _tell(instrument)
            return None

        return call

    return decorate


def _tell(instrument: str) -> None:
    key = ("told", instrument)
    if key not in PROCESS.cells:
        PROCESS.cells[key] = True
        logging.getLogger("watchroom").warning(
            "The instrument %r failed; the app is not affected. Further failures are "
            "only counted, in watchroom_instrument_errors_total.",
            instrument,
            exc_info=True,  # noqa: LOG014 - called while it is handled
        )
    PROCESS.failed(instrument)
