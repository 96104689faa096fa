"""``watchroom.sentry()``: sends errors and some transactions to SENTRY_DSN.

The SDK is used as it is. What watchroom adds is what must not be sent: each event with
its breadcrumbs, each transaction, log, metric and span is walked through before.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchroom.conf.versions import detect
from watchroom.errors import ConfigError, MissingExtraError
from watchroom.registry.roles import in_tests
from watchroom.tracking.clean import scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchroom.context.trace import TraceContext

RATE = 0.1
# The first major version of the SDK whose hooks and options nobody here has seen.
UNSEEN = 3
_QUIET = ("/favicon.ico", "/favicon.ico/")
_STATIC = ("/static/", "/media/")
_HOOKS = (
    *("before_send", "before_send_transaction", "before_send_log"),
    *("before_send_metric", "before_send_span"),
)


class _State:
    """Whether errors are sent, and what has been logged about it."""

    active = False
    requested = False
    warned = False
    # Why the SDK, or an option, is not used: one sentence for the log.
    problem = ""
    # What nobody has said when the settings were not read yet.
    unnamed: frozenset[str] = frozenset()


def sentry(**options: Any) -> None:
    """Send errors to the Sentry of SENTRY_DSN; without one, or in tests, nothing.

    A tenth of the requests and tasks is traced (SENTRY_TRACES_SAMPLE_RATE), none of
    health and metrics. The environment comes from SENTRY_ENVIRONMENT, else from where
    the metrics have it, as the release does. Local variables, source lines and bodies
    are not collected; what may be a secret is taken out of everything that is sent.

    An SDK of a major version that watchroom does not know is not started, since its
    hooks might let a secret pass; an option that the SDK does not know is left out. The
    log says so in one line, and the app starts.

    Args:
        options: Of ``sentry_sdk.init``, in place of what watchroom says. A hook is
            given what is clean already, and what it returns is cleaned again.

    Raises:
        ConfigError: SENTRY_TRACES_SAMPLE_RATE is not a number from 0 to 1.
        MissingExtraError: There is a DSN and sentry-sdk is not installed.

    Example:
        >>> watchroom.sentry(traces_sample_rate=0.5)
    """
    _State.requested = True
    dsn = options.get("dsn") or os.environ.get("SENTRY_DSN", "").strip()
    if not dsn or (not options.get("dsn") and in_tests()):
        return
    from watchroom.registry.process import PROCESS

    try:
        import sentry_sdk
    except ImportError:
        raise MissingExtraError("watchroom.sentry()", "sentry", "sentry_sdk") from None
    if _unseen(sentry_sdk.VERSION):
        return
    rate = options.pop("traces_sample_rate", _rate(os.environ))
    project_sampler = options.get("traces_sampler")
    environment = os.environ.get("SENTRY_ENVIRONMENT")
    merged = {
        "dsn": dsn,
        "environment": environment or "production",
        "release": detect(os.environ, Path.cwd()) or None,
        "max_request_body_size": "never",
        "include_local_variables": False,
        "include_source_context": False,
        **options,
        "traces_sampler": sampler(float(rate or 0.0), project_sampler),
    }
    for name in _HOOKS:
        # The SDK warns of this one where spans are not sent one by one.
        if name != "before_send_span" or merged.get("trace_lifecycle") == "stream":
            merged[name] = _around(options.get(name))
    sentry_sdk.init(**_supported(merged, options))
    _State.active = True
    explicit = {*options, *(("environment",) if environment else ())}
    _State.unnamed = frozenset(("environment", "release")) - explicit
    introduce()
    # The launch checklist asks whether every process does.
    PROCESS.sentry = True


def introduce() -> None:
    """Pass to the SDK the environment and the release that WATCHROOM names.

    The settings are unread where they call `sentry`, so Django's start asks again.
    """
    from django.conf import settings

    if settings.configured:
        _report_problem()
    if not _State.active or not settings.configured:
        return
    import sentry_sdk

    from watchroom.conf import redaction

    service = redaction.service()
    sentry_sdk.get_client().options.update(
        {key: service[key] for key in _State.unnamed & service.keys()}
    )


def active() -> bool:
    """Return whether errors are sent."""
    return _State.active


def tell_if_off() -> None:
    """Log once that no errors are sent, if ``watchroom.sentry()`` was called."""
    _report_problem()
    if _State.requested and not _State.active and not _State.warned and not in_tests():
        _State.warned = True
        logging.getLogger("watchroom").warning(
            "SENTRY_DSN is not set: errors are in the logs only."
        )


def mark(trace: TraceContext) -> None:
    """Put a request's ids on all that is sent of it."""
    import sentry_sdk

    scope = sentry_sdk.get_isolation_scope()
    scope.set_tag("request_id", trace.request_id)
    if trace.task_id:
        scope.set_tag("task_id", trace.task_id)


