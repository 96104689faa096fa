"""A made-up shop whose parts can fail: the series that its exporter would serve.

One step after the other, so that a counter is what happened so far. What a fault does
to which series was read off the real servers (tests/chain).
"""

from __future__ import annotations

EDGES = (0.1, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)
SITE = "https://shop.example/"
DAY = 86_400.0
FAULTS = (
    *("database", "broker", "cache", "app", "disk", "certificate"),
    *("worker", "beat", "dns"),
)
# What wakes nobody by itself: the catalogue holds a schedule that is late for a P2.
WARNED = {"beat"}


class Shop:
    """What the shop's exporter serves, as long as `broken` says nothing else.

    Args:
        step: Seconds between two scrapes.

    Attributes:
        broken: Of: database, broker, cache, app, disk, certificate, worker, beat, dns.
    """

    def __init__(self, step):
        self.step = step
        self.broken = set()
        self.now = 0.0
        self.sums = {}
        self.late = 0.0

    def __getattr__(self, name):
        if name.startswith("no_"):
            return name.removeprefix("no_") in self.broken
        raise AttributeError(name)

    def scrape(self, now):
        """Return (job, name, labels, value) of everything at a moment in seconds."""
        self.now = now
        database = self.no_database or self.no_dns
        broker = self.no_broker or self.no_dns
        cache = self.no_cache or self.no_dns
        full = self.no_disk
        dead = self.no_app
        found = [
            *self._machine(full),
            *self._requests(dead, broken=database or cache or full),
            *self._database(database, dead),
            *self._cache(cache, dead),
            *self._celery(broker, failing=database or full),
            *self._health(dead, database=database, cache=cache, broker=broker),
        ]
        return [
            *(("app", *one) for one in found),
            *(("alertmanager", *one) for one in self._pages()),
            *(("site", *one) for one in self._site(dead, database or cache or full)),
        ]

    def _count(self, name, rate, /, **labels):
        key = (name, *sorted(labels.items()))
        self.sums[key] = self.sums.get(key, 1000.0) + rate * self.step
        return name, labels, self.sums[key]

    def _machine(self, full):
        return [
            ("up", {}, 1.0),
            ("watchroom_exporter_info", {"version": "1"}, 1.0),
            ("node_filesystem_avail_bytes", {"mountpoint": "/"}, 0 if full else 60e9),
            ("node_filesystem_size_bytes", {"mountpoint": "/"}, 100e9),
            ("node_filesystem_readonly", {"mountpoint": "/"}, 0.0),
            ("node_filesystem_device_error", {"mountpoint": "/"}, 0.0),
            ("container_memory_working_set_bytes", {"name": "shop"}, 1e8),
            ("container_spec_memory_limit_bytes", {"name": "shop"}, 5e8),
            ("watchroom_processes", {"role": "web"}, 0.0 if self.no_app else 4.0),
            ("watchroom_processes", {"role": "worker"}, 0.0 if self.no_worker else 2.0),
        ]

    def _requests(self, dead, *, broken):
        asked = 0.0 if dead else 10.0
        failed = asked * 0.9 if broken else 0.0
        labels = {"method": "GET", "route": "shop"}
        found = [
            self._count("http_requests_total", asked - failed, status="200", **labels),
            self._count("http_requests_total", failed, status="500", **labels),
        ]
        for le in (*map(str, EDGES), "+Inf"):
            slow = failed if self.no_dns and le != "+Inf" else 0.0
            rate = asked - slow
            name = "http_request_duration_seconds_bucket"
            found.append(self._count(name, rate, le=le, **labels))
        return found

    def _database(self, down, dead):
        asked = 0.0 if dead or down else 50.0
        found = [("db_up", {"alias": "default"}, 0.0 if down else 1.0)]
        if not down:
            found += [
                ("db_connections", {"alias": "default", "state": "idle"}, 5.0),
                ("db_connections_limit", {"alias": "default"}, 100.0),
            ]
        labels = {"alias": "default", "role": "web"}
        for le in (*map(str, EDGES), "+Inf"):
            name = "db_query_duration_seconds_bucket"
            found.append(self._count(name, asked, le=le, **labels))
        return found

    def _cache(self, down, dead):
        asked = 0.0 if dead else 40.0
        labels = {"alias": "default", "role": "web"}
        hits = 0.0 if down else asked * 0.95
        return [
            self._count("cache_gets_total", hits, result="hit", **labels),
            self._count("cache_gets_total", asked - hits, result="miss", **labels),
        ]

    def _celery(self, broker, *, failing):
        queued = self.sums.setdefault("queued", 0.0)
        idle = self.no_worker
        self.sums["queued"] = queued + 2.0 * self.step if idle else 0.0
        self.late = self.late + self.step if self.no_beat or idle or broker else 0.0
        works = not (idle or broker)
        found = [
            ("celery_broker_up", {}, 0.0 if broker else 1.0),
            self._count(
                "celery_task_failed_total", 0.5 * (works and failing), name="m"
            ),
            (
                "celery_beat_overdue_seconds",
                {"entry": "hourly"},
                max(self.late - 60, 0),
            ),
        ]
        if not broker:
            found += [
                ("celery_queue_length", {"queue_name": "celery"}, queued),
                ("celery_queue_oldest_seconds", {"queue_name": "celery"}, queued / 2),
            ]
        return found

    def _health(self, dead, *, database, cache, broker):
        if dead:
            return [("health_livez", {}, 0.0)]
        hard, soft = {"kind": "hard"}, {"kind": "soft"}
        return [
            ("health_livez", {}, 1.0),
            ("health_check_status", {"check": "database", **hard}, float(not database)),
            ("health_check_status", {"check": "disk", **hard}, float(not self.no_disk)),
            ("health_check_status", {"check": "cache", **soft}, float(not cache)),
            ("health_check_status", {"check": "broker", **soft}, float(not broker)),
        ]

    def _pages(self):
        labels = {"integration": "webhook", "receiver_name": "ops"}
        return [
            ("up", {}, 1.0),
            ("alertmanager_notifications_total", labels, 0.0),
            ("alertmanager_notifications_failed_total", labels, 0.0),
        ]

    def _site(self, dead, broken):
        expired = self.no_certificate
        up = not (dead or broken or expired or self.no_dns)
        found = [("up", {}, 1.0), ("probe_success", {}, float(up))]
        if self.no_dns:
            return found
        left = -DAY if expired else 60 * DAY
        return [
            *found,
            ("probe_ssl_earliest_cert_expiry", {}, self.now + left),
            ("probe_ssl_last_chain_expiry_timestamp_seconds", {}, self.now + left),
            ("probe_failed_due_to_certificate", {}, float(expired)),
        ]
