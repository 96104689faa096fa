#!/usr/bin/env python
"""Visitors for the ledger: people in browsers and programs, at a bounded rate.

    python load.py --url http://127.0.0.1:8000 --rate 40 --seconds 60 --json

Runs for ever with --seconds 0, never stops on errors, and says at the end (also on
SIGTERM and Ctrl-C) exactly how many requests were answered with which status and how
many were not answered, so that the figures can be held against the server's metrics.
"""

import argparse
import contextlib
import json
import math
import queue
import signal
import sys
import threading
import time
from collections import Counter

from visitors import TIMEOUT, Memory, Visitor


class Tally:
    """What came of the requests, counted across threads."""

    WIDTH = math.log(1.02)  # buckets 2 % wide keep the quantiles within 1 %

    def __init__(self):
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._begun = 0
        self._answers = Counter()
        self._failed = Counter(refused=0, broken=0, timeout=0)
        self._methods = Counter()
        self._latencies = Counter()
        self._slowest = 0.0
        self._late = 0

    def begin(self):
        with self._lock:
            self._begun += 1

    def answered(self, method: str, status: int, seconds: float):
        with self._lock:
            self._answers[status] += 1
            self._methods[method] += 1
            self._latencies[int(math.log(max(seconds, 1e-6)) / self.WIDTH)] += 1
            self._slowest = max(self._slowest, seconds)

    def failed(self, how: str):
        with self._lock:
            self._failed[how] += 1

    def late(self, requests: int):
        with self._lock:
            self._late += requests

    def summary(self) -> dict:
        with self._lock:
            seconds = time.monotonic() - self._started
            answered = self._answers.total()
            return {
                "seconds": round(seconds, 3),
                "rate": round(answered / seconds, 2) if seconds else 0.0,
                "begun": self._begun,
                "answered": answered,
                "answers": {str(s): n for s, n in sorted(self._answers.items())},
                "server_errors": sum(n for s, n in self._answers.items() if s >= 500),
                # refused: the server never saw it; broken and timeout: it may have.
                "failed": dict(self._failed),
                "unfinished": self._begun - answered - self._failed.total(),
                "methods": dict(self._methods),
                # Requests not sent because every thread was waiting for an answer.
                "late": self._late,
                "latency_seconds": {
                    "p50": self._quantile(0.5),
                    "p95": self._quantile(0.95),
                    "p99": self._quantile(0.99),
                    "max": round(self._slowest, 6),
                },
            }

    def _quantile(self, q: float) -> float | None:
        rank = q * self._latencies.total()
        for bucket, count in sorted(self._latencies.items()):
            rank -= count
            if rank <= 0:
                return round(math.exp((bucket + 0.5) * self.WIDTH), 6)
        return None


class Pace:
    """Hands out the moments at which a request may start."""

    def __init__(self, rate: float, tally: Tally, stop: threading.Event):
        self._step = 1 / rate
        self._tally = tally
        self._stop = stop
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def wait(self) -> bool:
        """Wait for the next moment; false when there is none because we stop."""
        with self._lock:
            now = time.monotonic()
            if (behind := now - 1.0 - self._next) > 0:
                # A second of arrears is caught up, the rest is dropped: a recovering
                # server must not meet a burst that no visitor would make.
                dropped = math.ceil(behind / self._step)
                self._next += dropped * self._step
                self._tally.late(dropped)
            moment = self._next
            self._next += self._step
        return not self._stop.wait(max(0.0, moment - now))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument(
        "--rate", type=float, default=40.0, help="requests a second, at most"
    )
    parser.add_argument("--seconds", type=float, default=0.0, help="0: until stopped")
    parser.add_argument(
        "--threads", type=int, default=16, help="requests in flight, at most"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed, the same visitors"
    )
    parser.add_argument(
        "--json", action="store_true", help="the summary as one line of JSON"
    )
    parser.add_argument(
        "--every",
        type=float,
        default=0.0,
        help="with --json: also a line every so many seconds",
    )
    return parser.parse_args()


def tell(summary: dict) -> None:
    """Print the summary for people."""
    statuses = ", ".join(f"{n} x {s}" for s, n in summary["answers"].items()) or "none"
    failed = (
        ", ".join(f"{n} {how}" for how, n in summary["failed"].items() if n) or "none"
    )
    latency = {
        name: "-" if value is None else f"{value * 1000:.0f} ms"
        for name, value in summary["latency_seconds"].items()
    }
    print(
        f"{summary['answered']} answers in {summary['seconds']:.1f} s "
        f"({summary['rate']}/s)"
    )
    print(f"  by status    {statuses}")
    print(f"  unanswered   {failed}")
    print(
        "  latency      "
        + ", ".join(f"{name} {text}" for name, text in latency.items())
    )
    if summary["late"]:
        print(f"  not sent     {summary['late']}, the server was too slow for the rate")


def over(ended: queue.SimpleQueue, seconds: float) -> bool:
    """Wait for the end so long; tell whether it came."""
    with contextlib.suppress(queue.Empty):
        ended.get(timeout=seconds)
        return True
    return False


def watch(options, tally: Tally, ended: queue.SimpleQueue) -> None:
    """Wait for the end, showing what happens meanwhile."""
    end = time.monotonic() + options.seconds if options.seconds else math.inf
    terminal = sys.stderr.isatty() and not options.json
    step = options.every if options.json and options.every else 0.5
    while not over(ended, max(0.0, min(step, end - time.monotonic()))):
        if time.monotonic() >= end:
            return
        if options.json and options.every:
            print(json.dumps(tally.summary()), flush=True)
        elif terminal:
            now = tally.summary()
            print(
                f"\r{now['answered']} answers, {now['server_errors']} errors, "
                f"{sum(now['failed'].values())} unanswered ",
                end="",
                file=sys.stderr,
                flush=True,
            )


def main() -> None:
    options = arguments()
    # A handler may interrupt whoever holds an Event's lock; a queue it may use.
    ended: queue.SimpleQueue = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.put(None))
    stop = threading.Event()
    tally = Tally()
    pace = Pace(options.rate, tally, stop)
    memory = Memory()
    threads = [
        threading.Thread(
            target=Visitor(options.url, memory, tally, pace, f"{options.seed}.{n}").run,
            daemon=True,
        )
        for n in range(options.threads)
    ]
    for thread in threads:
        thread.start()
    watch(options, tally, ended)
    stop.set()
    # Requests on their way are waited for, so that the count is exact.
    patience = time.monotonic() + TIMEOUT + 1
    for thread in threads:
        thread.join(max(0.0, patience - time.monotonic()))
    summary = tally.summary()
    if options.json:
        print(json.dumps(summary), flush=True)
    else:
        if sys.stderr.isatty():
            print(file=sys.stderr)
        tell(summary)


if __name__ == "__main__":
    main()
