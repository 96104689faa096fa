import pytest
from tests.support.ledger import Ledger
from tests.support.once import once


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A data directory with the sample data, made once."""
    return once(
        tmp_path_factory, "ledger-template", lambda data: Ledger(data).prepare()
    )


@pytest.fixture
def ledger(tmp_path, prepared):
    """The sample app with its sample data, nothing started yet."""
    with Ledger(tmp_path) as app:
        app.prepare(prepared)
        yield app
