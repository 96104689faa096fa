"""`make kill`: the whole monitor under load, killed at random moments; no page is lost.

A page may come twice only when the kill fell between the receiver's 2xx and the
monitor's commit; then with the same dedup key. Prints what it counted; exit code 1 when
a page was lost, or doubled without such a kill.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import random
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.support.waiting import until
from tests.support.watched import Files, Monitor, Target, request

RULES = """
groups:
  - name: g
    rules:
      - {record: "load:sum", expr: "sum by (shard) (load)"}
      - {alert: AtOnce, expr: x > 0}
      - {alert: Later, expr: x > 0, for: 2s}
"""
SERIES = 2000
COMMIT_SECONDS = 2.0
"""How long after a 2xx a kill may fall before its commit, on a busy disk."""


class Said(NamedTuple):
    """One message: when it came, whether it was accepted, which, its dedup key."""

    at: float
    accepted: bool
    status: str
    alert: tuple[str, str]
    starts: str
    key: str


class Receiver:
    """A webhook that refuses one message in four, and takes its time over others."""

    def __init__(self, seed):
        self.said = []
        chance = random.Random(seed)
        said = self.said

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                came = time.time()  # whoever asks may be killed while we take our time
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = chance.choice([200, 200, 200, 503])
                time.sleep(chance.choice([0, 0, 0.05, 0.3]))
                for alert in body["alerts"]:
                    labels = alert["labels"]
                    which = labels["alertname"], labels["n"]
                    words = alert["status"], which, alert["startsAt"], body["groupKey"]
                    said.append(Said(came, status == 200, *words))
                with contextlib.suppress(OSError):  # whoever asked may be dead
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def last(self):
        """Return the last accepted word on each alert."""
        return {one.alert: one.status for one in list(self.said) if one.accepted}

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def expose(target, firing, names):
    """Show one series for each name, 1 where it fires, and a load of others."""
    lines = [f'x{{n="{n}"}} {int(n in firing)}' for n in names]
    now = int(time.time())
    lines += [f'load{{shard="{n % 9}",n="{n}"}} {now + n}' for n in range(SERIES)]
    target.paths["/metrics"] = "\n".join(lines) + "\n"


def heavy(monitor, over):
    """Ask what costs, again and again."""
    query = urllib.parse.urlencode({"query": "sum(rate(load[1m]))"})
    while not over.wait(0.1):
        with contextlib.suppress(OSError):
            request(f"{monitor.url}/api/v1/query?{query}")


def kill_often(monitor, target, names, kills, seed):
    """Turn alerts on and off, kill at random moments; return when each kill was."""
    chance, firing, killed = random.Random(seed), set(), []
    for count in range(kills):
        if count % max(1, kills // len(names)) == 0 and len(firing) < len(names):
            firing.add(names[len(firing)])
        expose(target, firing, names)
        time.sleep(chance.uniform(0.0, 1.5))
        monitor.kill()
        killed.append(time.time())
        monitor.start()
        with contextlib.suppress(AssertionError):
            if chance.random() < 0.7:  # or it is killed before it answers
                monitor.ready()
        if (count + 1) % 20 == 0:
            print(f"→ {count + 1} kills, {len(firing)} alerts on", flush=True)
    return killed


def doubles(said, killed):
    """Return messages that were accepted before, each with the seconds to its kill.

    None where no kill fell after the first was accepted and before the second came.
    """
    accepted, found = defaultdict(list), []
    for one in said:
        if not one.accepted:
            continue
        before = accepted[one.alert, one.status, one.starts]
        if before:
            since = before[-1].at
            between = [at - since for at in killed if since <= at <= one.at]
            same = before[-1].key == one.key
            found.append((one, min(between) if between and same else None))
        before.append(one)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = [str(n) for n in range(max(1, min(40, options.kills // 5)))]
    over = threading.Event()
    with tempfile.TemporaryDirectory(prefix="watchroom-kill-") as where:
        receiver, target = Receiver(options.seed), Target()
        files = Files(Path(where) / "monitoring", receiver.url).job(target.address)
        files.rules = RULES
        files.write()
        routes = files.path / "alertmanager.yml"
        config = json.loads(routes.read_text())
        config["route"]["group_by"] = ["..."]
        routes.write_text(json.dumps(config))
        monitor = Monitor(files, Path(where))
        expose(target, (), names)
        monitor.start().ready()
        load = threading.Thread(target=heavy, args=(monitor, over))
        load.start()
        began = time.time()
        wanted = [(alert, n) for n in names for alert in ("AtOnce", "Later")]
        try:
            killed = kill_often(monitor, target, names, options.kills, options.seed + 1)
            lost = {}
            monitor.start() if monitor.process.poll() is not None else None
            for status, firing in (("firing", set(names)), ("resolved", set())):
                expose(target, firing, names)
                with contextlib.suppress(AssertionError):
                    until(
                        lambda status=status: (
                            receiver.last() == dict.fromkeys(wanted, status)
                        ),
                        90,
                    )
                heard = receiver.last()
                lost[status] = [one for one in wanted if heard.get(one) != status]
        finally:
            over.set()
            load.join()
            monitor.stop()
            target.close()
            receiver.close()
        log = monitor.log.read_text()
    twice = doubles(receiver.said, killed)
    unexplained = [one for one, gap in twice if gap is None or gap > COMMIT_SECONDS]
    print(
        f"{len(killed)} kills in {time.time() - began:.0f} s, {len(wanted)} alerts, "
        f"{sum(one.accepted for one in receiver.said)} messages accepted, "
        f"{sum(not one.accepted for one in receiver.said)} refused\n"
        f"pages lost: {len(lost['firing'])}, ends lost: {len(lost['resolved'])}\n"
        f"doubled: {len(twice)}, all of the same dedup key and within "
        f"{max((gap for _, gap in twice if gap is not None), default=0):.3f} s "
        f"between its arrival and the kill; otherwise: {len(unexplained)}\n"
        f"tracebacks: {log.count('Traceback')}"
    )
    bad = lost["firing"] or lost["resolved"] or unexplained or "Traceback" in log
    for one in (*lost["firing"], *lost["resolved"], *unexplained):
        print(f"✗ {one}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
