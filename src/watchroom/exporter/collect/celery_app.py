"""A project's Celery app: found, with its tasks, after ``django.setup()``."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from watchroom.errors import ConfigError

_DEFAULT = "celery.beat:PersistentScheduler"


def find(settings_module: str) -> Any:
    """Return the project's Celery app, or None when it has none.

    It is the one that the project's set-up has made, else the one in ``celery.py`` of
    the settings' root package, where Celery's own guide puts it.

    Raises:
        Exception: Whatever the import of that module raises.
    """
    if find_spec("celery") is None:
        return None
    app = _current_app()
    if app is not None:
        return app
    root = settings_module.partition(".")[0]
    try:
        spec = find_spec(f"{root}.celery")
    except ModuleNotFoundError:  # the settings are a module, not in a package
        return None
    if spec is None:
        return None
    import_module(f"{root}.celery")
    return _current_app()


def load_tasks(app: Any) -> None:
    """Import every task module, as a worker does, and finish the app.

    Raises:
        Exception: Whatever a module of the project raises.
    """
    app.loader.import_default_modules()
    app.finalize()


def schedule(app: Any) -> dict[str, Any]:
    """Return the entries of the app's schedule by name, without Celery's own."""
    return {
        str(name): entry
        for name, entry in (app.conf.beat_schedule or {}).items()
        if not str(name).startswith("celery.")
    }


def unseen(app: Any) -> str:
    """Return why no other process can see the broker's queues; empty when it can.

    Raises:
        ConfigError: The broker's transport does not import.
    """
    if app.conf.task_always_eager:
        return "task_always_eager is set, so there is no broker and no worker"
    try:
        transport = app.connection_for_read().transport_cls
    except ImportError as error:
        url = str(app.conf.broker_read_url or app.conf.broker_url or "")
        kind = url.partition("://")[0]
        raise ConfigError(
            f"the broker {kind}:// can't be imported: {error}",
            hint=f"install what it needs, such as: pip install 'celery[{kind}]'",
        ) from error
    if transport == "memory":
        return (
            "the broker memory:// exists inside one process only, so its queues "
            "can't be monitored; use redis://, amqp:// or filesystem://"
        )
    return ""


def _current_app() -> Any:
    # Asking for the current app would make one if none exists.
    state = sys.modules.get("celery._state")
    if state is None:
        return None
    current = getattr(getattr(state, "_tls", None), "current_app", None)
    return current or getattr(state, "default_app", None)
