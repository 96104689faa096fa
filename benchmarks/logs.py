"""What a log line costs, beside the peers: a record of 15 fields to /dev/null.

The values of most fields differ from record to record, as those of requests do: what
was found clean once need not be looked through again. Interleaved rounds within one
process. Only watchroom redacts and cannot lose a record.
Run as `python logs.py [rounds]`; the last line is JSON.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTES = ("invoices/<int:number>/", "customers/<int:pk>/", "api/orders/", "")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Mobile/15E148",
    "curl/8.5.0",
)


def fields(number: int) -> dict[str, Any]:
    """Return what the record of a request says."""
    return {
        "method": ("GET", "GET", "POST")[number % 3],
        "route": ROUTES[number % 4],
        "path": f"/invoices/{number * 37 % 99991}/",
        "status": (200, 200, 302, 404)[number % 4],
        "duration_ms": number * 7 % 500 + 0.345,
        "db_count": number % 9,
        "db_ms": number % 90 / 7,
        "cache_hits": number % 5,
        "cache_misses": number % 3,
        "user_id": number * 31 % 4096,
        "host": "shop.example.org",
        "scheme": "https",
        "bytes_sent": number * 13 % 9000,
        "client": f"203.0.113.{number % 256}",
        "user_agent": AGENTS[number % 3],
    }


RECORDS = 5000
GUIDE = "%(asctime)s %(name)s %(levelname)s %(message)s"


def candidates() -> dict[str, Callable[[dict[str, Any]], None]]:
    """Return by name what logs one record."""
    sink = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process
    sys.stdout = sink
    return {
        "python-json-logger": _standard(_plain(_pjl("json"), sink)),
        "python-json-logger orjson": _standard(_plain(_pjl("orjson"), sink)),
        "watchroom json": _standard(_watchroom(orjson=False)),
        "watchroom orjson": _standard(_watchroom(orjson=True)),
        "structlog stdlib": _standard(_plain(_structlog_formatter(), sink)),
        "structlog native orjson": _structlog_native(),
    }


def _standard(handler: logging.Handler) -> Callable[[dict[str, Any]], None]:
    logger = logging.Logger("shop.views", logging.INFO)  # noqa: LOG001 - each its own
    logger.addHandler(handler)
    return lambda record: logger.info("request finished", extra=record)


def _plain(formatter: logging.Formatter, sink: Any) -> logging.Handler:
    handler = logging.StreamHandler(sink)
    handler.setFormatter(formatter)
    return handler


def _pjl(kind: str) -> logging.Formatter:
    if kind == "orjson":
        from pythonjsonlogger.orjson import OrjsonFormatter

        return OrjsonFormatter(GUIDE)
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(GUIDE)


def _watchroom(*, orjson: bool) -> logging.Handler:
    from watchroom.logs.console import Console

    if orjson:
        return Console(form="json")
    kept = sys.modules.pop("orjson", None)
    sys.modules["orjson"] = None  # type: ignore[assignment]  # as if not installed
    try:
        return Console(form="json")
    finally:
        del sys.modules["orjson"]
        if kept is not None:
            sys.modules["orjson"] = kept


def _structlog_formatter() -> logging.Formatter:
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )


def _structlog_native() -> Callable[[dict[str, Any]], None]:
    import orjson
    import structlog

    logger = structlog.wrap_logger(
        structlog.BytesLogger(Path(os.devnull).open("wb")),  # noqa: SIM115 - same
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
    )
    return lambda record: logger.info("request finished", **record)


def main() -> None:
    """Print microseconds a record, and how many times faster than the guide's."""
    import django
    from django.conf import settings

    settings.configure(SECRET_KEY="a key of the benchmark", LOGGING_CONFIG=None)
    django.setup()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    told = sys.stdout
    every = list(candidates().items())
    records = [fields(number) for number in range(RECORDS)]
    times: dict[str, list[float]] = {name: [] for name, _ in every}
    for number in range(rounds + 1):
        turn = number % len(every)
        for name, log in (*every[turn:], *every[:turn]):
            begun = time.process_time()
            for record in records:
                log(record)
            if number:
                times[name].append((time.process_time() - begun) / RECORDS * 1e6)
    medians = {name: statistics.median(all_) for name, all_ in times.items()}
    guide = medians["python-json-logger"]
    for name, micros in medians.items():
        print(f"{name:28}{micros:8.1f} µs{guide / micros:8.2f} ×", file=told)
    print(json.dumps(medians), file=told)


if __name__ == "__main__":
    main()
