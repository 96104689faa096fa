"""The metrics that the exporter finds out by itself, from the machine and servers.

Beside `watchroom.catalogue.metrics`, because the app's processes never import these.
Names are the field's own: cAdvisor's, node_exporter's, prometheus_client's.
"""

from __future__ import annotations

from watchroom.catalogue.metrics import Metric

EXPORTER_INFO = Metric(
    "watchroom_exporter_info", "gauge", "Constantly 1.", ("version",)
)
EXPORTER_ERRORS = Metric(
    "watchroom_exporter_errors_total",
    "counter",
    "Failures, by part of the exporter.",
    ("part",),
)
CHILD_RESTARTS = Metric(
    "watchroom_exporter_child_restarts_total",
    "counter",
    "Restarts of a process that asks for the exporter, by group.",
    ("group",),
)
GAUGE_ERRORS = Metric(
    "watchroom_gauge_errors_total", "counter", "Failures, by gauge.", ("gauge",)
)
MEMORY_USED = Metric(
    "container_memory_working_set_bytes",
    "gauge",
    "Memory that cannot be reclaimed, of the app's containers or services.",
    ("name",),
)
MEMORY_LIMIT = Metric(
    "container_spec_memory_limit_bytes",
    "gauge",
    "Its effective memory limit; absent without one.",
    ("name",),
)
MACHINE_MEMORY = Metric(
    "node_memory_MemTotal_bytes",
    "gauge",
    "The machine's memory; absent where the app has a lower limit.",
    ("name",),
)
MACHINE_AVAILABLE = Metric(
    "node_memory_MemAvailable_bytes",
    "gauge",
    "Memory available without swapping, as the kernel estimates it.",
    ("name",),
)
CPU_USED = Metric(
    "container_cpu_usage_seconds_total",
    "counter",
    "CPU time of the app's containers or services.",
    ("name",),
)
CPU_LIMIT = Metric(
    "container_cpu_limit_cores",
    "gauge",
    "Its effective CPU limit; absent without one.",
    ("name",),
)
PROCESS_MEMORY = Metric(
    "process_resident_memory_bytes",
    "gauge",
    "Resident memory, all live processes of a role together.",
    ("role",),
)
PROCESS_MEMORY_MAX = Metric(
    "watchroom_process_resident_memory_max_bytes",
    "gauge",
    "Resident memory of a role's largest process.",
    ("role",),
)
PROCESS_CPU = Metric(
    "process_cpu_seconds_total",
    "counter",
    "CPU time of all processes of a role, dead ones included.",
    ("role",),
)
_FILE_SYSTEM = ("mountpoint", "fstype", "device")
DISK_AVAILABLE = Metric(
    "node_filesystem_avail_bytes",
    "gauge",
    "Room left for the app on a file system that the project uses.",
    _FILE_SYSTEM,
)
DISK_SIZE = Metric(
    "node_filesystem_size_bytes", "gauge", "Size of that file system.", _FILE_SYSTEM
)
DISK_READ_ONLY = Metric(
    "node_filesystem_readonly", "gauge", "Whether it is read-only.", _FILE_SYSTEM
)
DISK_ERROR = Metric(
    "node_filesystem_device_error",
    "gauge",
    "Whether reading its free space failed or timed out.",
    _FILE_SYSTEM,
)
DB_UP = Metric(
    "db_up", "gauge", "Whether the database answers a new connection.", ("alias",)
)
DB_CONNECTIONS = Metric(
    "db_connections",
    "gauge",
    "Sessions that count against the limit nearest to being reached.",
    ("alias",),
)
DB_CONNECTIONS_LIMIT = Metric(
    "db_connections_limit",
    "gauge",
    "That limit: the server's less what it reserves, the database's or the role's.",
    ("alias",),
)
BROKER_UP = Metric(
    "celery_broker_up", "gauge", "Whether the broker of Celery answered."
)
QUEUE_LENGTH = Metric(
    "celery_queue_length",
    "gauge",
    "Messages waiting in a configured queue, even when no worker is running.",
    ("queue_name",),
)
QUEUE_OLDEST = Metric(
    "celery_queue_oldest_seconds",
    "gauge",
    "Age of the oldest waiting message of a queue; 0 when none waits.",
    ("queue_name",),
)
BEAT_OVERDUE = Metric(
    "celery_beat_overdue_seconds",
    "gauge",
    "How late a schedule entry is: since when it was due and has not run; 0 on time.",
    ("entry",),
)
BEAT_LAST_RUN = Metric(
    "celery_beat_last_run_timestamp_seconds",
    "gauge",
    "When the latest run of an entry that a worker started was published.",
    ("entry",),
)
BEAT_LAST_PUBLISHED = Metric(
    "celery_beat_last_published_timestamp_seconds",
    "gauge",
    "When beat last published an entry of the schedule.",
    ("entry",),
)

BEAT_ENTRIES = Metric(
    "celery_beat_entries", "gauge", "Schedule entries that are monitored."
)
BEAT_UNWATCHED = Metric(
    "celery_beat_entries_unwatched",
    "gauge",
    "Schedule entries that are not monitored: too many, or invalid.",
)

HEALTH_STATUS = Metric(
    "health_check_status",
    "gauge",
    "Whether a health check of the app passes, as the app reports it.",
    ("check", "kind"),
)
HEALTH_DURATION = Metric(
    "health_check_duration_seconds",
    "gauge",
    "How long a health check of the app took.",
    ("check",),
)
HEALTH_LIVEZ = Metric(
    "health_livez", "gauge", "Whether the app answers /livez at its own address."
)

CELERY = (BROKER_UP, QUEUE_LENGTH, QUEUE_OLDEST)
BEAT = (
    *(BEAT_OVERDUE, BEAT_LAST_RUN, BEAT_LAST_PUBLISHED),
    *(BEAT_ENTRIES, BEAT_UNWATCHED),
)
COLLECTED = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Metric)
)