def sampler(
    rate: float, project_sampler: Callable[[Any], Any] | None = None
) -> Callable[[Any], Any]:
    """Return the SDK's ``traces_sampler``: a share of all, none of what machines ask.

    Args:
        rate: The share, 0 to 1, of what nobody upstream has decided about.
        project_sampler: The project's own, asked about the rest.
    """

    def sample(context: Any) -> Any:
        from watchroom.context import route

        path = _path(context)
        if path in route.QUIET or path in _QUIET or path.startswith(_STATIC):
            return 0.0
        if route.probe(path):
            return 0.0
        if project_sampler is not None:
            return project_sampler(context)
        parent = context.get("parent_sampled")
        return rate if parent is None else float(parent)

    return sample


def _unseen(version: str) -> bool:
    """Return whether the SDK is too new to trust, and keep the sentence for the log."""
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) < UNSEEN:
        return False
    _State.warned = True  # in place of "SENTRY_DSN is not set"
    _State.problem = (
        f"watchroom.sentry() sends nothing: it does not know sentry-sdk {version}, "
        f"which might send secrets. Install 'sentry-sdk<{UNSEEN}'."
    )
    return True


def _supported(
    init_options: dict[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options the SDK knows; it raises TypeError for others."""
    from sentry_sdk import VERSION
    from sentry_sdk.consts import DEFAULT_OPTIONS

    unknown = sorted(options.keys() - DEFAULT_OPTIONS.keys())
    if unknown:
        _State.problem = (
            f"watchroom.sentry() leaves out {', '.join(unknown)}: sentry-sdk {VERSION} "
            "has no such option. Correct its name, or update sentry-sdk."
        )
    return {key: value for key, value in init_options.items() if key not in unknown}


def _report_problem() -> None:
    """Log once what was refused, when Django has set up the logs."""
    if _State.problem and not in_tests():
        logging.getLogger("watchroom").warning(_State.problem)
        _State.problem = ""


def _around(
    project_hook: Callable[[Any, Any], Any] | None,
) -> Callable[[Any, Any], Any]:
    def hook(event: Any, hint: Any) -> Any:
        clean = scrub(event)
        if project_hook is None:
            return clean
        answer = project_hook(clean, hint)
        return None if answer is None else scrub(answer)

    return hook


def _path(context: Any) -> str:
    environ = context.get("wsgi_environ")
    if environ is not None:
        return str(environ.get("PATH_INFO", ""))
    scope = context.get("asgi_scope") or {}
    path = str(scope.get("path", ""))
    return path.removeprefix(str(scope.get("root_path") or ""))


def _rate(env: Mapping[str, str]) -> float:
    text = env.get("SENTRY_TRACES_SAMPLE_RATE", "").strip()
    if not text:
        return RATE
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise ConfigError(
            "isn't a share between 0 and 1",
            field="SENTRY_TRACES_SAMPLE_RATE",
            hint="write 0.1",
        )
    return rate
