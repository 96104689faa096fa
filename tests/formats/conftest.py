"""The judge of formats."""

import shutil

import pytest


@pytest.fixture
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("needs Debian's promtool")
    return found
