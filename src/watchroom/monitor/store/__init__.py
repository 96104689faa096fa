"""The durable store of samples: one SQLite file of family blocks."""

from __future__ import annotations

from watchroom.monitor.store.memory import AppendResult
from watchroom.monitor.store.snapshot import Snapshot
from watchroom.monitor.store.store import Store

__all__ = ["AppendResult", "Snapshot", "Store"]
