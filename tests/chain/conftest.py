"""A built chain for each test that asks for one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import Chain, chain
from tests.support.once import once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger's database, migrated and seeded once."""

    def make(directory: Path) -> None:
        with chain(directory) as made:
            made.manage("migrate")
            made.manage("seed")

    return once(tmp_path_factory, "seeded", make) / "data" / "ledger.db"


@pytest.fixture
def ledger(tmp_path: Path, seeded: Path) -> Iterator[Chain]:
    """The ledger's database migrated and seeded; nothing built or started yet."""
    with chain(tmp_path) as made:
        (tmp_path / "data").mkdir()
        shutil.copy(seeded, tmp_path / "data")
        yield made
