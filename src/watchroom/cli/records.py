"""Where the results of proofs are kept: by the monitor, or beside its state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from watchroom.monitor.state.directory import state_path
from watchroom.prove.records import FileRecords, MonitorRecords

if TYPE_CHECKING:
    from watchroom.prove.chain import Chain
    from watchroom.prove.records import Records


def records_of(chain: Chain, name: str) -> Records:
    """Return the records of a chain: the monitor's own, or a file of this machine.

    A real Prometheus has no place for them; the file stands where the state of this
    deployment's monitor would.
    """
    if chain.embedded:
        return MonitorRecords(chain.prometheus, chain.watch_token)
    return FileRecords(state_path(None, name, os.environ) / "proofs.json")
