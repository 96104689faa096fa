"""One PostgreSQL for the tests of this folder."""

from __future__ import annotations

import pytest
from tests.support.postgres import postgres


@pytest.fixture(scope="module")
def own_postgres():
    """The URL of an empty database."""
    with postgres() as url:
        yield url
