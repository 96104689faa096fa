"""A built chain for each test that asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.chain import Chain, chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Chain]:
    """The ledger's database migrated and seeded; nothing built or started yet."""
    with chain(tmp_path) as made:
        made.manage("migrate")
        made.manage("seed")
        yield made
