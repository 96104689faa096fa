"""What the standard vitals may follow from.

A vital that names a cause is silent while that cause is paged, however long. So what
says that everything is down (SiteDown, AppDown) names the host alone: with a database
it shares that cause, and is part of its fault when both begin together, but after hours
of one replica missing it pages.
"""

from __future__ import annotations

HOST = ("DiskSpaceLow", "MemoryHigh")
SERVERS = ("DatabaseDown", "CeleryBrokerDown")
# A request fails for each of these.
REQUESTS = ("AppDown", "HealthCheckFailing")
# A task waits, or is late, for each of these.
TASKS = (*SERVERS, "CeleryWorkersDown")
