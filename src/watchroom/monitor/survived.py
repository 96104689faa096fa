"""Failures that must not stop a page: logged, and gone on from."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def _nothing(*_: object, **__: object) -> None:
    return


def survived(
    failed: str, instead: Callable[..., Any] = _nothing
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator: what a function raises is logged, and `instead` answers.

    Args:
        failed: What to say in the log, before the traceback.
        instead: Called with the function's own arguments; by default it returns None.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        log = logging.getLogger(function.__module__)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except Exception:  # the point of it
                log.exception(failed)
                answer: T = instead(*args, **kwargs)
                return answer

        return call

    return decorate
