import pytest
from tests.support.ledger import Ledger


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A data directory with the sample data, made once."""
    data = tmp_path_factory.mktemp("ledger-template")
    Ledger(data).prepare()
    return data


@pytest.fixture
def ledger(tmp_path, prepared):
    """The sample app with its sample data, nothing started yet."""
    with Ledger(tmp_path) as app:
        app.prepare(prepared)
        yield app
