"""A real monitor process, a target that behaves as told, a page receiver."""

from __future__ import annotations

import pytest
from tests.support.listener import listening
from tests.support.watched import Files, Monitor, Target


@pytest.fixture
def target():
    found = Target()
    yield found
    found.close()


@pytest.fixture
def pages():
    with listening() as listener:
        yield listener


@pytest.fixture
def files(tmp_path, pages):
    return Files(tmp_path / "monitoring", pages.url())


@pytest.fixture
def monitor(files, tmp_path):
    found = Monitor(files, tmp_path)
    yield found
    found.stop()
