"""Plans without a project: the catalogue filled in for a made-up site."""

from watchroom.catalogue import load
from watchroom.conf.receivers import Receiver
from watchroom.derive.files import files
from watchroom.derive.plan import Plan, plan
from watchroom.derive.site import Site
from watchroom.formats.manifest import Inputs

OPS = Receiver("ops", "http://127.0.0.1:5001/page")
CHAT = Receiver("chat", severities=("warning",), url="http://127.0.0.1:5002/chat")


_KEPT: dict[str, Plan] = {}


def planned(*own, metrics=(), **given):
    """Return a plan; those of the catalogue alone are made once, and never changed.

    Args:
        own: Vitals of the project's own.
        metrics: Declarations of their metrics.
        given: What `fresh` takes.
    """
    if own or metrics:
        return fresh(*own, metrics=metrics, **given)
    key = repr(sorted(given.items()))
    if key not in _KEPT:
        _KEPT[key] = fresh(**given)
    return _KEPT[key]


def fresh(
    *own,
    overrides=None,
    metrics=(),
    receivers=(OPS, CHAT),
    has=(
        *("sites", "https", "database", "asked_database", "postgresql", "cache"),
        *("celery", "broker", "beat", "health"),
    ),
    exporter="127.0.0.1:9000",
    **inputs,
):
    """Return a new plan; `inputs` are the fields of `Inputs`."""
    site = Site(
        project="shop",
        environment="production",
        sites=("https://shop.example/",) if "sites" in has else (),
        exporter=exporter,
        monitor_url="http://127.0.0.1:9700",
        receivers=tuple(receivers),
        inputs=Inputs(**inputs),
        has=frozenset(has),
    )
    vitals = load.catalogue(own, overrides or {})
    return plan(vitals, site, load.series_labels(metrics))


def built(made, fragments=None):
    """Return the files of a plan by path."""
    return files(made, "0.0.0", fragments or {})


def put(directory, texts):
    """Write files and return the directory."""
    for path, text in texts.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    return directory
